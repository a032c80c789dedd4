"""The same dialler on asyncio, on trio, in a thread and in a poll loop: real sockets of the loopback."""

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, TypeAlias

import anyio
import pytest

from ocpp_adapters import anyio_dial
from ocpp_adapters.binding import Binding, DialError
from ocpp_adapters.poll import Poll
from ocpp_adapters.poll_dial import Dialling
from ocpp_adapters.proxy import Proxy
from ocpp_adapters.routes import Route
from ocpp_core.wire import ClientConfig
from tests.adapters.network.carriers import CARRIERS, GIVING_UP, Carrier, GivingUp, black_hole, open_sockets

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.0/8 and /proc are Linux's")
Addresses: TypeAlias = list[tuple[int, tuple[Any, ...]]]
Names: TypeAlias = Callable[[Addresses], None]
V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.fixture(params=CARRIERS)
def dial(request: pytest.FixtureRequest) -> Iterator[Carrier]:
    """A carrier; afterwards all its sockets are closed."""
    before = open_sockets()
    yield CARRIERS[request.param]
    assert open_sockets() <= before


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def csms_example(monkeypatch: pytest.MonkeyPatch) -> Names:
    """What ``csms.example`` is looked up as."""
    found: Addresses = []
    system = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if host != "csms.example":
            return system(host, *arguments, **options)
        return [(family, socket.SOCK_STREAM, 6, "", where) for family, where in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return found.extend


def to(host: str, port: int, *, timeout: float = 5.0, **options: Any) -> Route:
    config = ClientConfig(url=f"ws://{host}:{port}/CP1", handshake_timeout=timeout)
    return Route(config=config, **options)


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_a_connection_by_address_and_by_name(dial: Carrier, host: str, listener: socket.socket) -> None:
    with dial(to(host, port_of(listener))) as here, listener.accept()[0] as there:
        assert here.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        here.sendall(b"ping")
        assert there.recv(9) == b"ping"
        there.sendall(b"pong")
        assert here.recv(9) == b"pong"


def test_ipv6(dial: Carrier) -> None:
    listener = socket.create_server(("::1", 0), family=V6)
    with listener, dial(to("[::1]", port_of(listener))) as here:
        assert here.family == V6


@pytest.mark.requirement("RFC8305-5")
def test_one_of_two_addresses_is_dead(dial: Carrier, csms_example: Names) -> None:
    with black_hole() as dead, socket.create_server(("::1", 0), family=V6) as listener:
        csms_example([(V4, ("127.0.0.1", dead)), (V6, listener.getsockname())])
        start = time.monotonic()
        with dial(to("csms.example", 1, attempt_delay=0.1)) as here:
            took = time.monotonic() - start
            assert here.getpeername() == listener.getsockname()
        assert 0.1 <= took < 1.0


def test_the_slower_one_wins_if_the_faster_one_never_answers(dial: Carrier, csms_example: Names) -> None:
    """Who was tried first may still be the one."""
    with black_hole() as dead, socket.create_server(("127.0.0.1", 0)) as listener:
        csms_example([(V4, listener.getsockname()), (V4, ("127.0.0.1", dead))])
        with dial(to("csms.example", 1)) as here:
            assert here.getpeername() == listener.getsockname()


def test_refused_unknown_answered(
    dial: Carrier, csms_example: Names, listener: socket.socket, free_port: int
) -> None:
    """The first refuses, the second is of a family that is not there: the third is tried at once."""
    csms_example([(V4, ("127.0.0.1", free_port)), (12345, ("nowhere", 1)), (V4, listener.getsockname())])
    start = time.monotonic()
    with dial(to("csms.example", 1, attempt_delay=5.0)) as here:
        assert here.getpeername() == listener.getsockname()
    assert time.monotonic() - start < 2.0


def test_nobody_anywhere(dial: Carrier, csms_example: Names, free_port: int) -> None:
    csms_example([(V6, ("::1", free_port, 0, 0)), (V4, ("127.0.0.1", free_port))])
    with pytest.raises(ConnectionRefusedError) as error:
        dial(to("csms.example", 9000))
    assert str(error.value) == (
        "csms.example:9000: refused: nobody listens on that port, or a firewall says so (::1, 127.0.0.1)"
    )


def test_no_answer_in_time(dial: Carrier) -> None:
    with black_hole() as dead:
        start = time.monotonic()
        with pytest.raises(TimeoutError) as error:
            dial(to("127.0.0.1", dead, timeout=0.2))
    assert 0.2 <= time.monotonic() - start < 1.5
    assert str(error.value) == f"127.0.0.1:{dead}: no answer within 0.2 s"


def test_a_name_that_nobody_knows(dial: Carrier) -> None:
    with pytest.raises(
        DialError, match=r"no-such-host\.invalid cannot be looked up \(.*\): is the name right"
    ):
        dial(to("no-such-host.invalid", 80))
    with pytest.raises(DialError, match=r"Looking up is not bound to interface lo$"):
        dial(to("no-such-host.invalid", 80, binding=Binding("lo")))


@pytest.mark.parametrize(
    "binding",
    [Binding(source="127.0.0.7"), Binding(interface="lo"), Binding("lo", "127.0.0.7")],
    ids=str,
)
def test_a_connection_leaves_as_it_is_bound(dial: Carrier, binding: Binding, listener: socket.socket) -> None:
    with dial(to("localhost", port_of(listener), binding=binding)) as here:
        assert here.getsockname()[0] == (binding.source or "127.0.0.1")
        if binding.interface is not None:
            bound = here.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
            assert bound.rstrip(b"\0") == b"lo"


def test_a_binding_that_cannot_be(dial: Carrier, listener: socket.socket) -> None:
    port = port_of(listener)
    with pytest.raises(DialError, match=r"there is no interface none0; there are .*lo"):
        dial(to("127.0.0.1", port, binding=Binding("none0")))
    with pytest.raises(DialError, match=r"192\.0\.2\.77 is not an address of this machine"):
        dial(to("127.0.0.1", port, binding=Binding(source="192.0.2.77")))
    with pytest.raises(DialError, match=r"it has no IPv6 address to reach from ::1"):
        dial(to("127.0.0.1", port, binding=Binding(source="::1")))


@pytest.fixture(params=GIVING_UP)
def give_up(request: pytest.FixtureRequest) -> GivingUp:
    return GIVING_UP[request.param]


@pytest.mark.parametrize("seconds", [0.0, 0.15])
def test_who_gives_up_leaves_nothing_open(give_up: GivingUp, csms_example: Names, seconds: float) -> None:
    with ExitStack() as stack:
        holes = [stack.enter_context(black_hole()) for _ in range(3)]
        csms_example([(V4, ("127.0.0.1", port)) for port in holes])
        before = open_sockets()
        give_up(to("csms.example", 1, attempt_delay=0.02), seconds)
        assert open_sockets() <= before


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_who_has_lost_is_closed_before_the_proxy_has_answered(backend: str, csms_example: Names) -> None:
    async def main(dead: int, proxy: socket.socket) -> None:
        csms_example([(V4, ("127.0.0.1", dead)), (V4, proxy.getsockname())])
        route = to("elsewhere.example", 1, proxy=Proxy("csms.example", 1), attempt_delay=0.02)
        race = anyio_dial._Race(route)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(race.run)
                while len(race._sockets) < 2 or race._sockets[1].fileno() >= 0:
                    await anyio.sleep(0.01)
                assert race._sockets[2].fileno() >= 0
                tasks.cancel_scope.cancel()
        race.close()

    with black_hole() as dead, socket.create_server(("127.0.0.1", 0)) as proxy:
        anyio.run(main, dead, proxy, backend=backend)


@pytest.mark.parametrize("steps", range(6))
def test_a_poll_begins_nothing_once_it_is_given_up(steps: int, free_port: int) -> None:
    """Whichever piece of work is next: each step does one."""
    before = open_sockets()
    with Poll(budget=0.0) as poll:
        told: list[object] = []
        dialling = Dialling(poll, to("127.0.0.1", free_port), lambda *outcome: told.append(outcome))
        for _ in range(steps):
            poll.step()
        dialling.stop()
        known = len(told)
        for _ in range(6):
            poll.step()
            assert open_sockets() <= before
        assert len(told) == known


def test_a_poll_connects_to_one_address_in_each_step(csms_example: Names) -> None:
    """However many there are, and whatever becomes of them: one is a piece of work."""
    csms_example([(12345, ("nowhere", number)) for number in range(10)])
    told: list[Any] = []
    with Poll(budget=0.0) as poll:
        Dialling(poll, to("csms.example", 1), lambda *outcome: told.append(outcome))
        steps = 0
        while not told:
            poll.step()
            steps += 1
    assert steps >= 12  # the context, the look-up, ten addresses
