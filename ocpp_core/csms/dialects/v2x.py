"""OCPP 2.0.1 and 2.1, which say the same of all that the blocks handle: one dialect over either messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from pydantic import JsonValue, ValidationError

from ...domain.layout import ConnectorRef
from ...domain.metering import ENERGY_REGISTER, Quantity
from ...domain.status import BootReason, ConnectorStatus, StationInfo
from ...domain.time import from_utc_ms
from ...domain.tokens import LONGEST_TYPE, IdToken, IdTokenInfo
from ...domain.transactions import ChargingState, Phase, StopReason, TriggerReason
from ...errors import LocalProtocolError
from ...messages import Request, Response
from ...versions import OcppVersion
from ..commands import (
    ChangeAvailability,
    Command,
    RequestStart,
    RequestStop,
    Topic,
    Trigger,
    UnlockConnector,
)
from ..config import Registration
from ..dialect import (
    Authorize,
    Boot,
    DataTransfer,
    Heartbeat,
    Incoming,
    Outcome,
    StatusReports,
    TransactionReport,
    in_utc,
    word,
)
from ..events import MeterValuesReported, SecurityEventReported, StatusReported, TransferStatus
from ..readings import Reading, Readings, scaled
from .metering import default_unit, readings_of, register_span

if TYPE_CHECKING:
    from ...messages import v21, v201

    MeterValue: TypeAlias = v201.MeterValue | v21.MeterValue
    SampledValue: TypeAlias = v201.SampledValue | v21.SampledValue
    WireToken: TypeAlias = v201.IdToken | v21.IdToken

_REPORTS = frozenset({"GetBaseReport", "GetReport"})
_TRIGGERED = {
    "SignChargingStationCertificate": "SignCertificate",
    "SignV2GCertificate": "SignCertificate",
    "SignV2G20Certificate": "SignCertificate",
    "SignCombinedCertificate": "SignCertificate",
}


class V2xDialect:
    """Translates between a 2.x version and the domain.

    Subclasses name the version and its package of messages. The names in both packages are the same for all
    that is used here, but a module is no type: the construction of messages is checked by the tests instead.
    """

    __slots__ = ()

    version: OcppVersion
    messages: Any
    may_trigger_boot = True

    # What the station says.

    def incoming(self, request: Request) -> Incoming | None:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        read = self._READERS.get(request.ACTION)
        return None if read is None else read(self, request)

    def _boot(self, request: v201.BootNotificationRequest | v21.BootNotificationRequest) -> Boot:
        station = request.charging_station
        modem = station.modem
        info = StationInfo(
            model=station.model,
            vendor=station.vendor_name,
            serial_number=station.serial_number,
            firmware_version=station.firmware_version,
            iccid=None if modem is None else modem.iccid,
            imsi=None if modem is None else modem.imsi,
        )
        return Boot(info, word(BootReason, request.reason))

    def _heartbeat(self, _request: v201.HeartbeatRequest | v21.HeartbeatRequest) -> Heartbeat:
        return Heartbeat()

    def _authorize(self, request: v201.AuthorizeRequest | v21.AuthorizeRequest) -> Authorize:
        return Authorize(_token(request.id_token))

    def _data_transfer(self, request: v201.DataTransferRequest | v21.DataTransferRequest) -> DataTransfer:
        return DataTransfer(request.vendor_id, request.message_id, request.data)

    def _security_event(
        self, request: v201.SecurityEventNotificationRequest | v21.SecurityEventNotificationRequest
    ) -> SecurityEventReported:
        return SecurityEventReported(request.type, in_utc(request.timestamp), request.tech_info)

    def _status(
        self, request: v201.StatusNotificationRequest | v21.StatusNotificationRequest
    ) -> StatusReports:
        ref = ConnectorRef(request.evse_id, request.connector_id)
        report = _status_report(ref, str(request.connector_status), request.timestamp)
        return StatusReports(request.ACTION, (report,))

    def _events(self, request: v201.NotifyEventRequest | v21.NotifyEventRequest) -> StatusReports | None:
        """Availability, if the events tell of nothing else (B01.FR.05 of 2.1, G01.FR.03)."""
        reports = []
        for event in request.event_data:
            name = event.component.name.casefold(), event.variable.name.casefold()
            if name not in _AVAILABILITY:
                return None
            evse = event.component.evse
            ref = ConnectorRef(0, 0) if evse is None else ConnectorRef(evse.id, evse.connector_id or 0)
            reports.append(_status_report(ref, event.actual_value, event.timestamp))
        return StatusReports(request.ACTION, tuple(reports))

    def _meter_values(self, request: v201.MeterValuesRequest | v21.MeterValuesRequest) -> MeterValuesReported:
        return MeterValuesReported(request.evse_id, Readings(request.meter_value, _readings))

    def _transaction_event(
        self, request: v201.TransactionEventRequest | v21.TransactionEventRequest
    ) -> TransactionReport:
        info = request.transaction_info
        evse = request.evse
        values = request.meter_value or ()
        token = request.id_token
        state = info.charging_state
        return TransactionReport(
            phase=_PHASES.get(request.event_type, Phase.UPDATED),
            transaction=info.transaction_id,
            at=in_utc(request.timestamp),
            trigger=word(TriggerReason, request.trigger_reason),
            evse=None if evse is None else evse.id,
            connector=None if evse is None else evse.connector_id,
            offline=bool(request.offline),
            register=register_span(values, _watt_hours),
            readings=Readings(values, _readings),
            charging_state=None if state is None else word(ChargingState, state),
            id_token=None if token is None else _token(token),
            verify=token is not None,
            seq_no=request.seq_no,
            remote_start_id=info.remote_start_id,
            reservation_id=request.reservation_id,
            stop_reason=word(StopReason, info.stopped_reason or StopReason.LOCAL),
        )

    _READERS: ClassVar[Mapping[str, Callable[..., Incoming | None]]] = {
        "Authorize": _authorize,
        "BootNotification": _boot,
        "DataTransfer": _data_transfer,
        "Heartbeat": _heartbeat,
        "MeterValues": _meter_values,
        "SecurityEventNotification": _security_event,
        "NotifyEvent": _events,
        "StatusNotification": _status,
        "TransactionEvent": _transaction_event,
    }

    # What the station is told.

    def acknowledgement(self, action: str) -> Response:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        return _empty(self.messages, f"{action}Response")

    def boot_response(self, registration: Registration, at: datetime) -> Response:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        m = self.messages
        response: Response = m.BootNotificationResponse(
            status=m.RegistrationStatusEnum(registration.status),
            current_time=at,
            interval=registration.interval,
        )
        return response

    def heartbeat_response(self, at: datetime) -> Response:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        response: Response = self.messages.HeartbeatResponse(current_time=at)
        return response

    def authorize_response(self, info: IdTokenInfo) -> Response:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        response: Response = self.messages.AuthorizeResponse(id_token_info=self._info(info))
        return response

    def data_transfer_response(self, status: TransferStatus, data: JsonValue) -> Response:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        m = self.messages
        response: Response = m.DataTransferResponse(status=m.DataTransferStatusEnum(status), data=data)
        return response

    def transaction_response(self, phase: Phase, transaction: str, info: IdTokenInfo | None) -> Response:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        if info is None:
            return _empty(self.messages, "TransactionEventResponse")
        response: Response = self.messages.TransactionEventResponse(id_token_info=self._info(info))
        return response

    def _info(self, info: IdTokenInfo) -> object:
        m = self.messages
        return m.IdTokenInfo(
            status=m.AuthorizationStatusEnum(info.status),
            group_id_token=None if info.group is None else self._wire_token(info.group),
            cache_expiry_date_time=None if info.expires_ms is None else from_utc_ms(info.expires_ms),
            evse_id=list(info.evses) or None,
        )

    def _wire_token(self, token: IdToken) -> object:
        return self.messages.IdToken(id_token=token.value, type=self._token_type(token.type))

    def _token_type(self, name: str) -> str:
        """A token type as the messages want it; a subclass knows whether that is an enumeration."""
        return name

    # What the station is asked.

    def request(self, command: Command) -> Request:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        try:
            return self._request(command)
        except ValidationError as error:
            raise LocalProtocolError(f"{self.version.number} cannot say {command}: {error}") from error

    def _request(self, command: Command) -> Request:
        m = self.messages
        request: Request
        match command:
            case RequestStart(token, evse, remote_start_id):
                request = m.RequestStartTransactionRequest(
                    id_token=self._wire_token(token), evse_id=evse, remote_start_id=remote_start_id
                )
            case RequestStop(transaction):
                request = m.RequestStopTransactionRequest(transaction_id=transaction)
            case Trigger(topic, evse, connector):
                if topic is Topic.STATUS and evse is None:
                    raise LocalProtocolError("2.x tells the status of one connector at a time (F06.FR.13)")
                request = m.TriggerMessageRequest(
                    requested_message=m.MessageTriggerEnum(topic),
                    evse=self._evse(evse, connector if topic is Topic.STATUS else None),
                )
            case UnlockConnector(evse, connector):
                request = m.UnlockConnectorRequest(evse_id=evse, connector_id=connector)
            case ChangeAvailability(operative, evse, connector):
                status = m.OperationalStatusEnum
                request = m.ChangeAvailabilityRequest(
                    operational_status=status.OPERATIVE if operative else status.INOPERATIVE,
                    evse=self._evse(evse, connector),
                )
            case _:
                kind = m.ResetEnum.IMMEDIATE if command.immediate else m.ResetEnum.ON_IDLE
                request = m.ResetRequest(type=kind, evse_id=command.evse)
        return request

    def _evse(self, evse: int | None, connector: int | None) -> object:
        return None if evse is None else self.messages.EVSE(id=evse, connector_id=connector)

    def outcome(self, response: Response) -> Outcome:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        answered: Any = response  # every response to a command has a status, and may give a reason
        info = answered.status_info
        reason = None if info is None else str(info.reason_code)
        return Outcome(str(answered.status), reason, getattr(answered, "transaction_id", None))

    def solicits(self, request: Request) -> frozenset[str]:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        if request.ACTION in _REPORTS:
            return frozenset({"NotifyReport"})
        if request.ACTION == "TriggerMessage":
            asked: Any = request
            topic = str(asked.requested_message)
            return frozenset({_TRIGGERED.get(topic, topic)})
        return frozenset()


_PHASES = {phase.value: phase for phase in Phase}
_STATUS = {status.value: status for status in ConnectorStatus}
_AVAILABILITY = {(name, "availabilitystate") for name in ("connector", "evse", "chargingstation")}


def _status_report(ref: ConnectorRef, text: str, at: datetime) -> StatusReported:
    return StatusReported(ref, _STATUS.get(text, ConnectorStatus.OCCUPIED), text, in_utc(at))


@cache
def _empty(messages: Any, name: str) -> Response:
    """A response without members, which is the same every time."""
    response: Response = getattr(messages, name)()
    return response


def _token(token: WireToken) -> IdToken:
    # A tolerated type may be of any length.
    return IdToken(token.id_token, str(token.type)[:LONGEST_TYPE])


def _exponent(sample: SampledValue) -> int:
    unit = sample.unit_of_measure
    return 0 if unit is None else unit.multiplier or 0


def _watt_hours(sample: SampledValue) -> float | None:
    unit = sample.unit_of_measure
    if unit is None:
        return sample.value
    return scaled(repr(sample.value), _exponent(sample) + (3 if unit.unit == "kWh" else 0))


def _parts(sample: SampledValue) -> tuple[Quantity | None, str | None]:
    digits = repr(sample.value)
    exponent = _exponent(sample)
    value = scaled(digits, exponent)
    if value is None:
        return None, f"{digits}e{exponent}"
    measurand = str(sample.measurand or ENERGY_REGISTER)
    unit = None if sample.unit_of_measure is None else sample.unit_of_measure.unit
    quantity = Quantity(
        value,
        measurand,
        default_unit(measurand) if unit is None else unit,
        sample.phase and str(sample.phase),
        sample.location and str(sample.location),
    )
    signed = sample.signed_meter_value
    return quantity, None if signed is None else signed.signed_meter_data


def _readings(values: Sequence[MeterValue]) -> tuple[Reading, ...]:
    return readings_of(values, _parts)
