"""Keys in files: PEM, encrypted or not, and what is imported from PEM, DER or PKCS#12."""

import ssl
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
    pkcs12,
)

from ..errors import CertificateError
from ..pki.certificate import Certificate, parse_der, to_pem
from ..pki.path import order_chain
from . import disk
from .errors import ChainError, KeyFormatError, KeyPasswordError, KeyUnsuitableError
from .secret import MAX_SECRET, Secret, SecretSource, no_secret
from .store import (
    KeyAlgorithm,
    KeyStore,
    PrivateKey,
    SigningKey,
    check_name,
    digest_for,
    usable_public_key,
)
from .tss2 import is_tpm_file

MAX_PKCS12_SIZE: Final = 256 << 10


class SoftwareKey(PrivateKey):
    """A private key that is in this process's memory while it is loaded."""

    def __init__(self, name: str, path: Path, key: SigningKey, password: Secret | None) -> None:
        super().__init__(name, key.public_key())
        self._path = path
        self._key = key
        self._password = password

    def sign_request(self, request: x509.CertificateSigningRequestBuilder) -> x509.CertificateSigningRequest:
        """See :meth:`PrivateKey.sign_request`."""
        return request.sign(self._key, digest_for(self.public_key))

    def _install(self, context: ssl.SSLContext, chain: Path) -> None:
        password = (
            self._password.reveal() if self._password else b""
        )  # without one OpenSSL would ask the terminal
        try:
            context.load_cert_chain(chain, self._path, lambda: password)
        except OSError as error:  # ssl.SSLError is one
            raise ChainError(f"cannot use {chain} with {self._path}: {error.strerror}") from error


class FileKeyStore(KeyStore):
    """Keys in a directory, one ``NAME.key`` each, readable by their owner only.

    Arguments:
        directory: made if it is not there.
        password: asked for the password of each key; a new key is encrypted if it has one (PKCS#8, PBES2).

    Raises:
        KeyStorageError: the directory cannot be used.
    """

    def __init__(self, directory: Path, password: SecretSource = no_secret) -> None:
        disk.prepare(directory)
        self._directory = directory
        self._password = password

    def create(self, name: str, algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256) -> PrivateKey:
        """See :meth:`KeyStore.create`."""
        return self._keep(name, _generate(algorithm))

    def load(self, name: str) -> PrivateKey:
        """See :meth:`KeyStore.load`. KeyUnsuitableError: the key needs a TPM."""
        return self.load_file(name, self._path(name))

    def load_file(self, name: str, path: Path) -> PrivateKey:
        """A key in PEM in a file of any name and place, put there by provisioning. Raises what :meth:`load`
        raises, of a file in DER KeyFormatError: TLS cannot use one.

        ``name`` is what secrets are asked for by, and what errors call it.
        """
        data = disk.read(path)
        if is_tpm_file(data):
            return self._load_tpm(name, path, data)
        if _in_der(data):
            raise KeyFormatError(f"the key in {path} is in DER, which TLS cannot use: import_key takes it in")
        password = self._password(name)
        return SoftwareKey(name, path, parse_key(data, password, str(path)), password)

    def names(self) -> tuple[str, ...]:
        """See :meth:`KeyStore.names`."""
        return tuple(sorted(disk.names(self._directory)))

    def delete(self, name: str) -> None:
        """See :meth:`KeyStore.delete`. On flash memory the octets may live on until they are reused."""
        disk.remove(self._path(name))

    def path(self, name: str) -> Path | None:
        """See :meth:`KeyStore.path`."""
        path = self._path(name)
        return path if path.is_file() else None

    def import_key(self, name: str, data: bytes, password: Secret | None = None) -> PrivateKey:
        """Take in a private key in PEM or DER, ``password`` being that of ``data``.

        Raises:
            KeyFormatError, KeyPasswordError, KeyExistsError, KeyNameError, KeyStorageError.
        """
        return self._keep(name, parse_key(data, password, "the data to import"))

    def import_pkcs12(self, name: str, data: bytes, password: Secret | None = None) -> tuple[PrivateKey, str]:
        """Take in the private key of a PKCS#12 container (RFC 7292); its chain comes back as PEM.

        It is in the order in which TLS wants it, whatever the container's: the key's own certificate first,
        then the sub-CAs above it; empty if there is none of the key. Raises what :meth:`import_key` raises.
        """
        key, chain = _open_pkcs12(data, password)
        return self._keep(name, key), chain

    def _path(self, name: str) -> Path:
        return self._directory / f"{check_name(name)}{disk.SUFFIX}"

    def _keep(self, name: str, key: SigningKey) -> PrivateKey:
        path = self._path(name)
        password = self._password(name)
        disk.write_new(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _encryption(password)))
        return SoftwareKey(name, path, key, password)

    def _load_tpm(self, name: str, path: Path, data: bytes) -> PrivateKey:
        raise KeyUnsuitableError(f"the key in {path} is a TPM's: open the directory with a TpmKeyStore")


def _in_der(data: bytes) -> bool:
    """Whether this is a DER sequence, and so no text."""
    return data[:1] == b"\x30"


def parse_key(data: bytes, password: Secret | None, origin: str) -> SigningKey:
    """A private key in PEM or DER. A password for a key that has none is not used.

    Raises:
        KeyPasswordError: missing or wrong. KeyFormatError: no key, or not one to use; ``origin`` names it.
    """
    if len(data) > disk.MAX_KEY_SIZE:
        raise KeyFormatError(f"{origin} is too large for a key")
    load = load_der_private_key if _in_der(data) else load_pem_private_key
    octets = password.reveal() if password else None
    try:
        try:
            key = load(data, octets)
        except TypeError:  # a password and no encryption, or the reverse
            key = load(data, None)
    except TypeError:
        raise KeyPasswordError(f"{origin} is encrypted and there is no password for it") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        if octets is not None and "password" in str(error).lower():
            raise KeyPasswordError(f"the password of {origin} is wrong") from None
        raise KeyFormatError(f"{origin} is not a private key in PEM or DER") from None
    return _usable(key)


def _usable(key: object) -> SigningKey:
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise KeyFormatError("neither an RSA nor an EC key")
    usable_public_key(key.public_key())
    return key


def _generate(algorithm: KeyAlgorithm) -> SigningKey:
    match algorithm:
        case KeyAlgorithm.EC_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyAlgorithm.EC_P384:
            return ec.generate_private_key(ec.SECP384R1())
        case KeyAlgorithm.EC_P521:
            return ec.generate_private_key(ec.SECP521R1())
        case KeyAlgorithm.RSA_2048:
            return rsa.generate_private_key(65537, 2048)
        case KeyAlgorithm.RSA_3072:
            return rsa.generate_private_key(65537, 3072)


def _encryption(password: Secret | None) -> KeySerializationEncryption:
    if password is None:
        return NoEncryption()
    if not 0 < len(password.reveal()) <= MAX_SECRET:
        raise KeyPasswordError(f"a password has 1 to {MAX_SECRET} octets")
    return BestAvailableEncryption(password.reveal())


def _open_pkcs12(data: bytes, password: Secret | None) -> tuple[SigningKey, str]:
    if len(data) > MAX_PKCS12_SIZE:
        raise KeyFormatError("the PKCS#12 container is too large")
    try:
        container = pkcs12.load_pkcs12(data, _in_utf8(password))
    except (ValueError, UnsupportedAlgorithm) as error:
        if "password" in str(error).lower():
            raise KeyPasswordError("the password of the PKCS#12 container is missing or wrong") from None
        raise KeyFormatError("not a PKCS#12 container") from None
    if container.key is None:
        raise KeyFormatError("the PKCS#12 container holds no private key")
    return _usable(container.key), to_pem(_chain_in(container))


def _in_utf8(password: Secret | None) -> bytes | None:
    """A container's password is text (RFC 7292 appendix B.1)."""
    octets = None if password is None else password.reveal()
    try:
        (octets or b"").decode()
    except UnicodeDecodeError:
        raise KeyPasswordError("the password of a PKCS#12 container is text in UTF-8") from None
    return octets


def _chain_in(container: pkcs12.PKCS12KeyAndCertificates) -> tuple[Certificate, ...]:
    own, others = container.cert, container.additional_certs
    try:
        return () if own is None else order_chain(_certificate(own), tuple(map(_certificate, others)))
    except CertificateError as error:
        raise KeyFormatError(f"a certificate in the PKCS#12 container cannot be used: {error}") from error


def _certificate(found: pkcs12.PKCS12Certificate) -> Certificate:
    return parse_der(found.certificate.public_bytes(Encoding.DER))
