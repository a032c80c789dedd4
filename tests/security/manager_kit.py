"""A manager with real files and keys in a temporary folder, and what tests ask of it."""

from datetime import datetime
from pathlib import Path

from ocpp_security.keys import FileKeyStore
from ocpp_security.manager import CertificateConfig, CertificateManager
from ocpp_security.pki.properties import StationSubject
from ocpp_security.questions import (
    ChainKind,
    Installed,
    InstalledChain,
    ListCertificates,
    MakeSigningRequest,
    Outcome,
    SigningRequest,
    TakeSigned,
)
from ocpp_security.trust.files import CertificateFiles
from ocpp_security.trust.inventory import LeafUse, TrustUse
from ocpp_security.trust.layout import Layout
from tests.security.pki_kit import NOW, pem, root

STATION, V2G = LeafUse.CHARGING_STATION, LeafUse.V2G
SUBJECT = StationSubject("SN-0001", "Operator")
SECC = StationSubject("SECC1", "Operator", "DE", "CPO")
CONFIG = CertificateConfig({STATION: SUBJECT, V2G: SECC})
CSMS_ROOT = root("CSMS root")
V2G_ROOT = root("V2G root")
V2G_SUB = V2G_ROOT.sub("V2G sub", responder="http://ocsp.example/root")
URL = "http://ocsp.example/sub"
STRANGER = root("Stranger")


def open_manager(path: Path, config: CertificateConfig = CONFIG) -> CertificateManager:
    return CertificateManager(CertificateFiles(Layout.under(path)), FileKeyStore(path / "keys"), config)


def ask(manager: CertificateManager, use: LeafUse = STATION, at: datetime = NOW) -> SigningRequest:
    request = manager.answer(MakeSigningRequest(use), at)
    assert isinstance(request, SigningRequest)
    return request


def take(
    manager: CertificateManager, chain: str, at: datetime = NOW, request_id: int | None = None
) -> Outcome:
    outcome = manager.answer(TakeSigned(chain, request_id=request_id), at)
    assert isinstance(outcome, Outcome)
    return outcome


def renew(manager: CertificateManager, at: datetime = NOW, **wish: object) -> str:
    """A station certificate that was asked for and taken."""
    begin = wish.pop("begin", at)
    chain = pem(CSMS_ROOT.sign_csr(ask(manager, at=at).csr, begin=begin, **wish))
    assert take(manager, chain, at).accepted
    return chain


def renew_v2g(manager: CertificateManager) -> str:
    leaf = V2G_SUB.sign_csr(ask(manager, V2G).csr, responder=URL)
    chain = pem(leaf, V2G_SUB)
    assert take(manager, chain).accepted
    return chain


def listed(manager: CertificateManager, *kinds: TrustUse | ChainKind) -> tuple[InstalledChain, ...]:
    answer = manager.answer(ListCertificates(frozenset(kinds)), NOW)
    assert isinstance(answer, Installed)
    return answer.chains
