"""The CSMS's part in certificates, as messages: sign what a station asks for, fetch OCSP responses for it.

Signing itself belongs to a certificate authority (A02.FR.04), and opening connections to an adapter: the
caller has both. All functions take the request as it came; in 1.6, the one that DataTransfer carried.
"""

import base64
import json
import logging
from collections.abc import Callable
from typing import Any

from cryptography.x509 import ocsp

from ocpp_core.messages import Request, Response, message_set
from ocpp_core.versions import OcppVersion

from .errors import CertificateError
from .inquiry import Fetch, ask_responder, permitted
from .messages import hash_data_in
from .pki.csr import CertificateRequest, parse_csr
from .pki.ocsp import encode_request
from .trust.inventory import LeafUse

_log = logging.getLogger(__name__)
MAX_RESULT = {OcppVersion.V201: 5500, OcppVersion.V21: 18_000}
"""Characters of GetCertificateStatusResponse.ocspResult."""


def signing_request_in(request: Request) -> tuple[LeafUse, CertificateRequest]:
    """What a SignCertificate asks for, and for which use; without one it is the station's own certificate.

    Raises CertificateError: the CSR is not one to sign (answer Rejected, A02.FR.12).
    """
    fields = json.loads(request.to_json())
    use = LeafUse(fields.get("certificateType", LeafUse.CHARGING_STATION))
    return use, parse_csr(fields["csr"])


def signing_response(request: Request, accepted: bool) -> Response:
    """Whether a certificate will be asked for: Accepted (A02.FR.11) or Rejected (A02.FR.12)."""
    return _response(request, {"status": "Accepted" if accepted else "Rejected"})


def certificate_signed(request: Request, chain: str) -> Request:
    """The CertificateSigned that brings the chain (PEM, leaf first) for a SignCertificate.

    It says which certificate it is as the request did (A02.FR.14), and carries its requestId (A02.FR.25).
    """
    asked = json.loads(request.to_json())
    fields = {name: asked[name] for name in ("certificateType", "requestId") if name in asked}
    model = message_set(request.VERSION).request("CertificateSigned")
    return model.model_validate_json(json.dumps({**fields, "certificateChain": chain}))


def ocsp_request_in(request: Request) -> tuple[str, bytes]:
    """The responder's URL and the DER to post to it, for a GetCertificateStatus.

    The URL is the station's word: fetch it as such (a time-out, a limit, no redirects into your own network),
    or let :func:`certificate_status` do it. Raises CertificateError: the hash data is none (answer Failed,
    M06.FR.04).
    """
    data = json.loads(request.to_json())["ocspRequestData"]
    return data["responderURL"], encode_request(hash_data_in(data))


def ocsp_response(request: Request, der: bytes | None) -> Response:
    """Answer a GetCertificateStatus with what the responder said (DER), or None if it could not be had.

    Accepted with the response in base64 if it is an OCSPResponse that says something about a certificate
    (M06.FR.02, M06.FR.03, M06.FR.08, M06.FR.09), else Failed (M06.FR.04). Whether to believe it is for the
    station to see, which has the issuer's certificate.
    """
    result = "" if der is None else base64.b64encode(der).decode("ascii")
    if der is None or len(result) > MAX_RESULT[request.VERSION] or not _successful(der):
        return _response(request, {"status": "Failed"})
    return _response(request, {"status": "Accepted", "ocspResult": result})


async def certificate_status(
    request: Request, fetch: Fetch, *, timeout: float = 10.0, allowed: Callable[[str], bool] | None = None
) -> Response:
    """Ask the responder that a GetCertificateStatus names, and answer with what it says (M06).

    Arguments:
        request: as it came.
        fetch: asks web servers, as ``ocpp_adapters.anyio_web.AnyioFetch`` does.
        timeout: seconds for the responder.
        allowed: whether a URL may be asked: it is the station's word, and this machine may reach what the
            station cannot. None: any may.
    """
    try:
        url, body = ocsp_request_in(request)
        der = await permitted(fetch, allowed)(ask_responder(url, body), timeout)
    except (CertificateError, OSError) as error:
        _log.warning("no certificate status: %s", error)
        return ocsp_response(request, None)
    return ocsp_response(request, der)


def _successful(der: bytes) -> bool:
    try:
        return ocsp.load_der_ocsp_response(der).response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    except Exception:  # whatever the library has against it: it is no response
        return False


def _response(request: Request, fields: dict[str, Any]) -> Response:
    model = message_set(request.VERSION).response(request.ACTION)
    return model.model_validate_json(json.dumps(fields))
