"""The certificate directory: the one place where certificates, lists and responses meet a disk.

:meth:`CertificateFiles.load` reads everything; what cannot be read as a certificate is passed over and named
in ``problems``, so that one broken file disables nothing else. :meth:`CertificateFiles.apply` carries out a
decision's changes in order, each durable before the next.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import CertificateError, CertificateStoreError
from ..pki.certificate import Certificate, parse_bundle, to_pem
from ..pki.crl import RevocationList, parse_crl
from ..pki.path import order_chain
from . import disk
from .decisions import Change, PutCa, PutLeaf, RemoveCa, RemoveIntermediate, RemoveLeaf, Shelf
from .inventory import Inventory, Leaf, LeafUse, TrustUse
from .layout import Layout

_CERTIFICATES = frozenset({".pem", ".crt", ".cer", ".der"})
_LISTS = frozenset({".pem", ".crl", ".der"})
MAX_BUNDLE = 1000
"""Certificates in one file; an operating system's bundle has about 150."""
_INSTALLED = "INSTALLED_"
"""How the names of files begin that were installed as trust anchors, self-signed or not."""


@dataclass(slots=True)
class _Found:
    """What one CA path holds: anchors and sub-CAs, each with the files that it is in."""

    anchors: dict[Certificate, list[Path]] = field(default_factory=dict)
    others: dict[Certificate, list[Path]] = field(default_factory=dict)


class CertificateFiles:
    """Certificates, revocation lists and OCSP responses under a :class:`~ocpp_security.trust.layout.Layout`.

    One owner at a time; not for use from several threads at once.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.problems: tuple[str, ...] = ()
        """What the last load passed over: path and reason."""
        self._ca: dict[TrustUse, _Found] = {}
        self._intermediates: dict[Certificate, list[Path]] = {}
        self._leaves: dict[tuple[LeafUse, Certificate], list[Path]] = {}

    def load(self) -> Inventory:
        """Everything that is installed. Raises CertificateStoreError: a directory cannot be read."""
        problems: list[str] = []
        self._ca = {use: self._load_ca(path, problems) for use, path in self.layout.ca.items()}
        self._intermediates = self._load_all(self.layout.sub_cas, problems)
        for found in self._ca.values():
            for certificate, paths in found.others.items():
                self._intermediates.setdefault(certificate, []).extend(paths)
        anchors = {use: tuple(found.anchors) for use, found in self._ca.items() if found.anchors}
        candidates = tuple(self._load_all(self.layout.fallback, problems))
        fallback = self._fallback(anchors, candidates)
        leftovers = tuple(c for c in candidates if c != fallback)
        retired = tuple(self._load_all(self.layout.retired, problems))
        leaves = self._load_leaves(problems)
        self.problems = tuple(problems)
        return Inventory(anchors, fallback, tuple(self._intermediates), retired, leaves, leftovers)

    def apply(self, changes: Iterable[Change]) -> Inventory:
        """Carry out changes in order and load what is installed then.

        Raises CertificateStoreError: a change failed, and those after it were not tried.
        """
        for change in changes:
            try:
                self._carry_out(change)
            except OSError as error:  # of a look at what is there
                raise CertificateStoreError(f"cannot change {error.filename}: {error.strerror}") from error
        return self.load()

    # Reading.

    def _load_ca(self, path: Path, problems: list[str]) -> _Found:
        found = _Found()
        for certificate, paths in self._load_all(path, problems).items():
            if not certificate.is_ca:
                problems.append(f"{paths[0]}: not a CA certificate")
            elif certificate.self_issued or any(
                file == path or file.name.startswith(_INSTALLED) for file in paths
            ):
                found.anchors[certificate] = paths
            else:
                found.others[certificate] = paths
        return found

    def _load_all(self, path: Path, problems: list[str]) -> dict[Certificate, list[Path]]:
        found: dict[Certificate, list[Path]] = {}
        for file in disk.files(path, _CERTIFICATES):
            for certificate in self._read(file, problems):
                found.setdefault(certificate, []).append(file)
        return found

    def _read(self, file: Path, problems: list[str]) -> tuple[Certificate, ...]:
        try:
            data = disk.read(file)
        except CertificateStoreError as error:  # a bad sector, another user's file
            problems.append(str(error))
            return ()
        if data is None:
            problems.append(f"{file}: too large")
            return ()
        if b"PRIVATE KEY-----" in data and b"-----BEGIN CERTIFICATE-----" not in data:
            return ()  # a key beside its certificate is the key store's business
        try:
            return parse_bundle(data, MAX_BUNDLE)
        except CertificateError as error:
            problems.append(f"{file}: {error}")
            return ()

    @staticmethod
    def _fallback(
        anchors: dict[TrustUse, tuple[Certificate, ...]], candidates: tuple[Certificate, ...]
    ) -> Certificate | None:
        """The fallback is the root that signed the one in force.

        If it is still among the anchors, power was lost while it was being replaced: it has been.
        """
        roots = anchors.get(TrustUse.CSMS, ())
        replaced = {c for c in candidates if c in roots and _signed_another(c, roots)}
        in_force = tuple(root for root in roots if root not in replaced)
        if replaced:
            anchors[TrustUse.CSMS] = in_force
        return next((c for c in candidates if _signed_another(c, in_force)), None)

    def _load_leaves(self, problems: list[str]) -> tuple[Leaf, ...]:
        self._leaves = {}
        longest: dict[tuple[LeafUse, Certificate], Leaf] = {}
        for use, path in self.layout.client.items():
            for file in disk.files(path, _CERTIFICATES):
                certificates = self._read(file, problems)
                if not certificates or certificates[0].is_ca:
                    # A sub-CA beside the leaf: the chain has it, or ca/cso.
                    if not all(certificate.is_ca for certificate in certificates):
                        problems.append(f"{file}: the station's certificate is not the first in its chain")
                    continue
                leaf = Leaf(use, order_chain(certificates[0], certificates[1:]))
                key = (use, leaf.certificate)
                self._leaves.setdefault(key, []).append(file)
                if key not in longest or len(longest[key].chain) < len(leaf.chain):
                    longest[key] = leaf
        return tuple(longest.values())

    # Changing.

    def _carry_out(self, change: Change) -> None:
        match change:
            case PutCa(use, shelf, certificate):
                self._put_ca(use, shelf, certificate)
            case RemoveCa(use, Shelf.ANCHOR, certificate):
                self._take_out(self._ca[use].anchors.get(certificate, ()), certificate)
            case RemoveCa(_, shelf, certificate):
                self._take_out(disk.files(self._shelf(shelf), _CERTIFICATES), certificate)
            case RemoveIntermediate(certificate):
                self._take_out(self._intermediates.get(certificate, ()), certificate)
            case PutLeaf(leaf):
                began = f"{leaf.certificate.not_before:%Y%m%d%H%M%S}"
                name = f"LEAF_{began}_{leaf.certificate.fingerprint[:16]}.pem"
                self._put(self.layout.client[leaf.use] / name, leaf.chain)
            case RemoveLeaf(leaf):
                for path in self._leaves.get((leaf.use, leaf.certificate), ()):
                    disk.remove(path)

    def _put_ca(self, use: TrustUse, shelf: Shelf, certificate: Certificate) -> None:
        directory = self.layout.ca[use] if shelf is Shelf.ANCHOR else self._shelf(shelf)
        if directory.is_file() or (directory.suffix in _CERTIFICATES and not directory.is_dir()):
            self._put_in_bundle(directory, certificate)
        else:
            self._put(directory / f"{_INSTALLED}{certificate.fingerprint[:16]}.pem", (certificate,))

    @staticmethod
    def _put(path: Path, certificates: tuple[Certificate, ...]) -> None:
        """Write a file, if the directory has room for one that will be read again."""
        present = disk.files(path.parent, _CERTIFICATES)
        if path not in present and len(present) >= disk.MAX_FILES:
            raise CertificateStoreError(f"cannot write {path}: there are {len(present)} files")
        disk.write(path, to_pem(certificates).encode())

    @staticmethod
    def _put_in_bundle(path: Path, certificate: Certificate) -> None:
        """Add to a bundle what will be read again with it; an empty or missing one is begun."""
        data = disk.read(path) if path.exists() else b""
        try:
            present = () if data == b"" else parse_bundle(data or b"", MAX_BUNDLE)
        except CertificateError as error:
            raise CertificateStoreError(f"cannot add to {path}: {error}") from error
        if len(present) >= MAX_BUNDLE:
            raise CertificateStoreError(f"cannot add to {path}: it has {len(present)} certificates")
        disk.write(path, to_pem((*present, certificate)).encode())

    def _shelf(self, shelf: Shelf) -> Path:
        return self.layout.fallback if shelf is Shelf.FALLBACK else self.layout.retired

    def _take_out(self, paths: Iterable[Path], certificate: Certificate) -> None:
        """Remove a certificate from files; a bundle keeps the others."""
        for path in dict.fromkeys(paths):
            try:
                rest = tuple(c for c in parse_bundle(disk.read(path) or b"", MAX_BUNDLE) if c != certificate)
            except CertificateError:
                continue  # it was not loaded from a file that cannot be read
            if rest:
                disk.write(path, to_pem(rest).encode())
            else:
                disk.remove(path)

    # For others.

    def leaf_files(self, leaf: Leaf) -> tuple[Path, ...]:
        """The files that a leaf was loaded from, by name."""
        return tuple(self._leaves.get((leaf.use, leaf.certificate), ()))

    def write_verify_file(self, use: TrustUse, anchors: tuple[Certificate, ...]) -> Path:
        """A bundle of trust anchors for a TLS stack that wants a file; written only if it changed."""
        path = self.layout.verify / f"{use.value}.pem"
        content = to_pem(anchors).encode()
        if disk.read(path) != content:
            disk.write(path, content)
        return path

    def load_crls(self) -> tuple[RevocationList, ...]:
        """The revocation lists of the directory; unreadable ones are passed over."""
        lists = []
        for file in disk.files(self.layout.crl, _LISTS):
            try:
                lists.append(parse_crl(disk.read(file) or b""))
            except CertificateError:
                continue
        return tuple(lists)

    def write_crl(self, name: str, crl: RevocationList) -> None:
        """Keep a list under a name of ours, replacing the one before."""
        disk.write(self.layout.crl / f"{name}.pem", crl.pem.encode())

    def load_ocsp(self, certificate: Certificate) -> bytes | None:
        """The cached OCSP response (DER) about a certificate."""
        return disk.read(self.layout.ocsp / f"{certificate.fingerprint}.der")

    def write_ocsp(self, certificate: Certificate, response: bytes) -> None:
        """Cache an OCSP response about a certificate."""
        disk.write(self.layout.ocsp / f"{certificate.fingerprint}.der", response)

    def forget_ocsp(self, certificates: Iterable[Certificate]) -> None:
        """Remove the cached responses about certificates that are no longer installed."""
        for certificate in certificates:
            disk.remove(self.layout.ocsp / f"{certificate.fingerprint}.der")


def _signed_another(issuer: Certificate, certificates: Iterable[Certificate]) -> bool:
    return any(c != issuer and c.issued_by(issuer) for c in certificates)
