"""Lines against the table of commands: what fits is read, everything else is refused and says why."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_control import Call, CommandError, Member, Verb, parse
from ocpp_station.commands import STATION_COMMANDS

HERE = [verb for verb in STATION_COMMANDS if verb.here]
NOT_YET = [verb for verb in STATION_COMMANDS if not verb.here]

SAMPLES: dict[str, Any] = {
    "evse": 1,
    "connector": 1,
    "cable_amps": 32,
    "token": "CAFE",
    "type": "ISO14443",
    "by": "EV",
    "watts": 11_000.5,
    "phases": 3,
    "wh": 12.5,
    "measurand": "SoC",
    "value": 80,
    "unit": "Percent",
    "phase": "L1",
    "location": "EV",
    "signed": "abc",
    "half_open": True,
    "slot": 2,
    "interface": "eth0",
    "csms": "old",
    "to": "new",
    "what": "security_event",
    "with": {"type": "TamperDetectionActivated"},
    "off_seconds": 2.5,
    "utc": None,
    "drift_ppm": -20,
    "component": "OCPPCommCtrlr",
    "variable": "HeartbeatInterval",
    "key": "HeartbeatInterval",
}


def line(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def refusal(text: bytes | None) -> CommandError:
    with pytest.raises(CommandError) as caught:
        parse(text, STATION_COMMANDS)
    return caught.value


def members(verb: Verb, *, required: bool) -> dict[str, Any]:
    named = [it.name for it in verb.members if it.here and (it.required or not required)]
    samples = SAMPLES | ({"value": "300"} if verb.name == "set_variable" else {})
    return {name: samples[name] for name in named}


@pytest.mark.parametrize("verb", HERE, ids=lambda verb: verb.name)
def test_a_command_with_all_its_members_or_only_the_required_is_read(verb: Verb) -> None:
    for required in (True, False):
        given_members = members(verb, required=required)
        call = parse(line(do=verb.name, id="a", **given_members), STATION_COMMANDS)
        assert call == Call(verb.name, given_members, "a")


@pytest.mark.parametrize("verb", HERE, ids=lambda verb: verb.name)
def test_unknown_missing_and_ill_typed_members_are_refused(verb: Verb) -> None:
    good = {"do": verb.name, "id": 7, **members(verb, required=False)}
    for wrong, said in wrong_versions(verb, good):
        error = refusal(line(**wrong))
        assert said in str(error)
        assert f"{verb.name} takes" in str(error)
        assert error.id == 7


def wrong_versions(verb: Verb, good: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    wrong = [({**good, "surprise": 1}, "no member surprise")]
    for member in verb.members:
        if member.required:
            without = {name: value for name, value in good.items() if name != member.name}
            wrong.append((without, f"{member.name} is missing"))
        if member.here:
            wrong.append(({**good, member.name: [[]]}, f"{member.name} must be {member.kind.says}"))
    return wrong


@pytest.mark.parametrize("verb", NOT_YET, ids=lambda verb: verb.name)
def test_verbs_without_behaviour_say_so(verb: Verb) -> None:
    error = refusal(line(do=verb.name, id=1))
    assert f"{verb.name} is not there yet" in str(error)
    assert "plug_in" in str(error)


def test_members_without_behaviour_say_so() -> None:
    error = refusal(line(do="present_token", token="A", group="G"))
    assert "group is not there yet" in str(error)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "the line is longer than"),
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b'{"do": "state"} {}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"do": "set_meter", "evse": 1, "wh": NaN}', "NaN is no JSON number"),
        (b'{"do": "set_meter", "evse": 1, "wh": 1' + b"0" * 5000 + b"}", "not JSON"),
        (b"[]", "JSON object"),
        (b'"state"', "JSON object"),
        (b"{}", "do is missing"),
        (b'{"do": null}', "do is missing"),
        (b'{"do": "explode"}', 'no verb "explode"'),
        (b'{"do": ["state"]}', "no verb"),
        (b'{"do": "state", "id": {}}', "id must be"),
        (b'{"do": "state", "id": true}', "id must be"),
        (b'{"do": "state", "id": null}', "id must be"),
        (b'{"do": "set_meter", "evse": 1, "wh": 1e999}', "wh must be"),
        (b'{"do": "set_meter", "evse": 1, "wh": -1}', "wh must be"),
        (b'{"do": "set_meter", "evse": true, "wh": 1}', "evse must be"),
        (b'{"do": "set_meter", "evse": 1.0, "wh": 1}', "evse must be"),
        (b'{"do": "plug_in", "evse": -1}', "evse must be"),
        (b'{"do": "suspend", "evse": 1, "by": "me"}', 'by must be "EV" or "EVSE"'),
        (b'{"do": "set_clock", "utc": "2030-01-01T00:00:00"}', "utc must be a time with zone"),
        (b'{"do": "set_clock", "utc": "tomorrow"}', "utc must be"),
        (b'{"do": "present_token", "token": ""}', "token must be"),
        (b'{"do": "present_token", "token": "\\ud800"}', "token must be"),
    ],
)
def test_what_is_no_command_is_refused(text: bytes | None, said: str) -> None:
    error = refusal(text)
    assert said in str(error)
    assert error.id is None


def test_an_id_is_given_back_as_it_came() -> None:
    for id_ in ("x", 0, -3, 2**53):
        assert parse(line(do="state", id=id_), STATION_COMMANDS).id == id_


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["do", "id", *SAMPLES]), json_values | st.sampled_from(list(SAMPLES)))
    | st.fixed_dictionaries(
        {"do": st.sampled_from([verb.name for verb in STATION_COMMANDS])},
        optional=dict.fromkeys(SAMPLES, json_values),
    )
)
def test_no_object_is_read_that_does_not_fit_its_verb(fields: dict[str, Any]) -> None:
    try:
        call = parse(json.dumps(fields).encode(), STATION_COMMANDS)
    except CommandError:
        return
    verb = next(verb for verb in HERE if verb.name == call.verb)
    allowed: dict[str, Member] = {member.name: member for member in verb.members if member.here}
    assert all(
        name in allowed and allowed[name].kind.accepts(value) for name, value in call.arguments.items()
    )
    assert {member.name for member in verb.members if member.required} <= set(call.arguments)


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_refused_or_read(text: bytes) -> None:
    try:
        call = parse(text, STATION_COMMANDS)
    except CommandError:
        return
    assert call.verb in {verb.name for verb in HERE}
