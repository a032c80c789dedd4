"""One translator per OCPP version, and the one place that knows them all."""

from functools import cache

from ...domain.layout import Layout
from ...versions import OcppVersion
from ..dialect import Dialect


@cache
def dialect_for(version: OcppVersion, layout: Layout | None) -> Dialect:
    """The dialect of a version, shared by all connections; imports that version's messages only."""
    if version is OcppVersion.V16:
        from .v16 import V16Dialect

        return V16Dialect(layout)
    if version is OcppVersion.V201:
        from .v201 import V201Dialect

        return V201Dialect()
    from .v21 import V21Dialect

    return V21Dialect()
