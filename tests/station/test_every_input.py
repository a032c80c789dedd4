"""Every input in every state: nothing raises but LocalProtocolError, and what must always hold holds."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.domain.tokens import IdToken
from ocpp_core.entropy import SeededEntropy
from ocpp_core.errors import LocalProtocolError
from ocpp_core.messages import v201
from ocpp_core.station import LinkFailure, Station, TxPoint

from .bench import EPOCH, V16, VERSIONS, Bench, iso


def idle(bench):
    pass


def plugged(bench):
    bench.plug_in()


def paused_early(bench):
    bench.plug_in()
    bench.suspend()


def token_first(bench):
    bench.present("A1")


def closing(bench):
    bench.contactor = False
    bench.plug_in()
    bench.present("A1")


def charging(bench):
    bench.start_charging()


def suspended(bench):
    bench.start_charging()
    bench.suspend()
    bench.suspend(by="EVSE")


def tripped(bench):
    bench.start_charging()
    bench.switch(on=False)


def stopping(bench):
    bench.start_charging()
    bench.contactor = False
    bench.present("A1")


def left_while_closing(bench):
    bench.contactor = False
    bench.plug_in()
    bench.present("A1")
    bench.unplug()


def finished(bench):
    bench.start_charging()
    bench.present("A1")


def recovering(bench):
    bench.start_charging()
    bench.power_loss()


def deciding(bench):
    bench.ignores.add("Authorize")
    bench.plug_in()
    bench.present("A1")


def store_fails(bench):
    bench.start_charging()
    bench.disk = False
    bench.suspend()


def offline(bench):
    bench.start_charging()
    bench.cut()


def link_closing(bench):
    bench.start_charging()
    bench.station.disconnect(bench.now)


STATES = [
    *(idle, plugged, paused_early, token_first, closing, charging, suspended, tripped, stopping),
    *(left_while_closing, finished, recovering, deciding, store_fails, offline, link_closing),
]

STARTED = {"transactionId": 1, "idTagInfo": {"status": "Invalid"}}

INPUTS = {
    "plug in": lambda station, now: station.plug_in(1, 1, now),
    "plug in elsewhere": lambda station, now: station.plug_in(2, 1, now),
    "plug out": lambda station, now: station.plug_out(1, 1, now),
    "the same token": lambda station, now: station.present_token(IdToken("A1"), 1, now),
    "another token": lambda station, now: station.present_token(IdToken("B2"), 1, now),
    "a token at the station": lambda station, now: station.present_token(IdToken("C3"), None, now),
    "the EV pauses": lambda station, now: station.suspend(1, "EV", now),
    "the EVSE pauses": lambda station, now: station.suspend(1, "EVSE", now),
    "the EV goes on": lambda station, now: station.resume(1, "EV", now),
    "the EVSE goes on": lambda station, now: station.resume(1, "EVSE", now),
    "the CSMS is revoked": lambda station, now: station.link_distrusted(
        LinkFailure.BAD_CERTIFICATE, "revoked", now
    ),
    "power on": lambda station, now: station.power_switched(1, True, now),
    "power off": lambda station, now: station.power_switched(1, False, now),
    "a reading": lambda station, now: station.meter(1, (), now),
    "time known": lambda station, now: station.set_utc(1_772_000_000_000, now),
    "time unknown": lambda station, now: station.set_utc(None, now),
    "link opened": lambda station, now: station.link_opened("ocpp2.0.1", now),
    "link opened oddly": lambda station, now: station.link_opened("soap", now),
    "link closed": lambda station, now: station.link_closed(1006, "", now),
    "link failed": lambda station, now: station.link_failed(LinkFailure.REFUSED_SUBPROTOCOL, "", now),
    "link failed for its certificate": lambda station, now: station.link_failed(
        LinkFailure.BAD_CERTIFICATE, "expired", now
    ),
    "a security event": lambda station, now: station.security_event("TamperDetectionActivated", now),
    "connect": lambda station, now: station.connect(now),
    "disconnect": lambda station, now: station.disconnect(now),
    "the network is gone": lambda station, now: station.network_lost(now),
    "the network is back": lambda station, now: station.network_back(now, 0),
    "nothing is held any longer": lambda station, now: station.release("", now),
    "the software calls": lambda station, now: station.call(
        v201.DataTransferRequest(vendor_id="x"), now, timeout=5.0
    ),
    "the store fails": lambda station, now: station.store_failed("again", now),
    "time passes": lambda station, now: station.handle_timer(now + 1000),
    "nonsense": lambda station, now: station.receive_frame("[2,", now),
    "an answer to nothing": lambda station, now: station.receive_frame(json.dumps([3, "x", STARTED]), now),
    "remote start": lambda station, now: station.receive_frame(
        '[2,"r","RemoteStartTransaction",{"idTag":"R1","connectorId":1}]', now
    ),
    "remote start 2.x": lambda station, now: station.receive_frame(
        '[2,"r","RequestStartTransaction",{"idToken":{"idToken":"R1","type":"Central"},"remoteStartId":1}]',
        now,
    ),
    "remote stop": lambda station, now: station.receive_frame(
        '[2,"s","RemoteStopTransaction",{"transactionId":1}]', now
    ),
    "trigger": lambda station, now: station.receive_frame(
        '[2,"t","TriggerMessage",{"requestedMessage":"StatusNotification"}]', now
    ),
}


def check(bench):
    """What holds whatever happens (E01.FR.14, C01.FR.01)."""
    state = bench.state()
    json.dumps(state)
    transactions = [evse["transaction"] for evse in state["evses"] if evse["transaction"]]
    assert len(set(transactions)) == len(transactions)
    rows = bench.station.snapshot().get("transactions", {})
    assert set(rows) == set(transactions), "what is under way is on record, and nothing else"
    for evse in state["evses"]:
        wanted = evse["plugged"] is not None and evse["driver"] is not None and evse["ending"] is None
        if evse["power"] == "closing":
            assert wanted, "power is asked for only where car and driver are"
        if evse["power"] == "on":
            # The hardware may close of its own accord; then it is told to open at once.
            assert wanted, "power stays on only where car and driver are"
        energy = evse["charging_state"] in ("Charging", "SuspendedEV")
        assert not energy or (evse["power"] == "on" and evse["driver"] is not None)
        assert evse["plugged"] is not None or evse["charging_state"] == "Idle"
        assert evse["ending"] is None or evse["driver"] is None
    at = bench.station.next_timer()
    assert at is None or at >= 0


@pytest.mark.requirement("E01.FR.14", "C01.FR.01", "E04.FR.01")
@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("prepare", STATES, ids=lambda prepare: prepare.__name__)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_input_in_every_state(version, prepare, name):
    bench = Bench(version, sample_interval=60.0)
    bench.wh[1] = 100.0
    prepare(bench)
    before = bench.state()
    try:
        INPUTS[name](bench.station, bench.now)
    except LocalProtocolError:
        assert bench.state() == before
        assert bench.station.snapshot() == bench.store.load() or not bench.disk or prepare is link_closing
    check(bench)
    bench.drain()
    check(bench)
    bench.disk = bench.contactor = True
    bench.ignores.clear()
    bench.drain()
    come_to_rest(bench)


def come_to_rest(bench):
    """However it stood: a driver who leaves, a fair link and some time leave nothing behind."""
    bench.run(30)
    for evse in bench.state()["evses"]:
        if evse["plugged"] is not None:
            bench.unplug(evse["evse"])
    bench.mend()
    bench.run(1000)
    check(bench)
    state = bench.state()
    assert state["queue"] == {"facts": 0, "elsewhere": 0, "security_events": 0, "pinned": None}
    assert state["connection"]["state"] == "open"
    assert all(evse["transaction"] is None and evse["power"] == "off" for evse in state["evses"])
    assert len(bench.begun()) == len(bench.ended()) or bench.version is not V16


@pytest.mark.parametrize(
    "start", [frozenset({point}) for point in TxPoint], ids=lambda points: next(iter(points))
)
@pytest.mark.parametrize(
    "stop", [frozenset({point}) for point in TxPoint], ids=lambda points: next(iter(points))
)
@given(
    version=st.sampled_from(VERSIONS),
    moves=st.lists(st.sampled_from(sorted(set(INPUTS) | {"run", "cut", "mend", "lights out"})), max_size=20),
)
def test_any_order_of_inputs(start, stop, version, moves):
    """Random walks over all inputs, with every start and stop point, come to rest with nothing lost."""
    bench = Bench(version, tx_start_points=start, tx_stop_points=stop, offline_tx_for_unknown_id=True)
    bench.wh[1] = 100.0
    for move in moves:
        if move == "run":
            bench.run(20)
        elif move == "cut":
            if bench.online:
                bench.cut()
        elif move == "mend":
            bench.mend()
        elif move == "lights out":
            bench.power_loss()
        elif move not in ("time passes", "the store fails"):
            with suppress(LocalProtocolError):
                INPUTS[move](bench.station, bench.now)
            check(bench)
            bench.drain()
        check(bench)
    come_to_rest(bench)


# frames: whatever a CSMS sends


COMMANDS = {
    "TriggerMessage": ["requestedMessage", "connectorId", "evse"],
    "RemoteStartTransaction": ["idTag", "connectorId", "chargingProfile"],
    "RemoteStopTransaction": ["transactionId"],
    "RequestStartTransaction": ["idToken", "remoteStartId", "evseId", "groupIdToken"],
    "RequestStopTransaction": ["transactionId"],
    "Reset": ["type"],
}
VALUES = [
    *(None, True, 0, 1, -1, 2, 10**30, 1.5, "", "A1", "MeterValues", "Heartbeat", "\ud800", "x" * 300),
    *({"id": 1}, {"id": 0, "connectorId": 10**20}, {"idToken": "\ud800", "type": "Central"}),
    *({"idToken": "A1", "type": "Central"}, [], [1]),
]
calls = st.sampled_from(sorted(COMMANDS)).flatmap(
    lambda action: st.tuples(
        st.just(2),
        st.sampled_from(["a", "b", "", "x" * 40]),
        st.just(action),
        st.dictionaries(st.sampled_from(COMMANDS[action]), st.sampled_from(VALUES)),
    )
)


@pytest.mark.requirement("FR.03")
@pytest.mark.parametrize("version", VERSIONS)
@given(frames=st.lists(calls | st.text(max_size=20), max_size=8))
def test_no_call_of_a_csms_breaks_the_station(version, frames):
    bench = Bench(version)
    bench.wh[1] = 5.0
    bench.plug_in()
    for frame in frames:
        bench.receive(frame if isinstance(frame, str) else json.dumps(frame))
        check(bench)
    come_to_rest(bench)


ANSWERS = {
    "status": ["Accepted", "Pending", "Rejected", "Blocked", 5],
    "currentTime": [iso(EPOCH), "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "now", 7],
    "interval": [0, 60, -5, 10**400, 1.5, None],
    "transactionId": [0, -1, 1, 10**40, "1", None],
    "idTagInfo": [{"status": "Accepted"}, {"status": "Blocked", "parentIdTag": "\ud800"}, {}, 5],
    "idTokenInfo": [{"status": "Accepted", "evseId": [2]}, {"status": "Unknown"}, {"status": "?"}, 5],
}
answers = st.fixed_dictionaries(
    {}, optional={key: st.sampled_from(values) for key, values in ANSWERS.items()}
)


@pytest.mark.parametrize("version", VERSIONS)
@given(script=st.lists(answers | st.none(), max_size=12), fields=st.booleans())
def test_no_answer_of_a_csms_breaks_the_station(version, script, fields):
    """Answers with any members, right or wrong; then a CSMS that behaves."""
    needed = {
        "BootNotification": {"status", "currentTime", "interval"},
        "Heartbeat": {"currentTime"},
        "Authorize": {"idTagInfo" if version is V16 else "idTokenInfo"},
        "StartTransaction": {"transactionId", "idTagInfo"},
        "StopTransaction": {"idTagInfo"},
        "TransactionEvent": {"idTokenInfo"},
    }
    bench = Bench(version, start=False, offline_tx_for_unknown_id=True)
    honest, waiting = bench._answer, iter(script)

    def answer(action, body):
        given = next(waiting, None)
        if given is None:
            return honest(action, body)
        if not fields:
            return given
        return {key: value for key, value in given.items() if key in needed.get(action, set())}

    bench._answer = answer
    bench.power_up()
    bench.plug_in()
    bench.present("A1")
    bench.run(100)
    bench.present("A1")
    bench._answer = honest
    bench.run(2**31 / 10**6)
    bench.station.set_utc(None, bench.now)
    bench.drain()
    check(bench)


@given(text=st.text(max_size=50))
def test_any_text_is_a_frame_or_is_refused(text):
    for version in VERSIONS:
        bench = Bench(version)
        bench.receive(text)
        check(bench)


# determinism


@given(moves=st.lists(st.sampled_from(sorted(INPUTS)), max_size=15))
def test_the_same_inputs_give_the_same_actions(moves):
    def run():
        bench = Bench(VERSIONS[len(moves) % 3])
        for move in moves:
            try:
                INPUTS[move](bench.station, bench.now)
            except LocalProtocolError as error:
                bench.log.append(str(error))
            bench.drain()
        return bench.log

    assert run() == run()


def test_calling_early_is_harmless():
    bench = Bench(sample_interval=60.0)
    bench.start_charging()
    done = list(bench.log)
    for _ in range(10):
        bench.skip(1)
    assert bench.log == done


def test_a_station_needs_no_link_to_say_what_it_is():
    from .bench import config

    station = Station(config(), SeededEntropy(1), 0.0)
    state = station.state(0.0)
    assert state["connection"]["state"] == "dialing"
    assert state["registration"] is None
    assert state["clock"] == {"utc_ms": None, "boot": 1}
    assert set(state["timers"]) == {"dial"}
    assert [connector["status_16"] for connector in state["connectors"]] == ["Available", "Available"]
