"""The RPC framework's error codes, and how each version spells them (1.6-J table 7, 2.x part 4 §4.3)."""

from enum import StrEnum

from ocpp_core.versions import OcppVersion

DESCRIPTION_LIMIT = 255
"""Characters of an errorDescription (2.x part 4 §4.2.3); longer ones are cut."""


class ErrorCode(StrEnum):
    """The error codes; the value is the spelling of OCPP 2.x."""

    FORMAT_VIOLATION = "FormatViolation"
    GENERIC_ERROR = "GenericError"
    INTERNAL_ERROR = "InternalError"
    MESSAGE_TYPE_NOT_SUPPORTED = "MessageTypeNotSupported"
    NOT_IMPLEMENTED = "NotImplemented"
    NOT_SUPPORTED = "NotSupported"
    OCCURRENCE_CONSTRAINT_VIOLATION = "OccurrenceConstraintViolation"
    PROPERTY_CONSTRAINT_VIOLATION = "PropertyConstraintViolation"
    PROTOCOL_ERROR = "ProtocolError"
    RPC_FRAMEWORK_ERROR = "RpcFrameworkError"
    SECURITY_ERROR = "SecurityError"
    TYPE_CONSTRAINT_VIOLATION = "TypeConstraintViolation"

    def spelling(self, version: OcppVersion) -> str:
        """The code as ``version`` writes it.

        1.6 misspells two codes for good (1.6-J errata 5.1, 5.2) and lacks two, for which its nearest stands.
        """
        return _SPELLINGS_16.get(self, self.value) if version is OcppVersion.V16 else self.value


_SPELLINGS_16 = {
    ErrorCode.FORMAT_VIOLATION: "FormationViolation",
    ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION: "OccurenceConstraintViolation",
    ErrorCode.RPC_FRAMEWORK_ERROR: "FormationViolation",
    ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED: "NotSupported",
}
