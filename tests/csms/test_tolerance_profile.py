"""A station with a tolerance profile: what its faults are repaired to is handled like anything else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core import OcppVersion
from ocpp_core.csms import CsmsConfig, MeterValuesReported
from ocpp_core.domain.status import RegistrationStatus
from ocpp_core.domain.tokens import AuthorizationStatus, IdTokenInfo
from ocpp_core.messages import Direction, Tolerance, message_set
from ocpp_core.rpc import RpcConfig, SendFrame
from tests.csms.csms_kit import BOTH_2X, V16, VERSIONS, Host
from tests.messages.strategies.payloads import payloads

TOLERANT = CsmsConfig(
    registration_without_boot=RegistrationStatus.ACCEPTED,
    authorization=IdTokenInfo(AuthorizationStatus.ACCEPTED),
    rpc=RpcConfig(tolerance=Tolerance()),
)
LONG = "Unheard.Of." * 9
ODD = st.sampled_from([LONG, "", "Ünheard"])


def requests(version: OcppVersion) -> st.SearchStrategy[tuple[str, Any]]:
    """What a station may say."""
    messages = message_set(version)
    names = [
        name
        for name, action in messages.actions.items()
        if action.confirmed and action.direction is not Direction.CSMS_TO_STATION
    ]
    return st.sampled_from(names).flatmap(
        lambda name: st.tuples(st.just(name), payloads(messages.request(name)))
    )


def spoilt(value: Any, data: st.DataObject) -> Any:
    """The same payload with some of its texts replaced, enumerations among them, or without time zone."""
    if isinstance(value, dict):
        return {key: spoilt(member, data) for key, member in value.items()}
    if isinstance(value, list):
        return [spoilt(element, data) for element in value]
    if isinstance(value, str) and data.draw(st.integers(0, 3)) == 0:
        return value.removesuffix("Z") if value.endswith("Z") else data.draw(ODD)
    return value


@pytest.mark.parametrize("version", VERSIONS)
@given(st.data())
def test_nothing_that_is_tolerated_raises(version: OcppVersion, data: st.DataObject) -> None:
    host = Host(version, TOLERANT)
    for _ in range(3):
        name, request = data.draw(requests(version))
        actions = host.say(name, spoilt(json.loads(request.to_json()), data))
        assert sum(isinstance(action, SendFrame) for action in actions) <= 1
        for action in actions:
            list(getattr(action, "readings", ()))
        host.csms.billed()
    host.reconnect(config=TOLERANT).csms.billed()


@pytest.mark.parametrize("version", BOTH_2X)
def test_a_token_type_of_any_length(version: OcppVersion) -> None:
    (answer, *_) = [
        json.loads(action.text)
        for action in Host(version, TOLERANT).say("Authorize", {"idToken": {"idToken": "A", "type": LONG}})
        if isinstance(action, SendFrame)
    ]
    assert answer[2]["idTokenInfo"]["status"] == "Accepted"


def test_a_unit_of_any_length() -> None:
    sampled = {"value": "1", "unit": LONG}
    values = [{"timestamp": "2026-11-20T10:00:00", "sampledValue": [sampled]}]
    actions = Host(V16, TOLERANT).say("MeterValues", {"connectorId": 1, "meterValue": values})
    (reported,) = [action for action in actions if isinstance(action, MeterValuesReported)]
    assert reported.readings[0].quantities[0].unit == LONG[:20]
