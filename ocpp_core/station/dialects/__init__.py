"""Between the station's domain and one version's messages: pure translation, no state."""

from functools import cache

from ...versions import OcppVersion
from ..dialect import StationDialect


@cache
def dialect_for(version: OcppVersion) -> StationDialect:
    """The dialect of a version; its messages are imported at the first call."""
    if version is OcppVersion.V16:
        from .v16 import Dialect16

        return Dialect16()
    from .v2x import Dialect2x

    return Dialect2x(version)
