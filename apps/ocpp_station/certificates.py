"""Where the station's certificates and keys are now. Needs the extra ``security``, for a TPM ``tpm``."""

import ssl
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from ocpp_core import ConfigurationError
from ocpp_security.keys import FileKeyStore, KeyStoreError, SecretSource, no_secret, secret_file
from ocpp_security.keys.tss2 import is_tpm_file
from ocpp_security.trust.files import CertificateFiles
from ocpp_security.trust.inventory import Inventory, Leaf, LeafUse, TrustUse
from ocpp_security.trust.layout import Layout

from .material import Find, Material
from .security import Security, Tpm

if TYPE_CHECKING:
    from ocpp_security.tpm import TpmConnection

_USE = LeafUse.CHARGING_STATION


def finder(security: Security, own: bool, turn: int) -> Find:
    """What finds the material for a context: in the ``directory``, or in the files that are named.

    Arguments:
        security: says where.
        own: whether a certificate of the station itself is wanted.
        turn: which of those in the directory, newest first and again from the first.

    Raises:
        ConfigurationError: the key is a TPM's, and the extra ``tpm`` is not installed.
    """
    if security.directory is not None:
        return Directory(security, security.directory, turn if own else None).find
    assert security.chain is not None, "who wants a certificate has one"
    assert security.key is not None, "a chain has a key"
    open_keys(security, security.key.parent, [security.key])
    return partial(_named, security, security.chain, security.key)


def _named(security: Security, chain: Path, key: Path) -> Material:
    def use(context: ssl.SSLContext) -> None:
        store = open_keys(security, key.parent, [key])
        store.load_file(key.stem, key).use_for_tls(context, chain)

    return Material(security.trust, security.crls, (chain, key), use)


class Directory:
    """A certificate directory; ``turn`` None: without certificates of the station's own."""

    def __init__(self, security: Security, root: Path, turn: int | None) -> None:
        self._security = security
        self._layout = Layout.under(root)
        self._keys = self._layout.client[_USE]
        self._turn = turn
        if turn is not None:
            self._key_names()

    def find(self) -> Material:
        """Look what is there. Raises OcppError: no root, no certificate with its key, unreadable."""
        files = CertificateFiles(self._layout)
        inventory = files.load()
        trust, crls = self._security.trust, (*self._security.crls, *sorted(self._layout.crl.glob("*.pem")))
        if anchors := inventory.trusted(TrustUse.CSMS):
            trust = (*trust, files.write_verify_file(TrustUse.CSMS, anchors))
        elif not trust:
            raise ConfigurationError(f"there is no root certificate in {self._layout.ca[TrustUse.CSMS]}")
        if self._turn is None:
            return Material(trust, crls)
        leaf, name = self._choose(inventory, self._turn)
        chain, key = _pem_of(files.leaf_files(leaf)), self._keys / f"{name}.key"
        return replace(_named(self._security, chain, key), trust=trust, crls=crls)

    def served(self) -> bool:
        """Whether there is a certificate of the station. Raises OcppError: unreadable."""
        return bool(CertificateFiles(self._layout).load().of_use(_USE))

    def _choose(self, inventory: Inventory, turn: int) -> tuple[Leaf, str]:
        """The certificate whose turn it is, and the name of its key: of the valid ones newest first, else of
        those that are not valid, as the CSMS decides what to do about them (A00.FR.430)."""
        leaves = inventory.valid(_USE, datetime.now(UTC)) or inventory.of_use(_USE)
        names, troubles = self._key_names()
        candidates = [(leaf, names[leaf.key_octets]) for leaf in leaves if leaf.key_octets in names]
        if not candidates:
            nothing = f"there is no certificate with its key in {self._keys}"
            raise ConfigurationError("; ".join((nothing, *troubles)))
        return candidates[turn % len(candidates)]

    def _key_names(self) -> tuple[dict[bytes, str], list[str]]:
        """The names of the keys by their public halves; and why others cannot be used, which need not matter:
        a sub-CA's has another password."""
        names: dict[bytes, str] = {}
        troubles: list[str] = []
        if self._keys.is_dir():
            store = open_keys(self._security, self._keys, self._keys.glob("*.key"))
            for name in store.names():
                try:
                    names[store.load(name).public_octets] = name
                except KeyStoreError as error:
                    troubles.append(f"{name}: {error}")
        return names, troubles


def open_keys(security: Security, directory: Path, files: Iterable[Path]) -> FileKeyStore:
    """A store for key files, with a TPM behind it if one of them is a TPM's, or if one is configured.

    Raises:
        ConfigurationError: the extra ``tpm`` is not installed. KeyStoreError, OSError.
    """
    password = _source(security.key_password_file)
    tpm = security.tpm
    if tpm is None and any(is_tpm_file(file.read_bytes()) for file in files):
        tpm = Tpm()
    if tpm is None:
        return FileKeyStore(directory, password)
    try:
        from ocpp_security.tpm import TpmKeyStore
    except ImportError as error:
        raise ConfigurationError(str(error)) from error
    return TpmKeyStore(directory, _connection(tpm.tcti), auth=_source(tpm.auth_file), password=password)


@cache
def _connection(tcti: str) -> "TpmConnection":
    """One connection for all who use a TPM: it does one thing at a time."""
    from ocpp_security.tpm import TpmConnection

    return TpmConnection(tcti)


def _source(path: Path | None) -> SecretSource:
    return no_secret if path is None else secret_file(path)


def _pem_of(files: Iterable[Path]) -> Path:
    """The longest chain among files with the same certificate, in the form that TLS takes."""
    chains = [file for file in files if b"-----BEGIN CERTIFICATE-----" in file.read_bytes()]
    if not chains:
        raise ConfigurationError(f"{', '.join(map(str, files))}: TLS needs the chain in PEM")
    return max(chains, key=lambda file: file.stat().st_size)
