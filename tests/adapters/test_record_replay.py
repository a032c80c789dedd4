"""What a recorder writes, replay tells again: the same actions, or the first that is not."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_adapters import recorder
from ocpp_adapters.codecs import Arguments, codec_for, construction_of, describe, inputs_of
from ocpp_adapters.recorder import recording
from ocpp_adapters.replay import RecordError, main, replay
from ocpp_core import LocalProtocolError, OcppVersion, SeededEntropy
from ocpp_core.csms import Csms, CsmsConfig, RequestStart, RequestStop, Trigger
from ocpp_core.csms.commands import Topic
from ocpp_core.domain.layout import ConnectorRef
from ocpp_core.domain.metering import Quantity
from ocpp_core.domain.tokens import IdToken
from ocpp_core.entropy import Entropy
from ocpp_core.messages import Request, v16, v201
from ocpp_core.station import LinkFailure, Station
from tests.adapters.charger import EASY, TOKEN, config


class Dice:
    """A small machine: throws dice, and can be changed between record and replay."""

    faces = 6
    draws = 1
    fails = "too many"

    def __init__(self, entropy: Entropy, now: float, limit: int = 3) -> None:
        self._entropy = entropy
        self._limit = limit
        self._out: list[Any] = [("made", now, entropy(2).hex())]

    def throw(self, times: int, now: float) -> None:
        """An input."""
        if times > self._limit:
            raise LocalProtocolError(self.fails)
        for _ in range(times * self.draws):
            self._out.append(Thrown(self._entropy(1)[0] % self.faces, now))

    def state(self, now: float) -> int:
        """A query, which is not recorded."""
        return self._limit

    def actions(self) -> list[Any]:
        out, self._out = self._out, []
        return out

    def next_timer(self) -> None:
        return None


@dataclass(frozen=True)
class Thrown:
    eyes: int
    at: float


DICE = {"Dice": Dice}


def play(path: Path, *, digest: bool = False, seed: int = 1) -> Dice:
    dice = recording(Dice, path, digest=digest)(SeededEntropy(seed), 1.5, limit=4)
    dice.actions()
    dice.throw(2, now=2.5)
    dice.actions()
    dice.actions()
    with pytest.raises(LocalProtocolError):
        dice.throw(5, 3.5)
    assert dice.state(4.0) == 4
    dice.throw(1, 4.5)
    dice.actions()
    return dice


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "record.jsonl"


@pytest.mark.parametrize("digest", [False, True])
def test_the_same_machine_does_the_same(path: Path, digest: bool) -> None:
    play(path, digest=digest)
    play(path, digest=digest, seed=2)
    result = replay(path, DICE)
    assert (result.lives, result.inputs, result.batches) == (2, 6, 6)
    assert result.divergence is None
    assert result.notes == []
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_a_record_looks_like(path: Path) -> None:
    play(path)
    header, draw, *rest = (json.loads(line) for line in path.read_text().splitlines())
    assert (header["record"], header["machine"]) == (1, "Dice")
    assert header["arguments"] == {"now": 1.5, "limit": 4}
    assert draw.keys() == {"life", "draw"}
    assert {entry["life"] for entry in (header, draw, *rest)} == {0}
    assert [list(entry)[1] for entry in rest] == [
        *("out", "in", "draw", "draw", "out"),
        *("in", "raised", "in", "draw", "out"),
    ]
    assert rest[1] == {"life": 0, "in": "throw", "arguments": {"times": 2, "now": 2.5}}
    assert rest[6] == {"life": 0, "raised": "LocalProtocolError: too many"}


@pytest.mark.parametrize("digest", [False, True])
def test_the_first_divergence_is_shown(path: Path, digest: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    play(path, digest=digest)
    monkeypatch.setattr(Dice, "faces", 100)
    divergence = replay(path, DICE).divergence
    assert divergence is not None
    assert divergence.after == 'throw {"times":2,"now":2.5}'
    assert path.read_text().splitlines()[divergence.line - 1].startswith('{"life":0,"out":')
    assert '+ {"Thrown":{"eyes":' in str(divergence)
    assert f"line {divergence.line}, after throw" in str(divergence)


def test_other_draws_are_a_divergence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(path)
    monkeypatch.setattr(Dice, "draws", 2)
    more = replay(path, DICE).divergence
    assert more is not None
    assert more.replayed == ("draws 1 bytes",)
    monkeypatch.setattr(Dice, "draws", 0)
    less = replay(path, DICE).divergence
    assert less is not None
    assert less.recorded == ("draws 1 bytes", "draws 1 bytes")


def test_other_exceptions_are_a_divergence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(path)
    monkeypatch.setattr(Dice, "fails", "far too many")
    other = replay(path, DICE).divergence
    assert other is not None
    assert (other.recorded, other.replayed) == (
        ("LocalProtocolError: too many",),
        ("LocalProtocolError: far too many",),
    )


def test_an_exception_that_is_new_or_gone_is_a_divergence(path: Path) -> None:
    play(path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "raised" not in line))
    new = replay(path, DICE).divergence
    assert new is not None
    assert new.replayed == ("LocalProtocolError: too many",)
    path.write_text("".join(line.replace('"times":5', '"times":0') for line in lines))
    gone = replay(path, DICE).divergence
    assert gone is not None
    assert gone.recorded == ("LocalProtocolError: too many",)


def test_a_record_cut_anywhere_replays_up_to_the_cut(path: Path) -> None:
    """Whatever a crash leaves of a life, the next one appended is whole."""
    play(path)
    whole = path.read_bytes()
    first_line = whole.index(b"\n") + 1
    for size in range(first_line, len(whole), 7):
        path.write_bytes(whole[:size])
        assert replay(path, DICE).divergence is None
        play(path)
        result = replay(path, DICE)
        assert result.divergence is None
        assert result.batches >= 3


def test_machines_side_by_side_are_told_apart(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = recording(Dice, path)
    pair = [make(SeededEntropy(seed), 1.5) for seed in (1, 2)]
    for turn in range(3):
        for dice in pair:
            dice.throw(turn, float(turn))
        for dice in reversed(pair):
            dice.actions()
    result = replay(path, DICE)
    assert (result.lives, result.inputs, result.batches) == (2, 6, 6)
    assert result.divergence is None
    monkeypatch.setattr(Dice, "faces", 100)
    assert replay(path, DICE).divergence is not None


def test_a_record_has_a_limit(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dice = recording(Dice, path, limit=2000)(SeededEntropy(1), 0.0)
    dice.actions()
    for turn in range(100):
        dice.throw(1, float(turn))
        assert len(dice.actions()) == 1
    assert 1500 < path.stat().st_size <= 2000
    assert "ends here: it would be larger than 2000 bytes" in caplog.text
    assert replay(path, DICE).divergence is None


def test_what_is_no_record_is_refused(path: Path) -> None:
    for text in ("", "\n", "no json", '{"in": "throw"}\n', '{"life": 0, "in": "throw"}\n', "[]\n"):
        path.write_text(text)
        with pytest.raises(RecordError):
            replay(path, DICE)
    play(path := path.with_name("other.jsonl"))
    for before, after, message in (
        ('"record":1', '"record":2', "format 2"),
        ('"machine":"Dice"', '"machine":"Cards"', "no machine is called 'Cards'"),
        ('"in":"throw"', '"in":"state"', "has no input 'state'"),
        ('"times":2', '"times":"many"', "is damaged"),
        ('"times":2', '"turns":2', "unknown arguments: turns"),
        ('"versions"', '"visions"', "is damaged"),
    ):
        changed = path.with_name("changed.jsonl")
        changed.write_text(path.read_text().replace(before, after))
        with pytest.raises(RecordError, match=message):
            replay(changed, DICE)


def test_another_version_is_noted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "version", lambda name: "0.0.0")
    play(path)
    monkeypatch.undo()
    notes = replay(path, DICE).notes
    assert any(note.startswith("recorded with ocpp-core 0.0.0, replayed with") for note in notes)


def test_a_record_that_cannot_be_written_ends_and_the_machine_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dice = recording(Dice, path)(SeededEntropy(1), 0.0)
    dice.actions()
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        dice.throw(1, 1.0)
    assert len(dice.actions()) == 1
    assert "ends here: disk full" in caplog.text
    assert replay(path, DICE).inputs == 0


def station_record(path: Path) -> None:
    station = recording(Station, path)(config(OcppVersion.V16), SeededEntropy(7), 0.0, {})
    station.actions()
    station.meter(1, (Quantity(12.5), Quantity(1e-9, "Voltage", "V", phase="L1-N")), 0.5)
    station.link_failed(LinkFailure.UNREACHABLE, "no route", 1.0)
    station.actions()
    station.handle_timer(2.0)
    station.link_opened("ocpp1.6", 2.5)
    station.receive_frame("\ud800 no text at all \u2603", 2.75)
    station.plug_in(1, 1, 3.0)
    station.present_token(TOKEN, None, 3.5)
    station.set_utc(None, 3.5)
    station.actions()
    station.store_failed("disk full", 4.0)
    station.link_closed(1006, "gone", 5.0)
    station.actions()


def test_a_station_from_a_record(path: Path) -> None:
    station_record(path)
    result = replay(path)
    assert result.divergence is None, str(result.divergence)
    assert (result.inputs, result.batches) == (10, 4)


def test_a_csms_from_a_record(path: Path) -> None:
    csms = recording(Csms, path)(EASY, "CP1", OcppVersion.V201, SeededEntropy(1), 0.0)
    boot = {"reason": "PowerUp", "chargingStation": {"model": "m", "vendorName": "v"}}
    csms.set_utc(1_700_000_000_000, 0.0)
    csms.receive_frame(json.dumps([2, "1", "BootNotification", boot]), 0.5)
    csms.actions()
    for number, what in enumerate((RequestStart(TOKEN, 1), Trigger(Topic.BOOT), v201.ClearCacheRequest())):
        csms.call(what, 1.0 + number, timeout=5.0)
    csms.actions()
    csms.link_lost(9.0)
    csms.actions()
    result = replay(path)
    assert result.divergence is None, str(result.divergence)
    assert result.inputs == 6


def test_the_command_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    station_record(path)
    assert main([str(path)]) == 0
    assert capsys.readouterr().out == "1 lives, 10 inputs, 4 batches of actions: the same\n"
    text = path.read_text()
    path.write_text(text.replace("UNREACHABLE", "").replace('"unreachable"', '"timeout"', 1) + "{")
    assert main([str(path)]) == 1
    out = capsys.readouterr().out
    assert "diverged at" in out
    assert "+ " in out
    assert main([str(path.with_name("nowhere"))]) == 2
    assert "No such file" in capsys.readouterr().err


def test_the_command_line_as_a_program(path: Path) -> None:
    station_record(path)
    done = subprocess.run(
        [sys.executable, "-m", "ocpp_adapters.replay", str(path)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


# --- codecs

PRESENTED, METERED, RECEIVED = map(Arguments, (Station.present_token, Station.meter, Station.receive_frame))
tokens = st.builds(IdToken, st.text(max_size=20), st.sampled_from(["ISO14443", "Central"]))


@given(
    token=tokens,
    evse=st.none() | st.integers(0, 9),
    now=st.floats(allow_nan=False, allow_infinity=False),
    quantities=st.lists(
        st.builds(Quantity, st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)), max_size=3
    ),
)
def test_arguments_come_back_as_they_were(
    token: IdToken, evse: int | None, now: float, quantities: list[Quantity]
) -> None:
    for arguments, args in (
        (PRESENTED, (token, evse, now)),
        (METERED, (1, tuple(quantities), now)),
        (RECEIVED, (token.value, now)),
    ):
        written = json.loads(json.dumps(arguments.encode(arguments.bind(*args))))
        assert tuple(arguments.decode(written).values()) == args


@pytest.mark.parametrize(
    "value",
    [
        RequestStart(TOKEN),
        RequestStop("7"),
        v16.ResetRequest(type=v16.ResetType.SOFT),
        v201.GetVariablesRequest(
            get_variable_data=[
                v201.GetVariableData(component=v201.Component(name="c"), variable=v201.Variable(name="v"))
            ]
        ),
    ],
)
def test_one_of_many_classes_comes_back_as_the_one_it_was(value: Any) -> None:
    codec = codec_for(Request | RequestStop | RequestStart)
    assert codec.decode(json.loads(json.dumps(codec.encode(value)))) == value


def test_responses_come_back() -> None:
    arguments = inputs_of(Csms)["respond"]
    response = v16.HeartbeatResponse(current_time=datetime(2026, 1, 1, tzinfo=UTC))
    written = json.loads(json.dumps(arguments.encode(arguments.bind("1", response, 2.0))))
    assert arguments.decode(written) == {"call_id": "1", "response": response, "now": 2.0}


def test_configurations_come_back() -> None:
    for machine, value in ((Station, config()), (Csms, EASY), (Csms, CsmsConfig())):
        construction = construction_of(machine)
        given_arguments = (
            construction.bind(value, os.urandom, 0.0)
            if machine is Station
            else construction.bind(value, "CP1", OcppVersion.V16, os.urandom, 0.0)
        )
        written = json.loads(json.dumps(construction.encode(given_arguments)))
        assert "entropy" not in written
        assert construction.decode(written)["config"] == value


def test_every_input_of_both_machines_has_a_codec() -> None:
    assert {"plug_in", "receive_frame", "store_failed", "handle_timer"} <= inputs_of(Station).keys()
    assert {"call", "respond", "answer_registration"} <= inputs_of(Csms).keys()
    assert not {"state", "snapshot", "actions", "next_timer"} & (
        inputs_of(Station).keys() | inputs_of(Csms).keys()
    )


class Plain(Enum):
    A = "a"


class Odd:
    def __repr__(self) -> str:
        return "odd"


@pytest.mark.parametrize(
    ("value", "described"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (Plain.A, "a"),
        (OcppVersion.V16, "ocpp1.6"),
        ("text", "text"),
        (b"\xff", "ff"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00+00:00"),
        ({1: (2,)}, {"1": [2]}),
        ({"b", "a"}, ["a", "b"]),
        (ConnectorRef(1), {"ConnectorRef": {"evse": 1, "connector": 1}}),
        (TOKEN, {"IdToken": {"value": "ABCDEF", "type": "ISO14443"}}),
        (v16.HeartbeatRequest(), {"HeartbeatRequest": {}}),
        (Odd(), "odd"),
    ],
)
def test_descriptions_leave_nothing_out(value: Any, described: Any) -> None:
    assert describe(value) == described
