"""OCPP 1.6: a transaction begins when car and driver are together, and the CSMS numbers it."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from ...domain.layout import ConnectorRef, Layout
from ...domain.metering import Quantity, ReadingContext, Sample
from ...domain.security import spelled
from ...domain.status import BootReason, RegistrationStatus, StationInfo
from ...domain.time import Stamp, from_utc_ms, to_utc_ms
from ...domain.tokens import ANY_TYPE, AuthorizationStatus, IdToken, IdTokenInfo
from ...domain.transactions import Phase, StopReason, TransactionFact
from ...messages import Request, Response, v16
from ...versions import OcppVersion
from ..dialect import BootAnswer, Command, FactAnswer, RemoteStart, RemoteStop, Topic, Trigger, Verdict
from ..evse import ConnectorView
from ..tables import Sent, WireRow

_REASONS = {
    StopReason.DE_AUTHORIZED: v16.Reason.DE_AUTHORIZED,
    StopReason.EMERGENCY_STOP: v16.Reason.EMERGENCY_STOP,
    StopReason.EV_DISCONNECTED: v16.Reason.EV_DISCONNECTED,
    StopReason.IMMEDIATE_RESET: v16.Reason.HARD_RESET,
    StopReason.LOCAL: v16.Reason.LOCAL,
    StopReason.POWER_LOSS: v16.Reason.POWER_LOSS,
    StopReason.REBOOT: v16.Reason.REBOOT,
    StopReason.REMOTE: v16.Reason.REMOTE,
}

Choice = TypeVar("Choice", bound=StrEnum)


def known(choices: type[Choice], text: str | None) -> Choice | None:
    """The member of an enumeration with this text, or None if the version has no word for it."""
    try:
        return choices(text or "")
    except ValueError:
        return None


def _tag(token: IdToken | None) -> str:
    """A token's value, or nothing: a part of a longer value may be somebody else's."""
    return token.value if token is not None and token.fits(OcppVersion.V16) else ""


def _info(info: v16.IdTagInfo) -> IdTokenInfo:
    return IdTokenInfo(
        known(AuthorizationStatus, info.status) or AuthorizationStatus.UNKNOWN,
        None if info.parent_id_tag is None else IdToken(info.parent_id_tag, "Central"),
        None if info.expiry_date is None else to_utc_ms(info.expiry_date),
    )


def _sampled(quantity: Quantity, context: str) -> v16.SampledValue | None:
    """A quantity in 1.6's words, or None if 1.6 has none for it."""
    measurand = known(v16.Measurand, quantity.measurand)
    unit = known(v16.UnitOfMeasure, quantity.unit)
    if measurand is None or (unit is None and quantity.unit):
        return None
    return v16.SampledValue(
        value=f"{Decimal(repr(quantity.value)).normalize():f}",
        context=v16.ReadingContext(context),
        measurand=measurand,
        phase=known(v16.Phase, quantity.phase),
        location=known(v16.Location, quantity.location),
        unit=unit,
    )


def _meter_values(samples: Iterable[Sample], resolve: Callable[[Stamp], int]) -> list[v16.MeterValue]:
    values = []
    for sample in samples:
        sampled = [_sampled(quantity, sample.context) for quantity in sample.quantities]
        told = [value for value in sampled if value is not None]
        if told:
            values.append(v16.MeterValue(timestamp=from_utc_ms(resolve(sample.at)), sampled_value=told))
    return values


def _transaction_data(
    fact: TransactionFact, wire: WireRow, resolve: Callable[[Stamp], int]
) -> list[v16.MeterValue]:
    """The series of a transaction, from 1.6's begin of it: the first reading counts from there."""
    samples = [
        sample
        for sample in fact.samples
        if sample.context is ReadingContext.TRANSACTION_BEGIN or resolve(sample.at) >= wire.began_utc_ms
    ]
    return _meter_values(samples, lambda stamp: max(resolve(stamp), wire.began_utc_ms))


class Dialect16:
    """The station's side of OCPP 1.6. See :class:`~ocpp_core.station.dialect.StationDialect`."""

    version = OcppVersion.V16
    answers_while_rejected = False  # 1.6 §4.2.1: neither side says anything until the next boot

    def boot(self, info: StationInfo, reason: BootReason) -> Request:
        """BootNotification."""
        return v16.BootNotificationRequest(
            charge_point_vendor=info.vendor[:20],
            charge_point_model=info.model,
            charge_point_serial_number=info.serial_number,
            firmware_version=info.firmware_version,
            iccid=info.iccid,
            imsi=info.imsi,
            meter_type=info.meter_type,
            meter_serial_number=info.meter_serial_number,
        )

    def boot_answer(self, response: Response) -> BootAnswer:
        """What the CSMS said to it."""
        assert isinstance(response, v16.BootNotificationResponse)
        status = known(RegistrationStatus, response.status) or RegistrationStatus.PENDING
        return BootAnswer(status, response.interval, to_utc_ms(response.current_time))

    def heartbeat(self) -> Request:
        """Heartbeat."""
        return v16.HeartbeatRequest()

    def heartbeat_answer(self, response: Response) -> int:
        """The CSMS's UTC in epoch ms."""
        assert isinstance(response, v16.HeartbeatResponse)
        return to_utc_ms(response.current_time)

    def authorize(self, token: IdToken) -> Request:
        """Authorize."""
        return v16.AuthorizeRequest(id_tag=_tag(token))

    def authorize_answer(self, response: Response) -> IdTokenInfo:
        """What the CSMS said of the token."""
        assert isinstance(response, v16.AuthorizeResponse)
        return _info(response.id_tag_info)

    def status_subjects(self, layout: Layout) -> tuple[ConnectorRef, ...]:
        """The station itself and every connector."""
        return (ConnectorRef(0, 0), *layout.refs)

    def status_text(self, view: ConnectorView | None) -> str:
        """One of the nine states."""
        return v16.ChargePointStatus.AVAILABLE.value if view is None else view.status_16

    def status(self, layout: Layout, ref: ConnectorRef, text: str, utc_ms: int) -> Request:
        """StatusNotification."""
        return v16.StatusNotificationRequest(
            connector_id=layout.to_16(ref),
            error_code=v16.ChargePointErrorCode.NO_ERROR,
            status=v16.ChargePointStatus(text),
            timestamp=from_utc_ms(utc_ms),
        )

    def plan(self, fact: TransactionFact, wire: WireRow) -> WireRow | None:
        """StartTransaction where car and driver met, MeterValues for samples, StopTransaction at the end."""
        if fact.energised:
            return replace(wire, began=True)
        if not wire.began:
            return None
        told = fact.phase is Phase.ENDED or (
            fact.is_sample and bool(_meter_values(fact.samples, lambda stamp: stamp.boot))
        )
        return wire if told else None

    def fact(
        self,
        fact: TransactionFact,
        wire: WireRow,
        sent: Sent,
        layout: Layout,
        resolve: Callable[[Stamp], int],
    ) -> Request:
        """StartTransaction, MeterValues or StopTransaction."""
        connector_id = layout.to_16(ConnectorRef(fact.evse, fact.connector))
        at = from_utc_ms(sent.utc_ms)
        if fact.energised:
            return v16.StartTransactionRequest(
                connector_id=connector_id,
                id_tag=_tag(fact.driver),
                meter_start=round(fact.meter_wh),
                reservation_id=fact.reservation_id,
                timestamp=at,
            )
        if fact.phase is not Phase.ENDED:
            return v16.MeterValuesRequest(
                connector_id=connector_id,
                transaction_id=wire.csms_id,
                meter_value=_meter_values(fact.samples, resolve),
            )
        return v16.StopTransactionRequest(
            id_tag=_tag(fact.id_token) or None,
            meter_stop=round(fact.meter_wh),
            timestamp=at,
            transaction_id=wire.csms_id if wire.csms_id is not None else -1,
            reason=_REASONS.get(fact.stop_reason or StopReason.LOCAL, v16.Reason.OTHER),
            transaction_data=_transaction_data(fact, wire, resolve) or None,
        )

    def fact_answer(self, response: Response) -> FactAnswer:
        """The CSMS's transactionId, and its word on the token."""
        if isinstance(response, v16.StartTransactionResponse):
            return FactAnswer(_info(response.id_tag_info), response.transaction_id)
        if isinstance(response, v16.StopTransactionResponse) and response.id_tag_info is not None:
            return FactAnswer(_info(response.id_tag_info))
        return FactAnswer()

    def reading(
        self,
        layout: Layout,
        evse: int,
        sample: Sample,
        csms_id: int | None,
        resolve: Callable[[Stamp], int],
    ) -> Request | None:
        """MeterValues outside of the transaction's facts."""
        values = _meter_values([sample], resolve)
        if not values:
            return None
        connector_id = layout.to_16(ConnectorRef(evse))
        return v16.MeterValuesRequest(connector_id=connector_id, transaction_id=csms_id, meter_value=values)

    def security_event(self, kind: str, utc_ms: int, tech_info: str | None) -> Request:
        """SecurityEventNotification."""
        return v16.SecurityEventNotificationRequest(
            type=spelled(kind, self.version), timestamp=from_utc_ms(utc_ms), tech_info=tech_info
        )

    def command(self, layout: Layout, request: Request) -> Command | None:
        """A call of the CSMS as a command."""
        if isinstance(request, v16.RemoteStartTransactionRequest):
            return _remote_start(layout, request)
        if isinstance(request, v16.RemoteStopTransactionRequest):
            return RemoteStop(csms_id=request.transaction_id)
        if isinstance(request, v16.TriggerMessageRequest):
            topic = known(Topic, request.requested_message)
            if request.connector_id is None:
                return Trigger(topic)
            ref = layout.from_16(request.connector_id)
            return Trigger(topic, ref, possible=ref is not None)
        return None

    def unhandled(self, request: Request) -> Response | None:
        """A vendor's message is of nobody's here."""
        if isinstance(request, v16.DataTransferRequest):
            return v16.DataTransferResponse(status=v16.DataTransferStatus.UNKNOWN_VENDOR_ID)
        return None

    def verdict(self, request: Request, verdict: Verdict, transaction: str | None) -> Response:
        """The answer to a call that :meth:`command` understood."""
        if isinstance(request, v16.RemoteStartTransactionRequest):
            return v16.RemoteStartTransactionResponse(status=v16.RemoteStartStopStatus(verdict))
        if isinstance(request, v16.RemoteStopTransactionRequest):
            return v16.RemoteStopTransactionResponse(status=v16.RemoteStartStopStatus(verdict))
        return v16.TriggerMessageResponse(status=v16.TriggerMessageStatus(verdict))


def _remote_start(layout: Layout, request: v16.RemoteStartTransactionRequest) -> RemoteStart:
    token = IdToken(request.id_tag, ANY_TYPE)
    if request.connector_id is None:
        return RemoteStart(token, None, None)
    ref = layout.from_16(request.connector_id)
    return RemoteStart(token, 0 if ref is None else ref.evse, None)
