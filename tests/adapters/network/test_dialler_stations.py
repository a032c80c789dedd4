"""Stations that dial: the back-off on every path, and that whatever dialling raises is a failed link."""

import logging
import socket
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ocpp_adapters.poll import Poll
from ocpp_adapters.poll_dial import Dialling
from ocpp_adapters.poll_rpc import open_rpc as open_poll_rpc
from ocpp_adapters.routes import Route
from ocpp_adapters.station_runner import Runner
from ocpp_adapters.threads_link import dial as dial_blocking
from ocpp_adapters.threads_rpc import open_rpc as open_threads_rpc
from ocpp_core import ConfigurationError, OcppError, OcppVersion
from ocpp_core.station import Backoff, StationConfig
from ocpp_core.wire import ClientConfig
from tests.adapters.charger import config
from tests.adapters.network.carriers import black_hole, open_sockets
from tests.adapters.network.running import RUNNING, Seen, silent_csms

MINIMUM, RANDOM = 0.1, 0.05
SLACK = 0.24
"""Seconds that this machine may be late; a wait is still told from one that has doubled too often."""
UNSEEN = 0.05
"""Seconds from the end of a link to when it is seen here."""
BACKOFF = Backoff(minimum=MINIMUM, random_range=RANDOM, repeats=2)
SETTINGS: StationConfig = replace(config(OcppVersion.V201), backoff=BACKOFF)
HASTY = config(OcppVersion.V201)


@pytest.fixture(params=RUNNING)
def run(request: pytest.FixtureRequest) -> Callable[..., None]:
    return RUNNING[request.param]


def to(port: int, scheme: str = "ws", **options: Any) -> Route:
    settings: dict[str, Any] = {"ping_interval": 0.05, "pong_timeout": 0.05, "close_timeout": 0.1, **options}
    return Route(config=ClientConfig(url=f"{scheme}://127.0.0.1:{port}/CP1", **settings))


def held_to(waits: list[float], doublings: tuple[int, ...]) -> None:
    """Every wait is the minimum, doubled so often, and a random part."""
    for wait, times in zip(waits, doublings, strict=True):
        assert MINIMUM * 2**times - UNSEEN <= wait <= MINIMUM * 2**times + RANDOM + SLACK, waits


@pytest.mark.requirement("2.0.1-J-5.3", "2.1-J-5.4")
def test_a_silent_csms_is_dialled_again_after_the_back_off(run: Callable[..., None]) -> None:
    """It has said something, and then answers no ping: each time the first wait."""
    seen = Seen()
    with silent_csms(speaks=True) as port:
        run(to(port), seen, lambda _: len(seen.dialled) > 3, SETTINGS)
    assert seen.opened >= 3
    assert all("pong" in reason for reason in seen.reasons[:3]), seen.reasons
    held_to(seen.waits[:3], (0, 0, 0))


@pytest.mark.requirement("2.0.1-J-5.3", "2.1-J-5.4")
def test_the_back_off_grows_while_nothing_but_a_websocket_answers(run: Callable[..., None]) -> None:
    """Each link opens and ends by a pong that does not come: the CSMS behind it has said nothing."""
    seen = Seen()
    with silent_csms(speaks=False) as port:
        run(to(port), seen, lambda _: len(seen.dialled) > 4, SETTINGS)
    assert seen.opened >= 4
    held_to(seen.waits[:4], (0, 1, 2, 2))


@pytest.mark.requirement("2.0.1-J-5.3", "2.1-J-5.4")
def test_the_back_off_grows_while_nobody_is_there(run: Callable[..., None], free_port: int) -> None:
    seen = Seen()
    run(to(free_port), seen, lambda _: len(seen.dialled) > 4, SETTINGS)
    assert seen.reasons[0] == (
        f"unreachable: 127.0.0.1:{free_port}: refused: nobody listens on that port, or a firewall says so"
    )
    held_to(seen.waits[:4], (0, 1, 2, 2))


@pytest.mark.requirement("2.0.1-J-5.3", "2.1-J-5.4")
def test_the_back_off_grows_while_nobody_answers(run: Callable[..., None]) -> None:
    seen = Seen()
    with black_hole() as port:
        run(to(port, handshake_timeout=0.1), seen, lambda _: len(seen.dialled) > 3, SETTINGS)
    assert seen.reasons[0] == f"timeout: 127.0.0.1:{port}: no answer within 0.1 s"
    held_to(seen.waits[:3], (0, 1, 2))


# What a dial, or a maker of contexts, may raise.


class KeyIsGoneError(OcppError):
    """As of a key store."""


RAISED = [
    (ConnectionRefusedError(111, "no"), "unreachable: [Errno 111] no"),
    (TimeoutError("too late"), "timeout: too late"),
    (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong"), "unreachable: "),
    (RuntimeError("a bug of the hook"), "unreachable: dialling failed: RuntimeError"),
    (ExceptionGroup("several", [OSError()]), "unreachable: dialling failed: ExceptionGroup"),
]


@pytest.mark.parametrize(("error", "reason"), RAISED, ids=lambda it: type(it).__name__)
@pytest.mark.parametrize("adapter", ["anyio-asyncio", "anyio-trio", "threads", "poll"])
def test_whatever_a_dial_raises_is_a_failed_link(
    adapter: str, error: Exception, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    def blocking(*_: Any) -> Any:
        raise error

    async def suspending(_: Route) -> Any:
        raise error

    seen = Seen()
    with caplog.at_level(logging.ERROR):
        hook = suspending if adapter.startswith("anyio") else blocking
        RUNNING[adapter](to(9), seen, lambda _: len(seen.dialled) > 1, HASTY, hook)
    assert seen.reasons[0].startswith(reason)
    assert bool(caplog.records) == ("dialling failed" in reason), "a bug is logged, with where it is"


MADE = [
    (ConfigurationError("no root"), "unreachable: TLS cannot be set up: no root"),
    (FileNotFoundError(2, "No such file", "key.pem"), "unreachable: TLS cannot be set up: [Errno 2] No such"),
    (ValueError("no password"), "unreachable: TLS cannot be set up: no password"),
    (KeyIsGoneError("no key"), "unreachable: TLS cannot be set up: no key"),
    (ssl.SSLError(1, "key values mismatch"), "unreachable: TLS cannot be set up: "),
    (ZeroDivisionError("a bug"), "unreachable: dialling failed: ZeroDivisionError"),
]


@pytest.mark.parametrize(("error", "reason"), MADE, ids=lambda it: type(it).__name__)
def test_a_context_that_cannot_be_made_is_a_failed_link(
    run: Callable[..., None], error: Exception, reason: str
) -> None:
    """And another attempt is another chance."""
    made: list[float] = []

    def maker() -> ssl.SSLContext:
        made.append(time.monotonic())
        if len(made) == 1:
            raise error
        return ssl.create_default_context()

    seen = Seen()
    with silent_csms(speaks=False) as port:
        route = replace(to(port, "wss", handshake_timeout=0.2), ssl_context=maker)
        run(route, seen, lambda _: len(seen.reasons) > 1, HASTY)
    assert seen.reasons[0].startswith(reason)
    assert "TLS cannot be set up" not in seen.reasons[1]
    assert len(made) >= 2


@pytest.mark.parametrize("adapter", ["anyio-asyncio", "anyio-trio", "threads"])
def test_a_context_that_takes_its_time_keeps_nobody_waiting(adapter: str) -> None:
    """It is made in a thread; a poll loop has none, there it is a step of its own."""
    making: list[str] = []

    def maker() -> ssl.SSLContext:
        making.append("begun")
        time.sleep(0.3)
        making.append("done")
        return ssl.create_default_context()

    turns: list[str] = []

    def enough(runner: Runner) -> bool:
        if making:
            with runner.turn():
                turns.append(making[-1])
        return "done" in turns

    with silent_csms(speaks=False) as port:
        route = replace(to(port, "wss"), ssl_context=maker)
        RUNNING[adapter](route, Seen(), enough, HASTY)
    assert turns.count("begun") > 5


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("leaves", [True, False])
def test_giving_up_a_dial_closes_its_sockets_soon(run: Callable[..., None], leaves: bool) -> None:
    before = open_sockets()
    at: list[float] = []
    with black_hole() as port:
        hole = open_sockets() - before
        loop: set[str] = set()

        def enough(runner: Runner) -> bool:
            if not at:
                loop.update(open_sockets() - before - hole)
                if seen.dialled and time.monotonic() - seen.dialled[0] > 0.1:
                    at.append(time.monotonic())
                    if not leaves:
                        with runner.turn() as now:
                            runner.station.disconnect(now)
                return bool(at) and leaves
            return time.monotonic() - at[0] > 0.25

        seen = Seen()
        run(to(port), seen, enough, HASTY)
        left = time.monotonic()
        while (open_sockets() - before - hole) and time.monotonic() < left + 0.3:
            time.sleep(0.01)
        assert not open_sockets() - before - hole
        assert left - at[0] < 0.5
    if not leaves:
        assert seen.reasons == ["unreachable: given up"]


# The rpc level.


def test_a_dial_of_ones_own_for_calls() -> None:
    dialled: list[Route] = []

    def blocking(route: Route, timeout: float) -> socket.socket:
        dialled.append(route)
        return dial_blocking(to(port), timeout)

    def polled(poll: Poll, route: Route, told: Any) -> Dialling:
        dialled.append(route)
        return Dialling(poll, to(port), told)

    elsewhere = to(9)
    with silent_csms(speaks=False) as port:
        with open_threads_rpc(elsewhere, dial=blocking) as link:
            assert link.version is OcppVersion.V201
        with Poll() as poll:
            polled_link = open_poll_rpc(poll, elsewhere, dial=polled)
            end = time.monotonic() + 5
            while not polled_link.opened:
                assert time.monotonic() < end
                poll.wait(min(poll.step(), 0.01))
    assert dialled == [elsewhere, elsewhere]


def test_closing_a_link_that_is_still_dialled() -> None:
    before = open_sockets()
    with black_hole() as port, Poll() as poll:
        link = open_poll_rpc(poll, to(port))
        for _ in range(5):
            poll.wait(min(poll.step(), 0.01))
        link.close()
        with pytest.raises(ConnectionAbortedError):
            assert link.opened
    assert open_sockets() <= before
