"""OCPP 1.6 and its security whitepaper."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from pydantic import JsonValue, ValidationError

from ...domain.layout import ConnectorRef, Layout
from ...domain.metering import ENERGY_REGISTER, LONGEST_UNIT, Quantity, ReadingContext
from ...domain.status import BootReason, ConnectorStatus, StationInfo
from ...domain.time import from_utc_ms, to_utc_ms
from ...domain.tokens import ANY_TYPE, AuthorizationStatus, IdToken, IdTokenInfo
from ...domain.transactions import Phase, StopReason, TriggerReason
from ...errors import LocalProtocolError
from ...messages import Request, Response, v16
from ...versions import OcppVersion
from ..commands import (
    ChangeAvailability,
    Command,
    RequestStart,
    RequestStop,
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
    RegisterSpan,
    StatusReports,
    TransactionReport,
    in_utc,
)
from ..events import MeterValuesReported, SecurityEventReported, StatusError, StatusReported, TransferStatus
from ..readings import Reading, Readings, scaled
from .metering import default_unit, readings_of, register_span

NO_TRANSACTION = -1
"""The transactionId of a station that never learned it (1.6 errata 3.18)."""

_USUAL = 9
"""Connectors of a station without layout that are made once and not per message."""

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,4})?").fullmatch
_STATUS = {
    "Available": ConnectorStatus.AVAILABLE,
    "Reserved": ConnectorStatus.RESERVED,
    "Unavailable": ConnectorStatus.UNAVAILABLE,
    "Faulted": ConnectorStatus.FAULTED,
}
_TOKEN_STATUS = {
    AuthorizationStatus.ACCEPTED: v16.AuthorizationStatus.ACCEPTED,
    AuthorizationStatus.BLOCKED: v16.AuthorizationStatus.BLOCKED,
    AuthorizationStatus.EXPIRED: v16.AuthorizationStatus.EXPIRED,
    AuthorizationStatus.CONCURRENT_TX: v16.AuthorizationStatus.CONCURRENT_TX,
}
_STOP: Mapping[str | None, tuple[str, TriggerReason]] = {
    None: (StopReason.LOCAL, TriggerReason.STOP_AUTHORIZED),
    "DeAuthorized": (StopReason.DE_AUTHORIZED, TriggerReason.DEAUTHORIZED),
    "EmergencyStop": (StopReason.EMERGENCY_STOP, TriggerReason.ABNORMAL_CONDITION),
    "EVDisconnected": (StopReason.EV_DISCONNECTED, TriggerReason.EV_COMMUNICATION_LOST),
    "HardReset": (StopReason.IMMEDIATE_RESET, TriggerReason.RESET_COMMAND),
    "Local": (StopReason.LOCAL, TriggerReason.STOP_AUTHORIZED),
    "Other": (StopReason.OTHER, TriggerReason.ABNORMAL_CONDITION),
    "PowerLoss": (StopReason.POWER_LOSS, TriggerReason.ABNORMAL_CONDITION),
    "Reboot": (StopReason.REBOOT, TriggerReason.RESET_COMMAND),
    "Remote": (StopReason.REMOTE, TriggerReason.REMOTE_STOP),
    "SoftReset": (StopReason.IMMEDIATE_RESET, TriggerReason.RESET_COMMAND),
    "UnlockCommand": (StopReason.OTHER, TriggerReason.UNLOCK_COMMAND),
}
_SAMPLED = {
    "Sample.Clock": TriggerReason.METER_VALUE_CLOCK,
    "Trigger": TriggerReason.TRIGGER,
}
_TRIGGERED = {"SignChargePointCertificate": "SignCertificate"}


class V16Dialect:
    """Translates between 1.6 and the domain. ``layout`` maps its connector numbers (pitfall: one mapping)."""

    __slots__ = ("_layout", "_refs")

    version = OcppVersion.V16
    may_trigger_boot = False

    def __init__(self, layout: Layout | None) -> None:
        self._layout = layout
        refs = [ConnectorRef(evse) for evse in range(1, _USUAL)] if layout is None else layout.refs
        self._refs = dict(enumerate([ConnectorRef(0, 0), *refs]))

    # What the station says.

    def incoming(self, request: Request) -> Incoming | None:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        read = self._READERS.get(request.ACTION)
        return None if read is None else read(self, request)

    def _boot(self, request: v16.BootNotificationRequest) -> Boot:
        info = StationInfo(
            model=request.charge_point_model,
            vendor=request.charge_point_vendor,
            serial_number=request.charge_point_serial_number,
            firmware_version=request.firmware_version,
            iccid=request.iccid,
            imsi=request.imsi,
            meter_type=request.meter_type,
            meter_serial_number=request.meter_serial_number,
        )
        return Boot(info, BootReason.UNKNOWN)

    def _heartbeat(self, _request: v16.HeartbeatRequest) -> Heartbeat:
        return Heartbeat()

    def _authorize(self, request: v16.AuthorizeRequest) -> Authorize:
        return Authorize(IdToken(request.id_tag, ANY_TYPE))

    def _data_transfer(self, request: v16.DataTransferRequest) -> DataTransfer:
        return DataTransfer(request.vendor_id, request.message_id, request.data)

    def _security_event(self, request: v16.SecurityEventNotificationRequest) -> SecurityEventReported:
        return SecurityEventReported(request.type, in_utc(request.timestamp), request.tech_info)

    def _status(self, request: v16.StatusNotificationRequest) -> StatusReports:
        error = StatusError(
            str(request.error_code), request.info, request.vendor_id, request.vendor_error_code
        )
        report = StatusReported(
            self._ref(request.connector_id),
            _STATUS.get(request.status, ConnectorStatus.OCCUPIED),
            str(request.status),
            None if request.timestamp is None else in_utc(request.timestamp),
            None if error == _NO_ERROR else error,
        )
        return StatusReports(request.ACTION, (report,))

    def _meter_values(self, request: v16.MeterValuesRequest) -> TransactionReport | MeterValuesReported:
        values = request.meter_value
        ref = self._ref(request.connector_id)
        readings = Readings(values, _readings)
        if request.transaction_id is None:
            return MeterValuesReported(ref.evse, readings)
        return TransactionReport(
            phase=Phase.UPDATED,
            transaction=_transaction(request.transaction_id),
            at=in_utc(values[0].timestamp),
            trigger=_SAMPLED.get(
                values[0].sampled_value[0].context or "", TriggerReason.METER_VALUE_PERIODIC
            ),
            evse=ref.evse,
            connector=ref.connector,
            register=register_span(values, _watt_hours),
            readings=readings,
        )

    def _start(self, request: v16.StartTransactionRequest) -> TransactionReport:
        ref = self._ref(request.connector_id)
        at = in_utc(request.timestamp)
        return TransactionReport(
            phase=Phase.STARTED,
            transaction=None,
            at=at,
            trigger=TriggerReason.AUTHORIZED,
            evse=ref.evse,
            connector=ref.connector,
            register=_mark(at, scaled(str(request.meter_start), 0)),
            readings=Readings((request,), _start_readings),
            id_token=IdToken(request.id_tag, ANY_TYPE),
            verify=True,
            reservation_id=request.reservation_id,
        )

    def _stop(self, request: v16.StopTransactionRequest) -> TransactionReport:
        data = request.transaction_data or ()
        at = in_utc(request.timestamp)
        span = register_span(data, _watt_hours)
        stop = scaled(str(request.meter_stop), 0)
        if stop is not None:
            span = (
                _mark(at, stop)
                if span is None
                else RegisterSpan(span.first_ms, span.first_wh, to_utc_ms(at), stop)
            )
        reason, trigger = _STOP.get(request.reason, (str(request.reason), TriggerReason.ABNORMAL_CONDITION))
        return TransactionReport(
            phase=Phase.ENDED,
            transaction=_transaction(request.transaction_id),
            at=at,
            trigger=trigger,
            register=span,
            began_ms=_began_ms(data) if request.transaction_id == NO_TRANSACTION else None,
            readings=Readings((request,), _stop_readings),
            id_token=None if request.id_tag is None else IdToken(request.id_tag, ANY_TYPE),
            stop_reason=reason,
        )

    def _ref(self, connector_id: int) -> ConnectorRef:
        """The connector of a connectorId; one that the layout does not have is the only one of its EVSE."""
        return self._refs.get(connector_id) or ConnectorRef(connector_id)

    _READERS: ClassVar[Mapping[str, Callable[..., Incoming]]] = {
        "Authorize": _authorize,
        "BootNotification": _boot,
        "DataTransfer": _data_transfer,
        "Heartbeat": _heartbeat,
        "MeterValues": _meter_values,
        "SecurityEventNotification": _security_event,
        "StartTransaction": _start,
        "StatusNotification": _status,
        "StopTransaction": _stop,
    }

    # What the station is told.

    def acknowledgement(self, action: str) -> Response:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        return _ACKNOWLEDGEMENTS[action]

    def boot_response(self, registration: Registration, at: datetime) -> Response:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        return v16.BootNotificationResponse(
            status=v16.RegistrationStatus(registration.status),
            current_time=at,
            interval=registration.interval,
        )

    def heartbeat_response(self, at: datetime) -> Response:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        return v16.HeartbeatResponse(current_time=at)

    def authorize_response(self, info: IdTokenInfo) -> Response:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        return v16.AuthorizeResponse(id_tag_info=_id_tag_info(info))

    def data_transfer_response(self, status: TransferStatus, data: JsonValue) -> Response:
        """See :class:`~ocpp_core.csms.dialect.Dialect`; raises LocalProtocolError unless text."""
        if not isinstance(data, str | None):
            raise LocalProtocolError("1.6 transfers text; encode the data")
        return v16.DataTransferResponse(status=v16.DataTransferStatus(status), data=data)

    def transaction_response(self, phase: Phase, transaction: str, info: IdTokenInfo | None) -> Response:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        if phase is Phase.UPDATED:
            return _ACKNOWLEDGEMENTS["MeterValues"]
        id_tag_info = None if info is None else _id_tag_info(info)
        if phase is Phase.ENDED:
            return v16.StopTransactionResponse(id_tag_info=id_tag_info)
        assert id_tag_info is not None, "the start asked for verification"
        return v16.StartTransactionResponse(id_tag_info=id_tag_info, transaction_id=int(transaction))

    # What the station is asked.

    def request(self, command: Command) -> Request:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        try:
            return self._request(command)
        except ValidationError as error:
            raise LocalProtocolError(f"1.6 cannot say {command}: {error}") from error

    def _request(self, command: Command) -> Request:
        match command:
            case RequestStart(token, evse):
                connector = None if evse is None else self._connector_id(evse, 1)
                return v16.RemoteStartTransactionRequest(id_tag=token.value, connector_id=connector)
            case RequestStop(transaction):
                return v16.RemoteStopTransactionRequest(transaction_id=_transaction_id(transaction))
            case Trigger(topic, evse, number):
                connector = None if evse is None else self._connector_id(evse, number)
                return v16.TriggerMessageRequest(
                    requested_message=v16.MessageTrigger(topic), connector_id=connector
                )
            case UnlockConnector(evse, number):
                return v16.UnlockConnectorRequest(connector_id=self._connector_id(evse, number))
            case ChangeAvailability(operative, evse, optional):
                availability = v16.AvailabilityType
                return v16.ChangeAvailabilityRequest(
                    connector_id=0 if evse is None else self._connector_id(evse, optional),
                    type=availability.OPERATIVE if operative else availability.INOPERATIVE,
                )
            case _:
                if command.evse is not None:
                    raise LocalProtocolError("1.6 resets the station only, not an EVSE")
                return v16.ResetRequest(type=v16.ResetType.HARD if command.immediate else v16.ResetType.SOFT)

    def _connector_id(self, evse: int, connector: int | None) -> int:
        """The connectorId of a connector, or (None) of the only one that an EVSE has."""
        if self._layout is None:
            connectors = 1
        else:
            connectors = self._layout.connectors[evse - 1] if evse in self._layout.evses else 0
        if connector is None and connectors > 1:
            raise LocalProtocolError(f"1.6 has no EVSEs; name one of the connectors of EVSE {evse}")
        number = 1 if connector is None else connector
        if not 1 <= number <= connectors or evse < 1:
            raise LocalProtocolError(f"the station has no connector {number} at EVSE {evse}")
        return evse if self._layout is None else self._layout.to_16(ConnectorRef(evse, number))

    def outcome(self, response: Response) -> Outcome:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        answered: Any = response  # every response to a command has a status
        return Outcome(str(answered.status))

    def solicits(self, request: Request) -> frozenset[str]:
        """See :class:`~ocpp_core.csms.dialect.Dialect`."""
        if isinstance(request, v16.TriggerMessageRequest | v16.ExtendedTriggerMessageRequest):
            topic = str(request.requested_message)
            return frozenset({_TRIGGERED.get(topic, topic)})
        return frozenset()


_NO_ERROR = StatusError("NoError")
_ACKNOWLEDGEMENTS: Mapping[str, Response] = {
    "MeterValues": v16.MeterValuesResponse(),
    "SecurityEventNotification": v16.SecurityEventNotificationResponse(),
    "StatusNotification": v16.StatusNotificationResponse(),
}


def _transaction(transaction_id: int) -> str | None:
    return None if transaction_id == NO_TRANSACTION else str(transaction_id)


def _transaction_id(transaction: str) -> int:
    try:
        return int(transaction)
    except ValueError:
        raise LocalProtocolError(
            f"{transaction!r} is no transaction of a 1.6 station that knows its id"
        ) from None


def _mark(at: datetime, wh: float | None) -> RegisterSpan | None:
    return None if wh is None else RegisterSpan(to_utc_ms(at), wh, to_utc_ms(at), wh)


def _id_tag_info(info: IdTokenInfo) -> v16.IdTagInfo:
    return v16.IdTagInfo(
        status=_TOKEN_STATUS.get(info.status, v16.AuthorizationStatus.INVALID),
        parent_id_tag=None if info.group is None else info.group.value,
        expiry_date=None if info.expires_ms is None else from_utc_ms(info.expires_ms),
    )


def _value(sample: v16.SampledValue, exponent: int = 0) -> float | None:
    """The value as a number, or None: the schema lets any text be a value."""
    if sample.format == "SignedData" or not _NUMBER(sample.value):
        return None
    return scaled(sample.value, exponent)


def _watt_hours(sample: v16.SampledValue) -> float | None:
    return _value(sample, 3 if sample.unit == "kWh" else 0)


def _parts(sample: v16.SampledValue) -> tuple[Quantity | None, str | None]:
    number = _value(sample)
    if number is None:
        return None, sample.value
    measurand = str(sample.measurand or ENERGY_REGISTER)
    unit = default_unit(measurand) if sample.unit is None else str(sample.unit)
    quantity = Quantity(
        number,
        measurand,
        "Celsius" if unit == "Celcius" else unit[:LONGEST_UNIT],  # a tolerated one may be of any length
        sample.phase and str(sample.phase),
        sample.location and str(sample.location),
    )
    return quantity, None


def _began_ms(data: Sequence[v16.MeterValue]) -> int | None:
    """When the reading at the begin was taken, if there is one."""
    begun = (
        values.timestamp
        for values in data
        for sample in values.sampled_value
        if sample.context is v16.ReadingContext.TRANSACTION_BEGIN
    )
    at = next(begun, None)
    return None if at is None else to_utc_ms(at)


def _register_reading(at: datetime, context: ReadingContext, meter: int) -> tuple[Reading, ...]:
    wh = scaled(str(meter), 0)
    return () if wh is None else (Reading(in_utc(at), context, (Quantity(wh),)),)


def _start_readings(requests: Sequence[v16.StartTransactionRequest]) -> tuple[Reading, ...]:
    (request,) = requests
    return _register_reading(request.timestamp, ReadingContext.TRANSACTION_BEGIN, request.meter_start)


def _stop_readings(requests: Sequence[v16.StopTransactionRequest]) -> tuple[Reading, ...]:
    """The transaction's data, and meterStop if they do not hold the values at the end."""
    (request,) = requests
    readings = _readings(request.transaction_data or ())
    if any(reading.context == ReadingContext.TRANSACTION_END for reading in readings):
        return readings
    return readings + _register_reading(request.timestamp, ReadingContext.TRANSACTION_END, request.meter_stop)


def _readings(values: Sequence[v16.MeterValue]) -> tuple[Reading, ...]:
    return readings_of(values, _parts)
