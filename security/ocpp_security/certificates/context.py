"""What the parts of the manager share: the directory, the keys, the policies, and what is installed."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from ocpp_core.errors import OcppError

from ..errors import CertificateStoreError, Fault
from ..keys.errors import KeyNotFoundError, KeyStoreError
from ..keys.store import KeyAlgorithm, KeyStore
from ..pki.hashdata import HashAlgorithm
from ..pki.properties import StationSubject
from ..questions import Outcome, SecurityEvent
from ..trust import links
from ..trust.decisions import Change, Decision, RemoveLeaf, Status, TrustPolicy
from ..trust.files import CertificateFiles
from ..trust.inventory import Inventory, LeafUse
from ..trust.leaves import LeafPolicy

RECONFIGURED = (SecurityEvent.RECONFIGURATION_OF_SECURITY_PARAMETERS,)


@dataclass(frozen=True, slots=True)
class CertificateConfig:
    """What the operator and the manufacturer decide."""

    subjects: Mapping[LeafUse, StationSubject] = field(default_factory=dict)
    """Whose name goes into CSRs, by use."""
    alternative_names: Mapping[LeafUse, Sequence[str]] = field(default_factory=dict)
    """Host names and IP addresses that CSRs ask for besides."""
    trust: TrustPolicy = field(default_factory=TrustPolicy)
    leaves: LeafPolicy = field(default_factory=LeafPolicy)
    hash_algorithm: HashAlgorithm = HashAlgorithm.SHA256
    """In which certificates are listed and OCSP is asked; the CSMS deletes in the same (M04.FR.07)."""
    links: Mapping[LeafUse, Path] = field(default_factory=dict)
    """Symbolic links to keep up to date (UpdateCertificateSymlinks), each in a directory that exists."""
    key_algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256
    """Of the key pairs that are made for CSRs; and where it is another:"""
    key_algorithms: Mapping[LeafUse, KeyAlgorithm] = field(
        default_factory=lambda: {LeafUse.V2G20: KeyAlgorithm.EC_P521}
    )
    accept_pkcs1: bool = False
    """Whether firmware may be signed with PKCS #1 v1.5 padding, which the standard does not provide for."""
    require_status: bool = False
    """Whether a signing certificate that names a responder or list is refused while its status is unknown."""


@dataclass(slots=True)
class Context:
    """The one mutable state behind a manager."""

    files: CertificateFiles
    keys: KeyStore
    config: CertificateConfig
    inventory: Inventory
    in_use: frozenset[str] = frozenset()
    """Fingerprints of what the connection to the CSMS rests on."""
    _public: dict[str, bytes] = field(default_factory=dict)
    """Public keys by name as they were read: in a TPM each costs its time."""

    def carry_out(self, decision: Decision, at: datetime) -> Outcome:
        """Make a decision's changes; FAILED if the disk does not let us.

        Once they are made they count. What has to follow (a key goes, a link moves) may fail, which does not
        undo them: ``fault`` and ``detail`` of what was accepted tell it.
        """
        if not decision.changes:
            return Outcome(decision.status, decision.fault, decision.detail)
        try:
            self.inventory = self.files.apply(decision.changes)
        except OcppError as error:
            return self._failed(str(error))
        fault, detail = decision.fault, decision.detail
        for follow_up in (partial(self._drop_with, decision.changes), partial(self.update_links, at)):
            try:
                follow_up()
            except OcppError as error:
                fault, detail = Fault.STORAGE_FAILED, f"{detail}; {error}" if detail else str(error)
        return Outcome(decision.status, fault, detail, RECONFIGURED)

    def update_links(self, at: datetime) -> None:
        """Re-point the symbolic links to the newest valid certificates with a key.

        A link to a valid certificate stays while its key may be one that cannot be loaded now: a TPM that is
        away, a secret that is not mounted yet.

        Raises CertificateStoreError, or OcppError if the keys cannot be reached.
        """
        if not self.config.links:
            return
        names = self.key_names()
        hidden = not set(self.keys.names()) <= set(names.values())
        for use, link in self.config.links.items():
            valid = self.inventory.valid(use, at)
            leaf = next((f for f in valid if f.key_octets in names), None)
            if leaf is not None:
                links.point(link, leaf, self.keys.path(names[leaf.key_octets]))
            elif not (hidden and any(links.leads_to(link, f) for f in valid)):
                links.remove(link)

    def mend_links(self, at: datetime) -> None:
        """Do what :meth:`update_links` does, if it can be done: what stood in its way may be gone."""
        with suppress(OcppError):
            self.update_links(at)

    def key_names(self) -> dict[bytes, str]:
        """The name of every usable key by its public key.

        One that cannot be loaded (another's password, damaged) is as good as none. Raises KeyStoreError: the
        keys cannot be listed.
        """
        names = self.keys.names()
        self._public = {name: octets for name, octets in self._public.items() if name in names}
        for name in names:
            if name not in self._public:
                with suppress(KeyStoreError):
                    self._public[name] = self.keys.load(name).public_octets
        return {octets: name for name, octets in self._public.items()}

    def delete_key(self, name: str) -> None:
        """Destroy a key; one that is gone is no error. Raises KeyStoreError."""
        with suppress(KeyNotFoundError):
            self.keys.delete(name)

    def _drop_with(self, changes: tuple[Change, ...]) -> None:
        """With a removed chain go its OCSP responses and its key, unless another chain has the same."""
        removed = [change.leaf for change in changes if isinstance(change, RemoveLeaf)]
        if not removed:
            return
        kept = {certificate for leaf in self.inventory.leaves for certificate in leaf.chain}
        self.files.forget_ocsp(dict.fromkeys(c for leaf in removed for c in leaf.chain if c not in kept))
        unused = {leaf.key_octets for leaf in removed} - {leaf.key_octets for leaf in self.inventory.leaves}
        names = self.key_names()
        for octets in unused & names.keys():
            self.delete_key(names[octets])

    def _failed(self, detail: str) -> Outcome:
        """Something was not carried out: what is installed is what the directory says."""
        try:
            self.inventory = self.files.load()
        except CertificateStoreError as error:
            detail = f"{detail}; {error}"
        return Outcome(Status.FAILED, Fault.STORAGE_FAILED, detail)
