"""Links that could not be opened: which of it is a security event, and how often."""

import pytest

from ocpp_core.domain.network import NetworkProfile
from ocpp_core.errors import LocalProtocolError
from ocpp_core.station import LINK_EVENTS, CloseLink, LinkFailure, Notice, NoticeKind

from .bench import V201
from .event_bench import NOTIFICATION, EventBench, each_version, undialled


@pytest.mark.requirement(
    "A00.FR.310", "A00.FR.316", "A00.FR.323", "A00.FR.413", "A00.FR.419", "A00.FR.426", "1.6-A00.FR.309",
    "1.6-A00.FR.315", "1.6-A00.FR.322", "1.6-A00.FR.413", "1.6-A00.FR.419", "1.6-A00.FR.426",
)  # fmt: skip
@pytest.mark.parametrize("failure", LinkFailure)
@each_version
def test_a_failure_that_is_an_event_is_logged_once_and_told_if_critical(version, failure):
    bench = EventBench(version, start=False)
    bench.dials = None
    bench.power_up()
    for _ in range(4):
        bench.fail(failure, "why")
    event = LINK_EVENTS.get(failure)
    assert bench.logged == ([] if event is None else [event])
    bench.open()
    told = [] if event is None or not event.critical else [event.spelling(version)]
    assert bench.told() == told
    assert [said["techInfo"] for said in bench.sent(NOTIFICATION)] == ["network profile 0: why"] * len(told)


def test_what_a_failed_link_can_be():
    assert {failure.name: event.value for failure, event in LINK_EVENTS.items()} == {
        "BAD_CERTIFICATE": "InvalidCsmsCertificate",
        "TLS_VERSION": "InvalidTLSVersion",
        "TLS_CIPHER_SUITE": "InvalidTLSCipherSuite",
        "UNAUTHORIZED": "FailedToAuthenticateAtCsms",
    }


BAD, OLD = LinkFailure.BAD_CERTIFICATE, LinkFailure.TLS_VERSION
C, V = "InvalidCsmsCertificate", "InvalidTLSVersion"


@pytest.mark.requirement("A00.FR.310", "A00.FR.316", "A00.FR.419")
@pytest.mark.parametrize(
    ("failures", "events"),
    [
        ([BAD, BAD, BAD], [C]),
        ([BAD, OLD, OLD, BAD], [C, V, C]),
        ([BAD, LinkFailure.UNREACHABLE, BAD, LinkFailure.TIMEOUT, BAD], [C]),
        ([BAD, LinkFailure.HTTP, BAD], [C, C]),
        ([LinkFailure.NOT_FOUND, BAD], [C]),
        ([BAD, None, BAD], [C, C]),
        ([BAD, None, None, BAD, BAD], [C, C]),
    ],
)
def test_failures_alike_are_one_event_until_something_else_happens(failures, events):
    """None: it connects, and is lost again."""
    bench = undialled()
    for failure in failures:
        if failure is None:
            bench.open()
            bench.lose()
        else:
            bench.fail(failure)
    assert bench.logged == events


@pytest.mark.requirement("A00.FR.310", "A00.FR.316")
def test_every_network_profile_has_failures_of_its_own():
    profiles = (NetworkProfile(1), NetworkProfile(2))
    bench = undialled(network_profiles=profiles, network_attempts=1)
    for _ in range(6):
        bench.fail(BAD, "expired")
    entries = [(entry["type"], entry["tech_info"]) for entry in bench.station.security_log()]
    assert entries == [(C, "network profile 1: expired"), (C, "network profile 2: expired")]


@pytest.mark.requirement("A00.FR.310")
def test_a_detail_may_be_long_and_need_not_be_text():
    bench = undialled()
    bench.fail(BAD, "\udcff" + "x" * 1000)
    bench.open()
    (said,) = bench.sent(NOTIFICATION)
    assert said["techInfo"] == ("network profile 0: ?" + "x" * 1000)[:255]


@pytest.mark.requirement("A00.FR.310", "A04.FR.02")
def test_the_event_of_a_failed_link_survives_power_loss():
    bench = undialled()
    bench.fail(BAD, "expired")
    bench.power_loss()
    bench.dials = True
    bench.open()
    assert bench.told() == [C]
    assert not any(isinstance(action, Notice) and action.kind is NoticeKind.SECURITY for action in bench.log)


@pytest.mark.requirement("A00.FR.310", "A00.FR.316", "1.6-A00.FR.309", "A00.FR.419", "1.6-A00.FR.419")
@each_version
def test_a_csms_that_turns_out_bad_is_left_at_once_and_is_one_event(version):
    """Its certificate is found to be revoked while the link is open; the next attempts fail for the same."""
    bench = EventBench(version)
    said = len(bench.frames)
    bench.dials = None
    bench.station.link_distrusted(BAD, "revoked", bench.now)
    bench.drain()
    assert bench.done(CloseLink)[-1].code == 1008
    assert (len(bench.frames), bench.logged, bench.untold) == (said, [C], 1)
    bench.skip(bench.station.next_timer() - bench.now)
    bench.fail(BAD, "revoked")
    bench.fail(BAD, "revoked")
    assert bench.logged == [C]
    bench.open()
    assert [payload["techInfo"] for payload in bench.sent(NOTIFICATION)] == ["network profile 0: revoked"]


def test_a_link_that_is_closing_anyway_is_left_to_close():
    bench = EventBench(V201)
    bench.station.disconnect(bench.now)
    bench.station.link_distrusted(BAD, "revoked", bench.now)
    bench.drain()
    assert (len(bench.done(CloseLink)), bench.logged) == (1, [C])
    with pytest.raises(LocalProtocolError, match="there is no link to leave"):
        bench.station.link_distrusted(BAD, "revoked", bench.now)
