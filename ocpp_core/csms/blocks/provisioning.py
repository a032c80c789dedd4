"""Whether the station is accepted: BootNotification, the gate before it, Heartbeat (B01 to B03; 1.6 §4.2)."""

import json

from ...domain.status import RegistrationStatus
from ...errors import LocalProtocolError, StoreError
from ...messages import Request
from ...rpc import ErrorCode
from ..actions import AskRegistration, NoticeKind
from ..config import Registration
from ..context import Context
from ..dialect import Boot
from ..events import HeartbeatReceived, StationBooted
from ..questions import BootQuestion

POLICY_VIOLATION = 1008
"""WebSocket close code (RFC 6455 §7.4.1)."""
_BOOT = "BootNotification"
_KEY = "registration"
_REMOTE = frozenset(
    {
        "RemoteStartTransaction",
        "RemoteStopTransaction",
        "RequestStartTransaction",
        "RequestStopTransaction",
    }
)


class Provisioning:
    """The standing of the station. It belongs to the identity and outlives the connection."""

    __slots__ = ("_certificate_serial", "_context", "_solicited", "_table", "status")

    def __init__(self, context: Context, table: str, certificate_serial: str | None) -> None:
        self._context = context
        self._table = table
        self._certificate_serial = certificate_serial
        self._solicited: frozenset[str] = frozenset()
        row = context.tables.get(table, _KEY)
        if row is None:
            self.status = context.config.registration_without_boot
        else:
            try:
                self.status = RegistrationStatus(json.loads(row)["status"])
            except (LookupError, TypeError, ValueError) as error:
                raise StoreError(f"the registration of {context.identity!r} is damaged: {error}") from error

    # The gates.

    def admits(self, action: str) -> bool:
        """Whether the station may send this now (B01.FR.10, B02.FR.09, B03.FR.07)."""
        return self.status is RegistrationStatus.ACCEPTED or action == _BOOT or action in self._solicited

    def permit(self, request: Request) -> None:
        """Let the CSMS make a call, and the station send what the call asks for.

        Raises :class:`LocalProtocolError` for what the standard forbids: any call to a rejected station
        (B03.FR.03; 1.6 §4.2), remote start or stop of one that is pending (B02.FR.05), in 1.6 a trigger for a
        boot of one that is accepted (errata 3.40).
        """
        if self.status is RegistrationStatus.REJECTED:
            raise LocalProtocolError("the station was rejected; no calls until it boots anew")
        solicited = self._context.dialect.solicits(request)
        if self.status is RegistrationStatus.PENDING:
            if request.ACTION in _REMOTE:
                raise LocalProtocolError(f"{request.ACTION} is not allowed while the station is pending")
            self._solicited |= solicited
        elif _BOOT in solicited and not self._context.dialect.may_trigger_boot:
            raise LocalProtocolError("an accepted station is not asked to boot once more (1.6 errata 3.40)")

    # What the station says.

    def boot(self, call_id: str, boot: Boot, now: float) -> None:
        """A BootNotification."""
        context = self._context
        if context.utc(now) is None:
            self._refuse_time(call_id, now)
            return
        serial = self._certificate_serial
        if serial is not None and boot.info.serial_number != serial:
            detail = f"it says {boot.info.serial_number!r}, its certificate {serial!r}"
            context.notice(NoticeKind.SERIAL_NUMBER, detail)
            context.refuse(call_id, ErrorCode.SECURITY_ERROR, "not the certificate's serial number", now)
            context.close(POLICY_VIOLATION, "serial number differs from the certificate's")
            return
        question = BootQuestion(call_id, boot.info, boot.reason)
        if context.config.registration is not None:
            self._register(question, context.config.registration, now)
            return
        number, deadline = context.ask(question, now)
        context.emit(AskRegistration(number, deadline, boot.info, boot.reason))

    def answered(self, number: int, question: BootQuestion, registration: Registration, now: float) -> None:
        """The application's verdict, or the one for want of it."""
        self._context.settle(number)
        self._register(question, registration, now)

    def heartbeat(self, call_id: str, now: float) -> None:
        """A Heartbeat (G02)."""
        utc = self._context.utc(now)
        if utc is None:
            self._refuse_time(call_id, now)
            return
        self._context.answer(call_id, self._context.dialect.heartbeat_response(utc), now)
        self._context.emit(HeartbeatReceived())

    def _register(self, question: BootQuestion, registration: Registration, now: float) -> None:
        context = self._context
        utc = context.utc(now)
        if utc is None:
            self._refuse_time(question.call_id, now)
            return
        context.answer(question.call_id, context.dialect.boot_response(registration, utc), now)
        self.status = registration.status
        self._solicited = frozenset()
        context.tables.put(self._table, _KEY, json.dumps({"status": registration.status}))
        context.emit(StationBooted(question.info, question.reason, registration.status))

    def _refuse_time(self, call_id: str, now: float) -> None:
        """No time is known, so none is told."""
        self._context.notice(NoticeKind.CLOCK_UNKNOWN, "a request for the time was refused")
        self._context.refuse(call_id, ErrorCode.INTERNAL_ERROR, "the CSMS does not know the time", now)
