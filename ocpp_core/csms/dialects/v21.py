"""OCPP 2.1."""

from ...messages import v21
from ...versions import OcppVersion
from .v2x import V2xDialect


class V21Dialect(V2xDialect):
    """2.1: token types are any text."""

    __slots__ = ()

    version = OcppVersion.V21
    messages = v21
