"""The certificate schedule in virtual time: when it checks, asks, repeats, stops and refreshes."""

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from ocpp_core.errors import LocalProtocolError, StoreError
from ocpp_core.store import Commit, MemoryStore
from ocpp_security.pki.hashdata import CertificateHashData, HashAlgorithm
from ocpp_security.pki.ocsp import OcspRequestData
from ocpp_security.questions import CheckLeaf, LeafState, ListOcspRequests, MakeSigningRequest, SigningRequest
from ocpp_security.renewal import (
    MAX_OCSP_REQUESTS,
    Renewal,
    RenewalAction,
    RenewalConfig,
    RenewalStopped,
    SendOcspRequest,
    SendSigningRequest,
    SigningRefused,
    UseNewCertificate,
)
from ocpp_security.trust.inventory import LeafUse
from tests.security.pki_kit import DAY, NOW

STATION, V2G = LeafUse.CHARGING_STATION, LeafUse.V2G
CONFIG = RenewalConfig(frozenset({STATION}))
V2G_CONFIG = RenewalConfig(frozenset({V2G}))
WEEK = 604_800.0


def request(use: LeafUse = STATION, number: int = 1) -> SigningRequest:
    return SigningRequest(use, number, f"CSR {number}")


def ocsp(serial: int) -> OcspRequestData:
    return OcspRequestData(CertificateHashData(HashAlgorithm.SHA256, "", "", f"{serial:x}"), "http://x")


def booted(config: RenewalConfig = CONFIG, at: float = 0.0) -> Renewal:
    renewal = Renewal(config)
    renewal.set_utc(NOW, at)
    renewal.boot_accepted(at)
    return renewal


def run_to(renewal: Renewal, at: float) -> list[RenewalAction]:
    """Advance from timer to timer, not answering anything."""
    actions = renewal.actions()
    while (due := renewal.next_timer()) is not None and due <= at:
        renewal.handle_timer(due)
        actions += renewal.actions()
    return actions


def state(expires: timedelta | None, use: LeafUse = STATION, at: float = 60.0) -> LeafState:
    return LeafState(use, None if expires is None else NOW + timedelta(seconds=at) + expires)


@pytest.mark.requirement("A03.FR.02")
def test_the_first_check_is_60_seconds_after_the_first_boot_then_every_12_hours() -> None:
    renewal = Renewal(CONFIG)
    renewal.set_utc(NOW, 0.0)
    assert renewal.next_timer() is None
    renewal.boot_accepted(100.0)
    renewal.boot_accepted(130.0)  # a second acceptance changes nothing
    assert renewal.next_timer() == 160.0
    renewal.handle_timer(159.9)
    assert renewal.actions() == []
    renewal.handle_timer(160.0)
    assert renewal.actions() == [CheckLeaf(STATION)]
    assert renewal.next_timer() == 160.0 + 43_200.0
    checks = run_to(renewal, 160.0 + 10 * 43_200.0)
    assert checks == [CheckLeaf(STATION)] * 10


def test_only_what_is_to_be_renewed_is_checked() -> None:
    assert booted(RenewalConfig()).next_timer() is None
    both = booted(RenewalConfig(frozenset({STATION, V2G})))
    assert [a for a in run_to(both, 60.0) if isinstance(a, CheckLeaf)] == [CheckLeaf(STATION), CheckLeaf(V2G)]


@pytest.mark.parametrize(
    ("left", "due"),
    [
        (None, True),
        (timedelta(0), True),
        (30 * DAY, True),
        (30 * DAY + timedelta(seconds=1), False),
        (365 * DAY, False),
    ],
)
@pytest.mark.requirement("A03.FR.02", "A03.FR.03")
def test_a_certificate_is_renewed_a_month_before_it_expires(left: timedelta | None, due: bool) -> None:
    renewal = booted()
    run_to(renewal, 60.0)
    renewal.leaf_checked(state(left), 60.0)
    assert renewal.actions() == ([MakeSigningRequest(STATION)] if due else [])
    renewal.leaf_checked(state(left), 60.0)
    assert renewal.actions() == []  # one request at a time


@pytest.mark.requirement("1.6-A02.FR.08", "1.6-A03.FR.02")
def test_a_certificate_that_will_take_over_in_time_needs_no_other() -> None:
    """Or the station would ask for a new one every twelve hours until the one that it has begins."""
    expires, soon = NOW + 5 * DAY, timedelta(seconds=1)
    for follower, asked in ((expires, False), (expires + soon, True), (None, True)):
        renewal = booted()
        run_to(renewal, 60.0)
        renewal.leaf_checked(LeafState(STATION, expires, follower), 60.0)
        assert (MakeSigningRequest(STATION) in renewal.actions()) is asked
    renewal = booted()
    renewal.leaf_checked(LeafState(STATION, None, NOW + DAY), 60.0)
    assert MakeSigningRequest(STATION) in renewal.actions()  # it has none to connect with until then


@pytest.mark.requirement("1.6-A03.FR.02")
def test_what_was_given_up_may_be_asked_for_with_the_next_check() -> None:
    renewal = waiting(replace(CONFIG, ask_again=True))
    renewal.certificate_refused(STATION, 110.0)
    assert renewal.actions() == [RenewalStopped(STATION)]
    assert run_to(renewal, 43_260.0) == [CheckLeaf(STATION), CheckLeaf(STATION)]
    renewal.leaf_checked(state(DAY), 43_260.0)
    assert renewal.actions() == [MakeSigningRequest(STATION)]


@pytest.mark.requirement("A03.FR.02", "A02.FR.19")
def test_what_was_given_up_is_asked_for_again_when_the_next_certificate_runs_out() -> None:
    """A certificate that came some other way, or was good all the time: in a year it is renewed as any."""
    renewal = waiting()
    renewal.certificate_refused(STATION, 110.0)
    renewal.leaf_checked(state(DAY), 120.0)
    assert MakeSigningRequest(STATION) not in renewal.actions()
    assert renewal.snapshot() != {}
    renewal.leaf_checked(state(365 * DAY), 130.0)
    assert renewal.snapshot() == {}
    renewal.leaf_checked(state(DAY), 140.0)
    assert MakeSigningRequest(STATION) in renewal.actions()


def waiting(config: RenewalConfig = CONFIG, use: LeafUse = STATION) -> Renewal:
    """A renewal whose CSR the CSMS has accepted at second 100."""
    renewal = booted(config)
    renewal.requested(use, 90.0)
    renewal.request_made(request(use), 95.0)
    renewal.sign_answered(request(use), True, 100.0)
    renewal.actions()
    return renewal


@pytest.mark.requirement("A02.FR.17", "A02.FR.18", "A02.FR.19", "A03.FR.17", "A03.FR.18", "A03.FR.19")
@pytest.mark.parametrize("times", [0, 1, 3, 6])
def test_an_accepted_csr_is_repeated_with_doubled_waits_and_then_no_more(times: int) -> None:
    renewal = waiting(RenewalConfig(CONFIG.uses, interval=1e9, wait_minimum=30.0, repeat_times=times))
    sent = []
    now = 100.0
    for _ in range(times):
        now = renewal.next_timer() or 0.0
        renewal.handle_timer(now)
        if now == 60.0:  # the first check, which is answered later
            renewal.actions()
            now = renewal.next_timer() or 0.0
            renewal.handle_timer(now)
        assert renewal.actions() == [SendSigningRequest(request())]
        sent.append(now)
        renewal.sign_answered(request(), True, now)
    assert sent == [100.0 + 30.0 * (2**k - 1) for k in range(1, times + 1)]
    last = run_to(renewal, 100.0 + 30.0 * (2 ** (times + 1) - 1))
    assert [a for a in last if not isinstance(a, Commit | CheckLeaf)] == [RenewalStopped(STATION)]
    renewal.leaf_checked(state(None), 1e6)
    assert renewal.actions() == []  # not until the CSMS asks for it
    renewal.requested(STATION, 1e6)
    commit, ask = renewal.actions()
    assert isinstance(commit, Commit)
    assert ask == MakeSigningRequest(STATION)


@pytest.mark.requirement("A02.FR.19", "A02.FR.20")
def test_what_was_given_up_stays_given_up_after_a_reboot() -> None:
    store = MemoryStore()
    renewal = waiting()
    renewal.certificate_refused(STATION, 110.0)
    commit, stopped = renewal.actions()
    assert stopped == RenewalStopped(STATION)
    assert isinstance(commit, Commit)
    store.commit(commit)
    later = Renewal(CONFIG, store.load())
    later.set_utc(NOW, 0.0)
    later.boot_accepted(0.0)
    run_to(later, 60.0)
    later.leaf_checked(state(None), 60.0)
    assert later.actions() == []
    later.requested(STATION, 70.0)
    assert MakeSigningRequest(STATION) in later.actions()
    assert later.snapshot() == {}


def test_an_invalid_certificate_nobody_asked_for_stops_nothing() -> None:
    renewal = booted()
    renewal.certificate_refused(STATION, 1.0)
    assert renewal.actions() == []


@pytest.mark.requirement("A02.FR.21")
def test_a_rejected_csr_waits_for_the_next_check() -> None:
    renewal = booted(V2G_CONFIG)
    renewal.requested(V2G, 1.0)
    renewal.request_made(request(V2G), 1.0)
    renewal.sign_answered(request(V2G), False, 2.0)
    assert renewal.actions()[-1] == SigningRefused(V2G)
    actions = run_to(renewal, 60.0)
    assert CheckLeaf(V2G) in actions
    renewal.leaf_checked(state(None, V2G), 60.0)
    assert renewal.actions() == [MakeSigningRequest(V2G)]


def test_a_csr_that_could_not_be_sent_is_sent_again_and_does_not_count() -> None:
    renewal = booted(RenewalConfig(CONFIG.uses, interval=1e9, initial_delay=1e9, repeat_times=0))
    renewal.requested(STATION, 0.0)
    renewal.request_made(request(), 0.0)
    now = 0.0
    for _ in range(20):
        renewal.actions()
        renewal.sign_answered(request(), None, now)
        assert renewal.next_timer() == now + 30.0
        now += 30.0
        renewal.handle_timer(now)
    assert renewal.actions() == [SendSigningRequest(request())]


def test_a_csr_that_cannot_be_made_is_tried_at_the_next_check() -> None:
    renewal = booted()
    renewal.requested(STATION, 0.0)
    renewal.request_failed(STATION, 0.0)
    renewal.actions()
    renewal.leaf_checked(state(None), 60.0)
    assert renewal.actions() == [MakeSigningRequest(STATION)]


@pytest.mark.requirement("A02.FR.08")
def test_a_taken_certificate_ends_the_waiting_and_is_used() -> None:
    renewal = waiting()
    renewal.certificate_taken(STATION, NOW, 105.0)
    assert renewal.actions() == [UseNewCertificate(STATION)]
    assert run_to(renewal, 10_000.0) == [CheckLeaf(STATION)]


@pytest.mark.requirement("1.6-A02.FR.08")
def test_a_certificate_of_the_future_is_used_when_it_is_valid() -> None:
    renewal = waiting()
    renewal.certificate_taken(STATION, NOW + timedelta(seconds=1000), 105.0)
    assert UseNewCertificate(STATION) not in run_to(renewal, 999.9)
    assert UseNewCertificate(STATION) in run_to(renewal, 1000.0)
    # After a reboot the check finds it again.
    later = booted()
    run_to(later, 60.0)
    later.leaf_checked(LeafState(STATION, NOW + 365 * DAY, NOW + timedelta(seconds=500)), 60.0)
    assert UseNewCertificate(STATION) in run_to(later, 500.0)


def test_answers_nobody_waits_for() -> None:
    renewal = booted()
    renewal.request_made(request(), 0.0)  # another event may have overtaken the question
    renewal.request_failed(STATION, 0.0)
    with pytest.raises(LocalProtocolError):
        renewal.ocsp_listed((), 0.0)
    with pytest.raises(LocalProtocolError):
        renewal.ocsp_answered(ocsp(1), True, 0.0)
    renewal.sign_answered(request(), True, 0.0)  # it may come late: no error
    renewal.leaf_checked(state(None, V2G), 0.0)  # no longer configured
    assert renewal.actions() == []
    waits = waiting()
    waits.sign_answered(request(number=9), True, 101.0)
    assert waits.actions() == []


def test_without_the_time_nothing_is_judged() -> None:
    renewal = Renewal(RenewalConfig(frozenset({STATION, V2G})))
    renewal.boot_accepted(0.0)
    assert set(run_to(renewal, 60.0)) == {CheckLeaf(STATION), CheckLeaf(V2G)}
    renewal.leaf_checked(state(None), 60.0)
    assert renewal.actions() == []
    renewal.certificate_taken(V2G, NOW, 61.0)
    assert renewal.actions() == [UseNewCertificate(V2G)]
    renewal.set_utc(NOW, 100.0)  # now it is known, everything is looked at again
    actions = run_to(renewal, 100.0)
    assert CheckLeaf(STATION) in actions
    assert ListOcspRequests() in actions


@pytest.mark.parametrize("step", [-1e8, -3600.0, 3600.0, 1e8])
def test_a_jump_of_the_clock_is_followed_by_a_check(step: float) -> None:
    renewal = booted()
    run_to(renewal, 100.0)
    renewal.set_utc(NOW + timedelta(seconds=200.0 + 5.0), 200.0)
    assert run_to(renewal, 200.0) == []  # a small correction means nothing
    renewal.set_utc(NOW + timedelta(seconds=200.0 + step), 200.0)
    assert run_to(renewal, 200.0) == [CheckLeaf(STATION)]


def test_uses_come_and_go() -> None:
    renewal = waiting()
    renewal.configure(RenewalConfig(frozenset({V2G})), 200.0)
    actions = run_to(renewal, 1e5)
    assert CheckLeaf(STATION) not in actions
    assert SendSigningRequest(request()) not in actions
    assert CheckLeaf(V2G) in actions


def test_waits_have_an_end() -> None:
    renewal = waiting(RenewalConfig(CONFIG.uses, initial_delay=1e12, wait_minimum=1e9, repeat_times=10**9))
    assert renewal.next_timer() == 100.0 + 366 * 86_400.0


# OCSP.


def refresh(renewal: Renewal, now: float, *requests: OcspRequestData, ok: bool = True) -> Counter[str]:
    """Answer one round."""
    renewal.ocsp_listed(requests, now)
    seen: Counter[str] = Counter()
    while True:
        sent = [a.request for a in renewal.actions() if isinstance(a, SendOcspRequest)]
        if not sent:
            return seen
        (one,) = sent  # one at a time
        seen[one.hash_data.serial_number] += 1
        renewal.ocsp_answered(one, ok, now)


@pytest.mark.requirement("M06.FR.06", "M06.FR.10")
def test_ocsp_is_refreshed_weekly_across_boots() -> None:
    renewal = booted(V2G_CONFIG)
    assert ListOcspRequests() in run_to(renewal, 60.0)
    renewal.ocsp_listed((ocsp(1), ocsp(2)), 60.0)
    (first,) = renewal.actions()
    renewal.ocsp_answered(ocsp(1), True, 61.0)
    (second,) = renewal.actions()
    assert (first, second) == (SendOcspRequest(ocsp(1)), SendOcspRequest(ocsp(2)))
    renewal.ocsp_answered(ocsp(2), True, 62.0)
    (commit,) = renewal.actions()
    assert isinstance(commit, Commit)
    store = MemoryStore()
    store.commit(commit)
    assert ListOcspRequests() not in run_to(renewal, 62.0 + WEEK - 1)
    assert ListOcspRequests() in run_to(renewal, 62.0 + WEEK)
    # Another boot three days later waits for the remaining four.
    later = Renewal(V2G_CONFIG, store.load())
    later.set_utc(NOW + 3 * DAY, 0.0)
    later.boot_accepted(0.0)
    remaining = 62.0 + WEEK - 3 * 86_400.0
    assert ListOcspRequests() not in run_to(later, remaining - 1)
    assert ListOcspRequests() in run_to(later, remaining)
    # One much later asks soon, but not before the link is settled.
    late = Renewal(V2G_CONFIG, store.load())
    late.set_utc(NOW + 300 * DAY, 0.0)
    late.boot_accepted(0.0)
    assert ListOcspRequests() not in run_to(late, 59.0)
    assert ListOcspRequests() in run_to(late, 60.0)


def test_a_row_from_a_wrong_clocks_future_does_not_stop_refreshes() -> None:
    rows = {"certificates": {"ocsp": json.dumps({"next": (NOW + 9999 * DAY).timestamp()})}}
    renewal = Renewal(V2G_CONFIG, rows)
    renewal.set_utc(NOW, 0.0)
    renewal.boot_accepted(0.0)
    assert ListOcspRequests() in run_to(renewal, WEEK)


@pytest.mark.parametrize("row", ["", "[]", "{}", '{"next": null}', '{"next": "soon"}'])
def test_a_damaged_row_is_said(row: str) -> None:
    with pytest.raises(StoreError, match="damaged"):
        Renewal(V2G_CONFIG, {"certificates": {"ocsp": row or "x"}})


def test_a_refresh_that_failed_in_part_is_repeated_after_an_hour() -> None:
    renewal = booted(V2G_CONFIG)
    run_to(renewal, 60.0)
    assert refresh(renewal, 60.0, ocsp(1), ocsp(2), ok=False) == {"1": 1, "2": 1}
    assert ListOcspRequests() in run_to(renewal, 60.0 + 3600.0)


@pytest.mark.requirement("M06.FR.07")
def test_a_new_v2g_certificate_is_asked_about_at_once() -> None:
    renewal = booted(V2G_CONFIG)
    run_to(renewal, 60.0)
    refresh(renewal, 60.0)
    renewal.certificate_taken(V2G, NOW, 1000.0)
    assert renewal.actions()[-2:] == [UseNewCertificate(V2G), ListOcspRequests()]
    renewal.ocsp_listed((ocsp(1),), 1000.0)
    renewal.certificate_taken(V2G, NOW, 1001.0)  # another, while the first is being asked about
    assert ListOcspRequests() not in renewal.actions()
    renewal.ocsp_answered(ocsp(1), True, 1002.0)
    assert renewal.actions() == [ListOcspRequests()]


def test_the_list_has_a_limit() -> None:
    renewal = booted(V2G_CONFIG)
    run_to(renewal, 60.0)
    assert refresh(renewal, 60.0, *map(ocsp, range(100))).total() == MAX_OCSP_REQUESTS


def test_a_commit_that_failed_comes_again() -> None:
    renewal = waiting()
    renewal.certificate_refused(STATION, 110.0)
    first = renewal.actions()[0]
    renewal.store_failed(111.0)
    assert renewal.actions() == [first]


@pytest.mark.requirement("A03.FR.02", "M06.FR.10")
def test_a_year_with_a_certificate_of_ninety_days() -> None:
    """Checked twice a day, renewed a month before each expiry, OCSP weekly, whatever the clock does."""
    renewal = booted(RenewalConfig(frozenset({V2G})))
    expires = NOW + 90 * DAY
    counted: Counter[str] = Counter()
    now, number = 0.0, 0
    while (due := renewal.next_timer()) is not None and due <= 365 * 86_400.0:
        now = due
        utc = NOW + timedelta(seconds=now)
        assert utc < expires
        renewal.handle_timer(now)
        while actions := renewal.actions():
            for action in actions:
                counted[type(action).__name__] += 1
                match action:
                    case CheckLeaf(use):
                        renewal.leaf_checked(LeafState(use, expires), now)
                    case MakeSigningRequest(use):
                        number += 1
                        renewal.request_made(request(use, number), now)
                    case SendSigningRequest(made):
                        renewal.sign_answered(made, True, now)
                        expires = utc + 90 * DAY
                        renewal.certificate_taken(made.use, utc, now)
                    case ListOcspRequests():
                        renewal.ocsp_listed((ocsp(1),), now)
                    case SendOcspRequest(data):
                        renewal.ocsp_answered(data, True, now)
                    case _:
                        pass
    assert counted["CheckLeaf"] == 730
    assert counted["MakeSigningRequest"] == counted["UseNewCertificate"] == 6
    assert 52 <= counted["SendOcspRequest"] <= 52 + 6 + 1
