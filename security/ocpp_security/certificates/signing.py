"""Signatures on firmware and logs: who may sign, and whether they did (L01.FR.04, L01.FR.12, L01.FR.21)."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from ..errors import CertificateError, CertificateStoreError, Fault
from ..pki.certificate import parse_bundle
from ..pki.properties import check_usage
from ..pki.signature import check_data_signature
from ..questions import Outcome, SecurityEvent
from ..trust.decisions import Status
from ..trust.inventory import TrustUse
from .context import Context
from .status import StatusEvidence

_CHUNK = 1 << 20


class Signing:
    """Checks of signing certificates and of what they signed.

    Firmware is signed in the manufacturer's hierarchy, a log by a station's own certificate, which is in the
    operator's: ``trust`` says which.
    """

    def __init__(self, context: Context, status: StatusEvidence) -> None:
        self._context = context
        self._status = status

    def check_certificate(self, pem: str, at: datetime, trust: TrustUse = TrustUse.MANUFACTURER) -> Outcome:
        """Whether a certificate (further ones in ``pem`` are its sub-CAs) may sign (L01.FR.21, L01.FR.22)."""
        try:
            require = self._context.config.require_status
            path = self._status.verify(pem, (trust,), at, require_status=require)
            check_usage(path.leaf)
        except CertificateError as error:
            return _refused(error, SecurityEvent.INVALID_FIRMWARE_SIGNING_CERTIFICATE, trust)
        except CertificateStoreError as error:
            return Outcome(Status.FAILED, Fault.STORAGE_FAILED, str(error))
        return Outcome(Status.ACCEPTED)

    def check_file(
        self, file: Path, pem: str, signature: str, at: datetime, trust: TrustUse = TrustUse.MANUFACTURER
    ) -> Outcome:
        """Whether a file is signed (base64) with a certificate that may sign."""
        try:
            with file.open("rb") as stream:
                return self.check_data(iter(lambda: stream.read(_CHUNK), b""), pem, signature, at, trust)
        except OSError as error:
            return Outcome(Status.FAILED, Fault.STORAGE_FAILED, f"cannot read {file}: {error.strerror}")

    def check_data(
        self,
        chunks: Iterable[bytes] | Iterator[bytes],
        pem: str,
        signature: str,
        at: datetime,
        trust: TrustUse = TrustUse.MANUFACTURER,
    ) -> Outcome:
        """The same for data in pieces."""
        allowed = self.check_certificate(pem, at, trust)
        if not allowed.accepted:
            return allowed
        key = parse_bundle(pem)[0].public_key
        try:
            check_data_signature(key, signature, chunks, accept_pkcs1=self._context.config.accept_pkcs1)
        except CertificateError as error:
            return _refused(error, SecurityEvent.INVALID_FIRMWARE_SIGNATURE, trust)
        return Outcome(Status.ACCEPTED)


def _refused(error: CertificateError, event: SecurityEvent, trust: TrustUse) -> Outcome:
    """What is no firmware is no event of the standard's."""
    events = (event,) if trust is TrustUse.MANUFACTURER else ()
    return Outcome(Status.REJECTED, error.fault, error.detail, events)
