"""A private key outside OpenSSL, for the interpreter's own ``ssl``: OpenSSL calls back for each signature.

CPython has no interface for this. So the OpenSSL that ``_ssl`` is linked with is used through ctypes: a
public EVP_PKEY gets a sign operation of ours and is put into the SSL_CTX behind an ``ssl.SSLContext``. That
rests on where CPython keeps the pointer to its SSL_CTX, and on calls that OpenSSL 3 has deprecated, so
everything is checked before it is relied upon, and TpmTlsUnavailableError says what does not hold.
"""

import _ssl
import ctypes as c
import functools
import logging
import os
import ssl
import subprocess
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cffi  # tpm2-pytss stands on it
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..keys.errors import ChainError, KeyStoreError, KeyUnsuitableError
from ..keys.failures import leave_explanation, note_failure, take_failure
from ..keys.store import PublicKey
from .errors import TpmTlsUnavailableError

ALTERNATIVE: Final = "the tpm2 provider of OpenSSL is the other way (ocpp_security.tpm.provider)"
KNOWN_LAYOUTS: Final = ((3, 11), (3, 12), (3, 13))
"""CPython versions whose contexts were tried; others are tried in a process of their own first."""

_SIGN = "int(int, unsigned char *, int, unsigned char *, unsigned int *, void *, void *, void *)"
_PRIVATE = "int(int, unsigned char *, unsigned char *, void *, int)"
_VERIFY: Final = {ssl.CERT_NONE: 0, ssl.CERT_OPTIONAL: 1, ssl.CERT_REQUIRED: 3}
_UINT64: Final = (1 << 64) - 1
_ffi = cffi.FFI()
_log = logging.getLogger(__name__)
_RSA_PKCS1_PADDING, _RSA_NO_PADDING = 1, 3
_SELF_TEST: Final = b"ocpp_security.tpm self-test"

_P, _I, _STR = c.c_void_p, c.c_int, c.c_char_p
_FUNCTIONS: Final[dict[str, tuple[Any, ...]]] = {
    # name: result, arguments
    "OpenSSL_version_num": (c.c_ulong,),
    "SSL_CTX_get_options": (c.c_uint64, _P),
    "SSL_CTX_get_verify_mode": (_I, _P),
    "SSL_CTX_use_certificate_chain_file": (_I, _P, _STR),
    "SSL_CTX_use_PrivateKey": (_I, _P, _P),
    "ERR_get_error": (c.c_ulong,),
    "ERR_error_string_n": (None, c.c_ulong, _STR, c.c_size_t),
    "d2i_PUBKEY": (_P, _P, c.POINTER(_STR), c.c_long),
    "EVP_PKEY_new": (_P,),
    "EVP_PKEY_free": (None, _P),
    "EVP_PKEY_get1_EC_KEY": (_P, _P),
    "EVP_PKEY_set1_EC_KEY": (_I, _P, _P),
    "EVP_PKEY_get1_RSA": (_P, _P),
    "EVP_PKEY_set1_RSA": (_I, _P, _P),
    "EC_KEY_OpenSSL": (_P,),
    "EC_KEY_METHOD_new": (_P, _P),
    "EC_KEY_METHOD_set_sign": (None, _P, _P, _P, _P),
    "EC_KEY_set_method": (_I, _P, _P),
    "EC_KEY_free": (None, _P),
    "RSA_PKCS1_OpenSSL": (_P,),
    "RSA_meth_dup": (_P, _P),
    "RSA_meth_set_priv_enc": (_I, _P, _P),
    "RSA_set_method": (_I, _P, _P),
    "RSA_free": (None, _P),
    "EVP_MD_CTX_new": (_P,),
    "EVP_MD_CTX_free": (None, _P),
    "EVP_sha256": (_P,),
    "EVP_DigestSignInit": (_I, _P, _P, _P, _P, _P),
    "EVP_DigestSign": (_I, _P, _P, c.POINTER(c.c_size_t), _STR, c.c_size_t),
}
_PROBE = """
import _ssl, ctypes, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.options |= ssl.OP_NO_TICKET
get = ctypes.CDLL(_ssl.__file__).SSL_CTX_get_options
get.restype, get.argtypes = ctypes.c_uint64, [ctypes.c_void_p]
pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
raise SystemExit(get(pointer) != int(context.options) % (1 << 64))
"""


@dataclass(frozen=True, slots=True, eq=False)
class Signer:
    """A private key, for OpenSSL."""

    public_key: PublicKey
    operate: Callable[[bytes], bytes]
    """EC: a digest to an ECDSA signature in DER. RSA: a padded block to its private operation, both of the
    modulus' size. Raises KeyStoreError."""
    context: weakref.ref[ssl.SSLContext]


class OpenSsl:
    """The interpreter's OpenSSL; one per process (:func:`openssl`).

    Raises:
        TpmTlsUnavailableError: it is not as it must be.
    """

    def __init__(self) -> None:
        if sys.implementation.name != "cpython":
            raise unavailable(f"{sys.implementation.name} is not CPython")
        self._call: dict[str, Callable[..., Any]] = _bind()
        if self._call["OpenSSL_version_num"]() != ssl.OPENSSL_VERSION_NUMBER:
            raise unavailable("another OpenSSL than the interpreter's was found")
        self._check_layout()
        self._signers: dict[int, Signer] = {}
        # They live as long as the process: no key and no context can outlive them. They are cffi's and not
        # ctypes', as these have an answer for OpenSSL even if an interrupt ends them.
        self._callbacks = (
            _ffi.callback(_SIGN, self._sign_ec, error=0, onerror=_interrupted),
            _ffi.callback(_PRIVATE, self._sign_rsa, error=-1, onerror=_interrupted),
        )
        ec_callback, rsa_callback = map(_address, self._callbacks)
        self._ec_method = self._call["EC_KEY_METHOD_new"](self._call["EC_KEY_OpenSSL"]())
        self._call["EC_KEY_METHOD_set_sign"](self._ec_method, ec_callback, None, None)
        self._rsa_method = self._call["RSA_meth_dup"](self._call["RSA_PKCS1_OpenSSL"]())
        self._call["RSA_meth_set_priv_enc"](self._rsa_method, rsa_callback)

    def use(
        self, context: ssl.SSLContext, chain: Path, public_key: PublicKey, operate: Callable[[bytes], bytes]
    ) -> None:
        """Let ``context`` authenticate with the certificates in ``chain`` and a key that ``operate`` is.

        The key signs once, so that one that cannot is found out here and not in a handshake.

        Raises:
            ChainError, KeyUnsuitableError, TpmTlsUnavailableError, and what ``operate`` raises.
        """
        pointer = self._pointer(context)
        signer = Signer(public_key, operate, weakref.ref(context))
        key, address = self._private_key(signer)
        release = weakref.finalize(context, self._release, key, address)
        release.atexit = False  # connections may still be open then
        try:
            self._self_test(key, signer)
            if self._call["SSL_CTX_use_certificate_chain_file"](pointer, os.fsencode(chain)) != 1:
                raise ChainError(f"cannot use {chain}: {self._errors()}")
            if self._call["SSL_CTX_use_PrivateKey"](pointer, key) != 1:
                raise KeyUnsuitableError(f"OpenSSL refuses the key of {chain}: {self._errors()}")
        except BaseException:
            release()
            raise
        leave_explanation(context)

    # Where things are.

    def _check_layout(self) -> None:
        if sys.version_info[:2] not in KNOWN_LAYOUTS:
            probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, check=False)
            if probe.returncode != 0:
                raise unavailable(f"SSLContext of Python {sys.version.split()[0]} is not laid out as known")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for option in (ssl.OP_NO_TICKET, ssl.OP_NO_COMPRESSION):
            context.options ^= option
            self._pointer(context)

    def _pointer(self, context: ssl.SSLContext) -> int:
        """The SSL_CTX of a context: it follows the object's header."""
        if type(context).__basicsize__ < object.__basicsize__ + c.sizeof(c.c_void_p):
            raise unavailable("SSLContext has no room for its SSL_CTX")
        pointer = c.c_void_p.from_address(id(context) + object.__basicsize__).value
        if pointer is None or pointer % c.alignment(c.c_void_p):
            raise unavailable("SSLContext does not begin with a pointer")
        options = self._call["SSL_CTX_get_options"](pointer)
        verify_mode = self._call["SSL_CTX_get_verify_mode"](pointer) & 3
        # Python shows the options as a signed number until 3.12.
        if options != int(context.options) & _UINT64 or verify_mode != _VERIFY[context.verify_mode]:
            raise unavailable("SSLContext does not begin with its SSL_CTX")
        return pointer

    # The key.

    def _private_key(self, signer: Signer) -> tuple[int, int]:
        """An EVP_PKEY that signs with ours, and the address of the EC_KEY or RSA in it."""
        der = signer.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        start = c.c_char_p(der)
        public = self._call["d2i_PUBKEY"](None, c.byref(start), len(der))
        if not public:
            raise KeyUnsuitableError(f"OpenSSL does not know such a key: {self._errors()}")
        kind, method = ("EC_KEY", self._ec_method)
        if isinstance(signer.public_key, rsa.RSAPublicKey):
            kind, method = ("RSA", self._rsa_method)
        inner = self._call[f"EVP_PKEY_get1_{kind}"](public)
        self._call["EVP_PKEY_free"](public)
        key = self._call["EVP_PKEY_new"]()
        done = self._call[f"{kind}_set_method"](inner, method) == 1
        done = done and self._call[f"EVP_PKEY_set1_{kind}"](key, inner) == 1
        self._call[f"{kind}_free"](inner)  # the EVP_PKEY holds it now
        if not done:
            self._call["EVP_PKEY_free"](key)
            raise unavailable(self._errors())
        self._signers[inner] = signer
        return key, inner

    def _release(self, key: int, address: int) -> None:
        del self._signers[address]
        self._call["EVP_PKEY_free"](key)

    def _self_test(self, key: int, signer: Signer) -> None:
        """Sign with the new EVP_PKEY and verify with another implementation."""
        digest_context = self._call["EVP_MD_CTX_new"]()
        try:
            size = c.c_size_t(1024)
            out = c.create_string_buffer(size.value)
            sha256 = self._call["EVP_sha256"]()
            done = self._call["EVP_DigestSignInit"](digest_context, None, sha256, None, key) == 1
            text = _SELF_TEST
            done = done and (
                self._call["EVP_DigestSign"](digest_context, out, c.byref(size), text, len(text)) == 1
            )
        finally:
            self._call["EVP_MD_CTX_free"](digest_context)
        if not done:
            errors = self._errors()
            context = signer.context()
            reason = None if context is None else take_failure(context)
            raise reason or unavailable(f"the key does not sign: {errors}")
        if not _verifies(signer.public_key, out.raw[: size.value]):
            raise KeyUnsuitableError("the key's signatures do not verify with its public key")

    # What OpenSSL calls. Nothing may be raised into it.

    def _sign_ec(
        self, _kind: int, digest: Any, size: int, out: Any, out_size: Any, _kinv: Any, _r: Any, key: Any
    ) -> int:
        signature = self._operate(_address(key), _ffi.buffer(digest, size)[:])
        if signature is None:
            return 0
        _ffi.memmove(out, signature, len(signature))
        out_size[0] = len(signature)
        return 1

    def _sign_rsa(self, size: int, block: Any, out: Any, key: Any, padding_id: int) -> int:
        data = _ffi.buffer(block, size)[:]
        address = _address(key)
        signer = self._signers.get(address)
        if signer is None or padding_id not in (_RSA_PKCS1_PADDING, _RSA_NO_PADDING):
            return -1
        if padding_id == _RSA_PKCS1_PADDING:
            data = b"\0\1" + b"\xff" * (signer.public_key.key_size // 8 - size - 3) + b"\0" + data
        signature = self._operate(address, data)
        if signature is None:
            return -1
        _ffi.memmove(out, signature, len(signature))
        return len(signature)

    def _operate(self, key: int, data: bytes) -> bytes | None:
        signer = self._signers.get(key)
        context = None if signer is None else signer.context()
        if signer is None or context is None:
            return None
        try:
            signature = signer.operate(data)
            if len(signature) > _signature_size(signer.public_key):
                raise KeyUnsuitableError("the key's signature is longer than such a key's can be")
        except KeyStoreError as error:
            note_failure(context, error)
        except BaseException as error:
            failure = KeyStoreError(f"signing failed: {type(error).__name__}")
            failure.__cause__ = error
            note_failure(context, failure)
        else:
            take_failure(context)
            return signature
        return None

    def _errors(self) -> str:
        """What is in OpenSSL's queue of errors, which is emptied."""
        found = []
        while code := self._call["ERR_get_error"]():
            text = c.create_string_buffer(256)
            self._call["ERR_error_string_n"](code, text, len(text))
            found.append(text.value.decode("ascii", "replace"))
        return "; ".join(found) or "no reason given"


def _address(pointer: Any) -> int:
    return int(_ffi.cast("uintptr_t", pointer))


def _interrupted(kind: type[BaseException], _error: BaseException, _trace: object) -> None:
    _log.warning("%s while a key signed: the handshake fails", kind.__name__)


@functools.cache
def openssl() -> OpenSsl:
    """The one of this process. Raises TpmTlsUnavailableError."""
    return OpenSsl()


def unavailable(why: str) -> TpmTlsUnavailableError:
    """The exception for an OpenSSL or interpreter that cannot do it."""
    return TpmTlsUnavailableError(
        f"TLS with a key in a TPM does not work through ssl here: {why}; {ALTERNATIVE}"
    )


def _bind() -> dict[str, Callable[..., Any]]:
    """Functions of the OpenSSL that the interpreter's ``ssl`` itself uses: found through ``_ssl``'s links."""
    library = c.CDLL(getattr(_ssl, "__file__", None))
    bound: dict[str, Callable[..., Any]] = {}
    for name, (result, *arguments) in _FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise unavailable(f"{ssl.OPENSSL_VERSION} does not show {name}") from None
        function.restype, function.argtypes = result, arguments
        bound[name] = function
    return bound


def _signature_size(key: PublicKey) -> int:
    """The room that OpenSSL leaves for a signature."""
    size = (key.key_size + 7) // 8
    return size if isinstance(key, rsa.RSAPublicKey) else 2 * size + 8


def _verifies(key: PublicKey, signature: bytes) -> bool:
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, _SELF_TEST, ec.ECDSA(hashes.SHA256()))
        else:
            key.verify(signature, _SELF_TEST, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True
