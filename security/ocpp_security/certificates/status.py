"""Revocation: what to ask, what was answered, and what follows for a path (use case M06, CRLs)."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime

from ..errors import CertificateError, CertificateStoreError, Fault
from ..pki.certificate import Certificate, parse_bundle, parse_der
from ..pki.crl import RevocationList, check_crl, parse_crl
from ..pki.hashdata import CertificateHashData
from ..pki.ocsp import OcspRequestData, OcspStatus, request_data, verify_response
from ..pki.path import Path, find_path
from ..pki.revocation import Evidence, check_revocation
from ..questions import Outcome
from ..trust.decisions import Status
from ..trust.inventory import TrustUse
from .context import Context
from .roots import V2G_USES


class StatusEvidence:
    """Revocation lists and OCSP responses, kept and consulted."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def verify(
        self, pem: str, uses: Sequence[TrustUse], at: datetime, *, require_status: bool = False
    ) -> Path:
        """The path of a chain (leaf first) to a root of one of the uses, not revoked as far as is known.

        Raises CertificateError, CertificateStoreError.
        """
        return self._judged(parse_bundle(pem), uses, at, require_status)

    def verify_chain(
        self, chain: Sequence[bytes], uses: Sequence[TrustUse], at: datetime, *, require_status: bool = False
    ) -> Path:
        """The same for what TLS has: certificates in DER, the peer's own first.

        The path's anchor is what :class:`~ocpp_security.questions.Connected` wants to know. OpenSSL cannot
        say it: it goes on to a self-signed root, past one that replaced another (M05.FR.13).
        """
        return self._judged(tuple(map(parse_der, chain)), uses, at, require_status)

    def evidence(self) -> Evidence:
        """The lists and responses at hand. Raises CertificateStoreError."""
        return Evidence(self._context.files.load_crls(), self._context.files.load_ocsp)

    def v2g_requests(self, at: datetime) -> tuple[OcspRequestData, ...]:
        """What to ask about every valid V2G chain: leaves and sub-CAs, each once (M06.FR.06, M06.FR.07)."""
        algorithm = self._context.config.hash_algorithm
        requests = (
            request for path in self._v2g_paths(at) for request in request_data(path.certificates, algorithm)
        )
        return tuple(dict.fromkeys(requests))

    def contract_requests(self, pem: str, at: datetime) -> tuple[OcspRequestData, ...]:
        """What Authorize says of a contract certificate's chain (C07, iso15118CertificateHashData).

        Raises CertificateError: it has no path to an MO or V2G root.
        """
        path = self._path(parse_bundle(pem), (TrustUse.MO, TrustUse.V2G), at)
        return request_data(path.certificates, self._context.config.hash_algorithm)

    def take_response(self, name: CertificateHashData, response: str, at: datetime) -> Outcome:
        """Keep an OCSP response (DER in base64) about a certificate of a V2G chain.

        It must be current, and its signer entitled; what it says is in ``detail``. If a newer one is in the
        cache, that one stays and is what counts: a responder lags behind, or somebody replays.
        """
        try:
            der = binascii.a2b_base64("".join(response.split()).encode(), strict_mode=True)
            certificate, issuer = self._pair(name, at)
            status = verify_response(der, certificate, issuer, at)
            kept = self._kept_response(certificate, issuer, at)
            if kept is not None and kept[1].this_update > status.this_update:
                return Outcome(Status.ACCEPTED, detail=kept[1].revocation)
            self._context.files.write_ocsp(certificate, der)
        except CertificateError as error:
            return Outcome(Status.REJECTED, error.fault, error.detail)
        except (binascii.Error, UnicodeEncodeError):
            return Outcome(Status.REJECTED, Fault.MALFORMED, "base64")
        except CertificateStoreError as error:
            return Outcome(Status.FAILED, Fault.STORAGE_FAILED, str(error))
        return Outcome(Status.ACCEPTED, detail=status.revocation)

    def response(self, certificate: Certificate, at: datetime) -> bytes | None:
        """The cached OCSP response (DER) to staple, as long as it is current.

        Raises CertificateStoreError.
        """
        issuer = self._context.inventory.issuer(certificate)
        kept = None if issuer is None else self._kept_response(certificate, issuer, at)
        return None if kept is None else kept[0]

    def response_base64(self, certificate: Certificate, at: datetime) -> str | None:
        """The same as text, as ISO 15118 and OCPP carry it."""
        der = self.response(certificate, at)
        return None if der is None else base64.b64encode(der).decode("ascii")

    def take_crl(self, data: bytes, at: datetime) -> Outcome:
        """Keep a revocation list (PEM or DER) that an installed CA signed, in place of that CA's last.

        An older one than is at hand is refused (NOT_CURRENT): it would take back what was revoked since.
        """
        fault = CertificateError(Fault.WRONG_SUBJECT, "no CA of that name is installed")
        try:
            crl = parse_crl(data)
            if crl.scope is not None:  # one list is kept of each CA
                raise CertificateError(Fault.WRONG_SUBJECT, "a list of some certificates only")
            for issuer in dict.fromkeys(self._context.inventory.known()):
                if issuer.subject_der != crl.issuer_der:
                    continue
                try:
                    check_crl(crl, issuer, at)
                except CertificateError as error:
                    fault = error
                    continue
                newest = self._newest_list(issuer, at)
                if newest is not None and newest > crl.this_update:
                    raise CertificateError(Fault.NOT_CURRENT, f"there is a list of {newest}")
                self._context.files.write_crl(issuer.fingerprint, crl)
                return Outcome(Status.ACCEPTED)
        except CertificateError as error:
            fault = error
        except CertificateStoreError as error:
            return Outcome(Status.FAILED, Fault.STORAGE_FAILED, str(error))
        return Outcome(Status.REJECTED, fault.fault, fault.detail)

    def _newest_list(self, issuer: Certificate, at: datetime) -> datetime | None:
        """When the newest credible list of an issuer that is at hand was made."""
        lists = self._context.files.load_crls()
        return max((crl.this_update for crl in lists if _credible(crl, issuer, at)), default=None)

    def _kept_response(
        self, certificate: Certificate, issuer: Certificate, at: datetime
    ) -> tuple[bytes, OcspStatus] | None:
        """The response in the cache (DER) and what it says, as long as it can be believed."""
        der = self._context.files.load_ocsp(certificate)
        try:
            return None if der is None else (der, verify_response(der, certificate, issuer, at))
        except CertificateError:
            return None

    def _judged(
        self, certificates: tuple[Certificate, ...], uses: Sequence[TrustUse], at: datetime, require: bool
    ) -> Path:
        path = self._path(certificates, uses, at)
        check_revocation(path, self.evidence(), at, require=require)
        return path

    def _path(self, certificates: tuple[Certificate, ...], uses: Sequence[TrustUse], at: datetime) -> Path:
        if not certificates:
            raise CertificateError(Fault.MALFORMED, "no certificate")
        inventory = self._context.inventory
        anchors = [root for use in uses for root in inventory.trusted(use)]
        return find_path(certificates[0], (*certificates[1:], *inventory.intermediates), anchors, at)

    def _v2g_paths(self, at: datetime) -> list[Path]:
        inventory = self._context.inventory
        return [inventory.path(leaf, at) for use in V2G_USES for leaf in inventory.valid(use, at)]

    def _pair(self, name: CertificateHashData, at: datetime) -> tuple[Certificate, Certificate]:
        """The certificate of a V2G chain that is named so, and its issuer."""
        for path in self._v2g_paths(at):
            for certificate, issuer in path.links():
                if self._context.inventory.named(certificate, name):
                    return certificate, issuer
        raise CertificateError(Fault.WRONG_SUBJECT, "no certificate of a V2G chain is named so")


def _credible(crl: RevocationList, issuer: Certificate, at: datetime) -> bool:
    try:
        check_crl(crl, issuer, at)
    except CertificateError:
        return False
    return True
