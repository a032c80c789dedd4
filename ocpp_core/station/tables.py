"""The station's durable rows: one table per kind of record, each row a frozen dataclass as JSON text."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from ..clock import Anchor
from ..domain.metering import Sample
from ..domain.network import SecurityProfile
from ..domain.time import Stamp
from ..domain.tokens import ANY_TYPE, IdToken, IdTokenInfo
from ..domain.transactions import TransactionFact
from ..errors import StoreError
from ..store import Tables
from ..versions import OcppVersion

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class BootRow:
    """One boot of the station: ``anchor`` ties its monotonic clock to UTC, written once (key: boot number).

    Without an anchor the boot never learned the time. ``last`` is when it was last heard of, written once
    when a later boot looks back.
    """

    started: float
    anchor: Anchor | None = None
    last: float | None = None


@dataclass(frozen=True, slots=True)
class TransactionRow:
    """A transaction under way (key: its id).

    ``begin`` was read when it started. ``meter_wh`` is the register at the last fact: what is billed if no
    reading can be had after power loss.
    """

    evse: int
    connector: int
    begin: Sample
    meter_wh: float
    driver: IdToken | None = None
    group: IdToken | None = None
    energised: bool = False
    told_evse: bool = False
    samples: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """What the first send of a fact fixed for every retry: its message id, seqNo and timestamp.

    ``offline``: it happened, or still waited, while the station was offline (E04.FR.03, E11.FR.07).
    """

    message_id: str
    seq_no: int
    utc_ms: int
    offline: bool = False


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A fact that the CSMS has not acknowledged (key: its place in the order of recording)."""

    fact: TransactionFact
    sent: Sent | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class WireRow:
    """What the CSMS has been told of a transaction (key: the transaction's id).

    It pins the transaction to ``version`` until its end is acknowledged. ``began`` says that the version's
    own begin of the transaction was sent or given up; ``csms_id`` is 1.6's transactionId, -1 where the start
    could never be delivered (1.6 errata 3.18). ``began_utc_ms`` and ``last_utc_ms`` keep timestamps within
    the transaction and from going backwards. ``handed_over``: the operator is told the rest, no CSMS is.
    ``csms`` names the CSMS that was told (:class:`~ocpp_core.domain.network.NetworkProfile`).
    ``held_since_ms`` is when it was found that the CSMS that is there cannot go on with it (UTC; 0: at a time
    not known).
    """

    version: OcppVersion
    next_seq_no: int = 0
    began: bool = False
    csms_id: int | None = None
    began_utc_ms: int = 0
    last_utc_ms: int = 0
    handed_over: bool = False
    csms: str = ""
    held_since_ms: int | None = None

    @property
    def held(self) -> bool:
        """Whether the rest waits for a CSMS that is not there."""
        return self.held_since_ms is not None and not self.handed_over

    def goes_on(self, csms: str, version: OcppVersion) -> bool:
        """Whether the rest may be told so: as it began, or as long as the version had nothing to tell."""
        return self.version is version and (self.csms == csms or not self.began)


@dataclass(frozen=True, slots=True)
class CachedToken:
    """A token the CSMS has spoken of (key: the token's value in lower case; C10).

    ``learned`` orders the rows by when the CSMS last said something new.
    """

    info: IdTokenInfo
    learned: int
    type: str = ANY_TYPE


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """What outlives a boot of the ways to the CSMS (one row): how secure the last link was."""

    security_profile: SecurityProfile


@dataclass(frozen=True, slots=True)
class SecurityRow:
    """A security event in the log (key: its place in the order of recording).

    ``untold``: the CSMS has to be told yet. ``message_id`` and the UTC of ``at`` are fixed by the first send
    under ``version``, for every retry.
    """

    type: str
    at: Stamp
    tech_info: str | None = None
    untold: bool = False
    message_id: str = ""
    version: OcppVersion | None = None


@cache
def _adapter(row_type: Any) -> TypeAdapter[Any]:
    return TypeAdapter(row_type)


class Table(Generic[Row]):
    """One table with typed rows over the station's :class:`~ocpp_core.store.Tables`.

    Raises :class:`~ocpp_core.errors.StoreError` where a stored row is not of this table's kind.
    """

    __slots__ = ("_name", "_row_type", "_rows", "_tables")

    def __init__(self, tables: Tables, name: str, row_type: type[Row]) -> None:
        self._tables = tables
        self._name = name
        self._row_type: Any = row_type
        self._rows: dict[str, Row] = {key: self._read(key, text) for key, text in tables.rows(name)}

    def put(self, key: str, row: Row) -> None:
        """Write a row."""
        self._rows[key] = row
        text = _adapter(self._row_type).dump_json(row, exclude_defaults=True).decode()
        self._tables.put(self._name, key, text)

    def delete(self, key: str) -> None:
        """Remove a row, if there."""
        self._rows.pop(key, None)
        self._tables.delete(self._name, key)

    def get(self, key: str) -> Row | None:
        """The row under ``key``, or None."""
        return self._rows.get(key)

    def items(self) -> list[tuple[str, Row]]:
        """Every key and row, ordered by key."""
        return [(key, self._rows[key]) for key in sorted(self._rows)]

    def numbered(self) -> list[tuple[int, Row]]:
        """Every row of a table whose keys are numbers, in their order."""
        try:
            return sorted(((int(key), row) for key, row in self._rows.items()), key=lambda item: item[0])
        except ValueError as error:
            raise StoreError(f"table {self._name}: {error}") from error

    def _read(self, key: str, text: str) -> Row:
        try:
            row: Row = _adapter(self._row_type).validate_json(text)
        except ValidationError as error:
            raise StoreError(f"table {self._name}, row {key}: {error.errors()[0]['msg']}") from error
        return row


def order_key(number: int) -> str:
    """A number as a key that sorts like the number."""
    return f"{number:012d}"
