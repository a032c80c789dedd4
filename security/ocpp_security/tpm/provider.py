"""The other way to TLS with a key in a TPM: the "tpm2" provider of OpenSSL 3 (Debian: tpm2-openssl).

It needs nothing of CPython's insides, but a resource manager (/dev/tpmrm0 has one in the kernel) and a whole
process: once it is loaded, signatures of every TLS connection in the process go to the TPM, and contexts with
keys in files fail. So it is asked for by name and never fallen back to.
"""

import _ssl
import ctypes as c
import os
import ssl
from pathlib import Path
from typing import Final

from ..keys.errors import ChainError
from ..keys.secret import Secret
from .errors import TpmTlsUnavailableError

PROPERTIES: Final = b"?tpm2.signature=yes"


class Provider:
    """The provider, loaded into this process for good; make one, before any TLS, and only one.

    Arguments:
        tcti: how it reaches the TPM: ``device:/dev/tpmrm0``, ``tabrmd:bus_type=…``.

    Raises:
        TpmTlsUnavailableError: it is not installed where the interpreter's OpenSSL looks for providers.
    """

    def __init__(self, tcti: str) -> None:
        os.environ["TPM2OPENSSL_TCTI"] = tcti
        library = c.CDLL(getattr(_ssl, "__file__", None))
        try:
            load, prefer = library.OSSL_PROVIDER_load, library.EVP_set_default_properties
        except AttributeError:
            raise TpmTlsUnavailableError(f"{ssl.OPENSSL_VERSION} has no providers") from None
        load.restype, load.argtypes = c.c_void_p, [c.c_void_p, c.c_char_p]
        prefer.restype, prefer.argtypes = c.c_int, [c.c_void_p, c.c_char_p]
        for name in ("default", "tpm2"):
            if not load(None, name.encode()):
                raise TpmTlsUnavailableError(
                    f"{ssl.OPENSSL_VERSION} finds no provider {name!r}; on Debian: "
                    "apt-get install tpm2-openssl"
                )
        if prefer(None, PROPERTIES) != 1:
            raise TpmTlsUnavailableError("OpenSSL refuses to prefer the provider")

    def install(self, context: ssl.SSLContext, chain: Path, key: Path, auth: Secret | None) -> None:
        """Put a chain and the TSS2 PEM file of its key into the context. Raises ChainError."""
        octets = auth.reveal() if auth else b""
        try:
            context.load_cert_chain(chain, key, lambda: octets)
        except OSError as error:  # ssl.SSLError is one
            raise ChainError(
                f"cannot use {chain} with {key} through the provider: {error.strerror}"
            ) from error
