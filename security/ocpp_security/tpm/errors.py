"""What a TPM can do wrong, by name, and which return code means which (TPM 2.0 part 2, section 6.6)."""

from enum import Enum, auto
from typing import Final

from ..keys.errors import KeyFormatError, KeyPasswordError, KeyStoreError, KeyUnsuitableError


class TpmError(KeyStoreError):
    """The TPM refused, for a reason that has no name of its own; the text holds the TSS's words."""


class TpmMissingSoftwareError(TpmError, ImportError):
    """tpm2-pytss, or the TSS that it stands on, is not installed."""


class TpmAbsentError(TpmError):
    """There is no TPM, or it cannot be reached: the device, its permissions, the TCTI's configuration."""


class TpmLostError(TpmAbsentError):
    """The TPM was there and does not answer any more; the next use tries anew."""


class TpmAuthError(TpmError, KeyPasswordError):
    """The authorisation value is missing or wrong."""


class TpmLockoutError(TpmError, KeyPasswordError):
    """The TPM accepts no authorisation value for a while: too many were wrong (dictionary attack)."""


class TpmForeignKeyError(TpmError, KeyFormatError):
    """The key is another TPM's, or this one was cleared since it was made, or its file is damaged."""


class TpmFullError(TpmError):
    """The TPM has no room for another object, session or persistent key."""


class TpmHandleError(TpmError):
    """The persistent handle is taken, empty, or not one for keys."""


class TpmUnsupportedError(TpmError, KeyUnsuitableError):
    """This TPM, or this key, cannot do what is asked of it."""


class TpmTlsUnavailableError(TpmError, KeyUnsuitableError):
    """The interpreter's OpenSSL cannot be made to sign with a TPM; the text says why."""


class Cause(Enum):
    """What a return code calls for."""

    LOST = auto()
    """The connection broke."""
    STARTUP = auto()
    """The TPM was reset and waits for its Startup command."""
    VANISHED = auto()
    """An object that was loaded is not there any more: the TPM was reset."""
    FULL = auto()
    AUTH = auto()
    LOCKOUT = auto()
    FOREIGN = auto()
    HANDLE = auto()
    UNSUPPORTED = auto()
    OTHER = auto()


RECOVERABLE: Final = frozenset({Cause.LOST, Cause.STARTUP, Cause.VANISHED, Cause.FULL})
"""What a new connection, or an emptied one, may cure."""

_LAYER = 0xFF0000
_TCTI = 0x0A0000
_ESAPI = 0x070000
_FEATURE = 0x060000
_RESOURCE_MANAGER_TPM = 0x0C0000
_PLAIN: Final = {
    0x100: Cause.STARTUP,
    0x12F: Cause.AUTH,
    0x143: Cause.UNSUPPORTED,  # the command is not implemented
    0x14B: Cause.FULL,
    0x14C: Cause.HANDLE,
    0x902: Cause.FULL,
    0x903: Cause.FULL,
    0x904: Cause.FULL,
    0x905: Cause.FULL,
    0x906: Cause.FULL,
    0x921: Cause.LOCKOUT,
}
_REFERENCES: Final = range(0x910, 0x917)
_WITH_PARAMETER: Final = {
    0x81: Cause.UNSUPPORTED,  # asymmetric algorithm
    0x83: Cause.UNSUPPORTED,  # hash
    0x84: Cause.UNSUPPORTED,  # value
    0x87: Cause.UNSUPPORTED,  # key size
    0x8B: Cause.HANDLE,
    0x8E: Cause.AUTH,
    0x92: Cause.UNSUPPORTED,  # scheme
    0x9C: Cause.UNSUPPORTED,  # key: restricted, or of the wrong kind
    0x95: Cause.FOREIGN,  # size: the blob is none
    0x9A: Cause.FOREIGN,  # insufficient: the same
    0x9F: Cause.FOREIGN,  # integrity
    0xA2: Cause.AUTH,
    0xA5: Cause.FOREIGN,  # binding: public and private do not belong together
    0xA6: Cause.UNSUPPORTED,  # curve
}
_NAMED: Final[dict[Cause, type[TpmError]]] = {
    Cause.LOST: TpmLostError,
    Cause.STARTUP: TpmLostError,
    Cause.VANISHED: TpmLostError,
    Cause.FULL: TpmFullError,
    Cause.AUTH: TpmAuthError,
    Cause.LOCKOUT: TpmLockoutError,
    Cause.FOREIGN: TpmForeignKeyError,
    Cause.HANDLE: TpmHandleError,
    Cause.UNSUPPORTED: TpmUnsupportedError,
    Cause.OTHER: TpmError,
}


def cause_of(code: int) -> Cause:
    """What a TSS return code means for us."""
    layer = code & _LAYER
    if layer in (_TCTI, _ESAPI, _FEATURE):
        return Cause.LOST  # after a broken transmission the ESAPI is out of step, too
    if layer not in (0, _RESOURCE_MANAGER_TPM):
        return Cause.OTHER
    code &= 0xFFFF
    if code & 0x80:
        return _WITH_PARAMETER.get(code & 0xBF, Cause.OTHER)
    if code in _REFERENCES:
        return Cause.VANISHED
    return _PLAIN.get(code, Cause.OTHER)


def counts_towards_lockout(code: int) -> bool:
    """Whether a return code means that a wrong authorisation value was counted (TPM_RC_AUTH_FAIL)."""
    return code & _LAYER in (0, _RESOURCE_MANAGER_TPM) and code & 0xBF == 0x8E


def named(code: int, text: str, doing: str) -> TpmError:
    """The exception for a TSS return code; ``text`` is the TSS's own, ``doing`` what was tried."""
    return _NAMED[cause_of(code)](f"TPM, {doing}: {text} ({code:#x})")
