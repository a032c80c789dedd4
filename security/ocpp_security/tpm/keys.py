"""A private key in a TPM, and how it signs what TLS and CSRs ask for."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ..keys.errors import KeyFormatError
from ..keys.secret import SecretSource
from ..keys.store import KeyAlgorithm, PrivateKey, PublicKey, digest_for, usable_public_key
from .connection import Esapi, Handle, Place, TpmConnection
from .errors import TpmUnsupportedError
from .openssl import openssl
from .provider import Provider

from tpm2_pytss import (  # isort: skip  # after .connection, which says what to install if it is missing
    TPM2_ALG,
    TPM2_ECC,
    TPM2_RH,
    TPM2_ST,
    TPM2B_PUBLIC,
    TPMA_OBJECT,
    TPMS_ECC_PARMS,
    TPMS_RSA_PARMS,
    TPMT_ECC_SCHEME,
    TPMT_KDF_SCHEME,
    TPMT_PUBLIC,
    TPMT_RSA_DECRYPT,
    TPMT_RSA_SCHEME,
    TPMT_SIG_SCHEME,
    TPMT_SYM_DEF_OBJECT,
    TPMT_TK_HASHCHECK,
    TPMU_PUBLIC_PARMS,
    TSS2_Exception,
)
from tpm2_pytss.cryptography import tpm_ecc_private_key, tpm_rsa_private_key

Result = TypeVar("Result")

_NO_SCHEME: Final = TPM2_ALG.NULL
_CURVES: Final = {
    KeyAlgorithm.EC_P256: TPM2_ECC.NIST_P256,
    KeyAlgorithm.EC_P384: TPM2_ECC.NIST_P384,
    KeyAlgorithm.EC_P521: TPM2_ECC.NIST_P521,
}
_HASHES: Final = {32: TPM2_ALG.SHA256, 48: TPM2_ALG.SHA384, 64: TPM2_ALG.SHA512}
_ATTRIBUTES: Final = (
    TPMA_OBJECT.FIXEDTPM
    | TPMA_OBJECT.FIXEDPARENT
    | TPMA_OBJECT.SENSITIVEDATAORIGIN
    | TPMA_OBJECT.USERWITHAUTH
    | TPMA_OBJECT.NODA  # a wrong authorisation value does not count towards the TPM's lockout
    | TPMA_OBJECT.SIGN_ENCRYPT
)


class TpmKey(PrivateKey):
    """A key that never leaves its TPM. Each signature may raise any TpmError."""

    def __init__(
        self,
        name: str,
        public_key: PublicKey,
        connection: TpmConnection,
        place: Place,
        auth: SecretSource,
        path: Path,
        provider: Provider | None,
    ) -> None:
        super().__init__(name, public_key)
        self._connection = connection
        self._place = place
        self._auth = auth
        self._path = path
        self._provider = provider

    def sign_request(self, request: x509.CertificateSigningRequestBuilder) -> x509.CertificateSigningRequest:
        """See :meth:`PrivateKey.sign_request`."""
        stand_in = tpm_ecc_private_key if self._elliptic else tpm_rsa_private_key

        def sign(esapi: Esapi, handle: Handle, session: Handle) -> x509.CertificateSigningRequest:
            return request.sign(stand_in(esapi, handle, session), digest_for(self.public_key))

        return self._with_key("signing a certificate request", sign)

    def _install(self, context: ssl.SSLContext, chain: Path) -> None:
        if self._provider is not None:
            self._provider.install(context, chain, self._path, self._auth(self.name))
            return
        operate = self._sign_digest if self._elliptic else self._private_operation
        openssl().use(context, chain, self.public_key, operate)

    @property
    def _elliptic(self) -> bool:
        return isinstance(self.public_key, ec.EllipticCurvePublicKey)

    def _with_key(self, doing: str, work: Callable[[Esapi, Handle, Handle], Result]) -> Result:
        doing = f"{doing} with key {self.name!r}"
        return self._connection.with_key(doing, self._place, self._auth(self.name), work)

    def _sign_digest(self, digest: bytes) -> bytes:
        """ECDSA over a digest of any size, in DER.

        ECDSA takes as many leading bits of a digest as the curve's order has (FIPS 186-4, section 6.4): cut
        or filled up to that, every digest can be signed with the one hash that goes with the curve, also by a
        TPM that does not know the digest's.
        """
        size = digest_for(self.public_key).digest_size
        scheme = TPMT_SIG_SCHEME(scheme=TPM2_ALG.ECDSA)
        scheme.details.ecdsa.hashAlg = _HASHES[size]
        ticket = TPMT_TK_HASHCHECK(tag=TPM2_ST.HASHCHECK, hierarchy=TPM2_RH.NULL)
        fitted = digest[:size].rjust(size, b"\0")

        def sign(esapi: Esapi, handle: Handle, session: Handle) -> bytes:
            return bytes(esapi.sign(handle, fitted, scheme, ticket, session1=session))

        return self._with_key("signing", sign)

    def _private_operation(self, block: bytes) -> bytes:
        """RSA over a block that is padded already: OpenSSL does PSS itself."""
        scheme = TPMT_RSA_DECRYPT(scheme=_NO_SCHEME)

        def operate(esapi: Esapi, handle: Handle, session: Handle) -> bytes:
            return bytes(esapi.rsa_decrypt(handle, block, scheme, b"", session1=session))

        return self._with_key("signing", operate).rjust(len(block), b"\0")


def template_for(algorithm: KeyAlgorithm) -> Any:
    """A signing key that never leaves its TPM (TPMT_PUBLIC).

    An RSA key may also decrypt, since TLS 1.3's signatures are the raw operation on what OpenSSL has padded.
    """
    if algorithm in (KeyAlgorithm.RSA_2048, KeyAlgorithm.RSA_3072):
        bits = 2048 if algorithm is KeyAlgorithm.RSA_2048 else 3072
        parameters = TPMS_RSA_PARMS(
            symmetric=TPMT_SYM_DEF_OBJECT(algorithm=TPM2_ALG.NULL),
            scheme=TPMT_RSA_SCHEME(scheme=_NO_SCHEME),
            keyBits=bits,
            exponent=0,
        )
        return TPMT_PUBLIC(
            type=TPM2_ALG.RSA,
            nameAlg=TPM2_ALG.SHA256,
            objectAttributes=_ATTRIBUTES | TPMA_OBJECT.DECRYPT,
            parameters=TPMU_PUBLIC_PARMS(rsaDetail=parameters),
        )
    parameters = TPMS_ECC_PARMS(
        symmetric=TPMT_SYM_DEF_OBJECT(algorithm=TPM2_ALG.NULL),
        scheme=TPMT_ECC_SCHEME(scheme=_NO_SCHEME),
        curveID=_CURVES[algorithm],
        kdf=TPMT_KDF_SCHEME(scheme=TPM2_ALG.NULL),
    )
    return TPMT_PUBLIC(
        type=TPM2_ALG.ECC,
        nameAlg=TPM2_ALG.SHA256,
        objectAttributes=_ATTRIBUTES,
        parameters=TPMU_PUBLIC_PARMS(eccDetail=parameters),
    )


def read_public(octets: bytes) -> PublicKey:
    """The public key in a TPM2B_PUBLIC.

    Raises:
        TpmUnsupportedError: the key is not one to sign with. KeyFormatError: these octets are no key.
    """
    try:
        public, _ = TPM2B_PUBLIC.unmarshal(octets)
    except TSS2_Exception as error:
        raise KeyFormatError("the TPM key file holds no public key") from error
    return checked_public(public.publicArea)


def checked_public(area: Any) -> PublicKey:
    """The public key in a TPMT_PUBLIC. Raises as :func:`read_public`."""
    attributes = area.objectAttributes
    if attributes & TPMA_OBJECT.RESTRICTED or not attributes & TPMA_OBJECT.SIGN_ENCRYPT:
        raise TpmUnsupportedError("the TPM key is not for signing whatever it is given")
    if not attributes & TPMA_OBJECT.USERWITHAUTH:
        raise TpmUnsupportedError("the TPM key wants a policy, which is not supported")
    if area.type == TPM2_ALG.RSA and (
        not attributes & TPMA_OBJECT.DECRYPT or area.parameters.rsaDetail.scheme.scheme != _NO_SCHEME
    ):
        raise TpmUnsupportedError("the TPM key cannot do TLS 1.3: RSA needs sign and decrypt, and no scheme")
    try:
        public_key = load_der_public_key(area.to_der())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFormatError("the TPM key is of an unknown kind") from error
    return usable_public_key(public_key)
