"""Why a key could not sign in a handshake: OpenSSL says "EVP lib", so the reason is kept beside it."""

import contextlib
import ssl
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from .errors import KeyStoreError

_failures: WeakKeyDictionary[ssl.SSLContext, KeyStoreError] = WeakKeyDictionary()


def note_failure(context: ssl.SSLContext, error: KeyStoreError) -> None:
    """Remember why the key of this context did not sign; the latest reason counts."""
    _failures[context] = error.with_traceback(None)  # whose frames would keep the context alive


def take_failure(context: ssl.SSLContext) -> KeyStoreError | None:
    """Why the key of this context did not sign, told once; None: it signed, or was not asked to."""
    return _failures.pop(context, None)


def leave_explanation(context: ssl.SSLContext) -> None:
    """Let whoever shakes hands with a context ask that context: ``context.explain(context)``."""
    vars(context)["explain"] = take_failure


@contextlib.contextmanager
def named_failures(context: ssl.SSLContext) -> Iterator[None]:
    """Around a handshake with ``context``: an :class:`ssl.SSLError` that the key caused becomes its reason.

    Raises:
        KeyStoreError: the key could not sign; the cause is the SSLError.
    """
    try:
        yield
    except ssl.SSLError as error:
        if isinstance(error.__cause__, KeyStoreError):  # somebody has asked before us
            raise error.__cause__ from None
        failure = take_failure(context)
        if failure is None:
            raise
        raise failure from error
