"""A key store as certificate handling sees it (:class:`ocpp_security.keyring.LeafKeys`)."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509

from .errors import KeyNotFoundError, KeyStoreError
from .store import KeyAlgorithm, KeyStore, PublicKey


class KeyRing:
    """The keys of the station's certificates in a :class:`KeyStore`.

    Arguments:
        store: where they are.
        algorithm: of the keys that are made.
    """

    def __init__(self, store: KeyStore, algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256) -> None:
        self._store = store
        self._algorithm = algorithm

    def create(self, name: str) -> PublicKey:
        """Make a key pair, durably. Raises KeyStoreError."""
        return self._store.create(name, self._algorithm).public_key

    def public_keys(self) -> Mapping[str, PublicKey]:
        """The public keys by name, without keys that cannot be loaded. Raises KeyStorageError."""
        found: dict[str, PublicKey] = {}
        for name in self._store.names():
            with contextlib.suppress(KeyStoreError):
                found[name] = self._store.load(name).public_key
        return found

    def sign_request(
        self, name: str, request: x509.CertificateSigningRequestBuilder
    ) -> x509.CertificateSigningRequest:
        """Sign a CSR. Raises KeyStoreError."""
        return self._store.load(name).sign_request(request)

    def delete(self, name: str) -> None:
        """Destroy a key pair; one that does not exist is no error. Raises KeyStoreError."""
        with contextlib.suppress(KeyNotFoundError):
            self._store.delete(name)

    def path(self, name: str) -> Path | None:
        """The file of a key, for programs that want one: encrypted or TPM-wrapped as the store keeps it."""
        return self._store.path(name)
