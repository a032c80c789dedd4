"""Private keys of the station behind one interface: in files here, in a TPM with :mod:`ocpp_security.tpm`."""

from .errors import (
    ChainError,
    KeyExistsError,
    KeyFormatError,
    KeyMismatchError,
    KeyNameError,
    KeyNotFoundError,
    KeyPasswordError,
    KeyStorageError,
    KeyStoreError,
    KeyUnsuitableError,
)
from .failures import named_failures, take_failure
from .files import FileKeyStore, SoftwareKey
from .handshake import Handshake, HandshakeEndedError, drive
from .secret import Secret, SecretSource, no_secret, one_secret, secret_file
from .store import KeyAlgorithm, KeyStore, PrivateKey

__all__ = [
    "KeyStore",
    "PrivateKey",
    "KeyAlgorithm",
    "FileKeyStore",
    "SoftwareKey",
    "Secret",
    "SecretSource",
    "no_secret",
    "one_secret",
    "secret_file",
    "Handshake",
    "HandshakeEndedError",
    "drive",
    "named_failures",
    "take_failure",
    "KeyStoreError",
    "KeyNameError",
    "KeyNotFoundError",
    "KeyExistsError",
    "KeyFormatError",
    "KeyPasswordError",
    "KeyStorageError",
    "KeyMismatchError",
    "KeyUnsuitableError",
    "ChainError",
]
