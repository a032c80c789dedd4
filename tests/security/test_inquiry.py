"""Whom to ask whether a path is revoked, in which order, and what follows: without a single socket."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from cryptography import x509
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from ocpp_security import statuses
from ocpp_security.inquiry import MAX_SOURCES, Ask, Inquiry, Standing, StatusPolicy
from ocpp_security.pki.certificate import Certificate
from ocpp_security.pki.crl import parse_crl
from ocpp_security.pki.ocsp import OcspStatus, Revocation
from ocpp_security.statuses import StatusCache
from tests.security.pki_kit import DAY, NOW, Authority, ec_key, root

GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
OCSP, OTHER, LIST = "http://ocsp.example/", "http://other.example/", "http://crl.example/list"
ROOT = root()
STRANGER = root()
SUB = ROOT.sub("Sub", responder=OCSP)


def access(*urls: str) -> tuple[x509.ExtensionType, bool]:
    oid = AuthorityInformationAccessOID.OCSP
    names = [x509.AccessDescription(oid, x509.UniformResourceIdentifier(url)) for url in urls]
    return x509.AuthorityInformationAccess(names), False


LEAF = SUB.leaf(extensions=[access(OCSP, OTHER)], crl=LIST)
PATH = [LEAF.certificate, SUB.certificate, ROOT.certificate]
RESPONDER = SUB.leaf("Responder", purposes=[ExtendedKeyUsageOID.OCSP_SIGNING])
IMPOSTOR = SUB.leaf("Impostor")
SUB_IS_GOOD = ROOT.ocsp(SUB.certificate)
Answers = dict[str, bytes | str]


@dataclass
class Desk:
    """Whoever carries an inquiry out: answers by URL (a text: that it failed so), and a clock."""

    answers: Answers = field(default_factory=dict)
    policy: StatusPolicy = field(default_factory=StatusPolicy)
    at: datetime = NOW
    now: float = 0.0
    asked: list[Ask] = field(default_factory=list)
    lists: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        self.cache = StatusCache(self.policy.max_age)

    def begin(self, *path: Certificate) -> Inquiry:
        chain = path or PATH
        links = list(pairwise(chain))
        lists = tuple(map(parse_crl, self.lists))
        return Inquiry(links, self.cache, self.policy, self.at, self.now, lists)

    def inquire(self, *path: Certificate) -> str:
        """What it comes to; ``asked`` has what that took."""
        self.asked = []
        inquiry = self.begin(*path)
        while (ask := inquiry.ask) is not None:
            self.asked.append(ask)
            answer = self._answer(ask)
            if isinstance(answer, bytes):
                inquiry.answered(answer, self.at, self.now)
            else:
                inquiry.failed(answer, self.at, self.now)
        self.words = inquiry.verdict.words
        assert self.words.isprintable()
        return inquiry.verdict.standing

    def _answer(self, ask: Ask) -> bytes | str:
        if ask.body is None:
            return self.answers.get(ask.url, "timed out")
        if _about_sub(ask):
            return self.answers.get("sub", SUB_IS_GOOD)
        return self.answers.get(ask.url, "timed out")

    @property
    def urls(self) -> list[str]:
        return [ask.url for ask in self.asked]


def _about_sub(ask: Ask) -> bool:
    serial = None if ask.body is None else ocsp.load_der_ocsp_request(ask.body).serial_number
    return serial == SUB.certificate.serial


def said(status: ocsp.OCSPCertStatus, by: Authority = SUB, **options: object) -> bytes:
    issuer = None if by is SUB else SUB
    return by.ocsp(LEAF.certificate, status, issuer=issuer, **options)


def delegated(status: ocsp.OCSPCertStatus) -> bytes:
    return said(status, RESPONDER)


FUTURE = said(GOOD, begin=NOW + DAY)
STALE = said(GOOD, begin=NOW - 9 * DAY, end=NOW - DAY)
TABLE: dict[str, tuple[Answers, Standing, list[str]]] = {
    # what is answered, what follows, whom the leaf was asked about
    "good": ({OCSP: said(GOOD)}, Standing.GOOD, [OCSP]),
    "revoked": ({OCSP: said(REVOKED)}, Standing.REVOKED, [OCSP]),
    "good, says a delegate": ({OCSP: delegated(GOOD)}, Standing.GOOD, [OCSP]),
    "revoked, says a delegate": ({OCSP: delegated(REVOKED)}, Standing.REVOKED, [OCSP]),
    "the second responder": ({OTHER: said(GOOD)}, Standing.GOOD, [OCSP, OTHER]),
    "the second says revoked": ({OTHER: said(REVOKED)}, Standing.REVOKED, [OCSP, OTHER]),
    "stale": ({OCSP: STALE, OTHER: said(GOOD)}, Standing.GOOD, [OCSP, OTHER]),
    "of the future": ({OCSP: FUTURE, LIST: SUB.crl()}, Standing.GOOD, [OCSP, OTHER, LIST]),
    "an impostor": ({OCSP: said(GOOD, IMPOSTOR)}, Standing.UNKNOWN, [OCSP, OTHER, LIST]),
    "a stranger": ({OCSP: said(GOOD, STRANGER)}, Standing.UNKNOWN, [OCSP, OTHER, LIST]),
    "about another": ({OCSP: SUB.ocsp(IMPOSTOR.certificate)}, Standing.UNKNOWN, [OCSP, OTHER, LIST]),
    "rubbish": ({OCSP: b"<html>", OTHER: b"", LIST: b"\0"}, Standing.UNKNOWN, [OCSP, OTHER, LIST]),
    "too large": ({OCSP: bytes(70_000)}, Standing.UNKNOWN, [OCSP, OTHER, LIST]),
    "nobody": ({}, Standing.UNKNOWN, [OCSP, OTHER, LIST]),
    "the list": ({LIST: SUB.crl()}, Standing.GOOD, [OCSP, OTHER, LIST]),
    "the list says revoked": ({LIST: SUB.crl(LEAF.certificate)}, Standing.REVOKED, [OCSP, OTHER, LIST]),
    "another's list": ({LIST: ROOT.crl()}, Standing.UNKNOWN, [OCSP, OTHER, LIST]),
    "an old list": ({LIST: SUB.crl(end=NOW - DAY / 2)}, Standing.UNKNOWN, [OCSP, OTHER, LIST]),
    "disowned": ({OCSP: said(UNKNOWN)}, Standing.DISOWNED, [OCSP, OTHER, LIST]),
    "disowned by one only": ({OCSP: said(UNKNOWN), OTHER: said(GOOD)}, Standing.GOOD, [OCSP, OTHER]),
    "disowned, but listed": ({OCSP: said(UNKNOWN), LIST: SUB.crl()}, Standing.GOOD, [OCSP, OTHER, LIST]),
    "the authority is revoked": (
        {OCSP: said(GOOD), "sub": ROOT.ocsp(SUB.certificate, REVOKED)}, Standing.REVOKED, [OCSP],
    ),
    "the authority is unknown": ({OCSP: said(GOOD), "sub": "timed out"}, Standing.UNKNOWN, [OCSP]),
    "unknown, and then worse": (
        {"sub": ROOT.ocsp(SUB.certificate, REVOKED)}, Standing.REVOKED, [OCSP, OTHER, LIST],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("answers", "standing", "asked"), TABLE.values(), ids=TABLE)
@pytest.mark.requirement(
    "A00.FR.702", "A00.FR.705", "1.6-A00.FR.702", "1.6-A00.FR.704", "RFC6960-3.2", "RFC6960-4.2.2.2"
)
def test_what_follows_from_the_answers(answers: Answers, standing: Standing, asked: list[str]) -> None:
    desk = Desk(answers)
    assert desk.inquire() == standing, desk.words
    assert [ask.url for ask in desk.asked if not _about_sub(ask)] == asked
    if standing is not Standing.GOOD:
        about = SUB if "sub" in answers else LEAF
        assert desk.words.startswith(f"{about.certificate.subject}: {standing}, ")
    if standing is Standing.UNKNOWN and "sub" not in answers:
        assert desk.words.count("; ") == 2, "what each of them did is told"
    first, *_ = desk.asked
    assert (first.content_type, first.accept) == ("application/ocsp-request", ("application/ocsp-response",))


def test_whom_to_ask_is_the_policys_to_say() -> None:
    answers: Answers = {OCSP: said(GOOD), LIST: SUB.crl(LEAF.certificate)}
    assert Desk(answers, StatusPolicy(lists=False)).inquire() == Standing.GOOD
    listing = Desk(answers, StatusPolicy(ocsp=False))
    assert listing.inquire() == Standing.REVOKED
    assert listing.urls == [LIST]
    neither = Desk(answers, StatusPolicy(ocsp=False, lists=False))
    assert neither.inquire() == Standing.UNKNOWN
    assert "nobody is asked" in neither.words


def test_a_certificate_that_names_nobody_is_good_unless_lists_are_at_hand() -> None:
    plain = SUB.leaf("Plain").certificate
    desk = Desk()
    path = (plain, SUB.certificate)
    assert desk.inquire(*path) == Standing.GOOD
    assert "names nobody to ask" in desk.words
    desk.lists = (ROOT.crl(),)
    assert desk.inquire(*path) == Standing.UNKNOWN
    desk.lists = (ROOT.crl(), SUB.crl())
    assert desk.inquire(*path) == Standing.GOOD
    desk.lists = (SUB.crl(plain), SUB.crl())
    assert desk.inquire(*path) == Standing.REVOKED
    assert not desk.asked


def test_a_list_at_hand_is_no_reason_not_to_ask() -> None:
    """It says who was revoked when it was made; what is on it needs no asking."""
    lists = (SUB.crl(), ROOT.crl())
    asking = Desk({OCSP: said(REVOKED)}, lists=lists)
    assert (asking.inquire(), asking.urls[0]) == (Standing.REVOKED, OCSP)
    silent = Desk({}, lists=lists)
    assert silent.inquire() == Standing.GOOD
    assert silent.urls[:2] == [OCSP, OTHER]
    assert LIST not in silent.urls
    assert "good, says a list at hand" in silent.words
    listed = Desk({OCSP: said(GOOD)}, lists=(SUB.crl(LEAF.certificate),))
    assert (listed.inquire(), listed.asked) == (Standing.REVOKED, [])


@pytest.mark.parametrize(
    "answers",
    [{OTHER: said(GOOD)}, {OCSP: said(UNKNOWN), LIST: SUB.crl()}],
    ids=["one was silent", "one knew no such certificate"],
)
def test_what_went_wrong_with_one_certificate_is_not_held_against_the_next(answers: Answers) -> None:
    plain = ROOT.sub("Sub", key=SUB.key)  # the same authority, but it names nobody
    desk = Desk(answers)
    assert desk.inquire(LEAF.certificate, plain.certificate, ROOT.certificate) == Standing.GOOD, desk.words


def test_so_many_are_asked_and_only_by_http() -> None:
    urls = [f"http://{number}.example/" for number in range(9)]
    points = [
        x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
        for url in ("ldap://ca.example/", *urls)
    ]
    leaf = SUB.leaf(extensions=[access(*urls), (x509.CRLDistributionPoints(points), False)])
    desk = Desk()
    assert desk.inquire(leaf.certificate, SUB.certificate) == Standing.UNKNOWN
    assert desk.urls == [*urls[:MAX_SOURCES]] * 2


def test_words_go_into_a_log() -> None:
    leaf = SUB.leaf("evil\n\x1b[31m" + "x" * 40, responder=OCSP)
    desk = Desk({OCSP: "no\nway" * 200})
    assert desk.inquire(leaf.certificate, SUB.certificate) == Standing.UNKNOWN
    assert len(desk.words) == 500


def test_what_comes_too_late_is_of_no_consequence() -> None:
    inquiry = Desk({}).begin(ROOT.certificate)
    inquiry.answered(b"", NOW, 0.0)
    inquiry.failed("", NOW, 0.0)
    assert inquiry.verdict.standing is Standing.GOOD


def scoped(url: str | None = None, **options: bool) -> Sequence[tuple[x509.ExtensionType, bool]]:
    """What makes a list one for some certificates only."""
    flags = {"only_contains_user_certs": False, "only_contains_ca_certs": False, "indirect_crl": False}
    flags |= {"only_contains_attribute_certs": False} | options
    names = None if url is None else [x509.UniformResourceIdentifier(url)]
    reasons = frozenset({x509.ReasonFlags.key_compromise}) if flags.pop("some_reasons", False) else None
    point = x509.IssuingDistributionPoint(names, None, only_some_reasons=reasons, **flags)
    return [(point, True)]


@pytest.mark.parametrize(
    ("scope", "standing"),
    [
        (scoped(LIST), Standing.REVOKED),
        (scoped(LIST, only_contains_user_certs=True), Standing.REVOKED),
        (scoped(only_contains_user_certs=True), Standing.REVOKED),
        (scoped("http://crl.example/another"), Standing.UNKNOWN),
        (scoped(LIST, only_contains_ca_certs=True), Standing.UNKNOWN),
        (scoped(LIST, indirect_crl=True), Standing.UNKNOWN),
        (scoped(LIST, some_reasons=True), Standing.UNKNOWN),
        (scoped(only_contains_attribute_certs=True), Standing.UNKNOWN),
    ],
)
@pytest.mark.requirement("RFC5280-5.2.5", "RFC5280-6.3.3")
def test_a_list_of_some_certificates_speaks_for_them_only(
    scope: Sequence[tuple[x509.ExtensionType, bool]], standing: Standing
) -> None:
    policy = StatusPolicy(ocsp=False)
    desk = Desk({LIST: SUB.crl(LEAF.certificate, extensions=scope)}, policy)
    assert desk.inquire(LEAF.certificate, SUB.certificate) == standing
    at_hand = Desk(
        lists=(SUB.crl(LEAF.certificate, extensions=scope),), policy=StatusPolicy(ocsp=False, lists=False)
    )
    assert at_hand.inquire(LEAF.certificate, SUB.certificate) == standing


def test_several_lists_of_one_authority_stand_side_by_side() -> None:
    urls = [f"http://crl.example/{number}" for number in range(3)]
    leaves = [SUB.leaf(f"{url}", crl=url).certificate for url in urls]
    answers: Answers = {
        url: SUB.crl(*leaves[:number], extensions=scoped(url)) for number, url in enumerate(urls)
    }
    desk = Desk(answers, StatusPolicy(ocsp=False))
    for _ in range(2):
        found = [desk.inquire(leaf, SUB.certificate) for leaf in leaves]
        assert found == [Standing.GOOD] * 3
    assert not desk.asked


def test_an_authority_is_on_the_list_for_authorities() -> None:
    sub = ROOT.sub("Listed", crl=LIST)
    for options, standing in (
        ({"only_contains_ca_certs": True}, Standing.REVOKED),
        ({"only_contains_user_certs": True}, Standing.UNKNOWN),
    ):
        crl = ROOT.crl(sub.certificate, extensions=scoped(**options))
        desk = Desk({LIST: crl}, StatusPolicy(ocsp=False))
        assert desk.inquire(sub.certificate, ROOT.certificate) == standing


# What is remembered


def test_what_was_answered_is_not_asked_again() -> None:
    desk = Desk({OCSP: said(GOOD)})
    for _ in range(2):
        assert desk.inquire() == Standing.GOOD
    assert not desk.asked
    desk.answers = {OCSP: said(REVOKED)}
    desk.now = 86_401.0  # by the monotonic clock, whatever the other says
    assert desk.inquire() == Standing.REVOKED
    desk.now = 10 * 86_400.0
    assert (desk.inquire(), desk.asked) == (Standing.REVOKED, [])


@pytest.mark.parametrize("answers", [{OCSP: said(GOOD)}, {LIST: SUB.crl()}], ids=["response", "list"])
def test_what_was_good_and_is_not_out_of_date_counts_while_nobody_answers(answers: Answers) -> None:
    desk = Desk({**answers, "sub": SUB_IS_GOOD})
    assert desk.inquire() == Standing.GOOD
    desk.answers = {"sub": "timed out"}
    desk.now, desk.at = 86_401.0, NOW + DAY
    assert desk.inquire() == Standing.GOOD
    assert [ask.url for ask in desk.asked if not _about_sub(ask)] == [OCSP, OTHER, LIST]
    assert "as was said before" in desk.words
    desk.now += 7 * 86_400.0  # which the other clock does not know of
    assert desk.inquire() == Standing.UNKNOWN
    disowned = Desk({OCSP: said(GOOD)})
    assert disowned.inquire() == Standing.GOOD
    disowned.now, disowned.answers = 86_401.0, {OCSP: said(UNKNOWN, begin=NOW - DAY / 2)}
    assert disowned.inquire() == Standing.DISOWNED


def test_one_list_serves_all_whom_its_authority_has_issued() -> None:
    desk = Desk({LIST: SUB.crl(LEAF.certificate)}, StatusPolicy(ocsp=False))
    other = SUB.leaf("Another", crl=LIST).certificate
    assert desk.inquire() == Standing.REVOKED
    assert (desk.inquire(other, SUB.certificate), desk.asked) == (Standing.GOOD, [])
    desk.now = 86_401.0
    assert (desk.inquire(other, SUB.certificate), desk.urls) == (Standing.GOOD, [LIST])
    desk.now = 3 * 86_400.0
    assert (desk.inquire(), desk.asked) == (Standing.REVOKED, []), "what was revoked stays so"


@pytest.mark.parametrize("jump", [-3 * DAY, 8 * DAY], ids=["back", "forth"])
def test_a_clock_that_jumps_makes_nothing_good(jump: timedelta) -> None:
    desk = Desk({OCSP: said(GOOD), LIST: SUB.crl()})
    assert desk.inquire() == Standing.GOOD
    desk.at += jump
    assert desk.inquire() == Standing.UNKNOWN
    assert desk.urls[:3] == [OCSP, OTHER, LIST]


def test_a_clock_that_is_set_back_takes_no_revocation_back() -> None:
    for answers in ({OCSP: said(REVOKED)}, {LIST: SUB.crl(LEAF.certificate)}):
        desk = Desk(answers)
        assert desk.inquire() == Standing.REVOKED
        desk.at -= 400 * DAY
        assert (desk.inquire(), desk.asked) == (Standing.REVOKED, [])


def test_a_revocation_is_asked_about_again_once_its_answer_has_expired() -> None:
    desk = Desk({OCSP: said(REVOKED, end=NOW + DAY)})
    assert desk.inquire() == Standing.REVOKED
    assert (
        desk.cache.keep(LEAF.certificate, OcspStatus(Revocation.GOOD, NOW - DAY, NOW + DAY), 0.0) == "Revoked"
    )
    desk.at += 2 * DAY
    desk.answers = {OCSP: said(GOOD, begin=NOW + DAY)}  # it was on hold
    assert desk.inquire() == Standing.GOOD


def test_a_good_word_of_before_a_revocation_does_not_outlive_it() -> None:
    desk = Desk({OCSP: said(GOOD)}, StatusPolicy(lists=False))
    path = (LEAF.certificate, SUB.certificate)
    assert desk.inquire(*path) == Standing.GOOD
    desk.now, desk.answers = 86_401.0, {OCSP: said(REVOKED, begin=NOW - DAY / 2, end=NOW + DAY)}
    assert desk.inquire(*path) == Standing.REVOKED
    desk.at, desk.answers = NOW + 2 * DAY, {}
    assert desk.inquire(*path) == Standing.UNKNOWN


def test_what_is_newer_counts_at_any_time() -> None:
    cache = StatusCache(1000.0)
    for hours, revocation in enumerate((Revocation.REVOKED, Revocation.GOOD, Revocation.REVOKED)):
        status = OcspStatus(revocation, NOW + hours * timedelta(minutes=1), NOW + DAY)
        assert cache.keep(LEAF.certificate, status, 0.0) is revocation
        assert cache.known(LEAF.certificate, SUB.certificate, NOW, 0.0) is revocation


@pytest.mark.parametrize("revocation", [Revocation.GOOD, Revocation.REVOKED])
def test_an_answer_counts_up_to_its_last_moment_and_from_a_clock_that_is_ahead(
    revocation: Revocation,
) -> None:
    cache = StatusCache(1000.0)
    ahead = NOW + timedelta(minutes=4)
    cache.keep(LEAF.certificate, OcspStatus(revocation, ahead, NOW + DAY), 0.0)
    for at, now in ((NOW, 0.0), (NOW + DAY, 1000.0)):
        assert cache.known(LEAF.certificate, SUB.certificate, at, now) is revocation
    past = cache.known(LEAF.certificate, SUB.certificate, NOW + DAY + timedelta(seconds=1), 0.0)
    assert past is Revocation.UNKNOWN


def test_a_replay_takes_no_revocation_back() -> None:
    desk = Desk({OCSP: said(REVOKED, begin=NOW - DAY / 2, end=NOW - DAY / 4)}, at=NOW - DAY / 3)
    assert desk.inquire() == Standing.REVOKED
    desk.at = NOW
    desk.answers = {OCSP: said(GOOD)}  # of before, and still current
    assert desk.inquire() == Standing.REVOKED
    listed = Desk({LIST: SUB.crl(LEAF.certificate, begin=NOW - DAY / 2)}, StatusPolicy(ocsp=False))
    assert listed.inquire() == Standing.REVOKED
    listed.cache.keep_list(parse_crl(SUB.crl()), SUB.certificate, NOW, 0.0)
    assert listed.inquire() == Standing.REVOKED


def test_the_cache_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuses, "MAX_STATUSES", 2)
    monkeypatch.setattr(statuses, "MAX_LISTS", 2)
    cache = StatusCache(1000.0)
    leaves = [SUB.leaf(f"{number}").certificate for number in range(3)]
    for revocation in (Revocation.GOOD, Revocation.REVOKED):
        for number, leaf in enumerate(leaves):
            status = OcspStatus(revocation, NOW + number * timedelta(seconds=1), NOW + DAY)
            cache.keep(leaf, status, 0.0)
        left = [cache.known(leaf, SUB.certificate, NOW, 0.0) for leaf in leaves]
        expected = [Revocation.UNKNOWN] + [revocation] * 2
        assert left == expected
    authorities = [root(f"{number}", ec_key()) for number in range(3)]
    for authority in authorities:
        cache.keep_list(parse_crl(authority.crl()), authority.certificate, NOW, 0.0)
    checked = len(cache._checked)
    monkeypatch.setattr(statuses, "MAX_CHECKED", checked + 1)
    kept = [cache.known(it.leaf().certificate, it.certificate, NOW, 0.0) for it in authorities]
    assert kept == [Revocation.UNKNOWN, Revocation.GOOD, Revocation.GOOD]
    assert len(cache._checked) == checked + 1


STEP: st.SearchStrategy[Callable[[], bytes]] = st.sampled_from(
    [lambda: b"", lambda: STALE, *(lambda d=days: said(REVOKED, begin=NOW - d * DAY) for days in (1, 2, 3)),
     *(lambda d=days: said(GOOD, begin=NOW - d * DAY) for days in (1, 2, 3))]
)  # fmt: skip


@given(st.lists(STEP, max_size=6), st.lists(st.integers(-40, 40), min_size=6, max_size=6))
def test_the_newest_answer_counts(steps: list[Callable[[], bytes]], hours: list[int]) -> None:
    """Whatever comes in whatever order: a good word of before a revocation never follows it."""
    desk = Desk(policy=StatusPolicy(lists=False))
    newest: datetime | None = None
    for step, shift in zip(steps, hours, strict=False):
        der = step()
        desk.now += 86_401.0
        desk.at = NOW + shift * timedelta(minutes=1)
        desk.answers = {OCSP: der}
        outcome = desk.inquire(LEAF.certificate, SUB.certificate)
        if der and outcome == Standing.REVOKED and der is not STALE:
            response = ocsp.load_der_ocsp_response(der)
            if response.certificate_status is REVOKED:
                newest = max(newest or response.this_update_utc, response.this_update_utc)
        if outcome == Standing.GOOD and newest is not None:
            assert ocsp.load_der_ocsp_response(der).this_update_utc >= newest
