"""One connection to a TPM: one lock, a few keys loaded, lost and recovered without its users noticing."""

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from ..keys.secret import Secret
from ..keys.tss2 import OWNER, WrappedKey
from .errors import (
    RECOVERABLE,
    Cause,
    TpmAbsentError,
    TpmAuthError,
    TpmForeignKeyError,
    TpmLostError,
    TpmMissingSoftwareError,
    cause_of,
    counts_towards_lockout,
    named,
)

os.environ.setdefault("TSS2_LOG", "all+none")  # the TSS would write its errors to stderr; ours carry them

try:
    from tpm2_pytss import (
        ESAPI,
        ESYS_TR,
        TPM2_ALG,
        TPM2_SE,
        TPM2_SU,
        TPM2B_PRIVATE,
        TPM2B_PUBLIC,
        TPMT_SYM_DEF,
        TSS2_Exception,
    )
    from tpm2_pytss.tsskey import TSSPrivKey
except (ImportError, RuntimeError) as missing:
    raise TpmMissingSoftwareError(
        "TPM support is not installed: apt-get install libtss2-dev gcc pkg-config, then "
        f"pip install 'ocpp-core[tpm]' ({missing})"
    ) from missing

Esapi: TypeAlias = Any
"""tpm2_pytss.ESAPI, which has no types."""
Handle: TypeAlias = Any
"""tpm2_pytss.ESYS_TR."""
Place: TypeAlias = WrappedKey | int
"""Where a key is: in a blob that the TPM loads, or behind a persistent handle."""

Result = TypeVar("Result")

DEVICE: Final = "device:/dev/tpmrm0"
_MAX_REFUSED: Final = 64
"""Keys of which it is remembered that their authorisation value was wrong."""
MAX_AUTH: Final = 32
"""Octets of an authorisation value: the size of the name algorithm's digest, SHA-256."""


class TpmConnection:
    """A TPM, opened when it is first needed and again after it was lost. Safe to use from several threads.

    Arguments:
        tcti: how to reach it: ``device:/dev/tpmrm0`` (the kernel's resource manager),
            ``swtpm:host=…,port=…``.
        owner_auth: the authorisation value of the owner hierarchy, if it has one.
        parent: a persistent storage key to make new keys under; None: the owner's standard primary key.
        loaded: keys that stay loaded, the least recently used making room. A TPM without resource manager
            has three places at least, and loading a key takes another one.

    Raises:
        TpmAuthError: the owner's value is longer than a TPM takes.

    ESAPI is not thread-safe, and one TPM does one thing at a time: every use holds one lock. Uses may take as
    long as the TPM does (50 to 300 ms for a signature in hardware): keep them off event loops.
    """

    def __init__(
        self,
        tcti: str = DEVICE,
        *,
        owner_auth: Secret | None = None,
        parent: int | None = None,
        loaded: int = 2,
    ) -> None:
        check_length(owner_auth)
        self._tcti = tcti
        self._owner_auth = owner_auth
        self._parent = OWNER if parent is None else parent
        self._limit = loaded
        self._lock = threading.Lock()
        self._esapi: Esapi | None = None
        self._was_open = False
        self._loaded: OrderedDict[Place, Handle] = OrderedDict()
        self._refused: dict[Place, bytes] = {}

    def __repr__(self) -> str:
        return f"<TpmConnection {self._tcti!r}>"

    def __enter__(self) -> "TpmConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Flush what is loaded and disconnect; a later use opens the connection again."""
        with self._lock:
            self._drop(flush=True)
            self._was_open = False

    def run(self, doing: str, work: Callable[[Esapi], Result]) -> Result:
        """Do something with the TPM: ``work`` may run twice, if the TPM was lost or reset meanwhile.

        Raises:
            TpmError: the subclass says why, and its cause is the TSS's exception.
        """
        with self._lock:
            try:
                return self._try(work)
            except TSS2_Exception as error:
                cause = cause_of(error.rc)
                if cause not in RECOVERABLE:
                    raise named(error.rc, str(error), doing) from error
                self._drop(flush=cause is Cause.FULL)
            try:
                return self._try(work)
            except TSS2_Exception as error:
                if cause_of(error.rc) is Cause.LOST:
                    self._drop(flush=False)
                raise named(error.rc, str(error), doing) from error

    def with_key(
        self, doing: str, place: Place, auth: Secret | None, work: Callable[[Esapi, Handle, Handle], Result]
    ) -> Result:
        """Do something with a key, which is loaded if it is not. ``work`` may run twice. Raises TpmError.

        ``work`` gets the connection, the key and a session that authorises one use of the key. The session
        proves that we know the authorisation value (HMAC); the value itself is not sent. A wrong one that the
        TPM counts is not tried again: a station that dials on would lock the TPM for everybody.
        """

        def with_handle(esapi: Esapi) -> Result:
            handle = self._handle(esapi, place, auth)
            if auth is None:
                esapi.tr_set_auth(handle, None)
                return work(esapi, handle, ESYS_TR.PASSWORD)
            esapi.tr_set_auth(handle, auth.reveal())
            with _hmac_session(esapi) as session:
                return work(esapi, handle, session)

        check_auth(place, auth)
        value = b"" if auth is None else auth.reveal()
        if self._refused.get(place) == value:
            raise TpmAuthError(f"TPM, {doing}: this authorisation value was refused, and is not tried again")
        try:
            return self.run(doing, with_handle)
        except TpmAuthError as error:
            if isinstance(error.__cause__, TSS2_Exception) and counts_towards_lockout(error.__cause__.rc):
                self._refused[place] = value
                if len(self._refused) > _MAX_REFUSED:
                    del self._refused[next(iter(self._refused))]
            raise

    def create(self, doing: str, template: Any, auth: Secret | None) -> WrappedKey:
        """Make a key under the parent; it is not loaded, nor kept by the TPM. Raises TpmError."""
        check_length(auth)

        def work(esapi: Esapi) -> WrappedKey:
            password = None if auth is None else auth.reveal()
            made = TSSPrivKey.create(esapi, template, self._parent, password)
            public, private = made.public.marshal(), made.private.marshal()
            return WrappedKey(self._parent, password is None, public, private)

        return self.run(doing, work)

    def forget(self, place: Place) -> None:
        """The key is not there any more."""
        with self._lock:
            self._loaded.pop(place, None)

    def _try(self, work: Callable[[Esapi], Result]) -> Result:
        if self._esapi is None:
            self._esapi = self._open()
            self._was_open = True
        return work(self._esapi)

    def _open(self) -> Esapi:
        try:
            esapi = ESAPI(self._tcti)
        except TSS2_Exception as error:
            kind = TpmLostError if self._was_open else TpmAbsentError
            raise kind(f"no TPM at {self._tcti!r}: {_advice(self._tcti) or error} ({error.rc:#x})") from error
        try:
            esapi.startup(TPM2_SU.CLEAR)  # a TPM that runs says so, which is no error to the TSS
            if self._owner_auth is not None:
                esapi.tr_set_auth(ESYS_TR.OWNER, self._owner_auth.reveal())
        except BaseException:
            esapi.close()
            raise
        return esapi

    def _drop(self, *, flush: bool) -> None:
        """Forget the connection; what was loaded goes first, if the TPM still listens."""
        esapi, self._esapi = self._esapi, None
        loaded, self._loaded = self._loaded, OrderedDict()
        if esapi is None:
            return
        with contextlib.suppress(TSS2_Exception):
            for place, handle in loaded.items() if flush else ():
                _release(esapi, place, handle)
        esapi.close()

    def _handle(self, esapi: Esapi, place: Place, auth: Secret | None) -> Handle:
        handle = self._loaded.get(place)
        if handle is not None:
            self._loaded.move_to_end(place)
            return handle
        while len(self._loaded) >= self._limit:
            _release(esapi, *self._loaded.popitem(last=False))
        handle = self._loaded[place] = _load(esapi, place, auth)
        return handle


def _advice(tcti: str) -> str:
    """What to do about a device that cannot be opened; nothing if that is not the matter."""
    kind, _, path = tcti.partition(":")
    device = Path(path)
    if kind != "device" or not path:
        return ""
    if not device.exists():
        return f"there is no {path}: is the TPM enabled in the firmware, and its driver loaded?"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"no permission for {path}: the user must be in its group ({device.group()})"
    return ""


def check_length(auth: Secret | None) -> None:
    """Raises TpmAuthError: the value is longer than a TPM takes, or empty."""
    if auth is not None and not 0 < len(auth.reveal()) <= MAX_AUTH:
        raise TpmAuthError(f"an authorisation value has 1 to {MAX_AUTH} octets")


def check_auth(place: Place, auth: Secret | None) -> None:
    """Raises TpmAuthError: the key needs a value and there is none, or one that is too long."""
    check_length(auth)
    if auth is None and isinstance(place, WrappedKey) and not place.empty_auth:
        raise TpmAuthError("the TPM key needs an authorisation value, and there is none for it")


def _load(esapi: Esapi, place: Place, auth: Secret | None) -> Handle:
    if isinstance(place, int):
        return esapi.tr_from_tpmpublic(place)
    try:
        public, _ = TPM2B_PUBLIC.unmarshal(place.public)
        private, _ = TPM2B_PRIVATE.unmarshal(place.private)
    except TSS2_Exception as error:
        raise TpmForeignKeyError("the TPM key file does not hold what a TPM makes") from error
    password = None if auth is None or place.empty_auth else auth.reveal()
    return TSSPrivKey(private, public, place.empty_auth, place.parent).load(esapi, password)


@contextlib.contextmanager
def _hmac_session(esapi: Esapi) -> Iterator[Handle]:
    plain = TPMT_SYM_DEF(algorithm=TPM2_ALG.NULL)
    session = esapi.start_auth_session(ESYS_TR.NONE, ESYS_TR.NONE, TPM2_SE.HMAC, plain, TPM2_ALG.SHA256)
    try:
        yield session
    finally:
        with contextlib.suppress(TSS2_Exception):  # a use that succeeded has ended it
            esapi.flush_context(session)


def _release(esapi: Esapi, place: Place, handle: Handle) -> None:
    if isinstance(place, int):
        esapi.tr_close(handle)
    else:
        esapi.flush_context(handle)
