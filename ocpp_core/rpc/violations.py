"""From what is wrong with a payload to the error code and description of a CALLERROR."""

from pydantic import ValidationError

from ocpp_core.messages import Violation, field_errors
from ocpp_core.versions import OcppVersion

from .error_codes import DESCRIPTION_LIMIT, ErrorCode

_LISTED_ERRORS = 100
"""Errors above which a payload is called wrong without naming a field: listing them would cost too much."""

_CODES = {
    Violation.NOT_JSON: ErrorCode.FORMAT_VIOLATION,
    Violation.MISSING: ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    Violation.EXTRA: ErrorCode.PROTOCOL_ERROR,
    Violation.TYPE: ErrorCode.TYPE_CONSTRAINT_VIOLATION,
    Violation.VALUE: ErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    Violation.OCCURRENCE: ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    Violation.FORMAT: ErrorCode.FORMAT_VIOLATION,
}
"""2.x: a missing field breaks its cardinality, an unknown one the PDU structure (part 4 §4.3)."""
_CODES_16 = _CODES | {
    Violation.MISSING: ErrorCode.PROTOCOL_ERROR,
    Violation.EXTRA: ErrorCode.FORMAT_VIOLATION,
}
"""1.6: an incomplete payload is a ProtocolError, one of another structure a FormationViolation (table 7)."""


def describe(error: ValidationError, version: OcppVersion) -> tuple[ErrorCode, str]:
    """The error code for the first thing that is wrong, and a description that names its path.

    Arguments:
        error: from the validator of a payload.
        version: whose codes to use.
    """
    if error.error_count() > _LISTED_ERRORS:
        return ErrorCode.FORMAT_VIOLATION, f"{error.error_count()} fields are invalid"
    first = field_errors(error)[0]
    codes = _CODES_16 if version is OcppVersion.V16 else _CODES
    described = f"{first.field}: {first.text}" if first.path else first.text
    if len(described) > DESCRIPTION_LIMIT:
        described = f"…{described[1 - DESCRIPTION_LIMIT :]}"
    return codes[first.kind], described
