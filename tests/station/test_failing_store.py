"""A store that fails, at every commit of a session: nothing that presumes its rows is carried out before."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.errors import ConfigurationError, StoreError
from ocpp_core.station import DoLock, DoPower, Notice, NoticeKind, SendFrame, TransactionChanged
from ocpp_core.station.output import Output
from ocpp_core.store import Commit, MemoryStore, Tables

from .bench import V16, V201, VERSIONS, Bench, config


class FailingBench(Bench):
    """The n-th commit fails, and those that follow for a while."""

    def __init__(self, *arguments, fails_at=None, for_seconds=12.0, **settings):
        self.commits = 0
        self.fails_at = fails_at
        self.for_seconds = for_seconds
        self.broken_until = None
        super().__init__(*arguments, **settings)

    def _carry_out(self, actions):
        if actions and isinstance(actions[0], Commit):
            if self.commits == self.fails_at:
                self.broken_until = self.now + self.for_seconds
            self.commits += 1
        assert not any(isinstance(action, Commit) for action in actions[1:]), "the commit comes first"
        self.disk = self.broken_until is None or self.now >= self.broken_until
        super()._carry_out(actions)


def session(bench):
    bench.start_charging_if_allowed()
    bench.charge(100)
    bench.run(70)
    bench.suspend()
    bench.charge(10)
    bench.resume()
    bench.run(5)
    if bench.evse()["driver"]:
        bench.present("A1")
    bench.run(30)
    bench.unplug()
    bench.run(500)


def start_charging_if_allowed(bench):
    bench.wh[1] = 1000.0
    bench.plug_in()
    bench.run(40)
    bench.present("A1")
    bench.run(40)


FailingBench.start_charging_if_allowed = start_charging_if_allowed


@pytest.mark.requirement("E04.FR.01", "E01.FR.14")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_that_fails_anywhere_in_a_session(version):
    """Every fact was durable when its frame left; what was durable is delivered, once each."""
    whole = FailingBench(version, sample_interval=30.0)
    session(whole)
    assert whole.commits > 8
    for position in range(whole.commits):
        bench = FailingBench(version, sample_interval=30.0, fails_at=position)
        session(bench)
        assert bench.notices(NoticeKind.STORE_FAILED)
        assert len(bench.notices(NoticeKind.STORE_RECOVERED)) == 1
        assert bench.store.load() == bench.station.snapshot()
        assert bench.state()["queue"]["facts"] == 0
        assert bench.state()["store"] == "ok"
        assert len(bench.begun()) == len(bench.ended())
        assert bench.statuses()[-1] == "Available"
        check_power(bench)
        check_repetitions(bench)


def check_power(bench):
    """Power was on only while a transaction was durable, and is off in the end."""
    assert bench.evse()["power"] == "off"
    commands = [action.on for action in bench.done(DoPower)]
    assert all(one != other for one, other in pairwise(commands))


def check_repetitions(bench):
    said = {}
    for frame in bench.calls():
        assert said.setdefault(frame[1], frame) == frame


@pytest.mark.parametrize("version", VERSIONS)
def test_power_waits_for_the_store_but_never_to_be_switched_off(version):
    bench = Bench(version)
    bench.plug_in()
    bench.ignores.add("Authorize")
    bench.present("A1")
    bench.disk = False
    bench.answer(bench.calls("Authorize")[0])
    assert bench.evse()["power"] == "closing"
    assert bench.done(DoPower) == []
    bench.run(60)  # not told, so not silent
    assert bench.notices(NoticeKind.HARDWARE_SILENT) == []
    assert bench.done(DoPower) == []
    bench.disk = True
    bench.run(5)
    assert bench.done(DoPower) == [DoPower(1, True)]
    bench.disk = False
    bench.suspend()
    bench.present("A1")
    assert bench.done(DoPower) == [DoPower(1, True), DoPower(1, False)]


@pytest.mark.parametrize("version", VERSIONS)
def test_power_that_is_no_longer_wanted_is_never_switched_on(version):
    bench = Bench(version)
    bench.plug_in()
    bench.ignores.add("Authorize")
    bench.present("A1")
    bench.disk = False
    bench.answer(bench.calls("Authorize")[0])
    bench.unplug()
    bench.disk = True
    bench.run(60)
    assert DoPower(1, True) not in bench.done(DoPower)
    assert bench.evse()["power"] == "off"


@pytest.mark.parametrize("version", VERSIONS)
def test_answers_and_heartbeats_go_on_while_the_store_fails(version):
    bench = Bench(version, tx_start_points=frozenset({"PowerPathClosed"}))
    bench.plug_in()
    bench.disk = False
    bench.present("B2")  # its row cannot be kept
    bench.run(31)
    bench.forget()
    assert bench.ask("TriggerMessage", {"requestedMessage": "Heartbeat"}) == {"status": "Accepted"}
    assert len(bench.sent("Heartbeat")) == 1
    assert bench.state()["store"] == "failed"


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_withheld_comes_out_in_order_behind_the_commit(version):
    bench = Bench(version)
    bench.start_charging()
    bench.forget()
    bench.disk = False
    bench.suspend()
    bench.resume()
    assert bench.done(TransactionChanged) == []
    bench.disk = True
    bench.run(5)
    commit = next(index for index, action in enumerate(bench.log) if isinstance(action, Commit))
    changed = [index for index, action in enumerate(bench.log) if isinstance(action, TransactionChanged)]
    assert len(changed) == 2
    assert commit < changed[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_withheld_frame_that_times_out_was_no_attempt(version):
    bench = Bench(version, attempts=1)
    bench.start_charging()
    bench.disk = False
    bench.unplug()
    bench.run(200)
    assert bench.ended() == []
    bench.disk = True
    bench.run(40)
    assert len(bench.ended()) == 1
    assert bench.notices(NoticeKind.FACT_DISCARDED) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_withheld_frame_does_not_reach_the_next_link(version):
    bench = Bench(version)
    bench.start_charging()
    bench.disk = False
    bench.unplug()
    bench.cut()
    bench.disk = True
    bench.run(5)
    assert bench.ended() == []
    bench.mend()
    assert len(bench.ended()) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_crash_while_the_store_fails_keeps_what_was_durable(version):
    bench = Bench(version)
    bench.start_charging()
    bench.disk = False
    bench.unplug()
    bench.disk = True
    bench.power_loss()
    bench.run(10)
    (ended,) = bench.ended()
    assert (ended["reason"] if version is V16 else ended["transactionInfo"]["stoppedReason"]) == "PowerLoss"


def test_news_withheld_for_long_has_a_bound():
    tables = Tables()
    output = Output(tables, 3)
    tables.put("t", "1", "x")
    output.do(DoPower(1, True), durable=True)
    output.drain()
    output.failed()
    news = [TransactionChanged(str(number), 1, "Updated", "Trigger", None, 0.0) for number in range(10)]
    for one in news:
        output.do(one, durable=True)
        assert output.drain() == []
    assert output.retry()
    commit, power, *rest = output.drain()
    assert isinstance(commit, Commit)
    assert power == DoPower(1, True)
    assert rest[:-1] == news[-2:]
    assert not output.retry()
    assert output.healthy


def test_a_contactor_hears_the_last_word_only():
    tables = Tables()
    output = Output(tables, 10)
    tables.put("t", "1", "x")
    output.do(DoPower(1, True), durable=True)
    output.do(DoPower(2, True), durable=True)
    output.drain()
    output.do(DoPower(1, False))  # while the commit is under way
    output.failed()
    assert output.drain() == [DoPower(1, False)]
    output.do(DoPower(2, False))
    assert output.drain() == [DoPower(2, False)]
    assert not output.withholds(DoPower(2, True))
    output.do(DoPower(3, True), durable=True)
    output.do(DoPower(3, False))
    output.retry()
    assert DoPower(3, True) not in output.drain()


steps = st.lists(
    st.sampled_from(["row", "durable", "free", "frame", "drain", "fail", "retry", "cut", "take back"]),
    max_size=40,
)


class Adapter:
    """Carries out what an output hands over, and knows how many rows each action presumed."""

    def __init__(self):
        self.tables, self.store = Tables(), MemoryStore()
        self.output = Output(self.tables, 1000)
        self.rows = 0
        self.carried = []

    def drain(self, *, fails):
        actions = self.output.drain()
        if actions and isinstance(actions[0], Commit):
            if fails:
                self.output.failed()
                return
            self.store.commit(actions[0])
        durable = int(self.store.load().get("t", {}).get("rows", 0))
        for action in actions:
            if isinstance(action, DoLock):
                assert action.ref[1] <= durable, "carried out before what it presumes was durable"
            if isinstance(action, DoLock | Notice) and action != RECOVERED:
                self.carried.append(action)


RECOVERED = Notice(NoticeKind.STORE_RECOVERED, "the store took what it owed")


@given(steps)
def test_the_queue_hands_out_everything_once_and_durable_things_after_their_rows(steps):
    adapter = Adapter()
    output, queued = adapter.output, []
    for number, step in enumerate([*steps, "retry", "drain", "drain"]):
        if step == "row":
            adapter.rows += 1
            adapter.tables.put("t", "rows", str(adapter.rows))
        elif step == "durable":
            queued.append(DoLock((number, adapter.rows), True))
            output.do(queued[-1], durable=True)
        elif step == "free":
            queued.append(Notice(NoticeKind.PEER, str(number)))
            output.do(queued[-1])
        elif step == "frame":
            output.do(SendFrame(str(number)), durable=True)
        elif step in ("drain", "fail"):
            adapter.drain(fails=step == "fail")
        else:
            {"cut": output.drop_frames, "take back": output.take_back_frame, "retry": output.retry}[step]()
    assert sorted(map(repr, adapter.carried)) == sorted(map(repr, queued))
    locks = [action.ref for action in adapter.carried if isinstance(action, DoLock)]
    assert locks == sorted(locks)
    assert adapter.store.load() == adapter.tables.snapshot()


# what the store gives back


@pytest.mark.parametrize("table", ["boots", "outbox", "wires", "transactions", "samples", "tokens"])
@pytest.mark.parametrize("row", ["", "{}", '{"x":', "[1]"])
def test_a_damaged_row_is_found_at_the_start(table, row):
    with pytest.raises(StoreError, match=f"table {table}, row 1"):
        Bench(V201, start=False)._start_from({table: {"1": row}})


def start_from(bench, rows):
    bench.store = MemoryStore(rows)
    bench.power_up()


Bench._start_from = start_from


@pytest.mark.parametrize("table", ["boots", "outbox"])
def test_rows_of_something_else_are_found_at_the_start(table):
    bench = Bench(V201)
    bench.dials = False
    bench.plug_in()
    row = next(iter(bench.station.snapshot()["boots"].values()))
    if table == "outbox":
        bench.cut()
        bench.unplug()
        row = next(iter(bench.station.snapshot()["outbox"].values()))
    with pytest.raises(StoreError, match=f"table {table}"):
        Bench(V201, start=False)._start_from({table: {"one": row}})


@pytest.mark.parametrize("version", VERSIONS)
def test_rows_go_when_nobody_needs_them(version):
    """A thousand sessions leave what one leaves: the boot, the cache."""
    bench = Bench(version, sample_interval=10.0, ended_interval=7.0)
    sizes = []
    for _ in range(3):
        for _ in range(5):
            bench.start_charging()
            bench.run(50)
            bench.unplug()
        bench.power_loss()
        bench.run(1)
        sizes.append({table: len(rows) for table, rows in bench.station.snapshot().items()})
    assert sizes == [{"boots": 1, "tokens": 1}] * 3
    assert json.loads(bench.station.snapshot()["boots"]["4"])["started"] == 500.0


@pytest.mark.parametrize(
    "settings",
    [
        {"versions": ()},
        {"versions": (V201, V201)},
        *({name: 0} for name in ("attempts", "outbox_limit", "auth_cache_limit", "ended_samples_limit")),
        *(
            {name: 0.0}
            for name in (
                *("ev_connection_timeout", "heartbeat_interval", "boot_retry_interval", "message_timeout"),
                *("dial_timeout", "power_deadline", "store_retry_interval"),
            )
        ),
        *(
            {name: -1.0}
            for name in ("sample_interval", "ended_interval", "attempt_interval", "offline_threshold")
        ),
        {"sample_interval": float("nan")},
    ],
    ids=str,
)
def test_a_configuration_that_makes_no_sense_is_refused(settings):
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        config(**settings)
