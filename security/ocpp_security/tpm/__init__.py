"""Private keys in a TPM 2.0 (the extra ``tpm``: tpm2-pytss), for CSRs and for TLS through ``ssl``.

Importing it where tpm2-pytss is not installed raises TpmMissingSoftwareError.
"""

from .connection import DEVICE, TpmConnection
from .errors import (
    TpmAbsentError,
    TpmAuthError,
    TpmError,
    TpmForeignKeyError,
    TpmFullError,
    TpmHandleError,
    TpmLockoutError,
    TpmLostError,
    TpmMissingSoftwareError,
    TpmTlsUnavailableError,
    TpmUnsupportedError,
)
from .keys import TpmKey
from .provider import Provider
from .store import TpmKeyStore

__all__ = [
    "TpmConnection",
    "DEVICE",
    "TpmKeyStore",
    "TpmKey",
    "Provider",
    "TpmError",
    "TpmMissingSoftwareError",
    "TpmAbsentError",
    "TpmLostError",
    "TpmAuthError",
    "TpmLockoutError",
    "TpmForeignKeyError",
    "TpmFullError",
    "TpmHandleError",
    "TpmUnsupportedError",
    "TpmTlsUnavailableError",
]
