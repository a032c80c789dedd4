"""The certificate schedule while wall time is learned, corrected and wrong; and what it does by default."""

import json
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.errors import StoreError
from ocpp_security.pki.hashdata import CertificateHashData, HashAlgorithm
from ocpp_security.pki.ocsp import OcspRequestData
from ocpp_security.questions import CheckLeaf, LeafState, ListOcspRequests, SigningRequest
from ocpp_security.renewal import (
    MAX_OCSP_REQUESTS,
    Renewal,
    RenewalAction,
    RenewalConfig,
    SendOcspRequest,
    SendSigningRequest,
    UseNewCertificate,
)
from ocpp_security.trust.inventory import LeafUse
from tests.security.pki_kit import DAY, NOW

STATION, V2G = LeafUse.CHARGING_STATION, LeafUse.V2G
CONFIG = RenewalConfig(frozenset({STATION}))
V2G_CONFIG = RenewalConfig(frozenset({V2G}))
WEEK = 604_800.0


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def booted(config: RenewalConfig = CONFIG, rows: dict[str, dict[str, str]] | None = None) -> Renewal:
    renewal = Renewal(config, rows)
    renewal.set_utc(NOW, 0.0)
    renewal.boot_accepted(0.0)
    return renewal


def run_to(renewal: Renewal, at: float) -> list[tuple[float, RenewalAction]]:
    """Advance from timer to timer, answering nothing: when what was to be done."""
    actions = [(0.0, action) for action in renewal.actions()]
    while (due := renewal.next_timer()) is not None and due <= at:
        renewal.handle_timer(due)
        actions += [(due, action) for action in renewal.actions()]
    return actions


@pytest.mark.requirement("A03.FR.02", "M06.FR.10", "A02.FR.18", "A02.FR.19")
def test_the_schedule_when_nothing_is_configured() -> None:
    assert RenewalConfig() == RenewalConfig(
        uses=frozenset(),
        initial_delay=60.0,
        interval=12 * 3600.0,
        renew_before=30 * 86_400.0,
        wait_minimum=30.0,
        repeat_times=3,
        ocsp_interval=7 * 86_400.0,
        ocsp_retry=3600.0,
    )
    assert MAX_OCSP_REQUESTS == 32


# Wall time is corrected.


@pytest.mark.parametrize("sign", [1, -1])
def test_only_a_step_beyond_ten_minutes_is_a_jump(sign: int) -> None:
    renewal = booted()
    run_to(renewal, 5000.0)
    for step in (0.0, sign * 600.0, sign * 1200.0, sign * 600.0):  # each within 600 s of the one before
        renewal.set_utc(NOW + seconds(5000.0 + step), 5000.0)
        assert run_to(renewal, 5000.0) == []
    renewal.set_utc(NOW + seconds(5000.0 - sign * 0.5), 5000.0)
    assert run_to(renewal, 5000.0) == [(5000.0, CheckLeaf(STATION))]


steps = st.floats(-1e7, 1e7, allow_subnormal=False)


@given(
    wait=st.floats(0.001, 1e6),
    corrections=st.lists(st.tuples(st.floats(0.0, 1e6), st.floats(-500, 500) | steps), max_size=8),
    found=st.booleans(),
)
@pytest.mark.requirement("1.6-A02.FR.08")
def test_a_certificate_of_the_future_is_used_once_and_not_before_it_is_valid(
    wait: float, corrections: list[tuple[float, float]], found: bool
) -> None:
    """However often and far the clock is corrected meanwhile, forwards or back."""
    renewal = booted(RenewalConfig(CONFIG.uses, initial_delay=1e12, interval=1e12))
    begins, offset, now = NOW + seconds(wait), 0.0, 0.0
    if found:
        renewal.leaf_checked(LeafState(STATION, NOW + 9999 * DAY, begins), 0.0)
    else:
        renewal.certificate_taken(STATION, begins, 0.0)
    used: list[datetime] = []

    def look(at: float) -> None:
        for action in renewal.actions():
            assert action == UseNewCertificate(STATION)
            used.append(NOW + seconds(at + offset))

    def advance(to: float) -> None:
        while (due := renewal.next_timer()) is not None and due <= to:
            renewal.handle_timer(due)
            look(due)

    for elapsed, step in corrections:
        advance(now + elapsed)
        now += elapsed
        offset += step
        renewal.set_utc(NOW + seconds(now + offset), now)
        look(now)
        advance(now)
        assert bool(used) or NOW + seconds(now + offset) < begins + seconds(0.001)
    advance(1e9)
    (at,) = used
    assert at > begins - seconds(0.001)


def test_a_valid_certificate_ends_the_wait_for_one_of_the_future() -> None:
    renewal = booted()
    renewal.certificate_taken(STATION, NOW + seconds(1000.0), 0.0)
    renewal.certificate_taken(STATION, NOW, 10.0)
    assert renewal.actions() == [UseNewCertificate(STATION)]
    renewal.set_utc(NOW + 10 * DAY, 20.0)
    assert UseNewCertificate(STATION) not in [action for _, action in run_to(renewal, 2000.0)]


# Other uses are configured.


def test_what_stays_configured_goes_on_as_before() -> None:
    renewal = booted(V2G_CONFIG)
    assert (60.0, ListOcspRequests()) in run_to(renewal, 60.0)
    renewal.ocsp_listed((), 60.0)
    made = SigningRequest(V2G, 1, "CSR")
    renewal.requested(V2G, 100.0)
    renewal.request_made(made, 100.0)
    renewal.sign_answered(made, True, 100.0)
    renewal.actions()
    renewal.configure(RenewalConfig(frozenset({STATION, V2G}), interval=500.0, wait_minimum=1000.0), 110.0)
    assert run_to(renewal, 129.0) == [(110.0, CheckLeaf(STATION))]  # the new one only
    assert run_to(renewal, 130.0) == [(130.0, SendSigningRequest(made))]
    renewal.sign_answered(made, True, 130.0)
    assert run_to(renewal, 610.0) == [(610.0, CheckLeaf(STATION))]  # after the new interval
    sent = [at for at, action in run_to(renewal, 1e4) if action == SendSigningRequest(made)]
    assert sent == [130.0 + 2000.0]
    checked = [at for at, action in run_to(renewal, 43_260.0) if action == CheckLeaf(V2G)]
    assert checked[0] == 43_260.0  # the check that was planned before


def test_what_is_no_longer_configured_is_forgotten() -> None:
    renewal = booted(RenewalConfig(frozenset({STATION, V2G})))
    renewal.requested(V2G, 1.0)
    renewal.certificate_taken(STATION, NOW + seconds(500.0), 1.0)
    renewal.actions()
    renewal.configure(RenewalConfig(), 2.0)
    assert renewal.next_timer() is None  # neither checks nor OCSP nor the switch-over
    renewal.set_utc(NOW + DAY, 3.0)
    assert run_to(renewal, 1e6) == []
    renewal.configure(V2G_CONFIG, 1e6)
    assert [action for _, action in run_to(renewal, 1e6)] == [CheckLeaf(V2G), ListOcspRequests()]
    renewal.leaf_checked(LeafState(V2G, None), 1e6)
    assert len(renewal.actions()) == 1  # the request that was under way does not stand in the way


# OCSP.


@given(
    due=st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(10**18), 10**18),
    every=st.floats(3600.0, 2 * WEEK),
)
@pytest.mark.requirement("M06.FR.10")
def test_whatever_a_row_says_ocsp_is_refreshed_within_a_week(due: float, every: float) -> None:
    """Though the time is learned with each heartbeat, and though a clock that was wrong put it far off."""
    renewal = booted(V2G_CONFIG, {"certificates": {"ocsp": json.dumps({"next": due})}})
    now = 0.0
    listed: list[float] = []
    while not listed and now <= WEEK:
        now += every
        listed = [at for at, action in run_to(renewal, now) if action == ListOcspRequests()]
        renewal.set_utc(NOW + seconds(now), now)
    assert 60.0 <= listed[0] <= WEEK + 0.001


def test_a_row_of_another_boot_is_kept_within_a_week() -> None:
    """What a wrong clock put off does not come back with the next boot either."""
    rows = {"certificates": {"ocsp": json.dumps({"next": (NOW + 9999 * DAY).timestamp()})}}
    renewal = booted(V2G_CONFIG, rows)
    renewal.actions()
    assert json.loads(renewal.snapshot()["certificates"]["ocsp"])["next"] == NOW.timestamp() + WEEK
    renewal = booted(V2G_CONFIG, {"certificates": {"ocsp": json.dumps({"next": NOW.timestamp() + WEEK})}})
    assert renewal.actions() == []  # a week is no more than it may be


def test_a_number_beyond_all_bounds_is_damage() -> None:
    with pytest.raises(StoreError, match="damaged"):
        Renewal(V2G_CONFIG, {"certificates": {"ocsp": '{"next": 1' + "0" * 400 + "}"}})


def test_one_refresh_at_a_time_whatever_the_clock_does() -> None:
    one = OcspRequestData(CertificateHashData(HashAlgorithm.SHA256, "", "", "1"), "http://x")
    renewal = booted(V2G_CONFIG)
    assert (60.0, ListOcspRequests()) in run_to(renewal, 60.0)
    for now in (100.0, 1e6):
        renewal.set_utc(NOW + seconds(now) + 30 * DAY, now)
        assert ListOcspRequests() not in [action for _, action in run_to(renewal, now)]
    renewal.ocsp_listed((one,), 1e6)
    assert renewal.actions() == [SendOcspRequest(one)]
    renewal.set_utc(NOW, 1e6)
    assert ListOcspRequests() not in [action for _, action in run_to(renewal, 1e6 + WEEK)]
