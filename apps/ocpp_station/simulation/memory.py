"""The meters' own memory: what the registers show after the power came back.

It belongs to the hardware, not to the station: rows of their own in the same store file, under a scope that
no station reads. A reading is durable before the station hears of it, so whatever was reported, a killed
process starts again at that reading and never below it.
"""

from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from ocpp_core.errors import StoreError
from ocpp_core.store import Commit, Put, Snapshot

from .meter import RegisterState

SCOPE = "hardware"
_TABLE = "registers"
_ROW: TypeAdapter[RegisterState] = TypeAdapter(RegisterState)


class MeterMemory(Protocol):
    """Where registers are remembered; EVSEs count from 1."""

    def load(self, evse: int) -> RegisterState:
        """What was last saved for this EVSE; a new register if nothing was."""
        ...

    def save(self, evse: int, state: RegisterState) -> None:
        """Remember a register."""
        ...


class NoMemory:
    """Registers that start at 0 Wh with every process: for a station without a store."""

    def load(self, evse: int) -> RegisterState:
        """A new register."""
        return RegisterState()

    def save(self, evse: int, state: RegisterState) -> None:
        """Forget it."""


class ScopedStore(Protocol):
    """A store file that keeps the rows of several owners apart."""

    def load(self, scope: str) -> Snapshot:
        """The rows of a scope."""
        ...

    def commit(self, commit: Commit, scope: str) -> None:
        """Make changes to a scope's rows durable."""
        ...


class StoreMemory:
    """Registers in a store. Raises :class:`StoreError` for rows that are no registers."""

    def __init__(self, store: ScopedStore) -> None:
        self._store = store
        self._rows = dict(store.load(SCOPE).get(_TABLE, {}))

    def load(self, evse: int) -> RegisterState:
        """What was last saved for this EVSE; a new register if nothing was."""
        row = self._rows.get(str(evse))
        if row is None:
            return RegisterState()
        try:
            return _ROW.validate_json(row)
        except ValidationError:
            raise StoreError(f"the meter of EVSE {evse} left a row that is no register") from None

    def save(self, evse: int, state: RegisterState) -> None:
        """Remember a register, durably. Raises :class:`StoreError` if the store cannot."""
        self._store.commit(Commit((Put(_TABLE, str(evse), _ROW.dump_json(state).decode()),)), SCOPE)
