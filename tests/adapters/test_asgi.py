"""The ASGI endpoint against the letter of the protocol, its server a script; real servers are in the
conformance suite."""

import asyncio
import base64
import contextvars
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import trio

from ocpp_adapters.anyio_link import loop_clock
from ocpp_adapters.asgi import OcppEndpoint
from ocpp_adapters.sessions import Decision, Limits, Peer, Reject
from ocpp_core.wire import HandshakeReceived, NoCommonSubprotocol, ServerConfig
from tests.adapters.servers import Alarmed, Echo, Echoes, Talker, eventually

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def scope(path: str = "/ocpp/CP%201", *headers: tuple[bytes, bytes], **changes: Any) -> dict[str, Any]:
    return {
        "type": "websocket",
        "path": "not looked at",
        "raw_path": path.encode(),
        "query_string": b"a=1",
        "headers": [(b"Host", b"csms"), *headers],
        "subprotocols": ["ocpp2.0.1", "ocpp1.6"],
        "client": ["192.0.2.1", 4711],
        "extensions": {"websocket.http.response": {}},
        **changes,
    }


class Script:
    """An ASGI server that does as it is told."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.stalled = False
        self.gone: Exception | None = None
        self._put, self._get = anyio.create_memory_object_stream[dict[str, Any]](100)
        self.tell({"type": "websocket.connect"})

    def tell(self, message: dict[str, Any]) -> None:
        self._put.send_nowait(message)

    def text(self, text: str) -> None:
        self.tell({"type": "websocket.receive", "text": text})

    async def receive(self) -> Any:
        return await self._get.receive()

    async def send(self, message: Any) -> None:
        if self.gone is not None:
            raise self.gone
        if self.stalled:
            await anyio.sleep_forever()
        self.sent.append(message)

    def kinds(self) -> list[str]:
        return [message["type"] for message in self.sent]

    def close(self) -> None:
        self._put.close()
        self._get.close()


@asynccontextmanager
async def connection(endpoint: OcppEndpoint, asked: dict[str, Any] | None = None) -> AsyncIterator[Script]:
    script = Script()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(endpoint, scope() if asked is None else asked, script.receive, script.send)
            yield script
    script.close()


async def refused(endpoint: OcppEndpoint, asked: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    async with connection(endpoint, asked) as script:
        pass
    return script.sent


async def test_text_goes_to_the_session_and_back() -> None:
    echoes = Echoes()
    asked: list[HandshakeReceived] = []

    def admit(handshake: HandshakeReceived, peer: Peer) -> Decision:
        asked.append(handshake)
        return echoes(handshake, peer)

    endpoint = OcppEndpoint(admit)
    basic = b"Basic " + base64.b64encode(b"CP 1:secret")
    async with connection(endpoint, scope("/a/CP%201", (b"Authorization", basic))) as script:
        script.text("hello")
        await eventually(lambda: len(script.sent) == 2)
        assert list(endpoint.connections) == ["CP 1"]
        script.tell({"type": "websocket.disconnect", "code": 1000})
    assert script.sent == [
        {"type": "websocket.accept", "subprotocol": "ocpp2.0.1"},
        {"type": "websocket.send", "text": "hello"},
    ]
    assert echoes.log == ["opened CP 1 ocpp2.0.1", "closed 1000 "]
    assert echoes.peers[0] == Peer(("192.0.2.1", 4711), None)
    (handshake,) = asked
    assert handshake.credentials is not None
    assert handshake.credentials.password == b"secret"
    assert (handshake.path, handshake.query) == ("/a/CP%201", "a=1")
    assert handshake.headers == ((b"host", b"csms"),)
    assert not endpoint.connections


async def test_a_server_that_tells_less() -> None:
    """raw_path, client, subprotocols, extensions and the reason of a disconnect are all optional."""
    echoes = Echoes()
    bare = scope(path="", client=None, extensions=None, query_string=b"")
    bare["path"] = "/ocpp/CP 1"
    async with connection(OcppEndpoint(echoes), bare) as script:
        await eventually(lambda: script.sent)
        script.tell({"type": "websocket.disconnect"})
    assert echoes.log == ["opened CP 1 ocpp2.0.1", "closed 1005 "]
    assert await refused(OcppEndpoint(lambda *_: Reject(401)), bare) == [{"type": "websocket.close"}]


@pytest.mark.parametrize(
    ("status", "path"),
    [(401, "/CP1"), (404, "/CP2"), (500, "/bug"), (404, "/a/.."), (404, "/a/"), (404, "/%ff")],
)
async def test_refusals(status: int, path: str) -> None:
    def admit(handshake: HandshakeReceived, peer: Peer) -> Decision:
        if handshake.identity == "bug":
            raise RuntimeError("a bug of the application")
        return Reject(401 if handshake.identity == "CP1" else 404, "no")

    start, body = await refused(OcppEndpoint(admit), scope(path))
    assert (start["type"], body["type"]) == ("websocket.http.response.start", "websocket.http.response.body")
    assert start["status"] == status
    assert ((b"www-authenticate", b'Basic realm="OCPP"') in start["headers"]) is (status == 401)


async def test_two_authorizations_are_refused() -> None:
    twice = scope("/CP1", (b"authorization", b"Basic YQ=="), (b"authorization", b"Basic YQ=="))
    assert (await refused(OcppEndpoint(Echoes()), twice))[0]["status"] == 400


@pytest.mark.requirement("1.6-J-3.2", "TC_B_58_CSMS")
async def test_no_common_subprotocol() -> None:
    echoes = Echoes()
    sent = await refused(OcppEndpoint(echoes), scope(subprotocols=["ocpp9" * 40]))
    assert sent[0] == {"type": "websocket.accept"}
    assert sent[1]["code"] == 1002
    assert sent[1]["reason"].startswith(
        "no common subprotocol: supported ocpp2.1, ocpp2.0.1, ocpp1.6; offered "
    )
    assert len(sent[1]["reason"]) <= 123
    strict = ServerConfig(no_common_subprotocol=NoCommonSubprotocol.REFUSE)
    sent = await refused(OcppEndpoint(echoes, config=strict), scope(subprotocols=[]))
    assert sent[0]["status"] == 400
    assert echoes.log == []


async def test_an_answer_that_takes_too_long() -> None:
    async def admit(handshake: HandshakeReceived, peer: Peer) -> Decision:
        await anyio.sleep_forever()
        raise AssertionError

    sent = await refused(OcppEndpoint(admit, config=ServerConfig(handshake_timeout=0.05)))
    assert sent[0]["status"] == 503


async def test_limits() -> None:
    gate = anyio.Event()

    async def admit(handshake: HandshakeReceived, peer: Peer) -> Decision:
        await gate.wait()
        return Echo()

    endpoint = OcppEndpoint(admit, limits=Limits(handshakes=1, connections=1))
    async with connection(endpoint) as first:
        await anyio.sleep(0.02)
        assert (await refused(endpoint, scope("/CP2")))[0]["status"] == 503  # a handshake too many
        gate.set()
        await eventually(lambda: first.sent)
        assert (await refused(endpoint, scope("/CP2")))[0]["status"] == 503  # a link too many
        first.tell({"type": "websocket.disconnect", "code": 1001})


async def test_a_newer_connection_replaces_the_older() -> None:
    endpoint = OcppEndpoint(Echoes())
    async with connection(endpoint) as old:
        await eventually(lambda: old.sent)
        async with connection(endpoint) as new:
            await eventually(lambda: len(old.sent) == 2)
            assert old.sent[1]["code"] == 1000
            assert "replaced" in old.sent[1]["reason"]
            with anyio.fail_after(5):
                await endpoint.close()
            assert not endpoint.connections
            assert len(new.sent) == 2
            assert new.sent[1]["code"] == 1001
    assert (await refused(endpoint))[0]["status"] == 503


async def test_bytes_and_bugs_end_the_link(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    for message, code in ({"bytes": b"x"}, 1003), ({"text": "crash"}, 1011):
        async with connection(OcppEndpoint(Echoes())) as script:
            script.tell({"type": "websocket.receive", **message})
        assert script.sent[-1]["code"] == code


async def test_a_station_that_does_not_read_is_not_read_from_and_then_cut_off() -> None:
    talker = Talker()
    endpoint = OcppEndpoint(lambda *_: talker, limits=Limits(unsent_bytes=1000))
    async with connection(endpoint) as script:
        await eventually(lambda: talker.link is not None and script.sent)
        assert talker.link is not None
        script.stalled = True
        for _ in range(12):
            talker.link.send_text("x" * 100)
            await anyio.sleep(0)
        assert talker.closed
    assert not endpoint.connections


async def test_a_session_may_hold_its_link_and_be_woken() -> None:
    echoes = Echoes()
    async with connection(OcppEndpoint(echoes)) as script:
        await eventually(lambda: "CP 1" in echoes.of and echoes.of["CP 1"].link is not None)
        link = echoes.of["CP 1"].link
        assert link is not None
        link.hold(True)
        script.text("one")  # it may be on its way already
        script.text("two")
        await anyio.sleep(0.02)
        assert len(script.sent) <= 2
        link.hold(False)
        await eventually(lambda: len(script.sent) == 3)
        script.tell({"type": "websocket.disconnect", "code": 1000})
    session = Alarmed()
    async with connection(OcppEndpoint(lambda *_: session)) as script:
        await eventually(lambda: session.link is not None)
        assert session.link is not None
        session.at = session.link.now() + 0.05
        session.link.rearm()
        await eventually(lambda: script.kinds() == ["websocket.accept", "websocket.send"])
        script.tell({"type": "websocket.disconnect", "code": 1000})


@pytest.mark.parametrize("error", [OSError, RuntimeError])
async def test_a_client_that_goes_while_it_is_written_to(error: type[Exception]) -> None:
    """The specification's OSError, or what uvicorn raises while its own closing is under way."""
    echoes = Echoes()
    async with connection(OcppEndpoint(echoes)) as script:
        await eventually(lambda: script.sent)
        script.gone = error("the client has gone")
        script.text("hello")
    assert echoes.log[-1].startswith("closed 1006")


@pytest.mark.parametrize("error", [OSError, RuntimeError])
@pytest.mark.parametrize(
    "asked", [scope(subprotocols=["soap"]), scope(raw_path=b"/"), scope(subprotocols=["ocpp1.6"])]
)
async def test_a_client_that_goes_before_it_is_refused(asked: dict[str, Any], error: type[Exception]) -> None:
    endpoint = OcppEndpoint(Echoes(), limits=Limits(handshakes=0))
    script = Script()
    script.gone = error("the client has gone")
    await endpoint(asked, script.receive, script.send)
    script.close()
    assert not script.sent


async def test_what_the_time_is_can_be_asked_without_a_task(anyio_backend: str) -> None:
    clock, told = loop_clock(), list[float]()
    if anyio_backend == "asyncio":
        asyncio.get_running_loop().call_soon(lambda: told.append(clock()), context=contextvars.Context())
    else:
        trio.lowlevel.current_trio_token().run_sync_soon(lambda: told.append(clock()))
    before = anyio.current_time()
    await eventually(lambda: told)
    assert before <= told[0] <= anyio.current_time()


async def test_a_server_that_is_torn_down() -> None:
    echoes, script = Echoes(), Script()
    endpoint = OcppEndpoint(echoes)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(endpoint, scope(), script.receive, script.send)
        await eventually(lambda: script.sent)
        tasks.cancel_scope.cancel()
    script.close()
    assert echoes.log[-1].startswith("closed 1006")
    assert not endpoint.connections


async def test_as_the_whole_application() -> None:
    """A life, and those who want a page."""
    endpoint, sent = OcppEndpoint(Echoes()), list[Any]()
    life = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Any:
        return next(life)

    async def send(message: Any) -> None:
        sent.append(message)

    await endpoint({"type": "lifespan"}, receive, send)
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    sent.clear()
    await endpoint({"type": "http"}, receive, send)
    assert sent[0]["status"] == 426
    assert sent[1]["body"] == b"not a WebSocket\n"
