"""A second opinion: what was said of each transaction, read from the raw frames by the standard alone.

It shares no code with station or CSMS. A frame that comes again under its message id counts once.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ocpp_core.versions import OcppVersion

from .network import Message

REGISTER = "Energy.Active.Import.Register"
_FACTS = ("TransactionEvent", "StartTransaction", "StopTransaction")


def tells_fact(frame: list[Any]) -> bool:
    """Whether this frame is a call that tells a fact of a transaction."""
    if frame[0] != 2:
        return False
    if frame[2] in _FACTS:
        return True
    if frame[2] != "MeterValues" or "transactionId" not in frame[3]:
        return False
    context: str = frame[3]["meterValue"][0]["sampledValue"][0].get("context", "")
    return context != "Trigger"  # a reading that the CSMS asked for is none


@dataclass(slots=True)
class Fact:
    """One fact as it was said, maybe more than once."""

    call_id: str
    action: str
    body: dict[str, Any]
    version: OcppVersion
    said: list[int] = field(default_factory=list)
    """When it was sent (ms)."""
    heard: bool = False
    """Whether the CSMS acted on it."""
    answered: list[int] = field(default_factory=list)
    """When answers reached the station."""
    refused: list[int] = field(default_factory=list)
    """When CALLERRORs did."""
    acknowledged: bool = False
    """Whether an answer reached the station while it waited for one."""
    tied: bool = False
    """Whether one reached it in the very moment in which it gave up waiting: both are right, then."""

    def attempts(self, offline_at: list[int], timeout_ms: float) -> int:
        """How many of its sendings failed: refused, or unanswered for the time-out on a link that lived."""
        failed = 0
        for said in self.said:
            until = min([said + timeout_ms, *(at for at in offline_at if at >= said)])
            refused = any(said <= at <= until for at in self.refused)
            answered = any(said <= at < until for at in self.answered)
            failed += refused or (not answered and until == said + timeout_ms)
        return failed

    @property
    def at(self) -> str:
        """Its timestamp: one format, so that texts compare like times."""
        text: str = self.body.get("timestamp") or self.body["meterValue"][0]["timestamp"]
        return text

    @property
    def registers(self) -> list[tuple[str, str, float]]:
        """When (as said), why, and what the energy register read."""
        found = [
            (value["timestamp"], sample.get("context", ""), float(sample["value"]))
            for value in self.body.get("meterValue") or self.body.get("transactionData") or ()
            for sample in value["sampledValue"]
            if sample.get("measurand", REGISTER) == REGISTER
        ]
        if self.action == "StartTransaction":
            return [(self.at, "Transaction.Begin", self.body["meterStart"])]
        if self.action == "StopTransaction":
            return [*found, (self.at, "Transaction.End", self.body["meterStop"])]
        return found


@dataclass(slots=True)
class Account:
    """All that was said of one transaction; ``name`` is what the CSMS calls it, None if it never said."""

    name: str | None
    starts: list[Fact] = field(default_factory=list)
    updates: list[Fact] = field(default_factory=list)
    ends: list[Fact] = field(default_factory=list)

    @property
    def facts(self) -> list[Fact]:
        """Its facts in the order of their first sending."""
        return sorted([*self.starts, *self.updates, *self.ends], key=lambda fact: fact.said[0])

    @property
    def version(self) -> OcppVersion:
        """The version in which it began."""
        return self.facts[0].version

    @property
    def evse(self) -> int | None:
        """The EVSE that was named (1.6: with one connector each, its number)."""
        if self.version is OcppVersion.V16:
            return self.starts[0].body["connectorId"] if self.starts else None
        named = [fact.body["evse"]["id"] for fact in self.facts if "evse" in fact.body]
        return named[0] if named else None

    @property
    def cut_short(self) -> bool:
        """Whether the station's power failed in the middle of it."""
        body = self.ends[0].body
        return "PowerLoss" in (body.get("reason"), body.get("transactionInfo", {}).get("stoppedReason"))

    @property
    def ended_nameless(self) -> bool:
        """Whether its end came under id -1 (1.6 errata 3.18)."""
        return bool(self.ends[0].body.get("transactionId") == -1)

    @property
    def span(self) -> tuple[float, float]:
        """The register at its start and at its end."""
        return self.starts[0].registers[0][2], self.ends[0].registers[-1][2]

    @property
    def energy_wh(self) -> float:
        """What it comes to."""
        begin, end = self.span
        return end - begin


def facts(messages: Iterable[Message], timeout_ms: float) -> list[Fact]:
    """Every fact that was sent, in the order of the first sending; an answer counts within the time-out."""
    known: dict[str, Fact] = {}
    for message in messages:
        frame = message.frame
        if message.from_station and tells_fact(frame):
            fact = known.setdefault(frame[1], Fact(frame[1], frame[2], frame[3], message.version))
            fact.said.append(message.at)
            fact.heard = fact.heard or message.heard is not None
        elif frame[0] in (3, 4) and frame[1] in known and message.heard is not None:
            fact, heard = known[frame[1]], message.heard
            (fact.answered if frame[0] == 3 else fact.refused).append(heard)
            waited = heard - max(said for said in fact.said if said <= heard)
            fact.acknowledged = fact.acknowledged or (frame[0] == 3 and waited < timeout_ms)
            fact.tied = fact.tied or waited == timeout_ms
    return list(known.values())


def accounts(messages: list[Message], facts: list[Fact]) -> list[Account]:
    """Every transaction of which anything was said."""
    numbers = {
        message.frame[1]: str(message.frame[2]["transactionId"])
        for message in messages
        if not message.from_station and message.frame[0] == 3 and "transactionId" in message.frame[2]
    }
    books: list[Account] = []
    for fact in facts:
        if fact.action == "TransactionEvent":
            account = _named(books, fact.body["transactionInfo"]["transactionId"])
            kind = fact.body["eventType"]
            {"Started": account.starts, "Updated": account.updates, "Ended": account.ends}[kind].append(fact)
        elif fact.action == "StartTransaction":
            books.append(Account(numbers.get(fact.call_id), [fact]))
        else:
            number = str(fact.body["transactionId"])
            account = _nameless(books, fact) if number == "-1" else _named(books, number)
            (account.updates if fact.action == "MeterValues" else account.ends).append(fact)
    return books


def _named(books: list[Account], name: str | None) -> Account:
    for account in books:
        if account.name == name:
            return account
    books.append(Account(name))
    return books[-1]


def _nameless(books: list[Account], fact: Fact) -> Account:
    """The transaction of a 1.6 message under id -1 (errata 3.18): begun, never numbered, not ended."""
    place, register = fact.body.get("connectorId"), fact.registers[-1][2]
    possible = [
        account
        for account in books
        if account.version is OcppVersion.V16
        and account.starts
        and not account.ends
        and not account.starts[0].acknowledged
        and place in (None, account.evse)
        and account.facts[-1].registers[-1][2] <= register + 0.5  # a meterStop is rounded
    ]
    # A StopTransaction names no connector, but begins with the reading at the start.
    possible.sort(
        key=lambda account: (
            account.starts[0].at != fact.registers[0][0],
            register - account.facts[-1].registers[-1][2],
        )
    )
    return possible[0] if possible else _named(books, None)
