"""Tokens presented at the station: ask the CSMS, or decide offline (2.x C01-C05, C10-C12; 1.6 §4.1).

Each presentation is a record, one per EVSE at most, until it is decided.
"""

from dataclasses import dataclass

from ...domain.tokens import AuthorizationStatus, IdToken, IdTokenInfo
from ...domain.transactions import StopReason, TriggerReason
from ...messages import Response
from ..actions import NoticeKind
from ..context import Context, Failure, Intent, Work
from ..dialect import StationDialect
from ..evse import Evse
from ..tables import CachedToken, Table
from .provisioning import Provisioning
from .transactions import RemoteOrder, Transactions


@dataclass(slots=True)
class Presentation:
    """A token shown at an EVSE and not decided on."""

    token: IdToken
    evse: int
    remote: RemoteOrder | None = None
    sent: bool = False


class Authorization:
    """Who may charge."""

    __slots__ = ("_cache", "_context", "_pending", "_provisioning", "_transactions")

    def __init__(
        self,
        context: Context,
        provisioning: Provisioning,
        transactions: Transactions,
        cache: Table[CachedToken],
    ) -> None:
        self._context = context
        self._provisioning = provisioning
        self._transactions = transactions
        self._cache = cache
        self._pending: list[Presentation] = []

    # what happens at the station

    def present(self, token: IdToken, number: int | None, now: float) -> None:
        """A driver shows a token, at one EVSE or at the station (None).

        A token that is in use stops what it started; else it goes to the EVSE named, to one whose car waits,
        or to a free one. Raises :class:`LocalProtocolError` for an EVSE that does not exist.
        """
        evses = list(self._context.evses.values()) if number is None else [self._context.evse(number)]
        mine = next((evse for evse in evses if token.matches(evse.driver)), None)
        if mine is not None:
            self._stop(mine, token, now)
            return
        target = evses[0] if number is not None else self.choose()
        if target is None:
            self._refused(token, "no EVSE is free")
        elif any(waiting.evse == target.id for waiting in self._pending):
            self._refused(token, f"EVSE {target.id} is deciding on a token already")
        else:
            self.ask(token, target, None, now)

    def ask(self, token: IdToken, evse: Evse, remote: RemoteOrder | None, now: float) -> None:
        """Have a token decided on for an EVSE."""
        self._pending.append(Presentation(token, evse.id, remote))
        if not self._provisioning.accepted:
            self.decide_offline(now)

    def choose(self) -> Evse | None:
        """The EVSE for a token that names none: one whose car waits, else a free one."""
        asked = {waiting.evse for waiting in self._pending}
        waiting = [
            evse for evse in self._context.evses.values() if evse.waits_for_driver and evse.id not in asked
        ]
        return next((evse for evse in waiting if evse.plugged is not None), None) or next(iter(waiting), None)

    def decide_offline(self, now: float) -> None:
        """The CSMS cannot be asked: decide on every token that waits (C12, C15; 1.6 §4.1.1)."""
        pending, self._pending = self._pending, []
        for waiting in pending:
            info = self._known(waiting.token, now)
            if info is None and self._context.config.offline_tx_for_unknown_id:
                info = IdTokenInfo(AuthorizationStatus.ACCEPTED)
            self._decide(waiting, info or IdTokenInfo(AuthorizationStatus.UNKNOWN), now)

    # the call

    def next_call(self, dialect: StationDialect) -> Intent | None:
        """Authorize for the first token that waits."""
        waiting = next((waiting for waiting in self._pending if not waiting.sent), None)
        if waiting is None:
            return None
        waiting.sent = True
        return Intent(Work.AUTHORIZE, dialect.authorize(waiting.token), str(waiting.evse))

    def answered(self, key: str, response: Response, dialect: StationDialect, now: float) -> None:
        """The CSMS decided."""
        info = dialect.authorize_answer(response)
        waiting = self._take(key)
        self.remember(waiting.token, info)
        self._decide(waiting, info, now)

    def failed(self, key: str, failure: Failure, now: float) -> None:
        """The CSMS refused to decide, or could not be reached after all."""
        if failure is Failure.REFUSED:
            self._decide(self._take(key), IdTokenInfo(AuthorizationStatus.INVALID), now)
        else:
            self.decide_offline(now)

    # what the CSMS said before

    def remember(self, token: IdToken, info: IdTokenInfo) -> None:
        """Keep the CSMS's word on a token for when it cannot be asked (C10.FR.04)."""
        key = token.value.casefold()
        known = self._cache.get(key)
        if known is not None and known.info == info:
            return
        rows = sorted(self._cache.items(), key=lambda item: item[1].used)
        if known is None and len(rows) >= self._context.config.auth_cache_limit:
            self._cache.delete(rows[0][0])
        self._cache.put(key, CachedToken(info, rows[-1][1].used + 1 if rows else 0))

    def _known(self, token: IdToken, now: float) -> IdTokenInfo | None:
        row = (
            self._cache.get(token.value.casefold()) if self._context.config.local_authorize_offline else None
        )
        if row is None:
            return None
        utc_ms = self._context.clock.utc_ms(now)
        expires_ms = row.info.expires_ms
        if expires_ms is not None and utc_ms is not None and utc_ms >= expires_ms:
            return IdTokenInfo(AuthorizationStatus.EXPIRED, row.info.group, expires_ms)
        return row.info

    # decisions

    def _take(self, key: str) -> Presentation:
        waiting = next(waiting for waiting in self._pending if waiting.evse == int(key))
        self._pending.remove(waiting)
        return waiting

    def _decide(self, waiting: Presentation, info: IdTokenInfo, now: float) -> None:
        evse, token = self._context.evse(waiting.evse), waiting.token
        if not info.accepted:
            self._refused(token, f"EVSE {evse.id}: {info.status}")
        elif evse.waits_for_driver:
            self._context.notice(NoticeKind.TOKEN_ACCEPTED, f"EVSE {evse.id}: {token!r}")
            self._transactions.authorize(evse, token, info.group, now, waiting.remote)
        elif evse.driver is not None and info.group is not None and info.group.matches(evse.group):
            self._stop(evse, token, now)
        else:
            self._refused(token, f"EVSE {evse.id} is in use by another driver")

    def _stop(self, evse: Evse, token: IdToken, now: float) -> None:
        if evse.transaction is None:
            self._transactions.release(evse, now)
        else:
            self._transactions.stop(evse, TriggerReason.STOP_AUTHORIZED, StopReason.LOCAL, now, token)

    def _refused(self, token: IdToken, why: str) -> None:
        self._context.notice(NoticeKind.TOKEN_REFUSED, f"{token!r}: {why}")
