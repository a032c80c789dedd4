"""Security events: all are logged, and the CSMS is told the critical ones (2.x A04, 1.6 security whitepaper).

The log and the queue are one table. An event that has to be told is sent until it is answered, however often
that takes and over however many links: its delivery is guaranteed (A04.FR.02), so nothing counts its attempts
but the wait between them. Events are told to whichever CSMS takes the station: they are about the station,
not about a CSMS. The first send fixes an event's message id and time durably, so that a retry says the same.
"""

from collections import Counter, deque
from dataclasses import replace
from itertools import chain
from typing import Any

from ...domain.security import LONGEST_TECH_INFO, LONGEST_TYPE, SecurityEvent, standard_event
from ...domain.time import Stamp
from ...entropy import message_id
from ...errors import LocalProtocolError
from ...rpc import ErrorCode
from ..actions import NoticeKind
from ..context import Context, Deadline, Failure, Intent, Work
from ..dialect import StationDialect
from ..tables import SecurityRow, Table, order_key
from .connectivity import LinkFailure

_RETRY = (Deadline.SECURITY_RETRY, 0)

LINK_EVENTS = {
    LinkFailure.BAD_CERTIFICATE: SecurityEvent.INVALID_CSMS_CERTIFICATE,
    LinkFailure.TLS_VERSION: SecurityEvent.INVALID_TLS_VERSION,
    LinkFailure.TLS_CIPHER_SUITE: SecurityEvent.INVALID_TLS_CIPHER_SUITE,
    LinkFailure.UNAUTHORIZED: SecurityEvent.FAILED_TO_AUTHENTICATE_AT_CSMS,
}
"""What a link that could not be opened is to the security log."""
_NO_WORD = frozenset({LinkFailure.UNREACHABLE, LinkFailure.TIMEOUT})
"""The CSMS was not heard at all: what it did wrong before may not have changed."""
_NO_SUCH_MESSAGE = frozenset({ErrorCode.NOT_IMPLEMENTED, ErrorCode.NOT_SUPPORTED})


class Security:
    """The security log, and what of it the CSMS has yet to be told."""

    __slots__ = (
        "_attempts",
        "_context",
        "_failures",
        "_log",
        "_next",
        "_table",
        "_unsupported",
        "_untold",
    )

    def __init__(self, context: Context, table: Table[SecurityRow], now: float) -> None:
        self._context = context
        self._table = table
        self._log: dict[int, SecurityRow] = dict(table.numbered())
        self._untold = deque(number for number, row in self._log.items() if row.untold)
        self._next = max(self._log, default=-1) + 1
        self._attempts = 0
        """Time-outs of the oldest event on the present link."""
        self._unsupported = False
        """Whether the CSMS at the other end of the present link knows no security events."""
        self._failures: dict[int, LinkFailure] = {}
        """How each network profile last failed, since it last connected."""
        if context.config.startup_event:
            self._record(SecurityEvent.STARTUP_OF_THE_DEVICE, str(context.config.boot_reason), now)

    def __len__(self) -> int:
        return len(self._untold)

    def log(self) -> list[dict[str, Any]]:
        """The security log as JSON-able values, oldest first."""
        return [self._shown(row) for row in self._log.values()]

    def _shown(self, row: SecurityRow) -> dict[str, Any]:
        moment = self._context.clock.resolve(row.at)
        return {
            "type": row.type,
            "utc_ms": None if moment is None else moment.utc_ms,
            "tech_info": row.tech_info,
            "untold": row.untold,
        }

    # recording

    def report(self, kind: str, tech_info: str | None, now: float) -> None:
        """Something else than this station's own blocks noticed an event.

        Raises :class:`LocalProtocolError` for a text that a SecurityEventNotification cannot carry.
        """
        if not 0 < len(kind) <= LONGEST_TYPE or not _characters(kind):
            raise LocalProtocolError(f"a security event's type has 1 to {LONGEST_TYPE} characters")
        if tech_info is not None and (len(tech_info) > LONGEST_TECH_INFO or not _characters(tech_info)):
            raise LocalProtocolError(
                f"a security event's tech_info has at most {LONGEST_TECH_INFO} characters"
            )
        self._record(kind, tech_info, now)

    def link_failed(self, failure: LinkFailure, detail: str, slot: int, now: float) -> None:
        """No link: an event, if it is one, once for attempts that fail alike (A00.FR.316 note)."""
        if failure in _NO_WORD or self._failures.get(slot) is failure:
            return
        self._failures[slot] = failure
        event = LINK_EVENTS.get(failure)
        if event is not None:
            text = f"network profile {slot}: {detail}".encode(errors="replace").decode()
            self._record(event, text[:LONGEST_TECH_INFO], now)

    def _record(self, kind: str, tech_info: str | None, now: float) -> None:
        event, config = standard_event(kind), self._context.config
        untold = kind in config.told_security_events or (event is not None and event.critical)
        while len(self._log) >= config.security_log_limit:
            self._give_up(self._expendable())
        number, self._next = self._next, self._next + 1
        self._put(number, SecurityRow(str(kind), self._context.clock.stamp(now), tech_info, untold))
        if untold:
            self._untold.append(number)

    def _expendable(self) -> int:
        """What a full log gives up: the oldest that need not be told, or else of what there is more than one.

        Whoever can provoke one kind of event at will (a failed login, say) drives no other kind out.
        """
        kinds = Counter(self._log[number].type for number in self._untold)
        told = (number for number, row in self._log.items() if not row.untold)
        repeated = (number for number in self._untold if kinds[self._log[number].type] > 1)
        return next(chain(told, repeated, self._untold))

    def _give_up(self, number: int) -> None:
        row = self._log.pop(number)
        self._table.delete(order_key(number))
        if row.untold:
            self._untold.remove(number)
            text = f"{row.type} is given up untold: the security log is full"
            self._context.notice(NoticeKind.SECURITY, text)

    # telling

    def link_opened(self, slot: int) -> None:
        """A CSMS that may know security events, by a profile that works."""
        self._unsupported = False
        self._failures.pop(slot, None)

    def link_lost(self) -> None:
        """A retry waits on a live link only."""
        self._attempts = 0
        self._context.timers.cancel(_RETRY)

    def next_call(self, dialect: StationDialect) -> Intent | None:
        """The call that tells the oldest event, unless a retry has to wait or the store fails."""
        if not self._untold or self._unsupported:
            return None
        if _RETRY in self._context.timers or not self._context.out.healthy:
            return None
        number = self._untold[0]
        row = self._log[number]
        if row.version is not dialect.version:
            prepared = self._prepare(row, dialect)
            if prepared is None:
                return None  # its time is not known yet
            row = prepared
            self._put(number, row)
        assert row.at.utc_ms is not None
        request = dialect.security_event(row.type, row.at.utc_ms, row.tech_info)
        return Intent(Work.SECURITY_EVENT, request, str(number), row.message_id, durable=True)

    def _prepare(self, row: SecurityRow, dialect: StationDialect) -> SecurityRow | None:
        """Fix what is said of an event under this version; None: not yet."""
        moment = self._context.clock.resolve(row.at)
        if moment is None:
            return None
        if moment.estimated:
            self._context.notice(NoticeKind.TIME_ESTIMATED, f"{row.type} carries an estimated time")
        # Under another version an event may have another name: that is no retry, and takes an id of its own.
        return replace(
            row,
            at=Stamp(row.at.boot, row.at.mono, moment.utc_ms),
            message_id=message_id(self._context.entropy),
            version=dialect.version,
        )

    def answered(self, key: str) -> None:
        """The CSMS knows of an event."""
        self._attempts = 0
        number = int(key)
        if number in self._log:  # else a full log gave it up meanwhile
            self._untold.remove(number)
            self._put(number, replace(self._log[number], untold=False))

    def failed(self, key: str, failure: Failure, code: str, detail: str, now: float) -> None:
        """An event was not acknowledged: it is told again, unless the CSMS wants none of it.

        A CALLERROR is an answer. One that says that there is no such message speaks for the whole link: a 1.6
        CSMS need not know the security whitepaper, another one or a later release may.
        """
        config = self._context.config
        if failure is Failure.TIMEOUT:
            self._attempts += 1
            wait = config.attempt_interval * min(self._attempts, config.attempts)
            self._context.timers.set(_RETRY, now + wait)
        elif code in _NO_SUCH_MESSAGE:
            self._unsupported = True
            text = f"the CSMS knows no security events ({detail}): {len(self)} wait for another link"
            self._context.notice(NoticeKind.SECURITY, text)
        elif failure is Failure.REFUSED:
            self._context.notice(NoticeKind.SECURITY, f"the CSMS refused a security event: {detail}")
            self.answered(key)

    def _put(self, number: int, row: SecurityRow) -> None:
        self._log[number] = row
        self._table.put(order_key(number), row)


def _characters(text: str) -> bool:
    """Whether a text can be written down: a lone surrogate is no character."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
