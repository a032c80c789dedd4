"""Questions that a station asks about certificates, and their answers: plain data for blocks A and M.

A question is answered by :meth:`ocpp_security.manager.CertificateManager.answer`, which may take its time (a
disk, a TPM) and is therefore called wherever that does not matter; the answer goes back to who asked.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from ocpp_core.domain.security import SecurityEvent as SecurityEvent

from .errors import Fault
from .pki.certificate import Certificate
from .pki.hashdata import CertificateHashData
from .pki.ocsp import OcspRequestData
from .trust.decisions import Status
from .trust.inventory import LeafUse, TrustUse


class ChainKind(StrEnum):
    """Kinds that can be listed besides roots."""

    V2G = "V2GCertificateChain"


Kind: TypeAlias = TrustUse | ChainKind


# Questions.


@dataclass(frozen=True, slots=True)
class InstallRoot:
    """M05: may this root be installed? Answered with an :class:`Outcome`."""

    use: TrustUse
    certificate: str
    """PEM."""
    secure: bool = True
    """Whether the connection it came over has security profile 2 or 3."""


@dataclass(frozen=True, slots=True)
class DeleteCertificate:
    """M04: delete what is named so. Answered with an :class:`Outcome`."""

    name: CertificateHashData


@dataclass(frozen=True, slots=True)
class ListCertificates:
    """M03: what is installed of these kinds; none named means all. Answered with :class:`Installed`."""

    kinds: frozenset[Kind] = frozenset()


@dataclass(frozen=True, slots=True)
class MakeSigningRequest:
    """A02, A03: make a key pair and a CSR. Answered with :class:`SigningRequest`, or an :class:`Outcome` that
    failed."""

    use: LeafUse


@dataclass(frozen=True, slots=True)
class TakeSigned:
    """A02.FR.06: take this chain? Answered with an :class:`Outcome`."""

    chain: str
    """PEM, leaf first."""
    use: LeafUse | None = None
    request_id: int | None = None


@dataclass(frozen=True, slots=True)
class CheckLeaf:
    """How long is a use served? Answered with :class:`LeafState`."""

    use: LeafUse


@dataclass(frozen=True, slots=True)
class CheckProfile:
    """A05: is everything there that a security profile needs? Answered with an :class:`Outcome`."""

    profile: int
    """0 to 3."""


@dataclass(frozen=True, slots=True)
class ListOcspRequests:
    """M06: which certificates of the V2G chains to ask about. Answered with :class:`OcspRequests`."""


@dataclass(frozen=True, slots=True)
class TakeOcspResponse:
    """M06: keep this response, if it can be believed. Answered with an :class:`Outcome`."""

    name: CertificateHashData
    response: str
    """DER in base64, as GetCertificateStatusResponse.ocspResult."""


@dataclass(frozen=True, slots=True)
class CheckSigningCertificate:
    """L01.FR.21, L01.FR.22: may this certificate sign firmware? Answered with an :class:`Outcome`."""

    certificate: str
    """PEM; further certificates in it are its sub-CAs."""


@dataclass(frozen=True, slots=True)
class CheckFileSignature:
    """L01.FR.04, L01.FR.12: is this file signed with that certificate? Answered with an :class:`Outcome`."""

    file: Path
    certificate: str
    signature: str
    """Base64."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The station is connected: what the connection rests on. Answered with an :class:`Outcome`, after what
    was kept for the case that this fails has been dropped (M05.FR.13, A02.FR.10)."""

    root: Certificate | None = None
    """Where the CSMS's path ended."""
    leaf: Certificate | None = None
    """The station's certificate."""


Question: TypeAlias = (
    InstallRoot
    | DeleteCertificate
    | ListCertificates
    | MakeSigningRequest
    | TakeSigned
    | CheckLeaf
    | CheckProfile
    | ListOcspRequests
    | TakeOcspResponse
    | CheckSigningCertificate
    | CheckFileSignature
    | Connected
)


# Answers.


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether it was done, and if not, why; ``events`` are to be reported (A04)."""

    status: Status
    fault: Fault | None = None
    """Why it was not done; of what was accepted, what failed afterwards and will be mended (a link)."""
    detail: str = ""
    """For people: what was wrong with what; never a secret. With STORAGE_FAILED it names local paths, and is
    for the local log only."""
    events: tuple[SecurityEvent, ...] = ()
    use: LeafUse | None = None
    """For a chain that was taken or refused: whose it is, if that is known."""
    valid_from: datetime | None = None
    """For a chain that was taken: from when it can be used (UTC)."""

    @property
    def accepted(self) -> bool:
        """Whether it was done."""
        return self.status is Status.ACCEPTED


@dataclass(frozen=True, slots=True)
class InstalledChain:
    """One installed certificate, a V2G leaf with its sub-CAs (CertificateHashDataChainType)."""

    kind: Kind
    name: CertificateHashData
    children: tuple[CertificateHashData, ...] = ()


@dataclass(frozen=True, slots=True)
class Installed:
    """What is installed, in an order that does not change by itself."""

    chains: tuple[InstalledChain, ...]


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """A CSR to send (SignCertificateRequest)."""

    use: LeafUse
    request_id: int
    csr: str
    """PEM (A02.FR.03)."""
    root: CertificateHashData | None = None
    """Under which V2G root, if there is just one (A02.FR.27)."""


@dataclass(frozen=True, slots=True)
class LeafState:
    """How long a use is served; certificates whose key is lost do not count."""

    use: LeafUse
    expires: datetime | None
    """When the first of its current certificates expires (UTC); None: there is none."""
    next_valid: datetime | None = None
    """When one that is installed and not valid yet becomes so."""


@dataclass(frozen=True, slots=True)
class OcspRequests:
    """What to ask the CSMS, one GetCertificateStatusRequest each."""

    requests: tuple[OcspRequestData, ...]


Answer: TypeAlias = Outcome | Installed | SigningRequest | LeafState | OcspRequests
