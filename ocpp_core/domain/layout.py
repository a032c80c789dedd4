"""A station's EVSEs and connectors, and the one numbering that 1.6 sees of them (pitfall: one mapping)."""

from dataclasses import dataclass, field

from ..errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ConnectorRef:
    """A connector of an EVSE, both counted from 1; EVSE 0 with connector 0 is the station itself."""

    evse: int
    connector: int = 1


@dataclass(frozen=True, slots=True)
class Layout:
    """How many connectors each EVSE has: ``Layout((1, 1, 2))`` is three EVSEs, the third with two.

    1.6 numbers all connectors of the station from 1, in order. Raises :class:`ConfigurationError` for a
    station without EVSE or an EVSE without connector.
    """

    connectors: tuple[int, ...] = (1,)
    _refs: tuple[ConnectorRef, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.connectors or min(self.connectors) < 1:
            raise ConfigurationError(f"every EVSE needs at least one connector, got {self.connectors}")
        refs = tuple(
            ConnectorRef(evse, connector)
            for evse, count in enumerate(self.connectors, start=1)
            for connector in range(1, count + 1)
        )
        object.__setattr__(self, "_refs", refs)

    @property
    def evses(self) -> range:
        """The EVSE ids: 1 to the number of EVSEs."""
        return range(1, len(self.connectors) + 1)

    @property
    def refs(self) -> tuple[ConnectorRef, ...]:
        """Every connector, in the order in which 1.6 numbers them."""
        return self._refs

    def has(self, ref: ConnectorRef) -> bool:
        """Whether the station has this connector."""
        return ref in self._refs

    def to_16(self, ref: ConnectorRef) -> int:
        """The 1.6 connectorId of a connector (0 for the station)."""
        return 0 if ref.evse == 0 else self._refs.index(ref) + 1

    def from_16(self, connector_id: int) -> ConnectorRef | None:
        """The connector behind a 1.6 connectorId (EVSE 0 for 0), or None if there is no such connector."""
        if connector_id == 0:
            return ConnectorRef(0, 0)
        return self._refs[connector_id - 1] if 1 <= connector_id <= len(self._refs) else None
