"""What the station and the CSMS promise, however a run went.

These are checked when the world has come to rest; :mod:`tests.simulation.watch` has those that hold at every
moment. A broken one is an AssertionError.

Safety: nothing is lost, doubled, invented or changed. Liveness: once nothing goes wrong any more, all of it
is told within :data:`BOUND_MS`.
"""

from collections import Counter, defaultdict
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ocpp_core.csms import Bill
from ocpp_core.domain.transactions import Phase
from ocpp_core.versions import OcppVersion

from . import bookkeeper
from .bookkeeper import Account, Fact
from .central import UTC_MS, Central
from .hardware import MS_PER_HOUR

if TYPE_CHECKING:
    from .world import World

BOUND_MS = 600_000
"""How long a fair world may take to come to rest: a few back-offs, time-outs and retries."""
SLACK_MS = 20_000
"""How much longer than its interval a series may take to the next reading, or to the transaction's end."""


def check(world: "World") -> None:
    """Raise AssertionError for the first promise that is broken."""
    _drained(world)
    facts: list[Fact] = []
    books: list[Account] = []
    for central in world.centrals.values():
        said = [message for message in world.messages if message.csms == central.name]
        told = bookkeeper.facts(said, world.site.config.message_timeout * 1000)
        accounts = bookkeeper.accounts(said, told)
        _begun_here(central, accounts)
        _in_order(world, told)
        _heard_is_what_is_billed(world, central, accounts)
        facts += told
        books += accounts
    _same_id_same_payload(world)
    whole = books
    if world.watch.handed_over:  # the rest of some transactions is with the operator
        whole = [account for account in books if account.ends]
    else:
        _given_up_after_its_attempts(world, facts)
        _every_record_is_told(world, books)
    _each_once(whole)
    _one_version_each(books)
    for account in whole:
        _forward(account)
        _series_without_hole(world, account)
        if account.version is not OcppVersion.V16:
            _numbered_without_gap(account)
            _told_once(account)
    _said_is_what_was_delivered(world, whole)


def unconverged(world: "World", state: dict[str, Any]) -> str:
    """What the CSMS believes of a connector that is not the truth; empty if there is nothing."""
    link = world.network.link
    key = "status_16" if link is not None and link.version is OcppVersion.V16 else "status"
    for connector in state["connectors"]:
        told = world.central.statuses.get((connector["evse"], connector["connector"]))
        if told != connector[key]:
            return f"the CSMS believes {told}, the truth is {connector[key]}"
    return ""


def _drained(world: "World") -> None:
    station = world.site.station
    assert station is not None
    state = station.state(world.site.mono)
    assert state["queue"]["facts"] == 0, f"the queue did not drain: {state['queue']}"
    assert state["queue"]["pinned"] is None, "a transaction is still pinned to a version"
    assert all(evse["transaction"] is None for evse in state["evses"]), "a transaction never ended"
    assert not (wrong := unconverged(world, state)), wrong
    assert world.site.store.load() == station.snapshot(), "the store does not hold what the station believes"
    tables = world.site.store.load()
    left = {name: len(tables.get(name, {})) for name in ("outbox", "wires", "transactions", "samples")}
    assert not any(left.values()), f"rows that nobody will look at again: {left}"


def _same_id_same_payload(world: "World") -> None:
    """A retry repeats the message id, and whoever repeats an id repeats the payload (OCPP-J errata 3.1)."""
    said: dict[str, list[Any]] = {}
    for message in world.messages:
        frame = message.frame
        if message.from_station and frame[0] == 2:
            assert said.setdefault(frame[1], frame[2:]) == frame[2:], f"id {frame[1]} carried two payloads"


def _begun_here(central: Central, books: list[Account]) -> None:
    """No CSMS hears of a transaction of which it saw no start."""
    for account in books:
        begun = account.starts and account.facts[0] is account.starts[0]
        assert begun, f"CSMS {central.name} hears of {account.name}, which did not begin there"


def _each_once(books: list[Account]) -> None:
    """Every transaction that was spoken of started once and ended once."""
    for account in books:
        starts, ends = len(account.starts), len(account.ends)
        assert (starts, ends) == (1, 1), f"{account.name}: {starts} starts and {ends} ends"
        assert account.facts[-1] is account.ends[0], f"{account.name}: something after its end"


def _one_version_each(books: list[Account]) -> None:
    for account in books:
        versions = {fact.version for fact in account.facts}
        assert len(versions) == 1, f"{account.name} was told in {versions}"


def _given_up_after_its_attempts(world: "World", facts: list[Fact]) -> None:
    """A fact is given up after as many attempts as configured, not before nor later (E13.FR.03, E13.FR.04).

    What fails with its link, or with the power, was no attempt. The operator is told of each.
    """
    attempts, timeout_ms = world.site.config.attempts, world.site.config.message_timeout * 1000
    given_up = [fact for fact in facts if not fact.acknowledged]
    doubtful = sum(fact.tied for fact in given_up)
    forgotten = len(world.case.power_loss)  # attempts that were counted, but not durably
    for fact in facts:
        failed = fact.attempts(world.watch.offline_at, timeout_ms)
        name = f"{fact.action} {fact.call_id}"
        assert failed - fact.tied <= attempts + forgotten, f"{name} was tried {failed} times"
        assert fact.acknowledged or failed >= attempts, f"{name} was given up after {failed} attempts"
    if not world.case.power_loss:  # else a notice may have been lost
        assert len(given_up) - doubtful <= world.watch.discards <= len(given_up), (
            f"{len(given_up)} facts were given up, {world.watch.discards} discards were told"
        )


def _every_record_is_told(world: "World", books: list[Account]) -> None:
    """What the station said was recorded is told to the CSMS (2.x tells every fact)."""
    if world.watch.thinned:
        return
    told = {account.name: len(account.facts) for account in books if account.version is not OcppVersion.V16}
    recorded = Counter(fact.transaction for fact in world.watch.facts)
    for transaction, count in recorded.items():
        if transaction in told or world.case.version not in ("any", OcppVersion.V16):
            assert told.get(transaction, 0) >= count, (
                f"{transaction}: {count} facts recorded, {told.get(transaction, 0)} told"
            )


def _numbered_without_gap(account: Account) -> None:
    """seqNo counts from 0 in the order of sending, each fact its own (2.x part 2, E 1.3.2)."""
    numbers = [fact.body["seqNo"] for fact in account.facts]
    assert numbers == list(range(len(numbers))), f"{account.name}: seqNo {numbers}"


def _told_once(account: Account) -> None:
    """E01.FR.16, F02.FR.01: the EVSE and the remote start id are told once."""
    evses = sum("evse" in fact.body for fact in account.facts)
    orders = sum("remoteStartId" in fact.body["transactionInfo"] for fact in account.facts)
    assert evses <= 1, f"{account.name}: its EVSE was told {evses} times"
    assert orders <= 1, f"{account.name}: its remote start id was told {orders} times"


def _forward(account: Account) -> None:
    """Within a transaction neither time nor register goes back, from one fact to the next or inside one."""
    facts, end = account.facts, account.ends[0]
    for before, after in pairwise(facts):
        assert before.at <= after.at, f"{account.name}: {after.at} after {before.at}"
    rounded = 0.5 if account.version is OcppVersion.V16 else 0.0  # meterStart and meterStop are whole Wh
    told = [reading for fact in facts if fact is not end for reading in fact.registers]
    for series in (told, end.registers):
        for (at, _, register), (then, _, later) in pairwise(series):
            assert at <= then, f"{account.name}: a reading of {then} after one of {at}"
            assert register <= later + rounded, (
                f"{account.name}: the register went from {register} to {later}"
            )
    assert told[-1][2] <= end.registers[-1][2] + rounded, f"{account.name}: it ended below an earlier reading"


def _in_order(world: "World", facts: list[Fact]) -> None:
    """Facts of all transactions go out in the order in which they happened (E13, 1.6 §3.7)."""
    if world.case.clock or world.case.power_loss:
        return  # their timestamps do not tell
    for before, after in pairwise(facts):
        assert before.at <= after.at, f"a fact of {after.at} was told after one of {before.at}"


def _series_without_hole(world: "World", account: Account) -> None:
    """Periodic readings lie one interval apart, from the start to the end; none is left out (E02, E06)."""
    config, end = world.site.config, account.ends[0]
    if world.case.clock or world.watch.thinned:
        return  # their times do not tell, or some were given up
    told = [fact.registers[0][0] for fact in account.updates if _periodic(fact)]
    kept = [at for at, context, _ in end.registers if context == "Sample.Periodic"]
    slack_ms = SLACK_MS + 2 * world.case.delay_ms
    for series, interval in ((told, config.sample_interval), (kept, config.ended_interval)):
        if interval and (series is told or config.ended_samples_limit >= 500):
            moments = [_ms(at) for at in (account.starts[0].at, *series, end.at)]
            if account.cut_short:  # nothing was read in the dark, between the power loss and the end
                moments[-1:] = [
                    UTC_MS + at for at in world.watch.power_lost_at if len(world.case.power_loss) == 1
                ]
            for before, after in pairwise(moments):
                assert after - before <= interval * 1000 + slack_ms, f"{account.name}: a hole in {moments}"


def _periodic(fact: Fact) -> bool:
    return bool(fact.body.get("triggerReason", "MeterValuePeriodic") == "MeterValuePeriodic")


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _said_is_what_was_delivered(world: "World", books: list[Account]) -> None:
    """What was said adds up to what each meter counted, and each transaction has what flowed in it.

    Exactly in 2.x; to the rounding of meterStart and meterStop in 1.6.
    """
    said: dict[int, float] = defaultdict(float)
    allowed: dict[int, float] = defaultdict(lambda: 1e-6)
    for account in books:
        if account.evse is None:
            assert not account.energy_wh, "energy was charged to no EVSE"
            continue
        rounding = 0.5 if account.version is OcppVersion.V16 else 0.0
        said[account.evse] += account.energy_wh
        allowed[account.evse] += 2 * rounding
        for wh in account.span:
            marks = world.site.outlets[account.evse].switched_wh
            stood = any(abs(wh - mark) <= rounding + 1e-9 for mark in marks)
            assert stood, f"{account.name}: {wh} Wh is no register at which charging began or ended"
    for fact in world.watch.handed_over:
        if fact.phase is Phase.ENDED:
            begin, end = fact.samples[0].quantities[0].value, fact.meter_wh
            sent = any(account.evse == fact.evse and _spans(account, begin, end) for account in books)
            said[fact.evse] += 0.0 if sent else end - begin  # what was sent may be handed over as well
    for number, outlet in world.site.outlets.items():
        delivered = outlet.watt_ms / MS_PER_HOUR
        assert abs(said[number] - delivered) <= allowed[number], (
            f"EVSE {number}: {said[number]} Wh were said, {delivered} Wh delivered"
        )


def _spans(account: Account, begin: float, end: float) -> bool:
    """Whether a transaction was told to begin and end at these registers (in 1.6 they are rounded)."""
    rounding = 0.5 if account.version is OcppVersion.V16 else 1e-6
    return all(abs(told - true) <= rounding for told, true in zip(account.span, (begin, end), strict=True))


def _heard_is_what_is_billed(world: "World", central: Central, books: list[Account]) -> None:
    """A CSMS bills each transaction that it heard of once, and as the bookkeeper does."""
    assert len(set(central.started)) == len(central.started), "a transaction started twice"
    assert len(set(central.ended)) == len(central.ended), "a transaction ended twice"
    updates = Counter((told.transaction, told.seq_no, told.at, told.meter_wh) for told in central.updated)
    assert all(count == 1 for count in updates.values()), "an update was told twice"
    bills = {bill.transaction: bill for bill in central.bills()}
    begun = [bill for bill in bills.values() if bill.started_at is not None]
    heard = [account for account in books if account.starts[0].heard]
    assert len(begun) == len(heard), f"{len(heard)} transactions were told, {len(begun)} are billed"
    for account in heard:
        if account.ends and all(fact.heard for fact in account.facts):
            bill = bills.get(account.name or "") or _nameless(bills, books, account)
            assert bill is not None, f"{account.name} is not billed"
            if world.case.clock and account.ended_nameless and not bill.complete:
                continue  # times that jump may leave a doubt which transaction it was that ended
            _as_told(bill, account)
            name = bill.transaction
            assert name in central.started, f"{name}: the operator was not told of its start"
            assert name in central.ended, f"{name}: the operator was not told of its end"


def _nameless(bills: dict[str, Bill], books: list[Account], account: Account) -> Bill | None:
    """The bill of a transaction whose number never left the CSMS: one that nobody named, and like it."""
    named = {other.name for other in books}
    possible = [bill for name, bill in bills.items() if name not in named]
    return next((bill for bill in possible if (bill.start_wh, bill.stop_wh) == account.span), None)


def _as_told(bill: Bill, account: Account) -> None:
    assert bill.complete, f"{account.name} is not complete: {bill}"
    assert bill.evse == account.evse, f"{account.name}: EVSE {bill.evse}, not {account.evse}"
    assert bill.energy_wh is not None
    assert abs(bill.energy_wh - account.energy_wh) < 1e-6, (
        f"{account.name}: {bill.energy_wh} Wh are billed, {account.energy_wh} Wh were told"
    )
