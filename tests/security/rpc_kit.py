"""A station's certificate side and a CSMS with its authorities, joined at the rpc level, in virtual time."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as asn1

from ocpp_core.entropy import SeededEntropy
from ocpp_core.messages import Request, Response, message_set
from ocpp_core.rpc import CallFailed, CallReceived, CallSucceeded, ErrorCode, RpcSession, SendFrame
from ocpp_core.store import Commit, MemoryStore
from ocpp_core.versions import OcppVersion, Role
from ocpp_security import csms, messages
from ocpp_security.manager import CertificateManager
from ocpp_security.pki.certificate import Certificate, to_pem
from ocpp_security.questions import (
    CheckLeaf,
    LeafState,
    ListOcspRequests,
    MakeSigningRequest,
    OcspRequests,
    Outcome,
    SecurityEvent,
    SigningRequest,
    TakeSigned,
)
from ocpp_security.renewal import (
    Renewal,
    RenewalAction,
    RenewalConfig,
    RenewalStopped,
    SendOcspRequest,
    SendSigningRequest,
    SigningRefused,
    UseNewCertificate,
)
from ocpp_security.trust.inventory import LeafUse
from tests.security.pki_kit import NOW, Authority

TRIGGERS = {
    "SignChargePointCertificate": LeafUse.CHARGING_STATION,
    "SignChargingStationCertificate": LeafUse.CHARGING_STATION,
    "SignV2GCertificate": LeafUse.V2G,
    "SignV2G20Certificate": LeafUse.V2G20,
}


def utc(now: float) -> datetime:
    return NOW + timedelta(seconds=now)


def built(version: OcppVersion, action: str, **fields: object) -> Request:
    return message_set(version).request(action).model_validate_json(json.dumps(fields))


def answered(version: OcppVersion, action: str, **fields: object) -> Response:
    return message_set(version).response(action).model_validate_json(json.dumps(fields))


@dataclass
class Station:
    """What blocks A and M of a station will do with machine, manager and messages."""

    version: OcppVersion
    manager: CertificateManager
    config: RenewalConfig
    store: MemoryStore = field(default_factory=MemoryStore)
    events: list[SecurityEvent] = field(default_factory=list)
    told: list[RenewalAction] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rpc = RpcSession(self.version, Role.STATION, SeededEntropy("station"))
        self.renewal = Renewal(self.config, self.store.load())
        self.calls: dict[str, SendSigningRequest | SendOcspRequest] = {}

    def handle(self, request: Request, now: float) -> Response:
        """Answer a call of the CSMS."""
        if request.ACTION in ("TriggerMessage", "ExtendedTriggerMessage"):
            self.renewal.requested(TRIGGERS[json.loads(request.to_json())["requestedMessage"]], now)
            return answered(self.version, request.ACTION, status="Accepted")
        inner = messages.unwrap(request)
        if inner is not None:
            return messages.wrap_response(self.handle(inner, now))
        question = messages.question_in(request)
        assert question is not None
        answer = self.manager.answer(question, utc(now))
        if isinstance(answer, Outcome):
            self.events += answer.events
            if isinstance(question, TakeSigned) and answer.use is not None:
                if answer.valid_from is not None:
                    self.renewal.certificate_taken(answer.use, answer.valid_from, now)
                elif answer.events:
                    self.renewal.certificate_refused(answer.use, now)
        return messages.response_to(request, answer)

    def carry_out(self, action: RenewalAction, now: float) -> None:
        """Carry out one action of the schedule."""
        match action:
            case Commit():
                self.store.commit(action)
            case CheckLeaf() | MakeSigningRequest() | ListOcspRequests():
                answer = self.manager.answer(action, utc(now))
                match answer:
                    case LeafState():
                        self.renewal.leaf_checked(answer, now)
                    case SigningRequest():
                        self.renewal.request_made(answer, now)
                    case OcspRequests(requests):
                        self.renewal.ocsp_listed(requests, now)
                    case _:
                        assert isinstance(action, MakeSigningRequest)
                        self.renewal.request_failed(action.use, now)
            case SendSigningRequest(made):
                self._call(action, made.use is LeafUse.CHARGING_STATION, now)
            case SendOcspRequest():
                self._call(action, False, now)
            case UseNewCertificate() | RenewalStopped() | SigningRefused():
                self.told.append(action)

    def _call(self, action: SendSigningRequest | SendOcspRequest, native: bool, now: float) -> None:
        wrapped = self.version is OcppVersion.V16 and not native
        version = OcppVersion.V201 if wrapped else self.version
        if isinstance(action, SendSigningRequest):
            request = messages.sign_certificate(version, action.request)
        else:
            request = messages.get_certificate_status(version, action.request)
        self.calls[self.rpc.call(messages.wrap(request) if wrapped else request, now)] = action

    def ended(self, outcome: CallSucceeded | CallFailed, now: float) -> None:
        """A call of ours came to its end."""
        action = self.calls.pop(outcome.call_id)
        response = outcome.response if isinstance(outcome, CallSucceeded) else None
        if response is not None and response.ACTION == "DataTransfer":
            inner = "SignCertificate" if isinstance(action, SendSigningRequest) else "GetCertificateStatus"
            data = json.loads(json.loads(response.to_json())["data"])
            response = answered(OcppVersion.V201, inner, **data)
        if isinstance(action, SendSigningRequest):
            status = None if response is None else json.loads(response.to_json())["status"] == "Accepted"
            self.renewal.sign_answered(action.request, status, now)
            return
        question = None if response is None else messages.status_in(action.request, response)
        outcome_of = None if question is None else self.manager.answer(question, utc(now))
        self.renewal.ocsp_answered(
            action.request, isinstance(outcome_of, Outcome) and outcome_of.accepted, now
        )


@dataclass
class Csms:
    """A CSMS with a certificate authority per use, and OCSP responders behind it."""

    version: OcppVersion
    authorities: dict[LeafUse, Authority]
    accept: bool = True
    deliver: bool = True
    """Whether a signed certificate is sent."""
    issue: dict[str, object] = field(default_factory=dict)
    """How certificates are to be."""
    statuses: bool = True
    seen: list[Request] = field(default_factory=list)
    outcomes: list[Response] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rpc = RpcSession(self.version, Role.CSMS, SeededEntropy("csms"))
        self.issued: dict[int, tuple[Certificate, Authority]] = {}
        self.to_send: list[Request] = []

    def handle(self, request: Request, now: float) -> Response:
        """Answer a call of the station."""
        inner = messages.unwrap(request)
        if inner is not None:
            return messages.wrap_response(self.handle(inner, now))
        self.seen.append(request)
        if request.ACTION == "SignCertificate":
            if self.accept and self.deliver:
                self.to_send.append(self._sign(request, now))
            return csms.signing_response(request, self.accept)
        assert request.ACTION == "GetCertificateStatus"
        return csms.ocsp_response(request, self._ask_responder(request, now) if self.statuses else None)

    def _ask_responder(self, request: Request, now: float) -> bytes:
        _, der = csms.ocsp_request_in(request)
        asked = asn1.load_der_ocsp_request(der)
        certificate, authority = self.issued[asked.serial_number]
        return authority.ocsp(certificate, begin=utc(now), end=utc(now) + timedelta(days=7))

    def _sign(self, request: Request, now: float) -> Request:
        use, asked = csms.signing_request_in(request)
        authority = self.authorities[use]
        wish = {"begin": utc(now), "end": utc(now) + timedelta(days=90), **self.issue}
        csr = asked.parsed.public_bytes(Encoding.PEM).decode()
        certificate = authority.sign_csr(csr, **wish)
        self.issued[certificate.serial] = (certificate, authority)
        signed = csms.certificate_signed(request, to_pem((certificate, authority.certificate)))
        return messages.wrap(signed) if request.VERSION is not self.version else signed


@dataclass
class World:
    """Both ends and the time."""

    station: Station
    csms: Csms
    now: float = 0.0
    connected: bool = True

    def start(self) -> None:
        self.station.renewal.set_utc(utc(self.now), self.now)
        self.station.renewal.boot_accepted(self.now)
        self.settle()

    def ask(self, action: str, version: OcppVersion | None = None, **fields: object) -> dict[str, object]:
        """The CSMS calls; the response's fields."""
        request = built(version or self.csms.version, action, **fields)
        self.csms.outcomes.clear()
        self.csms.rpc.call(
            messages.wrap(request) if request.VERSION is not self.csms.version else request, self.now
        )
        self.settle()
        response = json.loads(self.csms.outcomes[0].to_json())
        return json.loads(response["data"]) if "data" in response else response

    def settle(self) -> None:
        """Carry out everything until nothing moves."""
        moved = True
        while moved:
            moved = False
            for action in self.station.renewal.actions():
                self.station.carry_out(action, self.now)
                moved = True
            while self.csms.to_send:
                self.csms.rpc.call(self.csms.to_send.pop(0), self.now)
            for end, other in ((self.station, self.csms), (self.csms, self.station)):
                for action in end.rpc.actions():
                    self._perform(end, other, action)
                    moved = True

    def _perform(self, end: Station | Csms, other: Station | Csms, action: object) -> None:
        match action:
            case SendFrame(text):
                if self.connected:
                    other.rpc.receive_frame(text, self.now)
            case CallReceived(call_id, _, request):
                end.rpc.respond(call_id, end.handle(request, self.now), self.now)
            case CallSucceeded() | CallFailed():
                if isinstance(end, Station):
                    end.ended(action, self.now)
                elif isinstance(action, CallSucceeded):
                    end.outcomes.append(action.response)
            case _:
                raise AssertionError(f"{ErrorCode.INTERNAL_ERROR}: {action}")

    def run_to(self, at: float) -> None:
        """Let time pass, from timer to timer."""
        while True:
            machines = (self.station.renewal, self.station.rpc, self.csms.rpc)
            due = min((t for t in (m.next_timer() for m in machines) if t is not None), default=at)
            self.now = min(max(due, self.now), at)
            for machine in machines:
                machine.handle_timer(self.now)
            self.settle()
            if due >= at:
                self.now = at
                return
