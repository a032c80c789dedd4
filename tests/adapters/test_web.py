"""Asking web servers: what is sent, what counts as an answer, what a hostile one costs; on every adapter."""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_adapters.anyio_web import AnyioFetch
from ocpp_adapters.binding import Binding
from ocpp_adapters.poll import Poll
from ocpp_adapters.poll_web import PollFetch
from ocpp_adapters.proxy import Proxy
from ocpp_adapters.threads_monitor import finish
from ocpp_adapters.threads_web import BlockingFetch
from ocpp_adapters.web import HEAD_LIMIT, Exchange, FetchError, FetchFault, Web
from tests.adapters.web_servers import (
    Serve,
    answer,
    reset,
    saying,
    silent,
    stopping,
    web_server,
    without_end,
)

BODY = b"\x30\x03\x0a\x01\x06"
KIND = "application/ocsp-response"
LIMIT = 50_000


@dataclass(frozen=True)
class Question:
    url: str = "http://ca.example/a?b#c"
    body: bytes | None = b"question"
    content_type: str = "application/ocsp-request"
    accept: tuple[str, ...] = (KIND,)
    limit: int = LIMIT


def exchange(url: str = "http://ca.example/a?b#c", web: Web | None = None, **changes: object) -> Exchange:
    return Exchange(Question(url, **changes), web or Web(), 5.0)


@pytest.mark.requirement("RFC6960-4.1")
def test_what_is_sent() -> None:
    posted = exchange()
    assert posted.request == (
        b"POST /a?b HTTP/1.1\r\nHost: ca.example\r\nAccept: application/ocsp-response\r\n"
        b"Accept-Encoding: identity\r\nConnection: close\r\nContent-Type: application/ocsp-request\r\n"
        b"Content-Length: 8\r\n\r\nquestion"
    )
    assert (posted.route.config.endpoint.host, posted.route.config.endpoint.port) == ("ca.example", 80)
    fetched = exchange("http://[2001:db8::1]:8080", body=None, accept=("a/b", "c/d"))
    assert fetched.request == (
        b"GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\nAccept: a/b, c/d\r\n"
        b"Accept-Encoding: identity\r\nConnection: close\r\n\r\n"
    )
    endpoint = fetched.route.config.endpoint
    assert (endpoint.host, endpoint.port, fetched.whom) == ("2001:db8::1", 8080, "[2001:db8::1]:8080")


@pytest.mark.requirement("RFC9112-3.2.2")
def test_a_proxy_is_asked_for_the_whole_url() -> None:
    binding = Binding(interface="lo")
    asked = exchange(web=Web(binding=binding, proxy=Proxy("proxy.example", 3128, "me", "secret")), body=None)
    assert asked.request.startswith(b"GET http://ca.example/a?b HTTP/1.1\r\nHost: ca.example\r\n")
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" in asked.request
    assert (asked.route.config.endpoint.host, asked.route.config.endpoint.port) == ("proxy.example", 3128)
    assert (asked.route.proxy, asked.route.binding) == (None, binding)
    with pytest.raises(FetchError, match=r"ca.example:80: refused \(the proxy wants a user name"):
        asked.receive_data(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "url",
    [
        *("", "ca.example", "ftp://ca.example/", "ldap://ca.example/", "https://ca.example/", "http://", "http:///x"),
        *("http://me:secret@ca.example/", "http://@ca.example/", "http://ca.example:x/", "http://ca.example:99999/"),
        *("http://ca.example/a b", "http://ca.example/\r\nX: y", "http://ca.example/\0", "http://cä.example/"),
        *("http://[::1", "http://[fe80::1%25eth0]/", "http://ca.example/" + "x" * 2048, "http://a..b/"),
    ],
)  # fmt: skip
def test_urls_that_are_not_asked(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        exchange(url)
    assert caught.value.fault is FetchFault.URL
    assert str(caught.value).isprintable()
    assert "secret" not in str(caught.value)


def feed(asked: Exchange, data: bytes, size: int) -> bytes:
    """An answer in pieces, and the end of the connection."""
    for start in range(0, len(data), size):
        if (body := asked.receive_data(data[start : start + size])) is not None:
            return body
    return asked.receive_eof()


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {KIND}", *lines, "", ""]).encode()


GOOD = {
    "with its length": answer(BODY),
    "in chunks": head("Transfer-Encoding: chunked")
    + b"2\r\n\x30\x03\r\n3;x=y\r\n\x0a\x01\x06\r\n0\r\nA: b\r\n\r\n",
    "to the end": head() + BODY,
    "old": b"HTTP/1.0 200 OK\r\ncontent-TYPE: Application/OCSP-response; q=1\r\n\r\n" + BODY,
    "after a word": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\n" + answer(BODY),
    "more than one": answer(BODY) + answer(b"another"),
    "not encoded": head("Content-Encoding: Identity", "Content-Length: 5") + BODY,
    "empty": answer(b""),
}


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
@pytest.mark.parametrize("size", [1, 100_000])
def test_answers(data: bytes, size: int) -> None:
    body = feed(exchange(), data, size)
    assert body == (BODY if BODY in data or b"\x0a\x01\x06" in data else b"")


CHUNKED = head("Transfer-Encoding: chunked")
BAD: dict[str, tuple[bytes, FetchFault]] = {
    "nothing": (b"", FetchFault.ENDED),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-", FetchFault.ENDED),
    "half a body": (answer(BODY)[:-1], FetchFault.ENDED),
    "half a chunk": (CHUNKED + b"5\r\nab", FetchFault.ENDED),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", FetchFault.NOT_HTTP),
    "TLS": (b"\x15\x03\x01\x00\x02\x02\x46", FetchFault.NOT_HTTP),
    "no number": (head("Content-Length: many"), FetchFault.NOT_HTTP),
    "two lengths": (head("Content-Length: 1", "Content-Length: 2") + b"a", FetchFault.NOT_HTTP),
    "no chunk": (CHUNKED + b"zz\r\n", FetchFault.NOT_HTTP),
    "a head without end": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2 * HEAD_LIMIT, FetchFault.NOT_HTTP),
    "words without end": (b"HTTP/1.1 102 Wait\r\n\r\n" * 10_000, FetchFault.TOO_LARGE),
    "too long": (head(f"Content-Length: {LIMIT + 1}"), FetchFault.TOO_LARGE),
    "too long, untold": (head() + b"x" * (LIMIT + 1), FetchFault.TOO_LARGE),
    "chunks that are too much": (CHUNKED + b"a\r\n0123456789\r\n" * 5_001, FetchFault.TOO_LARGE),
    "crumbs": (CHUNKED + b"1\r\nx\r\n" * 4_200, FetchFault.TOO_LARGE),
    "a chunk of nothing but words": (CHUNKED + b"1;" + b"x" * 2 * HEAD_LIMIT, FetchFault.NOT_HTTP),
    "redirect": (head("Location: http://127.0.0.1/", status="302 Found"), FetchFault.REDIRECT),
    "nobody": (head(status="404 Not Found"), FetchFault.STATUS),
    "nothing to say": (head(status="204 No Content"), FetchFault.STATUS),
    "a part": (head(status="206 Partial Content"), FetchFault.STATUS),
    "a page": (answer(BODY, "text/html"), FetchFault.WRONG_TYPE),
    "no type": (b"HTTP/1.1 200 OK\r\n\r\n" + BODY, FetchFault.WRONG_TYPE),
    "a type in no letters": (answer(BODY, "\x1b[31m"), FetchFault.WRONG_TYPE),
    "compressed": (head("Content-Encoding: gzip", "Content-Length: 5") + BODY, FetchFault.WRONG_TYPE),
}  # fmt: skip


@pytest.mark.parametrize(("data", "fault"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("size", [11, 1_000_000])
def test_what_is_no_answer(data: bytes, fault: FetchFault, size: int) -> None:
    asked = exchange()
    with pytest.raises(FetchError) as caught:
        feed(asked, data, size)
    assert caught.value.fault is fault
    assert str(caught.value).startswith(f"ca.example:80: {fault}")
    assert str(caught.value).isprintable()
    assert len(asked._body) <= LIMIT + 100_000


@given(
    st.lists(st.sampled_from([*GOOD.values(), *(it for it, _ in BAD.values() if len(it) < 500)])), st.binary()
)
def test_pieces_mean_what_the_whole_means(parts: list[bytes], rest: bytes) -> None:
    data = b"".join(parts) + rest

    def outcome(size: int) -> object:
        try:
            return feed(exchange(), data, size)
        except FetchError as error:
            return error.fault

    assert outcome(7) == outcome(max(1, len(data)))


# On real sockets

Fetching = Callable[[Question, Web, float], bytes]


def on_anyio(backend: str) -> Fetching:
    def fetch(question: Question, web: Web, timeout: float) -> bytes:
        return anyio.run(AnyioFetch(web), question, timeout, backend=backend)

    return fetch


def blocking(question: Question, web: Web, timeout: float) -> bytes:
    return finish(BlockingFetch(web)(question, timeout))


def polled(question: Question, web: Web, timeout: float) -> bytes:
    before = set(threading.enumerate())
    with Poll() as poll:
        task = poll.spawn(PollFetch(poll, web)(question, timeout))
        while not task.done:
            began = time.thread_time()
            delay = poll.step()
            assert time.thread_time() - began < 0.05
            poll.wait(min(delay, 0.05))
        begun = set(threading.enumerate()) - before
        assert not [it for it in begun if it.name.startswith("ocpp")]
        return task.result()


CARRIERS = {
    "asyncio": on_anyio("asyncio"), "trio": on_anyio("trio"), "threads": blocking, "poll": polled,
}  # fmt: skip
carriers = pytest.mark.parametrize("fetch", CARRIERS.values(), ids=CARRIERS)
HUGE = answer(b"")[:-4] + b"\r\nX: "
HOSTILE: dict[str, tuple[Serve, FetchFault]] = {
    "reset": (reset, FetchFault.ENDED),
    "closed": (saying(b""), FetchFault.ENDED),
    "silent": (silent, FetchFault.TIMEOUT),
    "head without end": (without_end(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 100), FetchFault.NOT_HTTP),
    "body without end": (without_end(head(), b"x" * 4096), FetchFault.TOO_LARGE),
    "chunks without end": (without_end(CHUNKED, b"1\r\nx\r\n" * 100), FetchFault.TOO_LARGE),
    "a head and no more": (stopping(head("Content-Length: 5")), FetchFault.TIMEOUT),
}


@carriers
def test_a_good_server(fetch: Fetching) -> None:
    question = b"q" * 300_000  # more than a socket takes at once
    with web_server(saying(answer(BODY * 5000))) as server:
        assert (
            fetch(Question(server.url, question), Web(binding=Binding(source="127.0.0.1")), 5.0)
            == BODY * 5000
        )
        assert server.requests[0].endswith(question)
        through = Web(proxy=Proxy("127.0.0.1", server.port))
        assert fetch(Question("http://nowhere.invalid/x", None), through, 5.0) == BODY * 5000
    assert server.requests[1].startswith(b"GET http://nowhere.invalid/x HTTP/1.1\r\n")


@carriers
@pytest.mark.parametrize(("serve", "fault"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_server_costs_little(fetch: Fetching, serve: Serve, fault: FetchFault) -> None:
    with web_server(serve) as server:
        began = time.monotonic()
        with pytest.raises(FetchError) as caught:
            fetch(Question(server.url), Web(), 0.1 if fault is FetchFault.TIMEOUT else 5.0)
        assert caught.value.fault is fault
        assert time.monotonic() - began < 5.0


@carriers
def test_nobody_is_there(fetch: Fetching) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(FetchError, match="refused: nobody listens on that port") as caught:
        fetch(Question(f"http://127.0.0.1:{port}/"), Web(), 5.0)
    assert caught.value.fault is FetchFault.UNREACHABLE


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_only_so_many_are_asked_at_once(backend: str) -> None:
    at_once: set[socket.socket] = set()
    most = []
    pair = threading.Barrier(2, timeout=5)

    def count(connection: socket.socket, request: bytes) -> None:
        at_once.add(connection)
        pair.wait()
        most.append(len(at_once))
        pair.wait()
        at_once.discard(connection)
        connection.sendall(answer(BODY))

    async def main() -> None:
        fetch = AnyioFetch(parallel=2)
        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(fetch, Question(server.url), 5.0)

    with web_server(count) as server:
        anyio.run(main, backend=backend)
    assert most == [2] * 6


def test_a_task_of_a_poll_that_is_given_up_leaves_nothing_open() -> None:
    with web_server(silent) as server, Poll() as poll:
        task = poll.spawn(PollFetch(poll)(Question(server.url), 60.0))
        while not server.requests:
            poll.wait(min(poll.step(), 0.01))
        task.cancel()
        assert not poll._sockets
        poll.step()
