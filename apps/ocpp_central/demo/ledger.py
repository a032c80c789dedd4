"""What each side believes: the stations' sessions against the central system's bills."""

from collections.abc import Iterable
from dataclasses import dataclass

from .peers import Message


@dataclass(frozen=True, slots=True)
class Session:
    """A transaction as one side has it; energy in Wh. ``closed``: it has a start and an end."""

    id: str
    start_wh: float | None
    stop_wh: float | None
    reason: str | None
    closed: bool

    @property
    def energy_wh(self) -> float | None:
        """What was delivered, or is billed."""
        if self.start_wh is None or self.stop_wh is None or not self.closed:
            return None
        return self.stop_wh - self.start_wh


@dataclass(frozen=True, slots=True)
class Pair:
    """The same transaction on both sides; None where one side knows nothing of it."""

    station: Session | None
    central: Session | None

    @property
    def agrees(self) -> bool:
        """Whether both sides have the same registers, and so the same energy, and neither is still open."""
        ours, theirs = self.station, self.central
        return (
            ours is not None
            and theirs is not None
            and ours.energy_wh is not None
            and (ours.start_wh, ours.stop_wh) == (theirs.start_wh, theirs.stop_wh)
            and ours.energy_wh == theirs.energy_wh
        )


def delivered(events: Iterable[Message]) -> list[Session]:
    """The sessions that a station told of on its own output, over all its lives, in order."""
    sessions: dict[str, Session] = {}
    for event in events:
        if event["event"] != "transaction":
            continue
        known = sessions.get(event["id"])
        ended = event["phase"] == "ended"
        sessions[event["id"]] = Session(
            event["id"],
            known.start_wh if known else event["meter_wh"],
            event["meter_wh"],
            event.get("stop_reason"),
            closed=ended or (known is not None and known.closed),
        )
    return list(sessions.values())


def billed(bills: Iterable[Message], station: str) -> list[Session]:
    """The transactions of a station that the central system would bill, in order."""
    return [
        Session(bill["transaction"], bill["start_wh"], bill["stop_wh"], bill["stop_reason"], bill["complete"])
        for bill in bills
        if bill["station"] == station
    ]


def match(station: list[Session], central: list[Session]) -> list[Pair]:
    """Pair the sessions of a station with its bills: by id, or where the version has none by the register.

    Registers only ever count up and every session delivers energy, so a start tells which session it was.
    """
    pairs: list[Pair] = []
    left = list(central)
    for session in station:
        same = next((bill for bill in left if bill.id == session.id), None) or next(
            (bill for bill in left if bill.start_wh == session.start_wh), None
        )
        if same is not None:
            left.remove(same)
        pairs.append(Pair(session, same))
    return pairs + [Pair(None, bill) for bill in left]
