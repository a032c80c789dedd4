"""The dialler as a machine: whatever comes, it ends once, in time, and leaves nothing behind."""

import socket
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_adapters.binding import (
    Binding,
    DialError,
    DialRefusedError,
    DialTimeoutError,
    SocketAddress,
    dial_error,
)
from ocpp_adapters.dialler import (
    ADDRESSES,
    Abandon,
    Action,
    Connect,
    Connected,
    DialFailed,
    Dialler,
    Lookup,
    Send,
)
from ocpp_adapters.proxy import Proxy
from ocpp_adapters.routes import Route
from ocpp_core import ConfigurationError, LocalProtocolError
from ocpp_core.wire import ClientConfig

V4, V6 = socket.AF_INET, socket.AF_INET6
TIMEOUT, DELAY = 10.0, 0.25
PROXY = Proxy("proxy.example", 3128)
TUNNEL = b"HTTP/1.1 200 OK\r\n\r\n"
REFUSED = dial_error(111, "refused")
UNREACHABLE = dial_error(101, "no route there")


def route(url: str = "ws://csms.example:9000/CP1", **options: Any) -> Route:
    return Route(config=ClientConfig(url=url, handshake_timeout=TIMEOUT), attempt_delay=DELAY, **options)


def address(family: int, number: int) -> tuple[int, SocketAddress]:
    return (V4, (f"192.0.2.{number}", 9000)) if family == V4 else (V6, (f"2001:db8::{number:x}", 9000, 0, 0))


def dialler_for(*families: int, **options: Any) -> Dialler:
    """One that has just looked up so many addresses."""
    dialler = Dialler(route(**options), 0.0)
    assert dialler.actions() == [Lookup("csms.example", 9000)]
    dialler.looked_up([address(family, number) for number, family in enumerate(families)], 0.0)
    return dialler


def connects(actions: Sequence[Action]) -> list[int]:
    return [action.number for action in actions if isinstance(action, Connect)]


# Any order of anything.


class Watched:
    """A dialler, and what has to be true of it whatever happens."""

    def __init__(self, proxy: Proxy | None) -> None:
        self.now = 0.0
        self.dialler = Dialler(route(proxy=proxy), self.now)
        self.proxy = proxy
        self.open: dict[int, tuple[int, SocketAddress]] = {}
        """Attempts that have a socket."""
        self.begun: list[tuple[int, SocketAddress]] = []
        self.begun_at: list[float] = []
        self.talks: int | None = None
        self.end: Connected | DialFailed | None = None
        self.drain()

    def drain(self) -> None:
        for action in self.dialler.actions():
            assert self.end is None, "nothing comes after the end"
            match action:
                case Connect(number, family, where):
                    assert self.talks is None, "the race is decided"
                    assert number == len(self.begun) + 1
                    self.begun.append((family, where))
                    self.begun_at.append(self.now)
                    self.open[number] = (family, where)
                case Abandon(number):
                    del self.open[number]
                case Send(number, _):
                    assert self.proxy is not None
                    assert list(self.open) == [number], "the others have been abandoned"
                    self.talks = number
                case Connected(number):
                    assert list(self.open) == [number]
                    assert self.talks == (number if self.proxy else None)
                    self.end = action
                case DialFailed(error):
                    assert not self.open, "every socket is closed"
                    assert error.strerror
                    self.end = action
        at = self.dialler.next_timer()
        if self.end is None:
            assert at is not None
            assert at <= TIMEOUT
        else:
            assert at is None

    def tick(self, seconds: float) -> None:
        self.now += seconds
        at = self.dialler.next_timer()
        self.dialler.handle_timer(self.now)
        if at is not None and self.now < at:
            assert self.dialler.actions() == [], "early is harmless"
        self.drain()


@given(st.data(), st.booleans())
def test_any_order_of_anything_ends_once_in_time_and_leaves_nothing_behind(
    data: st.DataObject, proxied: bool
) -> None:
    watched = Watched(PROXY if proxied else None)
    dialler = watched.dialler
    for _ in range(data.draw(st.integers(1, 40))):
        known = max(1, len(watched.begun))
        event = data.draw(
            st.sampled_from(
                ("tick", "tick", "tick", "look", "look", "unknown", "yes", "no", "no", "data", "end", "wait")
            )
        )
        match event:
            case "tick":
                watched.tick(data.draw(st.floats(0, 0.6)))
            case "wait":
                at = dialler.next_timer()
                watched.tick(0.0 if at is None else at - watched.now)
            case "look":
                families = data.draw(st.lists(st.sampled_from((V4, V6)), max_size=5))
                dialler.looked_up([address(it, n) for n, it in enumerate(families)], watched.now)
            case "unknown":
                dialler.lookup_failed(REFUSED, watched.now)
            case "yes" | "no" if watched.begun:
                number = data.draw(st.integers(1, known))
                if event == "yes":
                    dialler.connected(number, watched.now)
                else:
                    watched.open.pop(number, None)  # its socket is closed, and it says so
                    dialler.failed(number, REFUSED, watched.now)
            case "data":
                dialler.receive_data(
                    data.draw(st.sampled_from((TUNNEL, TUNNEL[:9], b"HTTP/1.1 502 \r\n\r\n"))), 0
                )
            case "end":
                dialler.receive_eof(watched.now)
        watched.drain()
    watched.tick(TIMEOUT)
    assert watched.end is not None


@given(st.lists(st.sampled_from((V4, V6)), min_size=1, max_size=6), st.data())
def test_the_first_that_connects_wins(families: list[int], data: st.DataObject) -> None:
    """Against a model: who answers after how long, from the moment that it is tried."""
    answers = data.draw(
        st.lists(
            st.tuples(st.floats(0.01, 3).filter(lambda it: it % DELAY > 0.001), st.booleans()),
            min_size=len(families),
            max_size=len(families),
        )
    )
    watched = Watched(None)
    watched.dialler.looked_up([address(it, n) for n, it in enumerate(families)], 0.0)
    watched.drain()
    while watched.end is None:
        at = watched.dialler.next_timer()
        assert at is not None
        due = {n: watched.begun_at[n - 1] + answers[n - 1][0] for n in watched.open}
        first = min(due, key=lambda n: due[n])
        if at < due[first]:
            watched.tick(at - watched.now)
            continue
        watched.now = due[first]
        if answers[first - 1][1]:
            watched.dialler.connected(first, watched.now)
        else:
            del watched.open[first]
            watched.dialler.failed(first, REFUSED, watched.now)
        watched.drain()
    begun, now = model(answers)
    assert watched.begun_at == pytest.approx(begun)
    assert watched.now == pytest.approx(now)


def model(answers: list[tuple[float, bool]]) -> tuple[list[float], float]:
    """When each attempt begins, and when it is over; written down as the RFC says it, without a machine."""
    begun: list[float] = [0.0]
    while True:
        ends = [at + after for at, (after, _) in zip(begun, answers, strict=False)]
        won = min((end for end, (_, good) in zip(ends, answers, strict=False) if good), default=TIMEOUT)
        if len(begun) == len(answers):
            return begun, min(won, max(ends)) if won == TIMEOUT else won
        # The next one begins a while after the last, or when one fails after that.
        failures = [
            end for end, (_, good) in zip(ends, answers, strict=False) if not good and end > begun[-1]
        ]
        following = min([begun[-1] + DELAY, *failures])
        if won <= following:
            return begun, won
        begun.append(following)


@pytest.mark.requirement("RFC8305-4")
@given(st.lists(st.sampled_from((V4, V6)), min_size=1, max_size=ADDRESSES))
def test_families_take_turns_beginning_with_that_of_the_first(families: list[int]) -> None:
    watched = Watched(None)
    given_order = [address(it, n) for n, it in enumerate(families)]
    watched.dialler.looked_up(given_order, 0.0)
    watched.drain()
    for number in range(1, len(families) + 1):
        watched.open.pop(number)
        watched.dialler.failed(number, REFUSED, 0.0)
        watched.drain()
    tried = watched.begun
    for family in (V4, V6):
        assert [it for it in tried if it[0] == family] == [it for it in given_order if it[0] == family]
    assert tried[0] == given_order[0]
    fewer = min(families.count(V4), families.count(V6))
    for one, other in zip(tried[: 2 * fewer : 2], tried[1 : 2 * fewer : 2], strict=True):
        assert one[0] != other[0]


# Single cases.


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.1", (V4, ("192.0.2.1", 9000))),
        ("[2001:db8::1]", (V6, ("2001:db8::1", 9000, 0, 0))),
        ("[fe80::1%25eth0]", (V6, ("fe80::1%eth0", 9000, 0, 0))),
    ],
)
def test_an_address_is_not_looked_up(host: str, expected: tuple[int, SocketAddress]) -> None:
    dialler = Dialler(route(f"ws://{host}:9000/CP1"), 0.0)
    assert dialler.actions() == [Connect(1, *expected)]


@pytest.mark.requirement("RFC8305-5")
def test_the_next_address_is_tried_after_a_while_or_at_once_when_one_fails() -> None:
    dialler = dialler_for(V6, V4, V4)
    assert connects(dialler.actions()) == [1]
    assert dialler.next_timer() == DELAY
    dialler.handle_timer(DELAY)
    assert connects(dialler.actions()) == [2]
    assert dialler.next_timer() == 2 * DELAY
    dialler.failed(1, UNREACHABLE, 0.3)
    assert connects(dialler.actions()) == [3]
    assert dialler.next_timer() == TIMEOUT
    dialler.connected(3, 0.4)
    assert dialler.actions() == [Abandon(2), Connected(3)]


def test_no_more_than_so_many_addresses_are_tried_and_none_twice() -> None:
    many = [address(V4, number) for number in range(ADDRESSES + 9)]
    dialler = Dialler(route(), 0.0)
    dialler.looked_up([many[0], many[0], *many], 0.0)
    tried: list[SocketAddress] = []
    while not isinstance((actions := dialler.actions())[-1], DialFailed):
        for action in actions:
            if isinstance(action, Connect):
                tried.append(action.address)
                dialler.failed(action.number, REFUSED, 0.0)
    assert tried == [where for _, where in many[:ADDRESSES]]


@pytest.mark.parametrize(
    ("source", "left"), [("192.0.2.200", V4), ("2001:db8::200", V6), ("fe80::9%eth0", V6), (None, None)]
)
def test_a_source_address_leaves_out_what_cannot_be_reached_from_it(
    source: str | None, left: int | None
) -> None:
    dialler = dialler_for(V6, V4, binding=Binding(source=source))
    (first,) = dialler.actions()
    assert isinstance(first, Connect)
    assert first.family == (left or V6)
    assert (dialler.next_timer() == TIMEOUT) == (source is not None)


def outcome(dialler: Dialler) -> DialError:
    *_, last = dialler.actions()
    assert isinstance(last, DialFailed)
    assert dialler.next_timer() is None
    return last.error


def test_a_host_without_an_address_of_the_sources_family() -> None:
    error = outcome(dialler_for(V6, V6, binding=Binding(source="192.0.2.200")))
    assert str(error) == "csms.example:9000: it has no IPv4 address to reach from 192.0.2.200"
    error = outcome(dialler_for(V4, binding=Binding(source="2001:db8::7")))
    assert "no IPv6 address" in str(error)
    assert str(outcome(dialler_for())) == "csms.example:9000: it has no address"


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_all_failures_are_told_the_most_helpful_first(order: tuple[int, ...]) -> None:
    dialler = dialler_for(V6, V4, V4)
    for moment in (DELAY, 2 * DELAY):
        dialler.handle_timer(moment)
    errors = {1: UNREACHABLE, 2: REFUSED, 3: dial_error(110, "no answer")}
    for number in order:
        dialler.failed(number, errors[number], 1.0)
    error = outcome(dialler)
    assert str(error) == (
        "csms.example:9000: refused (192.0.2.1); no answer (192.0.2.2); no route there (2001:db8::0)"
    )
    assert isinstance(error, DialRefusedError)
    assert isinstance(error, ConnectionRefusedError)
    assert error.errno == 111


def test_what_all_addresses_have_in_common_is_told_once() -> None:
    dialler = dialler_for(V6, V4)
    dialler.failed(1, REFUSED, 0.0)
    dialler.failed(2, REFUSED, 0.0)
    assert str(outcome(dialler)) == "csms.example:9000: refused (2001:db8::0, 192.0.2.1)"
    single = Dialler(route("ws://192.0.2.1/CP1"), 0.0)
    single.failed(1, REFUSED, 0.0)
    assert str(outcome(single)) == "192.0.2.1:80: refused"


def test_time_runs_out_in_the_look_up_in_the_race_and_at_the_proxy() -> None:
    looking = Dialler(route(), 5.0)
    assert looking.next_timer() == 5.0 + TIMEOUT
    looking.handle_timer(15.0)
    error = outcome(looking)
    assert str(error) == "csms.example was not looked up within 10 s: does the DNS server answer?"
    assert isinstance(error, TimeoutError)

    racing = dialler_for(V6, V4)
    racing.handle_timer(DELAY)
    racing.handle_timer(TIMEOUT)
    assert racing.actions()[-3:-1] == [Abandon(1), Abandon(2)]
    racing = dialler_for(V6, V4)
    racing.failed(1, UNREACHABLE, 1.0)
    racing.handle_timer(TIMEOUT)
    error = outcome(racing)
    assert str(error) == (
        "csms.example:9000: no answer within 10 s (192.0.2.1); no route there (2001:db8::0)"
    )
    assert isinstance(error, DialTimeoutError)

    proxied = Dialler(route(proxy=PROXY), 0.0)
    proxied.looked_up([address(V4, 1)], 0.0)
    proxied.connected(1, 1.0)
    assert proxied.next_timer() == TIMEOUT
    proxied.handle_timer(TIMEOUT)
    *_, abandoned, failed = proxied.actions()
    assert abandoned == Abandon(1)
    assert isinstance(failed, DialFailed)
    assert str(failed.error) == "proxy proxy.example:3128 does not answer within 10 s"
    assert isinstance(failed.error, TimeoutError)


def test_nothing_further_is_tried_while_the_proxy_thinks() -> None:
    dialler = Dialler(route(proxy=PROXY), 0.0)
    dialler.looked_up([address(V4, 1), address(V4, 2), address(V4, 3)], 0.0)
    dialler.connected(1, 0.1)
    dialler.actions()
    assert dialler.next_timer() == TIMEOUT
    dialler.handle_timer(DELAY)
    assert dialler.actions() == []
    dialler.receive_data(b"", 0.3)  # nothing, not the end
    dialler.receive_data(TUNNEL, 0.3)
    assert dialler.actions() == [Connected(1)]


def test_a_connection_to_the_proxy_that_breaks() -> None:
    dialler = Dialler(route(proxy=PROXY), 0.0)
    assert dialler.actions() == [Lookup("proxy.example", 3128)]
    dialler.looked_up([address(V4, 1)], 0.0)
    dialler.connected(1, 1.0)
    dialler.failed(1, dial_error(104, "reset"), 1.0)
    assert str(outcome(dialler)) == "proxy proxy.example:3128: reset"


def test_a_lookup_that_fails() -> None:
    dialler = Dialler(route(), 0.0)
    dialler.actions()
    dialler.lookup_failed(UNREACHABLE, 1.0)
    assert outcome(dialler) is UNREACHABLE


def over() -> Dialler:
    dialler = dialler_for(V4)
    dialler.connected(1, 0.0)
    dialler.actions()
    return dialler


def test_what_comes_too_late_is_of_no_consequence() -> None:
    dialler = over()
    dialler.looked_up([address(V4, 1)], 1.0)
    dialler.lookup_failed(REFUSED, 1.0)
    dialler.connected(1, 1.0)
    dialler.failed(1, REFUSED, 1.0)
    dialler.receive_data(b"x", 1.0)
    dialler.receive_eof(1.0)
    dialler.handle_timer(99.0)
    assert dialler.actions() == []
    assert dialler.next_timer() is None


@pytest.mark.parametrize("number", [0, 2, -1])
def test_an_attempt_that_was_never_begun(number: int) -> None:
    dialler = dialler_for(V4)
    dialler.actions()
    with pytest.raises(LocalProtocolError):
        dialler.connected(number, 0.0)
    with pytest.raises(LocalProtocolError):
        dialler.failed(number, REFUSED, 0.0)
    assert dialler.actions() == []


def test_a_route_that_makes_no_sense() -> None:
    for delay in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigurationError, match="attempt_delay"):
            Route(config=ClientConfig(url="ws://h/CP1"), attempt_delay=delay)
    for host in ("ws://a..b/CP1", f"ws://{'a' * 64}/CP1", "ws://.example/CP1"):
        with pytest.raises(ConfigurationError, match="host"):
            Route(config=ClientConfig(url=host))


def test_credentials_are_nowhere_to_be_seen() -> None:
    proxy = Proxy("proxy.example", 3128, "jo", "opensesame")
    dialler = Dialler(route(proxy=proxy), 0.0)
    dialler.looked_up([address(V4, 1)], 0.0)
    dialler.connected(1, 0.0)
    told = repr(dialler.actions()) + repr(proxy) + repr(route(proxy=proxy))
    dialler.receive_data(b"HTTP/1.1 407 \r\n\r\n", 0.0)
    told += repr(dialler.actions())
    assert "opensesame" not in told
    assert "am86b3BlbnNlc2FtZQ" not in told  # the same, as it goes over the wire
