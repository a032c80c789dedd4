"""The certificate schedule under any order of inputs."""

from datetime import datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ocpp_security.pki.hashdata import CertificateHashData, HashAlgorithm
from ocpp_security.pki.ocsp import OcspRequestData
from ocpp_security.questions import LeafState, ListOcspRequests, MakeSigningRequest, SigningRequest
from ocpp_security.renewal import (
    Renewal,
    RenewalConfig,
    RenewalStopped,
    SendOcspRequest,
    SendSigningRequest,
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


class Schedule(RuleBasedStateMachine):
    """Any order of inputs: no exception, one CSR at a time, waits that end, and nothing after giving up until
    it is asked for or a good certificate is there."""

    @initialize(uses=st.sets(st.sampled_from(LeafUse), min_size=1))
    def begin(self, uses: set[LeafUse]) -> None:
        self.config = RenewalConfig(frozenset(uses), repeat_times=2)
        self.renewal = Renewal(self.config)
        self.now = 0.0
        self.learned: tuple[datetime, float] | None = None
        self.number = 0
        self.making: set[LeafUse] = set()
        self.sent: dict[LeafUse, SigningRequest] = {}
        self.stopped: set[LeafUse] = set()
        self.listing = False
        self.asked: OcspRequestData | None = None

    def drain(self) -> None:
        for action in self.renewal.actions():
            match action:
                case MakeSigningRequest(use):
                    assert use not in self.stopped
                    self.making.add(use)
                case SendSigningRequest(made):
                    assert made.use not in self.stopped
                    self.sent[made.use] = made
                case RenewalStopped(use):
                    self.stopped.add(use)
                    self.sent.pop(use, None)
                case ListOcspRequests():
                    assert not self.listing
                    assert self.asked is None
                    self.listing = True
                case SendOcspRequest(data):
                    assert self.asked is None
                    self.asked = data
                case _:
                    pass

    @rule()
    def boot(self) -> None:
        self.renewal.boot_accepted(self.now)

    @rule(days=st.integers(-400, 400))
    def learn_time(self, days: int) -> None:
        self.learned = NOW + days * DAY, self.now
        self.renewal.set_utc(*self.learned)

    @rule()
    def timer(self) -> None:
        self.now = max(self.now, self.renewal.next_timer() or 0.0)
        self.renewal.handle_timer(self.now)
        self.drain()

    @rule(use=st.sampled_from(LeafUse), days=st.none() | st.integers(-400, 400))
    def check(self, use: LeafUse, days: int | None) -> None:
        expires: datetime | None = None if days is None else NOW + days * DAY
        if expires is not None and self.learned is not None:
            utc = self.learned[0] + timedelta(seconds=self.now - self.learned[1])
            if expires - utc > 30 * DAY:
                self.stopped.discard(use)
        self.renewal.leaf_checked(LeafState(use, expires), self.now)
        self.drain()

    @rule(use=st.sampled_from(LeafUse))
    def trigger(self, use: LeafUse) -> None:
        self.stopped.discard(use)
        self.sent.pop(use, None)
        self.renewal.requested(use, self.now)
        self.drain()

    @precondition(lambda self: self.making)
    @rule(data=st.data(), works=st.booleans())
    def make(self, data: st.DataObject, works: bool) -> None:
        use = data.draw(st.sampled_from(sorted(self.making)))
        self.making.remove(use)
        if works:
            self.number += 1
            self.renewal.request_made(request(use, self.number), self.now)
        else:
            self.renewal.request_failed(use, self.now)
        self.drain()

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), accepted=st.sampled_from([True, True, False, None]))
    def answer(self, data: st.DataObject, accepted: bool | None) -> None:
        use = data.draw(st.sampled_from(sorted(self.sent)))
        self.renewal.sign_answered(self.sent.pop(use), accepted, self.now)
        self.drain()

    @rule(use=st.sampled_from(LeafUse), good=st.booleans(), days=st.integers(-5, 5))
    def certificate(self, use: LeafUse, good: bool, days: int) -> None:
        self.sent.pop(use, None)
        if good:
            self.stopped.discard(use)
            self.renewal.certificate_taken(use, NOW + days * DAY, self.now)
        else:
            self.renewal.certificate_refused(use, self.now)
        self.drain()

    @precondition(lambda self: self.listing)
    @rule(number=st.integers(0, 3))
    def list_ocsp(self, number: int) -> None:
        self.listing = False
        self.renewal.ocsp_listed(tuple(map(ocsp, range(number))), self.now)
        self.drain()

    @precondition(lambda self: self.asked is not None)
    @rule(ok=st.booleans())
    def answer_ocsp(self, ok: bool) -> None:
        assert self.asked is not None
        asked, self.asked = self.asked, None
        self.renewal.ocsp_answered(asked, ok, self.now)
        self.drain()

    @rule()
    def reboot(self) -> None:
        self.renewal = Renewal(self.config, self.renewal.snapshot())
        self.making, self.sent, self.listing, self.asked, self.learned = set(), {}, False, None, None

    @invariant()
    def timers_are_finite(self) -> None:
        due = self.renewal.next_timer()
        assert due is None or self.now <= due < self.now + 1e9


TestSchedule = Schedule.TestCase
