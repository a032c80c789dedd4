"""What keys can do wrong, by name. No message here carries key material, a password or a library's dump."""

from ocpp_core.errors import OcppError


class KeyStoreError(OcppError):
    """Base of everything that a key store and its keys raise on purpose."""


class KeyNameError(KeyStoreError, ValueError):
    """The name cannot name a key: empty, too long, or with characters that do not belong into a file name."""


class KeyNotFoundError(KeyStoreError, KeyError):
    """There is no key of this name."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the repr


class KeyExistsError(KeyStoreError):
    """There is a key of this name; a key is never overwritten."""


class KeyFormatError(KeyStoreError, ValueError):
    """The file holds no private key that this store understands: damaged, of an unknown kind, too weak."""


class KeyPasswordError(KeyStoreError):
    """The password of a key file, or the authorisation value of a TPM key, is missing or wrong."""


class KeyStorageError(KeyStoreError):
    """The directory of keys cannot be read or written; the text names the path."""


class KeyMismatchError(KeyStoreError):
    """The certificate belongs to another key."""


class KeyUnsuitableError(KeyStoreError):
    """The key may not, or cannot, do what is asked of it."""


class ChainError(KeyStoreError, ValueError):
    """The certificate chain for TLS cannot be read, or OpenSSL refuses it."""
