"""Every input of the certificate schedule, in every stage of a request: what is done and how it goes on."""

from collections.abc import Callable

import pytest

from ocpp_core.errors import LocalProtocolError
from ocpp_core.store import Commit
from ocpp_security.pki.hashdata import CertificateHashData, HashAlgorithm
from ocpp_security.pki.ocsp import OcspRequestData
from ocpp_security.questions import LeafState, MakeSigningRequest, SigningRequest
from ocpp_security.renewal import (
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
from tests.security.pki_kit import NOW

STATION, V2G = LeafUse.CHARGING_STATION, LeafUse.V2G
OLDER, REQUEST, NEWER = (SigningRequest(STATION, number, f"CSR {number}") for number in (1, 2, 3))
CONFIG = RenewalConfig(frozenset({STATION}), initial_delay=1e9, wait_minimum=100.0, repeat_times=1)

MAKE, SEND, SEND_NEWER = MakeSigningRequest(STATION), SendSigningRequest(REQUEST), SendSigningRequest(NEWER)
USE, STOPPED, REFUSED = UseNewCertificate(STATION), RenewalStopped(STATION), SigningRefused(STATION)


def nothing(renewal: Renewal) -> None:
    """No request is under way, and one is answered that was before."""
    renewal.requested(STATION, 0.0)
    renewal.request_made(OLDER, 0.0)
    renewal.certificate_taken(STATION, NOW, 0.0)


def making(renewal: Renewal) -> None:
    nothing(renewal)
    renewal.requested(STATION, 0.0)


def sending(renewal: Renewal) -> None:
    making(renewal)
    renewal.request_made(REQUEST, 0.0)


def waiting(renewal: Renewal) -> None:
    sending(renewal)
    renewal.sign_answered(REQUEST, True, 0.0)


def retrying(renewal: Renewal) -> None:
    sending(renewal)
    renewal.sign_answered(REQUEST, None, 0.0)


def last_wait(renewal: Renewal) -> None:
    waiting(renewal)
    renewal.handle_timer(100.0)
    renewal.sign_answered(REQUEST, True, 0.0)


def given_up(renewal: Renewal) -> None:
    waiting(renewal)
    renewal.certificate_refused(STATION, 0.0)


Input = Callable[[Renewal], None]
STAGES: tuple[Input, ...] = (nothing, making, sending, waiting, retrying, last_wait, given_up)
INPUTS: dict[str, Input] = {
    "triggered": lambda r: r.requested(STATION, 1.0),
    "expired": lambda r: r.leaf_checked(LeafState(STATION, None), 1.0),
    "made": lambda r: r.request_made(NEWER, 1.0),
    "not made": lambda r: r.request_failed(STATION, 1.0),
    "accepted": lambda r: r.sign_answered(REQUEST, True, 1.0),
    "rejected": lambda r: r.sign_answered(REQUEST, False, 1.0),
    "lost": lambda r: r.sign_answered(REQUEST, None, 1.0),
    "older accepted": lambda r: r.sign_answered(OLDER, True, 1.0),
    "older rejected": lambda r: r.sign_answered(OLDER, False, 1.0),
    "taken": lambda r: r.certificate_taken(STATION, NOW, 1.0),
    "refused": lambda r: r.certificate_refused(STATION, 1.0),
}
# What an input makes the schedule do at once (first), and later if nobody answers (second). Where nothing is
# said, an input changes nothing.
UNANSWERED: dict[Input, list[RenewalAction]] = {waiting: [SEND], retrying: [SEND], last_wait: [STOPPED]}
EXPECTED: dict[tuple[str, Input], tuple[list[RenewalAction], list[RenewalAction]]] = {
    **{("triggered", stage): ([MAKE], []) for stage in STAGES},
    **{("taken", stage): ([USE], []) for stage in STAGES},
    **{("refused", stage): ([STOPPED], []) for stage in STAGES if stage not in (nothing, given_up)},
    ("expired", nothing): ([MAKE], []),
    ("made", making): ([SEND_NEWER], []),
    ("accepted", sending): ([], [SEND]),
    ("lost", sending): ([], [SEND]),
    ("rejected", sending): ([REFUSED], []),
}


def done(renewal: Renewal) -> list[RenewalAction]:
    return [action for action in renewal.actions() if not isinstance(action, Commit)]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
@pytest.mark.parametrize("event", INPUTS)
@pytest.mark.requirement(
    "A02.FR.02", "A02.FR.17", "A02.FR.18", "A02.FR.19", "A02.FR.20", "A03.FR.17", "A03.FR.18", "A03.FR.19"
)
def test_every_input_in_every_stage(stage: Input, event: str) -> None:
    renewal = Renewal(CONFIG)
    renewal.set_utc(NOW, 0.0)
    renewal.boot_accepted(0.0)
    stage(renewal)
    renewal.actions()
    INPUTS[event](renewal)
    at_once, later = EXPECTED.get((event, stage), ([], UNANSWERED.get(stage, [])))
    assert done(renewal) == at_once
    renewal.handle_timer(1e6)
    assert done(renewal) == later
    if event in ("triggered", "taken"):
        assert renewal.snapshot() == {}  # neither is given up any longer
    made = (event, stage) in {("not made", making), ("rejected", sending)}
    renewal.leaf_checked(LeafState(STATION, None), 1e6)
    assert done(renewal) == ([MAKE] if made or event == "taken" or (stage is nothing and not at_once) else [])


def test_an_older_answer_means_nothing_while_the_newer_is_sent() -> None:
    renewal = Renewal(CONFIG)
    sending(renewal)
    renewal.actions()
    renewal.sign_answered(OLDER, True, 1.0)
    assert renewal.next_timer() is None
    renewal.sign_answered(REQUEST, True, 2.0)
    assert renewal.next_timer() == 102.0
    renewal.sign_answered(REQUEST, True, 50.0)  # once more: the wait goes on
    assert renewal.next_timer() == 102.0


@pytest.mark.requirement("A02.FR.18")
def test_the_wait_is_doubled_for_years_without_an_overflow() -> None:
    renewal = Renewal(RenewalConfig(CONFIG.uses, wait_minimum=1.0, repeat_times=10**6))
    waiting(renewal)
    waits, now = [], 0.0
    for _ in range(1200):
        due = renewal.next_timer()
        assert due is not None
        waits.append(due - now)
        now = due
        renewal.handle_timer(now)
        renewal.sign_answered(REQUEST, True, now)
    assert waits == [min(2.0**n, 366 * 86_400.0) for n in range(1000)] + [366 * 86_400.0] * 200


def ocsp(serial: int) -> OcspRequestData:
    return OcspRequestData(CertificateHashData(HashAlgorithm.SHA256, "", "", f"{serial:x}"), "http://x")


def test_ocsp_answers_nobody_asked_for_are_misuse_and_change_nothing() -> None:
    renewal = Renewal(RenewalConfig(frozenset({V2G})))
    renewal.set_utc(NOW, 0.0)
    renewal.boot_accepted(0.0)
    with pytest.raises(LocalProtocolError):
        renewal.ocsp_answered(ocsp(1), True, 0.0)
    renewal.handle_timer(60.0)
    with pytest.raises(LocalProtocolError):
        renewal.ocsp_answered(ocsp(1), True, 60.0)
    renewal.ocsp_listed((ocsp(1), ocsp(2)), 60.0)
    renewal.actions()
    with pytest.raises(LocalProtocolError):
        renewal.ocsp_listed((ocsp(3),), 60.0)
    with pytest.raises(LocalProtocolError):
        renewal.ocsp_answered(ocsp(2), True, 60.0)
    assert renewal.actions() == []
    renewal.ocsp_answered(ocsp(1), True, 60.0)
    assert renewal.actions() == [SendOcspRequest(ocsp(2))]
    renewal.ocsp_answered(ocsp(2), True, 60.0)
    (commit,) = renewal.actions()
    assert isinstance(commit, Commit)
