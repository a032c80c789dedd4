"""One conversation for each machine of the core: everything it said, in order, to fixed inputs.

Each is a function of a transcript to append to. It draws randomness from a seeded source and lets time pass
by saying so; so the same must come out in every run, in every process, whatever the hash seed.
"""

from collections.abc import Callable
from functools import partial

from ocpp_core import OcppVersion, Role, SeededEntropy
from ocpp_core.messages import Request, v16, v21, v201
from ocpp_core.rpc import CallReceived, ErrorCode, RpcConfig, RpcSession, SendFrame
from ocpp_core.wire import (
    ClientConfig,
    Credentials,
    HandshakeReceived,
    Link,
    SendBytes,
    ServerConfig,
    WebSocketClient,
    WebSocketServer,
)
from tests.purity.site import Site

Transcript = list[object]

HEARTBEATS: dict[OcppVersion, Callable[[], Request]] = {
    OcppVersion.V16: v16.HeartbeatRequest,
    OcppVersion.V201: v201.HeartbeatRequest,
    OcppVersion.V21: v21.HeartbeatRequest,
}
GARBAGE = ("", "[", "[2]", "null", '[2,"x","Heartbeat",{"a":1}]', '[3,"none",{}]', '[9,"x",{}]', "[" * 300)


def _carry(said: Transcript, sender: Link, receiver: Link, now: float, chunk: int) -> None:
    """Take what one end wants sent to the other, in small pieces."""
    for action in sender.actions():
        said.append(action)
        if isinstance(action, SendBytes):
            for start in range(0, len(action.data), chunk):
                receiver.receive_data(action.data[start : start + chunk], now)


def wire(said: Transcript, *, deflate: bool) -> None:
    """Handshake with credentials, messages both ways, keep-alive, a protocol error; and a closing link."""
    credentials = Credentials(b"CP-1", b"0123456789abcdef")
    config = ClientConfig(url="ws://csms.example/ocpp/CP-1", credentials=credentials, deflate=deflate)
    client = WebSocketClient(config, SeededEntropy(1), 0.0)
    server = WebSocketServer(ServerConfig(deflate=deflate, ping_interval=30.0), 0.0)
    _carry(said, client, server, 0.1, 7)
    (asked,) = server.actions()
    assert isinstance(asked, HandshakeReceived)
    server.accept(0.2)
    _carry(said, server, client, 0.3, 100)
    for size in (0, 1, 125, 126, 70_000):
        client.send_text("ä" * size, 1.0)
        _carry(said, client, server, 1.1, 4096)
        server.send_text("z" * size, 1.2)
        _carry(said, server, client, 1.3, 4096)
    server.handle_timer(100.0)
    _carry(said, server, client, 100.1, 1)
    _carry(said, client, server, 100.2, 1)
    client.close(1000, "done", 101.0)
    _carry(said, client, server, 101.1, 3)
    _carry(said, server, client, 101.2, 3)
    client.receive_eof(101.3)
    said += [client.actions(), server.actions(), client.next_timer(), server.next_timer()]


def wire_refusals(said: Transcript) -> None:
    """Requests that are none, slow ones, and a broken frame."""
    request = b"GET /CP-1 HTTP/1.1\r\nHost: x\r\n\r\n"
    for data in (b"\x00" * 100, b"POST" + request[3:], b"GET / HTTP/1.1\r\n" * 9000, request, b""):
        server = WebSocketServer(ServerConfig(), 0.0)
        server.receive_data(data, 1.0)
        server.handle_timer(60.0)
        said += server.actions()


def rpc(said: Transcript, version: OcppVersion) -> None:
    """A call answered, one refused, one that times out, one cut off, and garbage."""
    station = RpcSession(version, Role.STATION, SeededEntropy(1), RpcConfig(message_timeout=20.0))
    csms = RpcSession(version, Role.CSMS, SeededEntropy(2))
    for number in range(2):
        station.call(HEARTBEATS[version](), float(number))
    for text in GARBAGE:
        csms.receive_frame(text, 2.0)
    said += csms.actions()
    answered = 0
    for action in station.actions():
        said.append(action)
        assert isinstance(action, SendFrame)
        csms.receive_frame(action.text, 3.0)
    for call in csms.actions():
        said.append(call)
        if isinstance(call, CallReceived):
            csms.respond_error(call.call_id, ErrorCode.INTERNAL_ERROR, "no", None, 4.0)
            answered += 1
    for action in csms.actions():
        assert isinstance(action, SendFrame)
        station.receive_frame(action.text, 5.0)
    said += [*station.actions(), station.next_timer(), answered]
    station.handle_timer(60.0)
    station.call(HEARTBEATS[version](), 61.0)
    station.link_lost(62.0)
    said += station.actions()


def session(said: Transcript, version: OcppVersion) -> None:
    """A charging session from the cold start to the bill, through every level, with a cut link."""
    site = Site(said, version)
    site.connect()
    site.charge(0.0, 1.0)
    station = site.station
    station.plug_in(1, 1, site.now)
    site.run()
    site.present("04E1A7B2C3D480")
    for wh in range(0, 5000, 1000):
        site.charge(float(wh), 60.0)
    site.cut()
    site.charge(6000.0, 60.0)
    site.connect()
    station.suspend(1, "EV", site.now)
    site.run()
    station.resume(1, "EV", site.now)
    site.charge(7000.0, 60.0)  # what the station just said is under way for so long that it says it again
    site.present("04E1A7B2C3D480")
    station.plug_out(1, 1, site.now)
    for _ in range(3):
        site.charge(7000.0, 60.0)
    assert [bill.energy_wh for bill in site.csms.billed()] == [7000.0]
    said += [station.snapshot(), station.state(site.now), site.csms.snapshot()]


SCENARIOS: dict[str, Callable[[Transcript], None]] = {
    "wire": partial(wire, deflate=False),
    "wire, compressed": partial(wire, deflate=True),
    "wire, refusals": wire_refusals,
    **{f"rpc {version}": partial(rpc, version=version) for version in OcppVersion},
    **{f"session {version}": partial(session, version=version) for version in OcppVersion},
}
