"""Certificates of one station: questions in, answers out, files and keys behind it."""

from datetime import datetime

from .certificates.context import CertificateConfig, Context
from .certificates.own import LeafInfo, OwnCertificates
from .certificates.roots import Roots
from .certificates.signing import Signing
from .certificates.status import StatusEvidence
from .certificates.vehicle import VehicleStatus
from .keys.store import KeyStore
from .questions import (
    Answer,
    CheckFileSignature,
    CheckLeaf,
    CheckProfile,
    CheckSigningCertificate,
    Connected,
    DeleteCertificate,
    Installed,
    InstallRoot,
    ListCertificates,
    ListOcspRequests,
    MakeSigningRequest,
    OcspRequests,
    Question,
    TakeOcspResponse,
    TakeSigned,
)
from .trust.files import CertificateFiles
from .trust.inventory import Inventory

__all__ = ["CertificateConfig", "CertificateManager", "LeafInfo"]


class CertificateManager:
    """The certificates of one station.

    Arguments:
        files: the certificate directory.
        keys: where private keys are.
        config: policies and names.

    ``roots``, ``own``, ``status``, ``signing`` and ``vehicles`` do the work and can be called directly;
    :meth:`answer` is for machines that ask questions. Calls read and write files and use keys, so they take a
    while; one at a time. Raises CertificateStoreError if the directory cannot be read; later failures are
    answers.
    """

    def __init__(self, files: CertificateFiles, keys: KeyStore, config: CertificateConfig) -> None:
        self._context = Context(files, keys, config, files.load())
        self.roots = Roots(self._context)
        self.own = OwnCertificates(self._context)
        self.status = StatusEvidence(self._context)
        self.signing = Signing(self._context, self.status)
        self.vehicles = VehicleStatus(self._context)

    @property
    def config(self) -> CertificateConfig:
        """Policies and names; what is assigned holds from the next call on."""
        return self._context.config

    @config.setter
    def config(self, config: CertificateConfig) -> None:
        self._context.config = config

    @property
    def inventory(self) -> Inventory:
        """What is installed."""
        return self._context.inventory

    def reload(self) -> Inventory:
        """Read the directory again, after somebody else changed it. Raises CertificateStoreError."""
        self._context.inventory = self._context.files.load()
        return self.inventory

    def update_links(self, at: datetime) -> None:
        """Re-point the symbolic links to the newest valid certificates, as when one becomes valid.

        Every CheckLeaf does the same, so that a link that failed is mended with the next; this says why not.
        Raises CertificateStoreError, or OcppError if the keys cannot be reached.
        """
        self._context.update_links(at)

    def answer(self, question: Question, at: datetime) -> Answer:
        """Answer any question at UTC ``at``; what a peer sent never raises."""
        match question:
            case InstallRoot(use, certificate, secure):
                return self.roots.install(use, certificate, at, secure=secure)
            case DeleteCertificate(name):
                return self.roots.delete(name, at)
            case ListCertificates(kinds):
                return Installed(self.roots.installed(kinds, at))
            case MakeSigningRequest(leaf_use):
                return self.own.make_request(leaf_use, at)
            case TakeSigned(chain, wanted, request_id):
                return self.own.take(chain, at, use=wanted, request_id=request_id)
            case CheckLeaf(leaf_use):
                self._context.mend_links(at)
                return self.own.state(leaf_use, at)
            case CheckProfile(profile):
                return self.own.check_profile(profile, at)
            case Connected(root, leaf):
                return self.own.connected(root, leaf, at)
            case ListOcspRequests() | TakeOcspResponse():
                return self._about_status(question, at)
            case CheckSigningCertificate(certificate):
                return self.signing.check_certificate(certificate, at)
            case CheckFileSignature(file, certificate, signature):
                return self.signing.check_file(file, certificate, signature, at)

    def _about_status(self, question: ListOcspRequests | TakeOcspResponse, at: datetime) -> Answer:
        if isinstance(question, TakeOcspResponse):
            return self.status.take_response(question.name, question.response, at)
        return OcspRequests(self.status.v2g_requests(at))
