"""Within an ASGI application TLS is the server's: what it tells of the station (ASGI's extension ``tls``).

uvicorn tells nothing by itself, so :func:`telling` makes it. hypercorn cannot be made to: what it serves are
the security profiles 0 to 2.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from .tls_peer import PeerCertificate, TlsElsewhere, peer_certificate

App: TypeAlias = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]
"""An ASGI application."""
EXTENSION: Final = "tls"
_VERSIONS: Final = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
_log = logging.getLogger(__name__)


def told(scope: Mapping[str, Any]) -> TlsElsewhere | None:
    """What a connection's scope says of its TLS; None: there is none.

    A server without the extension says by the scheme ``wss`` that there is TLS, and knows of no certificate.
    """
    extension = (scope.get("extensions") or {}).get(EXTENSION)
    if extension is None:
        return TlsElsewhere(None) if scope.get("scheme") == "wss" else None
    chain = tuple(extension.get("client_cert_chain") or ())
    if not chain or extension.get("client_cert_error") is not None:
        return TlsElsewhere(None)
    try:
        return TlsElsewhere(_read(chain))
    except (ImportError, ValueError) as error:
        _log.warning("a station's certificate cannot be read, and does not count: %s", error)
        return TlsElsewhere(None)


def extension_of(tls: ssl.SSLObject) -> dict[str, Any]:
    """The extension for a connection; a certificate that was not verified is not told."""
    certificate = peer_certificate(tls)
    chain = () if certificate is None else certificate.chain
    suite = tls.cipher()
    numbers = {cipher["name"]: cipher["id"] & 0xFFFF for cipher in tls.context.get_ciphers()}
    return {
        "server_cert": None,
        "client_cert_chain": [ssl.DER_cert_to_PEM_cert(der) for der in chain],
        "client_cert_error": None,
        "tls_version": _VERSIONS.get(tls.version() or ""),
        "cipher_suite": None if suite is None else numbers.get(suite[0]),
    }


def telling(protocol: type[Any]) -> type[Any]:
    """A WebSocket protocol class of uvicorn that tells of TLS, for uvicorn's setting ``ws``.

    ::

        uvicorn.Config(app, ws=telling(WebSocketsSansIOProtocol),
                       ssl_context_factory=lambda *_: policy.context())
    """

    class Telling(protocol):  # type: ignore[misc]  # whichever class it is
        app: Any

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            tls = transport.get_extra_info("ssl_object")
            if tls is not None:
                self.app = _with_extension(self.app, extension_of(tls))

    return Telling


def behind_proxy(
    app: App, *, certificate: str = "x-ssl-client-cert", verified: str = "x-ssl-client-verify"
) -> App:
    """An application behind a proxy that ends TLS and has verified stations' certificates, as nginx does::

        proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert;
        proxy_set_header X-SSL-Client-Verify $ssl_client_verify;

    Only for a port that nobody but the proxy reaches: whoever else does can say that he is any station. The
    proxy has to set both headers, which overwrites what a station sent; one that comes twice does not count,
    nor does a certificate without ``SUCCESS``. The extension ``tls`` is made of them, with the leaf alone.
    """
    names = certificate.lower().encode(), verified.lower().encode()

    async def behind(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            values = [[value for key, value in scope["headers"] if key.lower() == name] for name in names]
            match values:
                case [[pem], [b"SUCCESS"]]:
                    chain = [unquote(pem.decode("latin-1"))]
                case _:
                    chain = []
            said = {"client_cert_chain": chain, "client_cert_error": None}
            if chain or scope.get("scheme") == "wss":
                scope = {**scope, "extensions": {**(scope.get("extensions") or {}), EXTENSION: said}}
        await app(scope, receive, send)

    return behind


def _with_extension(app: App, extension: dict[str, Any]) -> Any:
    async def extended(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        scope.setdefault("extensions", {})[EXTENSION] = extension
        await app(scope, receive, send)

    return extended


def _read(chain: Sequence[str]) -> PeerCertificate:
    """Raises ImportError: the extra ``security`` is not installed; ValueError: that is no certificate."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        certificate = x509.load_pem_x509_certificate(chain[0].encode())
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        owners = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        others = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        others = x509.SubjectAlternativeName([])
    except (x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType) as error:
        raise ValueError(error) from error
    return PeerCertificate(
        common_name=str(names[0].value) if len(names) == 1 else None,
        organizations=tuple(str(owner.value) for owner in owners),
        dns_names=tuple(others.get_values_for_type(x509.DNSName)),
        ip_addresses=tuple(map(str, others.get_values_for_type(x509.IPAddress))),
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        chain=tuple(map(ssl.PEM_cert_to_DER_cert, chain)),
    )
