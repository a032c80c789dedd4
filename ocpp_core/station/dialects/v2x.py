"""OCPP 2.0.1 and 2.1: the domain is theirs, so what is left is naming. One class serves both versions."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ...domain.layout import ConnectorRef, Layout
from ...domain.metering import Quantity, Sample
from ...domain.status import BootReason, RegistrationStatus, StationInfo
from ...domain.time import Stamp, from_utc_ms, to_utc_ms
from ...domain.tokens import LONGEST_TYPE, AuthorizationStatus, IdToken, IdTokenInfo
from ...domain.transactions import TransactionFact
from ...messages import Request, Response, v21, v201
from ...versions import OcppVersion
from ..dialect import BootAnswer, Command, FactAnswer, RemoteStart, RemoteStop, Topic, Trigger, Verdict
from ..evse import ConnectorView
from ..tables import Sent, WireRow
from .v16 import known


class Dialect2x:
    """The station's side of OCPP 2.0.1 or 2.1. See :class:`~ocpp_core.station.dialect.StationDialect`."""

    answers_while_rejected = True

    def __init__(self, version: OcppVersion) -> None:
        self.version = version
        # Two modules with the same names cannot share a static type; the differential tests check every use.
        self._m: Any = v201 if version is OcppVersion.V201 else v21

    def boot(self, info: StationInfo, reason: BootReason) -> Request:
        """BootNotification."""
        m = self._m
        modem = m.Modem(iccid=info.iccid, imsi=info.imsi) if info.iccid or info.imsi else None
        request: Request = m.BootNotificationRequest(
            charging_station=m.ChargingStation(
                serial_number=info.serial_number,
                model=info.model,
                modem=modem,
                vendor_name=info.vendor,
                firmware_version=info.firmware_version,
            ),
            reason=m.BootReasonEnum(reason),
        )
        return request

    def boot_answer(self, response: Response) -> BootAnswer:
        """What the CSMS said to it."""
        answer: Any = response
        status = known(RegistrationStatus, answer.status) or RegistrationStatus.PENDING
        return BootAnswer(status, answer.interval, to_utc_ms(answer.current_time))

    def heartbeat(self) -> Request:
        """Heartbeat."""
        request: Request = self._m.HeartbeatRequest()
        return request

    def heartbeat_answer(self, response: Response) -> int:
        """The CSMS's UTC in epoch ms."""
        answer: Any = response
        return to_utc_ms(answer.current_time)

    def authorize(self, token: IdToken) -> Request:
        """Authorize."""
        request: Request = self._m.AuthorizeRequest(id_token=self._token(token))
        return request

    def authorize_answer(self, response: Response) -> IdTokenInfo:
        """What the CSMS said of the token."""
        answer: Any = response
        return _info(answer.id_token_info)

    def status_subjects(self, layout: Layout) -> tuple[ConnectorRef, ...]:
        """Every connector."""
        return layout.refs

    def status_text(self, view: ConnectorView | None) -> str:
        """One of the five states; the station itself has none."""
        return "" if view is None else view.status.value

    def status(self, layout: Layout, ref: ConnectorRef, text: str, utc_ms: int) -> Request:
        """StatusNotification."""
        request: Request = self._m.StatusNotificationRequest(
            timestamp=from_utc_ms(utc_ms),
            connector_status=self._m.ConnectorStatusEnum(text),
            evse_id=ref.evse,
            connector_id=ref.connector,
        )
        return request

    def plan(self, fact: TransactionFact, wire: WireRow) -> WireRow | None:
        """Every fact takes the next seqNo, but for a reading of which this version has no words."""
        if fact.is_sample and fact.charging_state is None and not self._meter_values(fact.samples, _boot):
            return None
        return replace(wire, began=True, next_seq_no=wire.next_seq_no + 1)

    def fact(
        self,
        fact: TransactionFact,
        wire: WireRow,
        sent: Sent,
        layout: Layout,
        resolve: Callable[[Stamp], int],
    ) -> Request:
        """TransactionEvent."""
        m = self._m
        token = fact.id_token if fact.id_token is not None and fact.id_token.fits(self.version) else None
        request: Request = m.TransactionEventRequest(
            event_type=m.TransactionEventEnum(fact.phase),
            meter_value=self._meter_values(fact.samples, resolve) or None,
            timestamp=from_utc_ms(sent.utc_ms),
            trigger_reason=m.TriggerReasonEnum(fact.trigger),
            seq_no=sent.seq_no,
            offline=sent.offline or None,
            reservation_id=fact.reservation_id,
            transaction_info=m.Transaction(
                transaction_id=fact.transaction,
                charging_state=known(m.ChargingStateEnum, fact.charging_state),
                stopped_reason=known(m.ReasonEnum, fact.stop_reason),
                remote_start_id=fact.remote_start_id,
            ),
            evse=m.EVSE(id=fact.evse, connector_id=fact.connector) if fact.tells_evse else None,
            id_token=None if token is None else self._token(token),
        )
        return request

    def fact_answer(self, response: Response) -> FactAnswer:
        """The CSMS's word on the token."""
        answer: Any = response
        return FactAnswer(None if answer.id_token_info is None else _info(answer.id_token_info))

    def reading(
        self,
        layout: Layout,
        evse: int,
        sample: Sample,
        csms_id: int | None,
        resolve: Callable[[Stamp], int],
    ) -> Request | None:
        """MeterValues outside of the transaction's facts."""
        values = self._meter_values([sample], resolve)
        if not values:
            return None
        request: Request = self._m.MeterValuesRequest(evse_id=evse, meter_value=values)
        return request

    def security_event(self, kind: str, utc_ms: int, tech_info: str | None) -> Request:
        """SecurityEventNotification."""
        request: Request = self._m.SecurityEventNotificationRequest(
            type=kind, timestamp=from_utc_ms(utc_ms), tech_info=tech_info
        )
        return request

    def command(self, layout: Layout, request: Request) -> Command | None:
        """A call of the CSMS as a command."""
        call: Any = request
        if request.ACTION == "RequestStartTransaction":
            return RemoteStart(_domain_token(call.id_token), call.evse_id, call.remote_start_id)
        if request.ACTION == "RequestStopTransaction":
            return RemoteStop(call.transaction_id)
        if request.ACTION == "TriggerMessage":
            return _trigger(call)
        return None

    def unhandled(self, request: Request) -> Response | None:
        """A vendor's message is of nobody's here."""
        if request.ACTION != "DataTransfer":
            return None
        response: Response = self._m.DataTransferResponse(
            status=self._m.DataTransferStatusEnum.UNKNOWN_VENDOR_ID
        )
        return response

    def verdict(self, request: Request, verdict: Verdict, transaction: str | None) -> Response:
        """The answer to a call that :meth:`command` understood."""
        m = self._m
        response: Response
        if request.ACTION == "RequestStartTransaction":
            status = m.RequestStartStopStatusEnum(verdict)
            response = m.RequestStartTransactionResponse(status=status, transaction_id=transaction)
        elif request.ACTION == "RequestStopTransaction":
            response = m.RequestStopTransactionResponse(status=m.RequestStartStopStatusEnum(verdict))
        else:
            response = m.TriggerMessageResponse(status=m.TriggerMessageStatusEnum(verdict))
        return response

    def _token(self, token: IdToken) -> Any:
        if self.version is OcppVersion.V21:
            return self._m.IdToken(id_token=token.value, type=token.type or "Central")
        kind = known(self._m.IdTokenEnum, token.type) or self._m.IdTokenEnum.CENTRAL
        return self._m.IdToken(id_token=token.value, type=kind)

    def _meter_values(self, samples: Iterable[Sample], resolve: Callable[[Stamp], int]) -> list[Any]:
        values = []
        for sample in samples:
            sampled = [self._sampled(quantity, sample.context) for quantity in sample.quantities]
            told = [value for value in sampled if value is not None]
            if told:
                at = from_utc_ms(resolve(sample.at))
                values.append(self._m.MeterValue(sampled_value=told, timestamp=at))
        return values

    def _sampled(self, quantity: Quantity, context: str) -> Any:
        m = self._m
        measurand = known(m.MeasurandEnum, quantity.measurand)
        if measurand is None:
            return None
        return m.SampledValue(
            value=quantity.value,
            context=m.ReadingContextEnum(context),
            measurand=measurand,
            phase=known(m.PhaseEnum, quantity.phase),
            location=known(m.LocationEnum, quantity.location),
            unit_of_measure=m.UnitOfMeasure(unit=quantity.unit) if quantity.unit else None,
        )


def _boot(stamp: Stamp) -> int:
    """Any time will do where it is only asked whether there is something to say."""
    return stamp.boot


def _domain_token(token: Any) -> IdToken:
    # A tolerated type may be of any length.
    return IdToken(token.id_token, str(token.type)[:LONGEST_TYPE])


def _info(info: Any) -> IdTokenInfo:
    group = info.group_id_token
    expires = info.cache_expiry_date_time
    return IdTokenInfo(
        known(AuthorizationStatus, info.status) or AuthorizationStatus.UNKNOWN,
        None if group is None else _domain_token(group),
        None if expires is None else to_utc_ms(expires),
        tuple(info.evse_id or ()),
    )


def _trigger(call: Any) -> Trigger:
    topic = known(Topic, call.requested_message)
    if call.evse is None:
        return Trigger(topic)  # F06.FR.11: for all EVSEs, and all connectors
    return Trigger(topic, ConnectorRef(call.evse.id, call.evse.connector_id or 0))
