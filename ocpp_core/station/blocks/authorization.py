"""Tokens presented at the station: ask the CSMS, or decide offline (2.x C01-C05, C10-C12; 1.6 §4.1).

Each presentation is a record, one per EVSE at most, until it is decided.
"""

from dataclasses import dataclass, replace

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

STATION = 0
"""In place of an EVSE: a token shown at the station while no EVSE is free, which may stop one in use."""


@dataclass(slots=True)
class Presentation:
    """A token shown at an EVSE and not decided on."""

    token: IdToken
    evse: int
    named: bool
    """Whether the driver, or the CSMS, chose the EVSE."""
    remote: RemoteOrder | None = None


class Authorization:
    """Who may charge."""

    __slots__ = ("_asking", "_cache", "_context", "_pending", "_provisioning", "_transactions")

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
        self._pending: dict[int, Presentation] = {}
        self._asking: Presentation | None = None
        """What the Authorize in flight asks about; it may have been decided on meanwhile."""

    # what happens at the station

    def present(self, token: IdToken, number: int | None, now: float) -> None:
        """A driver shows a token, at one EVSE or at the station (None).

        A token in use, or one known to be of its group, stops what it started (C01.FR.03, E07.FR.01) or frees
        a cable held for it; else it goes to the EVSE named, to one whose car waits, or to a free one. Raises
        :class:`LocalProtocolError` for an EVSE that does not exist.
        """
        evses = list(self._context.evses.values()) if number is None else [self._context.evse(number)]
        for evse in evses:
            if self._belongs(token, evse.driver, evse.group, now):
                self._stop(evse, token, now)
                return
            if self._belongs(token, evse.held_for, evse.held_group, now):
                self._transactions.free_cable(evse)
                return
        target = evses[0] if number is not None else self.choose()
        if target is not None and target.driver is None and not target.waits_for_driver:
            self._refused(token, f"EVSE {target.id} is in use by another driver")  # C01.FR.23
        elif target is None and not any(evse.group for evse in evses):
            self._refused(token, "no EVSE is free")
        elif self.deciding(target):
            self._refused(token, "another token is being decided on already")
        else:
            self.ask(token, target, None, now, named=number is not None)

    def deciding(self, evse: Evse | None) -> bool:
        """Whether a token is being decided on for this EVSE (None: for the station)."""
        return (STATION if evse is None else evse.id) in self._pending

    def ask(
        self, token: IdToken, evse: Evse | None, remote: RemoteOrder | None, now: float, *, named: bool
    ) -> None:
        """Have a token decided on for an EVSE that has no decision pending (None: to stop one in use)."""
        number = STATION if evse is None else evse.id
        self._pending[number] = Presentation(token, number, named, remote)
        if not self._provisioning.accepted:
            self.decide_offline(now)

    def choose(self, allowed: tuple[int, ...] = ()) -> Evse | None:
        """The EVSE for a token that names none: one whose car waits, else a free one; of these if any."""
        free = [
            evse
            for evse in self._context.evses.values()
            if evse.waits_for_driver and not self.deciding(evse) and (not allowed or evse.id in allowed)
        ]
        return next((evse for evse in free if evse.plugged is not None), None) or next(iter(free), None)

    def decide_offline(self, now: float) -> None:
        """The CSMS cannot be asked: decide on every token that waits (C12, C15; 1.6 §4.1.1)."""
        pending, self._pending = self._pending, {}
        for waiting in pending.values():
            self._decide(waiting, self._offline(waiting.token, now), now)

    # the call

    def next_call(self, dialect: StationDialect, now: float) -> Intent | None:
        """Authorize for the first token that waits; one that the version cannot carry is unknown to it."""
        while self._pending:
            waiting = next(iter(self._pending.values()))
            if waiting.token.fits(dialect.version):
                self._asking = waiting
                return Intent(Work.AUTHORIZE, dialect.authorize(waiting.token))
            del self._pending[waiting.evse]
            self._decide(waiting, IdTokenInfo(AuthorizationStatus.UNKNOWN), now)
        return None

    def answered(self, response: Response, dialect: StationDialect, now: float) -> None:
        """The CSMS decided."""
        asked, self._asking = self._asking, None
        assert asked is not None
        info = dialect.authorize_answer(response)
        self.remember(asked.token, info)
        if self._pending.get(asked.evse) is asked:
            del self._pending[asked.evse]
            self._decide(asked, info, now)

    def failed(self, failure: Failure, now: float) -> None:
        """The CSMS refused to decide, or could not be reached after all."""
        asked, self._asking = self._asking, None
        if failure is not Failure.REFUSED:
            self.decide_offline(now)
        elif asked is not None and self._pending.get(asked.evse) is asked:
            del self._pending[asked.evse]
            self._decide(asked, IdTokenInfo(AuthorizationStatus.INVALID), now)

    # what the CSMS said before

    def remember(self, token: IdToken, info: IdTokenInfo) -> None:
        """Keep the CSMS's word on a token (C10.FR.04, C10.FR.05).

        A full cache gives up the oldest entry, those first that were not accepted (C10.FR.07).
        """
        key = token.value.casefold()
        known = self._cache.get(key)
        if known is not None and known.info == info and known.type == token.type:
            return
        rows = dict(self._cache.items())
        if known is None and len(rows) >= self._context.config.auth_cache_limit:
            self._cache.delete(min(rows, key=lambda key: (rows[key].info.accepted, rows[key].learned)))
        learned = max((row.learned for row in rows.values()), default=-1) + 1
        self._cache.put(key, CachedToken(info, learned, token.type))

    def _known(self, token: IdToken, now: float) -> IdTokenInfo | None:
        """What the CSMS last said of a token; what is over counts as expired (C10.FR.13)."""
        row = self._cache.get(token.value.casefold())
        if row is None or not token.matches(IdToken(token.value, row.type)):
            return None
        utc_ms = self._context.clock.utc_ms(now)
        expires_ms = row.info.expires_ms
        if expires_ms is not None and utc_ms is not None and utc_ms >= expires_ms:
            return replace(row.info, status=AuthorizationStatus.EXPIRED)
        return row.info

    def _offline(self, token: IdToken, now: float) -> IdTokenInfo:
        config = self._context.config
        known = self._known(token, now)
        if known is not None and (config.local_authorize_offline or not known.accepted):
            return known
        unknown_may = known is None and config.offline_tx_for_unknown_id
        if unknown_may and any(token.fits(version) for version in config.versions):
            return IdTokenInfo(AuthorizationStatus.ACCEPTED)
        return IdTokenInfo(AuthorizationStatus.UNKNOWN)

    def _belongs(self, token: IdToken, owner: IdToken | None, group: IdToken | None, now: float) -> bool:
        """Whether a token is the owner's, or known to be valid and of the same group."""
        if owner is None or token.matches(owner):
            return owner is not None
        known = self._known(token, now)
        return known is not None and known.accepted and known.group is not None and known.group.matches(group)

    # decisions

    def _decide(self, waiting: Presentation, info: IdTokenInfo, now: float) -> None:
        token, evses = waiting.token, self._context.evses
        target = evses.get(waiting.evse)
        if not info.accepted:
            self._refused(token, str(info.status))
            return
        if target is not None and not waiting.named and not info.allows(target.id):
            target = self.choose(info.evses)
        if target is not None and target.waits_for_driver and info.allows(target.id):
            self._context.notice(NoticeKind.TOKEN_ACCEPTED, f"EVSE {target.id}: {token!r}")
            self._transactions.authorize(target, token, info.group, now, waiting.remote)
            return
        stoppable = [target] if waiting.named and target is not None else evses.values()
        for evse in stoppable if waiting.remote is None else ():
            if evse.driver is not None and info.group is not None and info.group.matches(evse.group):
                self._stop(evse, token, now)
                return
        self._refused(token, "no EVSE that it may use is free")

    def _stop(self, evse: Evse, token: IdToken, now: float) -> None:
        if evse.transaction is None:
            self._transactions.release(evse, now)
        else:
            self._transactions.stop(evse, TriggerReason.STOP_AUTHORIZED, StopReason.LOCAL, now, token)

    def _refused(self, token: IdToken, why: str) -> None:
        self._context.notice(NoticeKind.TOKEN_REFUSED, f"{token!r}: {why}")
