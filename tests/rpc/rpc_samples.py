"""Small valid messages of every version, and sessions to exchange them."""

from datetime import UTC, datetime
from json import loads
from typing import Any

from ocpp_core.entropy import SeededEntropy
from ocpp_core.messages import Request, Response, v16, v21, v201
from ocpp_core.rpc import CallFailed, RpcConfig, RpcNotice, RpcSession, SendFrame
from ocpp_core.versions import OcppVersion, Role

V16, V201, V21 = OcppVersion.V16, OcppVersion.V201, OcppVersion.V21
VERSIONS = (V16, V201, V21)
PACKAGES: dict[OcppVersion, Any] = {V16: v16, V201: v201, V21: v21}
STATION, CSMS = Role.STATION, Role.CSMS
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def heartbeat(version: OcppVersion) -> Request:
    return PACKAGES[version].HeartbeatRequest()


def heartbeat_response(version: OcppVersion) -> Response:
    return PACKAGES[version].HeartbeatResponse(current_time=NOON)


def data_transfer(version: OcppVersion, vendor: str = "org.example") -> Request:
    return PACKAGES[version].DataTransferRequest(vendor_id=vendor)


def data_transfer_response(version: OcppVersion, data: str | None = None) -> Response:
    package = PACKAGES[version]
    status = package.DataTransferResponse.model_fields["status"].annotation
    return package.DataTransferResponse(status=status("Accepted"), data=data)


def authorize16(id_tag: str = "04A2B3C4") -> Request:
    return v16.AuthorizeRequest(id_tag=id_tag)


def start16(meter: int = 100) -> Request:
    return v16.StartTransactionRequest(connector_id=1, id_tag="04A2B3C4", meter_start=meter, timestamp=NOON)


def start16_response(transaction: int = 7) -> Response:
    status = v16.AuthorizationStatus.ACCEPTED
    return v16.StartTransactionResponse(id_tag_info=v16.IdTagInfo(status=status), transaction_id=transaction)


def status16(connector: int = 1) -> Request:
    return v16.StatusNotificationRequest(
        connector_id=connector,
        error_code=v16.ChargePointErrorCode.NO_ERROR,
        status=v16.ChargePointStatus.AVAILABLE,
    )


def boot16() -> Request:
    return v16.BootNotificationRequest(charge_point_vendor="V", charge_point_model="M")


def stream21() -> Request:
    element = v21.StreamDataElement(t=0.5, v="230.4")
    return v21.NotifyPeriodicEventStream(id=123, pending=0, basetime=NOON, data=[element])


def session(version: OcppVersion = V16, role: Role = CSMS, *, seed: int = 1, **config: Any) -> RpcSession:
    return RpcSession(version, role, SeededEntropy(seed), RpcConfig(**config))


def frames(actions: list[Any]) -> list[Any]:
    """The frames among ``actions``, as JSON values."""
    return [loads(action.text) for action in actions if isinstance(action, SendFrame)]


RESULT = '[3,"{}",{{"currentTime":"2024-03-01T12:00:00.000Z"}}]'


def kinds(actions):
    return [action.kind for action in actions if isinstance(action, RpcNotice)]


def failure(actions):
    (action,) = [action for action in actions if isinstance(action, CallFailed)]
    return action
