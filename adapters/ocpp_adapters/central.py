"""The csms level behind a server's links: one machine per connection, one store for all of them, on any loop.

::

    central = Central(CsmsConfig(...), observe, stores, AsyncioConcurrency())

    def admit(handshake, peer):
        if not known(handshake.identity):
            return Reject(404)
        return central.session()
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Protocol, TypeAlias

from ocpp_core import LocalProtocolError, OcppVersion, StoreError
from ocpp_core.csms import (
    CloseLink,
    Command,
    CommandAnswered,
    CommandFailed,
    Csms,
    CsmsAction,
    CsmsConfig,
)
from ocpp_core.entropy import Entropy
from ocpp_core.messages import Request
from ocpp_core.rpc import CallFailed, CallSucceeded, SendFrame
from ocpp_core.store import Snapshot
from ocpp_core.wire import Closed

from .calls import Concurrency, Outcomes
from .host import Host
from .sessions import REPLACED, Session, TextLink
from .stores import Stores

_log = logging.getLogger(__name__)

UTC_INTERVAL = 60.0
"""Seconds after which a machine is told the time anew: the two clocks drift apart when one is set."""

Observer: TypeAlias = Callable[["StationLink", CsmsAction], None]
"""Sees every action as it is carried out, the storage's and the frames excepted; answers ``Ask…`` in a turn.

If it raises, the link is closed with 1011 and the error logged; what follows in the drain is still shown.
"""

Outcome: TypeAlias = CommandAnswered | CommandFailed | CallSucceeded | CallFailed


class MakeCsms(Protocol):
    """Makes the machine of a connection, as :class:`~ocpp_core.csms.Csms` does."""

    def __call__(
        self,
        config: CsmsConfig,
        identity: str,
        version: OcppVersion,
        entropy: Entropy,
        now: float,
        snapshot: Snapshot | None = None,
        *,
        certificate_serial: str | None = None,
    ) -> Csms:
        """A new machine."""
        ...


def utc_ms() -> int:
    """The wall clock in epoch milliseconds."""
    return time.time_ns() // 1_000_000


class Central:
    """What the connections of a CSMS share.

    Arguments:
        config: of every machine.
        observe: sees what happens; called in the loop's thread, must not block.
        stores: where the rows go, by identity.
        concurrency: the loop's events, for :meth:`StationLink.call`.
        entropy: the source of message ids and transaction ids.
        clock: the wall clock in epoch milliseconds, an input of the machines.
        make: makes the machine of a connection; a recorder brings its own.
    """

    def __init__(
        self,
        config: CsmsConfig,
        observe: Observer,
        stores: Stores,
        concurrency: Concurrency,
        *,
        entropy: Entropy = os.urandom,
        clock: Callable[[], int] = utc_ms,
        make: MakeCsms = Csms,
    ) -> None:
        self.config = config
        self.observe = observe
        self.stores = stores
        self.concurrency = concurrency
        self.entropy = entropy
        self.clock = clock
        self.make = make
        self._links: dict[str, StationLink] = {}

    @property
    def links(self) -> "Mapping[str, StationLink]":
        """The latest link of each station that has one; a live view."""
        return MappingProxyType(self._links)

    def session(self, *, certificate_serial: str | None = None) -> "StationLink":
        """A session for a station that is let in.

        ``certificate_serial`` is the serial number in its client certificate (its common name), which its
        BootNotification must repeat (B01.FR.11, B01.FR.12); None: it has none.
        """
        return StationLink(self, certificate_serial)

    def enter(self, link: "StationLink") -> "StationLink | None":
        """A station has a new link; returns the one before it, which may still have something to commit."""
        earlier = self._links.get(link.identity)
        self._links[link.identity] = link
        return earlier

    def leave(self, link: "StationLink") -> None:
        """A link is gone and has nothing left to commit."""
        if self._links.get(link.identity) is link:
            del self._links[link.identity]


class StationLink(Session):
    """One station's connection, with its machine.

    The machine is made from the rows of the identity when those of an earlier link are all committed; frames
    that come before wait, and nothing more is read meanwhile.
    """

    __slots__ = (
        "_central",
        "_certificate_serial",
        "_closed",
        "_early",
        "_held",
        "_host",
        "_link",
        "_machine",
        "_outcomes",
        "_successor",
        "_utc_due",
        "_waits",
    )

    _link: TextLink

    def __init__(self, central: Central, certificate_serial: str | None = None) -> None:
        self._central = central
        self._certificate_serial = certificate_serial
        self._machine: Csms | None = None
        self._host: Host | None = None
        self._early: list[str] = []
        self._successor: StationLink | None = None
        self._waits = True
        """For the earlier link, or for the rows."""
        self._closed = False
        self._held = False
        self._utc_due = 0.0
        self._outcomes: Outcomes[Outcome] = Outcomes(central.concurrency)

    # What the application asks for.

    @property
    def identity(self) -> str:
        """The station's identity."""
        return self._link.identity

    @property
    def machine(self) -> Csms:
        """The machine, to be given inputs within a :meth:`turn`.

        Raises:
            LocalProtocolError: the rows of the station are not there yet.
        """
        if self._machine is None:
            raise LocalProtocolError("the link is not ready")
        return self._machine

    @contextmanager
    def turn(self) -> Iterator[float]:
        """Give the machine inputs: yields ``now``, then carries out what follows."""
        try:
            yield self._link.now()
        finally:
            self._after()

    async def call(self, what: Request | Command, *, timeout: float | None = None) -> Outcome:
        """Ask the station, and wait for what comes of it.

        Arguments:
            what: a command, the same for all versions, or a request of the station's version.
            timeout: seconds from the moment it is sent; None: the configured ``message_timeout``.

        Returns:
            CommandAnswered or CommandFailed for a command, CallSucceeded or CallFailed for a request.

        Raises:
            LocalProtocolError: there is no link, no room, or the version or the standard forbids it.
        """
        call_id = self.machine.call(what, self._link.now(), timeout=timeout)
        self._outcomes.expect(call_id)
        self._after()
        return await self._outcomes.wait(call_id, lambda: None)

    def close(self, code: int, reason: str) -> None:
        """Begin to close the link."""
        self._link.close(code, reason)

    # What the server tells.

    def link_opened(self, link: TextLink, now: float) -> None:
        """The station is there."""
        self._link = link
        earlier = self._central.enter(self)
        if earlier is None:
            self._prepare()
        else:
            earlier.make_way(self, now)

    def receive_text(self, text: str, now: float) -> None:
        """A frame came."""
        if self._host is None or self._machine is None:
            if self._waits:
                self._early.append(text)
                self._hold(True)
            return
        if now >= self._utc_due:
            self._tell_time(self._machine, now)
        if self._host.receive(text, now):
            self._hold(True)

    def handle_timer(self, now: float) -> None:
        """Something of the machine's may be due."""
        if self._host is not None:
            self._host.handle_timer(now)

    def next_timer(self) -> float | None:
        """When something is due."""
        return None if self._machine is None else self._machine.next_timer()

    def link_closed(self, closed: Closed, now: float) -> None:
        """The station has gone; what it told is still committed."""
        del closed
        if self._closed:
            return
        self._closed = True
        if self._machine is not None and self._host is not None:
            self._machine.link_lost(now)
            self._host.drain()
        self._end_if_settled()

    # One link after another.

    def make_way(self, successor: "StationLink", now: float) -> None:
        """The station has a newer link, which begins when this one has nothing left to commit."""
        self._successor = successor
        if not self._closed:  # it came over another server, which did not know of this one
            self._link.close(*REPLACED)
            self.link_closed(Closed(*REPLACED, clean=False), now)

    def _prepare(self) -> None:
        """Nothing is in the way any more."""
        if self._closed:
            self._begin({})
        else:
            self._central.stores.load(self.identity, self._begin)

    def _begin(self, rows: Snapshot | StoreError) -> None:
        self._waits = False
        if self._closed:
            self._end_if_settled()
            return
        central, now = self._central, self._link.now()
        try:
            if isinstance(rows, StoreError):
                raise rows
            version = OcppVersion(self._link.subprotocol)
            machine = central.make(
                central.config,
                self.identity,
                version,
                central.entropy,
                now,
                rows,
                certificate_serial=self._certificate_serial,
            )
        except Exception as error:
            self._give_up(error)
            return
        self._machine = machine
        commit = central.stores.committer(self.identity)
        self._host = Host(machine, commit, self._perform, self._link.now, self._committed)
        self._tell_time(machine, now)
        early, self._early = self._early, []
        for text in early:
            self._host.receive(text, now)
        self._hold(False)
        self._after()

    def _committed(self) -> None:
        """A commit that had to be waited for is over."""
        if self._closed:
            self._end_if_settled()
        else:
            self._hold(False)
            self._link.rearm()

    def _end_if_settled(self) -> None:
        """The link is closed: if there is nothing left to load or commit, the next one may begin."""
        if self._waits or (self._host is not None and self._host.waits):
            return
        self._central.leave(self)
        successor, self._successor = self._successor, None
        if successor is not None:
            successor._prepare()

    # Carrying out.

    def _after(self) -> None:
        if self._host is not None:
            self._host.drain()
        self._link.rearm()

    def _perform(self, action: CsmsAction) -> None:
        if type(action) is SendFrame:
            self._link.send_text(action.text)
            return
        match action:
            case CommandAnswered() | CommandFailed() | CallSucceeded() | CallFailed():
                self._outcomes.settle(action.call_id, action)
            case CloseLink(code, reason):
                self._link.close(code, reason)
        try:
            self._central.observe(self, action)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """The rows or the application are at fault: this link ends, what is under way is carried out."""
        _log.error("%s: the link is given up", self.identity, exc_info=error)
        stored = isinstance(error, StoreError)
        self._link.close(1011, "storage failure" if stored else "internal error")

    def _hold(self, on: bool) -> None:
        if on is not self._held:
            self._held = on
            self._link.hold(on)

    def _tell_time(self, machine: Csms, now: float) -> None:
        self._utc_due = now + UTC_INTERVAL
        machine.set_utc(self._central.clock(), now)
