"""OCPP's messages about certificates as questions and answers, for 1.6 (whitepaper), 2.0.1 and 2.1.

The rpc level's user puts :func:`question_in` and :func:`response_to` into the handler of calls, and sends
what :func:`sign_certificate` and :func:`get_certificate_status` make. Plug & Charge in 1.6 carries 2.0.1's
messages in DataTransfer: :func:`unwrap` and :func:`wrap`.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import JsonValue, ValidationError

from ocpp_core.messages import Request, Response, message_set
from ocpp_core.versions import OcppVersion

from .certificates.vehicle import StatusEntry, StatusRequest
from .errors import CertificateError, Fault
from .pki.hashdata import CertificateHashData, HashAlgorithm
from .pki.ocsp import OcspRequestData, Revocation
from .questions import (
    Answer,
    ChainKind,
    DeleteCertificate,
    Installed,
    InstallRoot,
    Kind,
    ListCertificates,
    Outcome,
    Question,
    SigningRequest,
    TakeOcspResponse,
    TakeSigned,
)
from .trust.inventory import LeafUse, TrustUse

PNC_VENDOR = "org.openchargealliance.iso15118pnc"
"""DataTransfer.vendorId of the Plug & Charge application note for 1.6."""
_CENTRAL_SYSTEM = "CentralSystemRootCertificate"
"""What 1.6 calls the CSMS root."""


def question_in(request: Request, *, secure: bool = True) -> Question | None:
    """The question that a call of the CSMS asks; None if it is not about certificates.

    Arguments:
        request: InstallCertificate, DeleteCertificate, GetInstalledCertificateIds or CertificateSigned.
        secure: whether the connection has security profile 2 or 3.
    """
    fields: dict[str, Any] = json.loads(request.to_json())
    match request.ACTION:
        case "InstallCertificate":
            return InstallRoot(_trust_use(fields["certificateType"]), fields["certificate"], secure)
        case "DeleteCertificate":
            return DeleteCertificate(hash_data_in(fields["certificateHashData"]))
        case "GetInstalledCertificateIds":
            kinds = fields.get("certificateType", [])
            return ListCertificates(frozenset(map(_kind, [kinds] if isinstance(kinds, str) else kinds)))
        case "CertificateSigned":
            use = fields.get("certificateType")
            if request.VERSION is OcppVersion.V16:
                use = LeafUse.CHARGING_STATION.value
            return TakeSigned(
                fields["certificateChain"], None if use is None else LeafUse(use), fields.get("requestId")
            )
        case _:
            return None


def response_to(request: Request, answer: Answer) -> Response:
    """The response that carries an answer to :func:`question_in`'s question."""
    fields: dict[str, JsonValue]
    if isinstance(answer, Installed):
        fields = {"status": "Accepted" if answer.chains else "NotFound"}
        if answer.chains:
            fields |= _listed(request.VERSION, answer)
    else:
        assert isinstance(answer, Outcome)
        fields = {"status": answer.status.value}
        if answer.fault is not None and not answer.accepted and request.VERSION is not OcppVersion.V16:
            fields["statusInfo"] = _status_info(answer)
    model = message_set(request.VERSION).response(request.ACTION)
    return model.model_validate_json(json.dumps(fields))


def sign_certificate(version: OcppVersion, request: SigningRequest) -> Request:
    """SignCertificate; in 1.6 for the station's certificate only (for V2G: :func:`wrap` 2.0.1's)."""
    fields: dict[str, JsonValue] = {"csr": request.csr}
    if version is not OcppVersion.V16:
        fields["certificateType"] = request.use.value  # A02.FR.13
    if version is OcppVersion.V21:
        fields["requestId"] = request.request_id  # A02.FR.24
        if request.root is not None:
            fields["hashRootCertificate"] = hash_data_out(request.root)  # A02.FR.27
    return _build(version, "SignCertificate", fields)


def get_certificate_status(version: OcppVersion, data: OcspRequestData) -> Request:
    """GetCertificateStatus (2.x; in 1.6 2.0.1's is wrapped)."""
    fields = {"ocspRequestData": {**hash_data_out(data.hash_data), "responderURL": data.responder_url}}
    return _build(version, "GetCertificateStatus", fields)


def status_in(request: OcspRequestData, response: Response) -> TakeOcspResponse | None:
    """The question that GetCertificateStatusResponse asks; None if the CSMS had no status (M06.FR.04)."""
    fields = json.loads(response.to_json())
    result = fields.get("ocspResult")
    return (
        None if fields["status"] != "Accepted" or not result else TakeOcspResponse(request.hash_data, result)
    )


def get_certificate_chain_status(requests: Sequence[StatusRequest]) -> Request:
    """GetCertificateChainStatus (2.1): at most four entries, so a longer chain takes several calls."""
    entries = [
        {
            "certificateHashData": hash_data_out(request.name),
            "source": request.source.value,
            "urls": list(request.urls),
        }
        for request in requests
    ]
    return _build(OcppVersion.V21, "GetCertificateChainStatus", {"certificateStatusRequests": entries})


def chain_status_in(response: Response) -> tuple[StatusEntry, ...]:
    """What GetCertificateChainStatusResponse says."""
    return tuple(
        StatusEntry(
            hash_data_in(entry["certificateHashData"]),
            None if entry["status"] == "Failed" else Revocation(entry["status"]),
            datetime.fromisoformat(entry["nextUpdate"]),
        )
        for entry in json.loads(response.to_json())["certificateStatus"]
    )


def hash_data_in(fields: dict[str, Any]) -> CertificateHashData:
    """CertificateHashDataType as it is on the wire."""
    return CertificateHashData(
        HashAlgorithm(fields["hashAlgorithm"]),
        fields["issuerNameHash"],
        fields["issuerKeyHash"],
        fields["serialNumber"],
    )


def unwrap(request: Request) -> Request | None:
    """The 2.0.1 request in a 1.6 DataTransfer of Plug & Charge; None if it is another vendor's.

    Raises CertificateError (MALFORMED): it is of that vendor, and its content is not what it says.
    """
    fields = json.loads(request.to_json())
    if request.ACTION != "DataTransfer" or fields.get("vendorId") != PNC_VENDOR:
        return None
    try:
        model = message_set(OcppVersion.V201).request(fields.get("messageId", ""))
        return model.model_validate_json(fields.get("data", ""))
    except (KeyError, ValidationError) as error:
        raise CertificateError(Fault.MALFORMED, "DataTransfer") from error


def wrap(request: Request) -> Request:
    """A 2.0.1 request in a 1.6 DataTransfer of Plug & Charge."""
    fields = {"vendorId": PNC_VENDOR, "messageId": request.ACTION, "data": request.to_json()}
    return _build(OcppVersion.V16, "DataTransfer", fields)


def wrap_response(response: Response) -> Response:
    """A 2.0.1 response in a 1.6 DataTransfer's."""
    model = message_set(OcppVersion.V16).response("DataTransfer")
    return model.model_validate_json(json.dumps({"status": "Accepted", "data": response.to_json()}))


def _build(version: OcppVersion, action: str, fields: Any) -> Request:
    return message_set(version).request(action).model_validate_json(json.dumps(fields))


def _trust_use(name: str) -> TrustUse:
    return TrustUse.CSMS if name == _CENTRAL_SYSTEM else TrustUse(name)


def _kind(name: str) -> Kind:
    return ChainKind.V2G if name == ChainKind.V2G else _trust_use(name)


def hash_data_out(name: CertificateHashData) -> dict[str, JsonValue]:
    """CertificateHashDataType for the wire."""
    return {
        "hashAlgorithm": name.algorithm.value,
        "issuerNameHash": name.issuer_name_hash,
        "issuerKeyHash": name.issuer_key_hash,
        "serialNumber": name.serial_number,
    }


def _listed(version: OcppVersion, answer: Installed) -> dict[str, JsonValue]:
    """1.6 lists hash data only; 2.x says what each is, with its sub-CAs below it (M03.FR.05)."""
    if version is OcppVersion.V16:
        return {"certificateHashData": [hash_data_out(chain.name) for chain in answer.chains]}
    chains: list[JsonValue] = []
    for chain in answer.chains:
        fields: dict[str, JsonValue] = {
            "certificateType": chain.kind.value,
            "certificateHashData": hash_data_out(chain.name),
        }
        if chain.children:
            fields["childCertificateHashData"] = [hash_data_out(child) for child in chain.children]
        chains.append(fields)
    return {"certificateHashDataChain": chains}


def _status_info(outcome: Outcome) -> dict[str, JsonValue]:
    """2.x may say why, by the standard's reason codes (part 2, appendices) and in words.

    What storage says names local paths, which are nobody's business.
    """
    assert outcome.fault is not None
    code = _REASONS.get(outcome.fault, "InvalidCertificate")
    told = outcome.detail and outcome.fault is not Fault.STORAGE_FAILED
    words = f"{outcome.fault}: {outcome.detail}" if told else outcome.fault.value
    return {"reasonCode": code, "additionalInfo": words[:512]}


_REASONS = {
    Fault.TOO_LARGE: "TooLargeElement",
    Fault.STORE_FULL: "OutOfStorage",
    Fault.STORAGE_FAILED: "InternalError",
    Fault.IN_USE: "Unspecified",
    Fault.LAST_OF_ITS_KIND: "Unspecified",
    Fault.INSECURE_CONNECTION: "Unspecified",
    Fault.UNKNOWN_REQUEST: "NotFound",
}
