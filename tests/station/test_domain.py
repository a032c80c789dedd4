"""The charging world's nouns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.domain.layout import ConnectorRef, Layout
from ocpp_core.domain.metering import Quantity
from ocpp_core.domain.network import SecurityProfile
from ocpp_core.domain.status import StationInfo
from ocpp_core.domain.time import Stamp
from ocpp_core.domain.tokens import ANY_TYPE, AuthorizationStatus, IdToken, IdTokenInfo
from ocpp_core.domain.transactions import Phase, TransactionFact, TriggerReason
from ocpp_core.errors import ConfigurationError, LocalProtocolError, OcppError, StoreError
from ocpp_core.versions import OcppVersion, Role


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_16_numbers_all_connectors_in_order(counts):
    layout = Layout(tuple(counts))
    assert list(layout.evses) == list(range(1, len(counts) + 1))
    assert [layout.to_16(ref) for ref in layout.refs] == list(range(1, sum(counts) + 1))
    assert all(layout.from_16(layout.to_16(ref)) == ref and layout.has(ref) for ref in layout.refs)
    assert layout.from_16(0) == ConnectorRef(0, 0)
    assert layout.to_16(ConnectorRef(0, 0)) == 0
    assert layout.from_16(sum(counts) + 1) is None
    assert layout.from_16(-1) is None
    assert not layout.has(ConnectorRef(len(counts) + 1, 1))


@pytest.mark.parametrize("connectors", [(), (0,), (1, 0)])
def test_every_evse_has_a_connector(connectors):
    with pytest.raises(ConfigurationError):
        Layout(connectors)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_reading_is_finite(value):
    with pytest.raises(ValueError, match="no reading"):
        Quantity(value)


def test_a_unit_fits_the_messages():
    assert Quantity(1.0, unit="u" * 20).unit
    with pytest.raises(ValueError, match="unit"):
        Quantity(1.0, unit="u" * 21)


@pytest.mark.parametrize(
    ("name", "limit"),
    [("model", 20), ("vendor", 50), ("serial_number", 25), ("imsi", 20), ("meter_type", 25)],
)
def test_a_station_tells_no_more_than_fits(name, limit):
    names = {"model": "m", "vendor": "v"}
    assert StationInfo(**(names | {name: "x" * limit}))
    with pytest.raises(ConfigurationError, match=name):
        StationInfo(**(names | {name: "x" * (limit + 1)}))


@pytest.mark.requirement("C01.FR.25", "1.6-7.28")
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (IdToken("ab12"), IdToken("AB12"), True),
        (IdToken("ab12"), IdToken("ab13"), False),
        (IdToken("ab12", "Central"), IdToken("ab12", "ISO14443"), False),
        (IdToken("ab12", ANY_TYPE), IdToken("ab12", "ISO14443"), True),
        (IdToken("ab12", "Central"), IdToken("ab12", ANY_TYPE), True),
        (IdToken("ab12"), None, False),
    ],
)
def test_tokens_are_equal_by_value_and_type(one, other, same):
    assert one.matches(other) is same
    assert other is None or other.matches(one) is same


@pytest.mark.parametrize(("value", "kind"), [("x" * 256, "Central"), ("x", "T" * 21)])
def test_a_token_that_no_version_carries_is_none(value, kind):
    with pytest.raises(ValueError, match="longer"):
        IdToken(value, kind)


@pytest.mark.parametrize(
    ("length", "versions"), [(20, 3), (21, 2), (36, 2), (37, 1), (255, 1)], ids=lambda value: str(value)
)
def test_a_token_fits_whole_or_not(length, versions):
    assert sum(IdToken("x" * length).fits(version) for version in OcppVersion) == versions


def test_a_token_does_not_show_itself():
    assert "SECRET" not in repr(IdToken("SECRET42"))


@pytest.mark.requirement("C01.FR.21")
def test_a_token_may_be_good_for_some_evses():
    accepted = AuthorizationStatus.ACCEPTED
    assert IdTokenInfo(accepted).allows(7)
    assert IdTokenInfo(accepted, evses=(1, 2)).allows(2)
    assert not IdTokenInfo(accepted, evses=(1, 2)).allows(3)
    assert not IdTokenInfo(AuthorizationStatus.NOT_AT_THIS_LOCATION).allows(1)


def fact(**changes):
    values = {
        "transaction": "t",
        "phase": Phase.UPDATED,
        "trigger": TriggerReason.METER_VALUE_PERIODIC,
        "at": Stamp(1, 1.0),
        "evse": 1,
        "connector": 1,
        "meter_wh": 0.0,
    }
    return TransactionFact(**(values | changes))


@pytest.mark.requirement("E04.FR.07", "E11.FR.04", "E12.FR.04")
@pytest.mark.parametrize(
    ("changes", "sample", "state"),
    [
        ({}, True, False),
        ({"trigger": TriggerReason.METER_VALUE_CLOCK}, True, False),
        ({"trigger": TriggerReason.CHARGING_STATE_CHANGED}, False, True),
        ({"trigger": TriggerReason.AUTHORIZED}, False, False),
        ({"phase": Phase.STARTED}, False, False),
        ({"phase": Phase.ENDED}, False, False),
        ({"energised": True}, False, False),
        ({"tells_evse": True}, False, False),
        ({"id_token": IdToken("A")}, False, False),
        ({"remote_start_id": 0}, False, False),
        ({"reservation_id": 0}, False, False),
    ],
)
def test_only_what_tells_nothing_else_may_be_thinned(changes, sample, state):
    assert fact(**changes).is_sample is sample
    assert fact(**changes).is_state_change is state


def test_versions_and_roles():
    assert [version.number for version in OcppVersion] == ["1.6", "2.0.1", "2.1"]
    assert {role.value for role in Role} == {"station", "csms"}


def test_errors_have_one_root():
    assert issubclass(ConfigurationError, ValueError)
    assert all(issubclass(kind, OcppError) for kind in (LocalProtocolError, ConfigurationError, StoreError))


@pytest.mark.requirement("A00.FR.202", "A00.FR.301")
@pytest.mark.parametrize(
    ("profile", "secure", "password"),
    [(0, False, False), (1, False, True), (2, True, True), (3, True, False)],
)
def test_what_a_security_profile_takes(profile, secure, password):
    assert SecurityProfile(profile).secure is secure
    assert SecurityProfile(profile).password is password
