"""The rpc level against ``ocpp`` + ``websockets`` and strict ``ocpp-rpc``: processes, sockets, both roles.

Every action of every version is called by the end that may, with the least and the most that its schema
allows, from both ends at the same time.
"""

from importlib import import_module

import pytest
from ocpp.charge_point import camel_to_snake_case, snake_to_camel_case

from ocpp_core import OcppVersion, Role
from ocpp_core.messages import Direction, message_set
from tests.interop.conversation import PEERS, Json, Ours, Report, Script, Step, play
from tests.interop.instances import FOLDERS, least, most
from tests.interop.links import with_their_csms, with_their_station

pytestmark = pytest.mark.interop

# By mobilityhouse's ``ocpp`` in 2.1, see can_write().
NEVER_WRITTEN = {"BatterySwap", "Get15118EVCertificate"}


def heard(report: Report, kind: str) -> list[tuple[str, Json]]:
    """Actions and payloads of one kind of report, in order."""
    return [(said[kind], said.get("payload")) for said in report if kind in said]


def can_write(version: OcppVersion, action: str, kind: str, payload: Json) -> bool:
    """Whether mobilityhouse's ``ocpp`` writes this payload as it is.

    It converts member names by rule, and the rule loses some of 2.1 (``soC``, ``limit_L2``); some of its
    dataclasses require what the schema does not, or lack a member.
    """
    values = camel_to_snake_case(payload)
    module = import_module(f"ocpp.{FOLDERS[version]}.{'call' if kind == 'Request' else 'call_result'}")
    try:
        getattr(module, action)(**values)
    except TypeError:
        return False
    return bool(snake_to_camel_case(values) == payload)


def calls_of(version: OcppVersion, direction: Direction) -> list[str]:
    """The actions that this side calls and that are answered."""
    actions = message_set(version).actions.values()
    return [a.name for a in actions if a.confirmed and a.direction in {direction, Direction.BOTH}]


def everything(name: str, version: OcppVersion, size: str, ours: Direction) -> tuple[Script, Script]:
    """Our script and theirs: each end calls every action of its side and answers those of the other."""
    build = {"least": least, "most": most}[size]
    (theirs,) = {Direction.STATION_TO_CSMS, Direction.CSMS_TO_STATION} - {ours}
    our_actions, their_actions = calls_of(version, ours), calls_of(version, theirs)

    def written_by_them(action: str, kind: str) -> Json:
        for payload in (make(version, action, kind) for make in (build, least, most)):
            if name != "mobilityhouse" or can_write(version, action, kind, payload):
                return payload
        return None

    requests = {action: written_by_them(action, "Request") for action in their_actions}
    requests = {action: payload for action, payload in requests.items() if payload is not None}
    assert set(their_actions) - requests.keys() <= NEVER_WRITTEN
    our_script = Script(
        answers={action: build(version, action, "Response") for action in their_actions},
        calls=[Step(action, build(version, action, "Request")) for action in our_actions],
    )
    their_script = Script(
        answers={action: written_by_them(action, "Response") for action in our_actions},
        calls=[Step(action, payload) for action, payload in requests.items()],
    )
    return our_script, their_script


def check(one: Script, other: Script, said_by_one: Report, said_by_other: Report) -> None:
    """Everything arrived as it was sent, and nobody had anything to find fault with."""
    for caller, answerer, said_by_caller, said_by_answerer in (
        (one, other, said_by_one, said_by_other),
        (other, one, said_by_other, said_by_one),
    ):
        sent = heard(said_by_caller, "sent")
        assert [action for action, _ in sent] == [step.action for step in caller.calls]
        assert heard(said_by_answerer, "received") == sent
        expected = [(action, answerer.answers[action]) for action, _ in sent]
        assert heard(said_by_caller, "result") == expected
        assert [said for said in said_by_caller if {"error", "refused", "crashed"} & said.keys()] == []


@pytest.mark.parametrize("size", ["least", "most"])
@pytest.mark.parametrize("version", OcppVersion, ids=str)
@pytest.mark.parametrize("name", PEERS)
def test_our_station_and_their_csms(name: str, version: OcppVersion, size: str) -> None:
    async def converse() -> None:
        our_script, their_script = everything(name, version, size, Direction.STATION_TO_CSMS)
        ours = Ours(our_script, expected=len(their_script.calls))
        report = await with_their_csms(name, version, ours, their_script)
        assert report.pop() == {"closed": 1000}
        check(our_script, their_script, ours.report, report)

    play(converse())


@pytest.mark.parametrize("size", ["least", "most"])
@pytest.mark.parametrize("version", OcppVersion, ids=str)
@pytest.mark.parametrize("name", PEERS)
def test_our_csms_and_their_station(name: str, version: OcppVersion, size: str) -> None:
    async def converse() -> None:
        our_script, their_script = everything(name, version, size, Direction.CSMS_TO_STATION)
        ours = Ours(our_script, expected=len(their_script.calls))
        report = await with_their_station(name, version, ours, their_script)
        assert report.pop() == {"closed": 1000}
        check(our_script, their_script, ours.report, report)

    play(converse())


@pytest.mark.parametrize("version", OcppVersion, ids=str)
@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("our_role", Role)
def test_refusals_cross(our_role: Role, name: str, version: OcppVersion) -> None:
    """What one end does not do, and what is not valid, the other hears as the error that it is."""
    from_station = Step("DataTransfer", {"vendorId": "org.example"})
    from_csms = Step("Reset", {"type": "Soft" if version is OcppVersion.V16 else "Immediate"})
    ours, theirs = (from_station, from_csms) if our_role is Role.STATION else (from_csms, from_station)
    member = next(iter(theirs.payload))
    invalid = Step(theirs.action, {member: 5}, unchecked=True)

    async def converse() -> None:
        our_end = Ours(Script(calls=[ours]), expected=1)
        talk = with_their_csms if our_role is Role.STATION else with_their_station
        report = await talk(name, version, our_end, Script({ours.action: None}, [invalid, theirs]))
        (failed,) = (said for said in our_end.report if "error" in said)
        assert (failed["error"], failed["code"]) == (ours.action, "NotSupported")
        first, second = (said for said in report if "error" in said)
        assert (first["code"], second["code"]) == ("TypeConstraintViolation", "NotSupported")

    play(converse())
