"""The interface of every key store: private keys by name, which sign and are never handed out."""

import re
import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .errors import ChainError, KeyFormatError, KeyMismatchError, KeyNameError

PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
SigningKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"""Something that :mod:`cryptography` signs with; where the key is in a TPM, a stand-in for it."""

MAX_CHAIN_SIZE = 1 << 20
"""Octets of a certificate chain in a file."""
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class KeyAlgorithm(StrEnum):
    """The key pairs that are made: at least 112 bits of security (A00.FR.501 to A00.FR.503)."""

    EC_P256 = "EC P-256"
    EC_P384 = "EC P-384"
    EC_P521 = "EC P-521"
    """What ISO 15118-20 wants of a charging station."""
    RSA_2048 = "RSA 2048"
    RSA_3072 = "RSA 3072"


def digest_for(key: PublicKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    """The hash to sign with: as strong as the key, and one that every TPM with such keys has."""
    if isinstance(key, rsa.RSAPublicKey) or key.key_size <= 256:
        return hashes.SHA256()
    return hashes.SHA384() if key.key_size <= 384 else hashes.SHA512()


class PrivateKey(ABC):
    """A private key in a store. It signs; nothing returns the key itself.

    Every method may block: for a disk, or for a TPM (50 to 300 ms for a signature in hardware). On an event
    loop call them in a worker thread, and TLS handshakes too (:mod:`ocpp_security.keys.handshake`).
    """

    def __init__(self, name: str, public_key: PublicKey) -> None:
        self._name = name
        self._public_key = public_key

    @property
    def name(self) -> str:
        """Its name in the store."""
        return self._name

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self._public_key

    @property
    def public_octets(self) -> bytes:
        """The public half as SubjectPublicKeyInfo in DER: what tells keys apart."""
        return self._public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign_csr(
        self, subject: x509.Name, extensions: Iterable[x509.Extension[x509.ExtensionType]] = ()
    ) -> str:
        """A PKCS#10 signing request in PEM (RFC 2986), as SignCertificate.req carries it.

        Raises:
            KeyStoreError: the key cannot sign now; the subclass says why.
        """
        builder = x509.CertificateSigningRequestBuilder(subject)
        for extension in extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        return self.sign_request(builder).public_bytes(Encoding.PEM).decode("ascii")

    @abstractmethod
    def sign_request(self, request: x509.CertificateSigningRequestBuilder) -> x509.CertificateSigningRequest:
        """Sign a request that has been put together elsewhere. Raises what :meth:`sign_csr` raises."""

    def use_for_tls(self, context: ssl.SSLContext, chain: Path) -> None:
        """Make this key the one that ``context`` authenticates with.

        Arguments:
            context: any context of the interpreter's ``ssl``, client or server.
            chain: a PEM file, the certificate of this key first, then its sub-CAs.

        A renewed certificate takes a new context; connections that are open keep theirs.

        Raises:
            KeyMismatchError: the certificate belongs to another key. ChainError: the file cannot be used.
            KeyStoreError: the key cannot be used now; the subclass says why.
        """
        if _certified_key(chain) != self._public_key:
            raise KeyMismatchError(f"the certificate in {chain} belongs to another key than {self._name!r}")
        self._install(context, chain)

    @abstractmethod
    def _install(self, context: ssl.SSLContext, chain: Path) -> None:
        """Put chain and key, which belong together, into the context."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name!r}>"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a private key is not pickled")


class KeyStore(ABC):
    """Private keys by name. Safe to use from several threads; everything may block."""

    @abstractmethod
    def create(self, name: str, algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256) -> PrivateKey:
        """Make a key pair; it is durable before this returns.

        Raises:
            KeyExistsError: there is a key of this name. KeyNameError, KeyStoreError.
        """

    @abstractmethod
    def load(self, name: str) -> PrivateKey:
        """A key made or provisioned earlier.

        Raises:
            KeyNotFoundError: there is none. KeyPasswordError: its secret is missing or wrong.
            KeyFormatError: it is damaged. KeyNameError, KeyStoreError.
        """

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The names of all keys, sorted. Raises KeyStorageError."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a key for good. Raises KeyNotFoundError, KeyNameError, KeyStorageError."""

    @abstractmethod
    def path(self, name: str) -> Path | None:
        """The key's file, as the store keeps it; None if there is none. Raises KeyNameError."""


def check_name(name: str) -> str:
    """The name, if it is 1 to 100 letters, digits, ``_``, ``.`` and ``-``. Raises KeyNameError."""
    if not _NAME.fullmatch(name):
        raise KeyNameError(f"no name for a key: {name[:120]!r}")
    return name


def usable_public_key(key: object) -> PublicKey:
    """The key, if it is of a kind and strength to use (A00.FR.501 to A00.FR.503). Raises KeyFormatError."""
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return key
    raise KeyFormatError("not RSA of at least 2048 bits, nor EC on P-256, P-384 or P-521")


def _certified_key(chain: Path) -> object:
    """The public key of the first certificate in a PEM file."""
    try:
        with chain.open("rb") as file:
            data = file.read(MAX_CHAIN_SIZE + 1)
    except OSError as error:
        raise ChainError(f"cannot read {chain}: {error.strerror}") from error
    if len(data) > MAX_CHAIN_SIZE:
        raise ChainError(f"{chain} is too large")
    try:
        return x509.load_pem_x509_certificate(data).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ChainError(f"{chain} does not begin with a certificate in PEM") from error
