"""The central system as a process: stations on a port, commands and events on standard input and output."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ocpp_adapters.asyncio_server import AsyncioConcurrency, DiskThread, Server, serve
from ocpp_adapters.central import Central, StationLink
from ocpp_adapters.sessions import Admit, Peer, TextLink
from ocpp_adapters.sqlite_store import SqliteStore
from ocpp_adapters.stores import GroupCommitter, StoreWriteError
from ocpp_adapters.tls_admission import ProfileGate, Refusal, dismiss_revoked
from ocpp_adapters.tls_peer import peer_certificate
from ocpp_control import Call, CommandError, Id, LineReader, LineWriter, Member, Verb, parse
from ocpp_control.kinds import TEXT, whole
from ocpp_core import LocalProtocolError, OcppVersion
from ocpp_core.csms import (
    AskAuthorization,
    Command,
    CommandAnswered,
    CommandFailed,
    Csms,
    CsmsAction,
    CsmsConfig,
    Registration,
    RequestStart,
    RequestStop,
)
from ocpp_core.domain.status import RegistrationStatus
from ocpp_core.domain.tokens import AuthorizationStatus, IdToken, IdTokenInfo
from ocpp_core.store import Commit, Put
from ocpp_core.wire import Closed, HandshakeReceived

from .access import Access
from .events import Event, bill, event_of

_STATION = Member("station", TEXT, required=True)
COMMANDS = (
    Verb("billed"),
    Verb("stations"),
    Verb("start", (_STATION, Member("token", TEXT, required=True), Member("evse", whole(1)))),
    Verb("stop", (_STATION, Member("transaction", TEXT, required=True))),
    Verb("quit"),
)
_OWN = ""
"""The scope of the central system's own rows; the others are named after stations."""
_STATIONS = "stations"
_KEPT = 1000
"""Ended transactions that are kept of each station."""
_LAST_WORDS = 5.0
_ASK_AGAIN = 3600.0
"""Seconds until all are asked about again; what was answered may count for a day."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What the command line said; ``tokens`` None: every token may charge."""

    host: str
    port: int
    store: Path
    tokens: frozenset[str] | None
    heartbeat: int
    access: Access = field(default_factory=Access)


def run(launch: Launch) -> None:
    """Serve until told to stop. Raises StoreError for the store, OSError if it cannot listen."""
    store = SqliteStore(launch.store)
    try:
        asyncio.run(_main(launch, store))
    finally:
        store.close()


async def _main(launch: Launch, store: SqliteStore) -> None:
    access = launch.access
    context = None if access.tls is None else access.tls.context()
    disk = DiskThread()
    service = CentralSystem(launch, store, GroupCommitter(store, disk.submit))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, service.over.set)
    try:
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(service.write())
            obeying = tasks.create_task(service.obey())
            gate = service.gate(access)
            async with await serve(gate, launch.host, launch.port, ssl_context=context) as server:
                service.emit({"event": "listening", "port": server.port})
                asking = tasks.create_task(_ask_again(server, access))
                await service.over.wait()
                asking.cancel()
            obeying.cancel()
            with suppress(TimeoutError):
                await asyncio.wait_for(service.writer.drained(), _LAST_WORDS)
            writing.cancel()
    finally:
        disk.close()


async def _ask_again(server: Server, access: Access) -> None:
    """Whether certificates of stations that are connected are revoked by now."""
    while access.revoked is not None:
        await asyncio.sleep(_ASK_AGAIN)
        await dismiss_revoked(server.connections, access.revoked)


class CentralSystem:
    """Registers every station, decides on tokens, remembers what was billed."""

    def __init__(self, launch: Launch, store: SqliteStore, stores: GroupCommitter) -> None:
        self.writer = LineWriter(sys.stdout.fileno())
        self.over = asyncio.Event()
        self._tokens = launch.tokens
        self._store = store
        self._keep = stores.committer(_OWN)
        self._started = asyncio.get_running_loop().time()
        self._stations: dict[str, str] = dict(store.load(_OWN).get(_STATIONS, {}))
        accepted = Registration(RegistrationStatus.ACCEPTED, launch.heartbeat)
        self._config = CsmsConfig(
            registration=accepted,
            registration_without_boot=RegistrationStatus.ACCEPTED,
            authorization=IdTokenInfo(AuthorizationStatus.ACCEPTED) if launch.tokens is None else None,
            closed_transactions=_KEPT,
        )
        self._central = Central(self._config, self._observe, stores, AsyncioConcurrency())

    def emit(self, event: Event) -> None:
        """Write an event."""
        at = round(asyncio.get_running_loop().time() - self._started, 6)
        self.writer.event({"event": event["event"], "at": at, **event})

    # stations

    def gate(self, access: Access) -> Admit:
        """Who is let in: everybody, or the stations of a registry that prove who they are."""
        stations = access.stations
        if stations is None:
            return self.admit
        return ProfileGate(
            lambda identity: stations().get(identity),
            self.admit,
            revoked=access.revoked,
            report=self._refused,
        )

    def admit(self, handshake: HandshakeReceived, peer: Peer) -> StationLink:
        """Let a station in, and remember that it was here."""
        del handshake
        certificate = peer_certificate(peer.tls)
        return _Link(self._central, self, None if certificate is None else certificate.common_name)

    def _refused(self, refusal: Refusal) -> None:
        told = {"event": "refused", "station": refusal.identity, "reason": refusal.reject.reason}
        self.emit(told if refusal.event is None else {**told, "security_event": refusal.event})

    def remember(self, identity: str, version: str) -> None:
        """A station connected with this version; its rows can be found under its identity from now on."""
        if self._stations.get(identity) != version:
            self._stations[identity] = version
            self._keep(Commit((Put(_STATIONS, identity, version),)), partial(self._kept, identity))

    def _kept(self, identity: str, error: StoreWriteError | None) -> None:
        if error is not None:
            self._stations.pop(identity, None)  # to be remembered when it comes again

    def _observe(self, link: StationLink, action: CsmsAction) -> None:
        if isinstance(action, AskAuthorization):
            with link.turn() as now:
                link.machine.answer_authorization(action.question, self._judge(action.token), now)
        elif event := event_of(link.identity, action):
            self.emit(event)

    def _judge(self, token: IdToken) -> IdTokenInfo:
        known = self._tokens is None or token.value.casefold() in self._tokens
        return IdTokenInfo(AuthorizationStatus.ACCEPTED if known else AuthorizationStatus.INVALID)

    # commands

    async def write(self) -> None:
        """Write answers and events; when nobody is left to read them, stop."""
        await self.writer.run()
        self.over.set()

    async def obey(self) -> None:
        """Answer commands until there are no more, which means quit."""
        async for line in LineReader(sys.stdin.fileno()).lines():
            await self.writer.room()
            try:
                call = parse(line, COMMANDS)
                answer = await self._perform(call)
            except CommandError as error:
                self._answer(error.id, {"ok": False, "error": str(error)})
            else:
                self._answer(call.id, {"ok": True, **answer})
        self.over.set()

    def _answer(self, id_: Id | None, members: Mapping[str, Any]) -> None:
        self.writer.answer(members if id_ is None else {"re": id_, **members})

    async def _perform(self, call: Call) -> Mapping[str, Any]:
        given = call.arguments
        match call.verb:
            case "billed":
                return {"transactions": await asyncio.to_thread(self._billed)}
            case "stations":
                return {"stations": [self._station(identity) for identity in sorted(self._stations)]}
            case "start":
                return await self._request(call, RequestStart(IdToken(given["token"]), given.get("evse")))
            case "stop":
                return await self._request(call, RequestStop(given["transaction"]))
        self.over.set()
        return {}

    async def _request(self, call: Call, command: Command) -> Mapping[str, Any]:
        """Ask a station, and wait for its answer. Raises :class:`CommandError` if there is none."""
        link = self._central.links.get(call.arguments["station"])
        try:
            if link is None:
                raise LocalProtocolError(f"{call.arguments['station']} is not connected")
            outcome = await link.call(command)
        except LocalProtocolError as error:
            raise CommandError(str(error), call.id) from None
        if isinstance(outcome, CommandAnswered):
            return {"accepted": outcome.accepted, "status": outcome.status}
        assert isinstance(outcome, CommandFailed)
        raise CommandError(f"the station did not answer: {outcome.reason}", call.id)

    def _station(self, identity: str) -> Event:
        connected = identity in self._central.links
        return {"station": identity, "version": self._stations[identity], "connected": connected}

    def _billed(self) -> list[Event]:
        """What is durable of every transaction, whether its station is connected or not."""
        return [
            bill(identity, transaction)
            for identity, version in sorted(self._stations.items())
            for transaction in self._machine(identity, version).billed()
        ]

    def _machine(self, identity: str, version: str) -> Csms:
        return Csms(self._config, identity, OcppVersion(version), os.urandom, 0.0, self._store.load(identity))


class _Link(StationLink):
    """A station's connection, which tells when it comes and goes."""

    __slots__ = ("_service",)

    def __init__(self, central: Central, service: CentralSystem, certificate_serial: str | None) -> None:
        super().__init__(central, certificate_serial)
        self._service = service

    def link_opened(self, link: TextLink, now: float) -> None:
        """The station is there."""
        self._service.remember(link.identity, link.subprotocol)
        self._service.emit({"event": "connected", "station": link.identity, "subprotocol": link.subprotocol})
        super().link_opened(link, now)

    def link_closed(self, closed: Closed, now: float) -> None:
        """The station has gone."""
        super().link_closed(closed, now)
        self._service.emit({"event": "disconnected", "station": self.identity, "code": closed.code})
