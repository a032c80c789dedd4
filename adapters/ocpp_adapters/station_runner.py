"""What every adapter does with a Station machine, whatever loop or thread it is on.

A runner carries the station's actions out. A subclass brings the clock, the alarm and the way to dial.
"""

import logging
import ssl
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, TypeAlias

from ocpp_core import OcppError
from ocpp_core.domain.layout import ConnectorRef
from ocpp_core.domain.metering import Quantity
from ocpp_core.messages import Request, Response
from ocpp_core.rpc import SendFrame
from ocpp_core.station import (
    LINK_EVENTS,
    CallFailed,
    CallSucceeded,
    CloseLink,
    DoLock,
    DoPower,
    LinkFailure,
    OpenLink,
    Station,
    StationAction,
)
from ocpp_core.store import Commit, MemoryStore
from ocpp_core.wire import Closed, FailureReason, HandshakeFailed, Text

from .calls import Concurrency, Outcomes
from .host import Host
from .routes import Route, Routes, RouteTable
from .rpc_link import CallFailedError
from .sessions import Session, TextLink
from .stores import Committer, Done, Store, Submit, attempt, inline
from .tls_failures import TlsFault, diagnose, diagnosis
from .tls_peer import PeerCertificate, Revoked, peer_certificate
from .tls_wire import TlsHandshakeFailed, tls_handshake_failed

_log = logging.getLogger(__name__)

_VET_AGAIN = 43_200.0
"""Seconds after which an open link's CSMS is asked about again; within a day what was answered may count."""
_FAILURES = {
    FailureReason.REFUSED_SUBPROTOCOL: LinkFailure.REFUSED_SUBPROTOCOL,
    FailureReason.UNAUTHORIZED: LinkFailure.UNAUTHORIZED,
    FailureReason.NOT_FOUND: LinkFailure.NOT_FOUND,
    FailureReason.HTTP_STATUS: LinkFailure.HTTP,
    FailureReason.BAD_HANDSHAKE: LinkFailure.HTTP,
    FailureReason.TIMEOUT: LinkFailure.TIMEOUT,
    FailureReason.TRANSPORT: LinkFailure.UNREACHABLE,
}
_TLS_FAILURES = {event: failure for failure, event in LINK_EVENTS.items()}

Observer: TypeAlias = Callable[[StationAction | Text], None]
"""Sees every action as it is carried out, the storage's excepted, and every frame that came as a ``Text``."""


class Hardware(Protocol):
    """The charger behind the station. Plain functions, called in the loop: they start things, nothing
    waits."""

    def meters(self) -> Iterable[tuple[int, tuple[Quantity, ...]]]:
        """The latest readings, (EVSE, quantities) each; asked before every input."""
        ...

    def switch_power(self, evse: int, on: bool) -> None:
        """Close or open a contactor; report ``power_switched`` within a turn when it has."""
        ...

    def lock(self, ref: ConnectorRef, locked: bool) -> None:
        """Lock or unlock a cable."""
        ...


class ClientLink(TextLink, Protocol):
    """A station's end of a link, as its runner sees it."""

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS connection; None if there is none."""
        ...

    def abort(self) -> None:
        """Cut the connection without a word."""
        ...


def nobody(action: StationAction | Text) -> None:
    """The observer that does not look."""
    del action


def committer_for(store: Store, submit: Submit) -> Committer:
    """Memory at once; anything else from a worker thread, so that the loop does not wait for the disk."""
    if isinstance(store, MemoryStore):
        return inline(store)

    def commit(commit: Commit, done: Done) -> None:
        submit(lambda: partial(done, attempt(lambda: store.commit(commit))))

    return commit


class Runner:
    """Carries a station's actions out, one link after another."""

    def __init__(
        self,
        station: Station,
        routes: RouteTable,
        hardware: Hardware,
        observe: Observer,
        committer: Committer,
        concurrency: Concurrency,
    ) -> None:
        self.station = station
        self._routes = routes
        self._hardware = hardware
        self._observe = observe
        self._link: ClientLink | None = None
        self._route: Route | None = None
        """By which it was dialled."""
        self._vet_at = 0.0
        """When the CSMS is to be asked about."""
        self._opening = False
        """The station waits to hear what became of its OpenLink."""
        self._outcomes: Outcomes[CallSucceeded | CallFailed] = Outcomes(concurrency)
        self._host = Host(station, committer, self._perform, self.now, self._settled)

    # The clock, the alarm and the way to dial.

    def now(self) -> float:
        """The loop's monotonic time in seconds."""
        raise NotImplementedError

    def _rearm(self) -> None:
        """See to it that ``_timer_due`` is called at ``station.next_timer()``."""
        raise NotImplementedError

    def _open_link(self, route: Route) -> None:
        """Begin to dial; ``_attach`` a link or say ``_dial_failed``."""
        raise NotImplementedError

    def _stop_dialling(self) -> None:
        """Give up dialling, if that is under way; what it comes to is of no interest any more."""
        raise NotImplementedError

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run what a function returns, which raises nothing, beside everything else."""
        raise NotImplementedError

    # Inputs.

    @contextmanager
    def turn(self) -> Iterator[float]:
        """Give the station inputs: brings the meters up to date, yields ``now``, carries out what follows."""
        now = self.now()
        self._read_meters(now)
        try:
            yield now
        finally:
            self._after()

    def reroute(self, routes: Routes) -> None:
        """Take these routes from the next attempt on; the link that is open stays.

        With a new password or certificate give the new route and the old one, then, once a link is open, the
        one that has opened it (A02.FR.10). Raises ConfigurationError, as :class:`~.routes.RouteTable` does.
        """
        self._routes = RouteTable(routes, self.station.config)

    def network_lost(self, network: int | str) -> None:
        """A network is gone, by a network profile's slot, or an interface or source address of routes.

        A link by it is cut, and the next profile dialled at once; see :meth:`.Station.network_lost`.
        Nothing happens if no route is bound to that interface, so that every one may be told of. Raises
        LocalProtocolError for a slot that is no profile's.
        """
        with self.turn() as now:
            for slot in self._routes.slots(network):
                self.station.network_lost(now, slot)

    def network_back(self, network: int | str | None = None) -> None:
        """A network, as for :meth:`network_lost`, can be used again (None: all): a wait for it is over."""
        with self.turn() as now:
            for slot in (None,) if network is None else self._routes.slots(network):
                self.station.network_back(now, slot)

    async def _call(self, request: Request, timeout: float | None) -> Response:
        """The software's own call, awaited on whatever loop there is."""
        with self.turn() as now:
            call_id = self.station.call(request, now, timeout=timeout)
            self._outcomes.expect(call_id)
        outcome = await self._outcomes.wait(call_id, lambda: None)
        if isinstance(outcome, CallFailed):
            raise CallFailedError(outcome)
        return outcome.response

    def power_off(self) -> None:
        """As if the mains had gone: no goodbye, nothing more is carried out."""
        self._host.stop()
        self._outcomes.abandon()
        self._stop_dialling()
        if self._link is not None:
            self._link.abort()

    def _read_meters(self, now: float) -> None:
        # What follows may change the flow of energy. It follows whether or not a meter can be read: a station
        # that does not hear of its link's end, say, would never dial again.
        try:
            for evse, quantities in self._hardware.meters():
                self.station.meter(evse, quantities, now)
        except Exception:
            _log.exception("the meters cannot be read; their last readings count")

    def _after(self) -> None:
        self._host.drain()
        self._rearm()

    def _timer_due(self, now: float) -> None:
        self._read_meters(now)
        self._host.handle_timer(now)

    def _settled(self) -> None:
        if self._link is not None:
            self._link.hold(False)
        self._rearm()

    # Actions.

    def _perform(self, action: StationAction) -> None:
        match action:
            case SendFrame(text):
                if self._link is not None:
                    self._link.send_text(text)
            case OpenLink():
                self._opening = True
                self._route = self._routes.choose(action)
                self._open_link(self._route)
            case CloseLink(code, reason, abort):
                self._close(code, reason, abort=abort)
            case CallSucceeded() | CallFailed():
                self._outcomes.settle(action.call_id, action)
            case DoPower(evse, on):
                self._hardware.switch_power(evse, on)
            case DoLock(ref, locked):
                self._hardware.lock(ref, locked)
        self._observe(action)

    # The link.

    def _attach(self, link: ClientLink) -> None:
        """A connection is there; its handshake begins."""
        self._link = link

    def _close(self, code: int, reason: str, *, abort: bool) -> None:
        if self._link is None:
            self._give_up()
        elif abort:
            self._link.abort()
        else:
            self._link.close(code, reason)

    def _give_up(self) -> None:
        """Without a link yet: there will be none."""
        self._stop_dialling()
        if self._opening:
            self._link_failed(LinkFailure.UNREACHABLE, "given up")

    def opened(self, link: TextLink) -> None:
        """The link is open: the station may speak."""
        self._opening = False
        with self.turn() as now:
            self.station.link_opened(link.subprotocol, now)
            self._vet_at = now
        self._vet_if_due(now)

    def _vet_if_due(self, now: float) -> None:
        """Ask about the CSMS of this link, when it has opened and now and then while it lasts."""
        link, route = self._link, self._route
        if now < self._vet_at or link is None or route is None or route.revoked is None:
            return
        self._vet_at = now + _VET_AGAIN
        certificate = peer_certificate(link.tls)
        if certificate is not None:
            self._spawn(partial(self._vet, link, route.revoked, certificate))

    async def _vet(self, link: TextLink, revoked: Revoked, certificate: PeerCertificate) -> None:
        """See to it that a link to a CSMS whose certificate is revoked does not last."""
        try:
            if not await revoked(certificate):
                return
        except Exception as error:
            trace = None if isinstance(error, OcppError) else error
            _log.warning("whether the CSMS's certificate is revoked: %s", error, exc_info=trace)
            return
        with self.turn() as now:
            if self._link is link:
                detail = str(diagnosis(TlsFault.REVOKED))
                self.station.link_distrusted(LinkFailure.BAD_CERTIFICATE, detail, now)

    def _link_failed(self, failure: LinkFailure, detail: str) -> None:
        self._opening = False
        with self.turn() as now:
            self.station.link_failed(failure, detail, now)

    def _dial_failed(self, error: Exception) -> None:
        """There is no connection, for whatever reason; a station goes on also after a mistake in a hook."""
        if isinstance(error, ssl.SSLError):
            self._handshake_failed(tls_handshake_failed(diagnose(error)))
        elif isinstance(error, TimeoutError):
            self._link_failed(LinkFailure.TIMEOUT, str(error))
        elif isinstance(error, OSError):
            self._link_failed(LinkFailure.UNREACHABLE, str(error))
        else:
            _log.error("dialling failed", exc_info=error)
            self._link_failed(LinkFailure.UNREACHABLE, f"dialling failed: {type(error).__name__}")

    def _link_over(self, link: ClientLink, outcome: Closed | HandshakeFailed) -> None:
        """A link has ended; one that had opened was heard of through its session."""
        self.forget(link)
        if isinstance(outcome, HandshakeFailed):
            self._handshake_failed(outcome)

    def _handshake_failed(self, outcome: HandshakeFailed) -> None:
        failure = _FAILURES[outcome.reason]
        if isinstance(outcome, TlsHandshakeFailed) and outcome.diagnosis.event is not None:
            failure = _TLS_FAILURES.get(outcome.diagnosis.event, failure)
        self._link_failed(failure, outcome.detail)

    def forget(self, link: TextLink) -> None:
        """This link is gone; a later one stays."""
        if self._link is link:
            self._link = None

    def receive(self, text: str, link: TextLink, now: float) -> None:
        """A frame came."""
        self._observe(Text(text))
        self._read_meters(now)
        if self._host.receive(text, now):
            link.hold(True)
        self._vet_if_due(now)
        self._rearm()


class StationSession(Session):
    """Passes on to the runner what its link tells."""

    __slots__ = ("_link", "_runner")

    _link: TextLink

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def link_opened(self, link: TextLink, now: float) -> None:
        """The station may speak."""
        self._link = link
        self._runner.opened(link)

    def receive_text(self, text: str, now: float) -> None:
        """A frame came."""
        self._runner.receive(text, self._link, now)

    def link_closed(self, closed: Closed, now: float) -> None:
        """The link is gone."""
        self._runner.forget(self._link)
        with self._runner.turn():
            self._runner.station.link_closed(closed.code, closed.reason, now)
