"""OCPP 2.0.1."""

from ...errors import LocalProtocolError
from ...messages import v201
from ...versions import OcppVersion
from .v2x import V2xDialect


class V201Dialect(V2xDialect):
    """2.0.1: token types are an enumeration."""

    __slots__ = ()

    version = OcppVersion.V201
    messages = v201

    def _token_type(self, name: str) -> str:
        try:
            return v201.IdTokenEnum(name)
        except ValueError:
            raise LocalProtocolError(f"2.0.1 has no token type {name!r}") from None
