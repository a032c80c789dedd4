"""How a binding is configured and applied, and that every error says what to do about it."""

import errno
import os
import socket
import subprocess
import sys

import pytest

from ocpp_adapters.binding import (
    Binding,
    DialError,
    begin,
    dial_error,
    explain,
    finish,
    is_address,
    look_up,
)
from ocpp_core import ConfigurationError

ANY = Binding()
LO = Binding("lo")
OURS = Binding(source="192.0.2.7")
linux = pytest.mark.skipif(sys.platform != "linux", reason="interfaces are bound to on Linux only")


@pytest.mark.parametrize(
    ("text", "expected", "family"),
    [
        ("", ANY, None),
        ("eth0", Binding("eth0"), None),
        ("br-lan.100", Binding("br-lan.100"), None),
        ("192.0.2.7", OURS, socket.AF_INET),
        ("2001:db8::7", Binding(source="2001:db8::7"), socket.AF_INET6),
        ("fe80::1%eth0", Binding(source="fe80::1%eth0"), socket.AF_INET6),
    ],
)
def test_what_is_configured_as_one_value(text: str, expected: Binding, family: int | None) -> None:
    binding = Binding.parse(text)
    assert binding == expected
    assert binding.family == family


@pytest.mark.parametrize(
    "text",
    [
        *(" ", "a" * 16, "ä" * 8, "eth0/1", "eth0:1", "eth 0", "eth\0", "eth\n", "eth\udcff", "1.2.3.4/24"),
        *("fe80::1%eth\0", "fe80::1%eth\udcff", "fe80::1%" + "a" * 16),
    ],
)
def test_what_can_be_no_interface(text: str) -> None:
    with pytest.raises(ConfigurationError, match="interface"):
        Binding.parse(text)
    with pytest.raises(ConfigurationError, match="address"):
        Binding(source=text)


def test_a_binding_in_words() -> None:
    assert str(ANY) == ""
    assert str(Binding("eth0", "192.0.2.7")) == "interface eth0 and source address 192.0.2.7"


@linux
def test_a_bound_socket() -> None:
    with socket.socket() as sock:
        Binding("lo", "127.0.0.9").prepare(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"lo"
        assert sock.getsockname() == ("127.0.0.9", 0), "the port is chosen on connecting"
    with socket.socket(socket.AF_INET6) as sock:
        Binding(source="::1").prepare(sock)
        assert sock.getsockname()[0] == "::1"


@linux
def test_many_connections_from_one_source_address_to_many_servers() -> None:
    """A port has to be unique per connection only, not per source address."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        for server in (one, other) * 3:
            binding = Binding(source="127.0.0.9")
            with begin(binding, socket.AF_INET, server.getsockname()) as sock:
                finish(sock, binding, server.getsockname())
                assert server.accept()[0].close() is None


def test_a_system_that_binds_to_no_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "SO_BINDTODEVICE", raising=False)
    monkeypatch.delattr(socket, "IP_BIND_ADDRESS_NO_PORT", raising=False)
    with pytest.raises(DialError, match="cannot bind to an interface: bind to a source address"):
        begin(LO, socket.AF_INET, ("127.0.0.1", 9))
    with socket.socket() as sock:
        Binding(source="127.0.0.1").prepare(sock)
        assert sock.getsockname()[1] != 0


def raised(binding: Binding, family: int, address: tuple[object, ...]) -> DialError:
    with pytest.raises(DialError) as error:
        begin(binding, family, address)
    return error.value


@linux
def test_no_such_interface_names_those_that_there_are() -> None:
    error = raised(Binding("none0"), socket.AF_INET, ("127.0.0.1", 9))
    there = ", ".join(name for _, name in socket.if_nameindex())
    assert str(error) == f"there is no interface none0; there are {there}"
    assert error.errno == errno.ENODEV
    zone = raised(ANY, socket.AF_INET6, ("fe80::1%none0", 9, 0, 0))
    assert str(zone) == f"fe80::1%none0: there is no interface none0; there are {there}"
    source = raised(Binding(source="fe80::1%none0"), socket.AF_INET6, ("fe80::2%lo", 9, 0, 0))
    assert str(source) == str(zone)


@linux
@pytest.mark.parametrize("zone", ["\u0713", "stra\u00dfe0", "\u0130", "...."])
def test_the_name_of_an_interface_is_not_taken_for_a_host_name(zone: str) -> None:
    """Linux allows any bytes in it; IDNA refuses some of these and makes another name of others."""
    error = raised(Binding(source=f"::%{zone}"), socket.AF_INET6, ("::1", 9, 0, 0))
    assert str(error).startswith(f"::%{zone}: there is no interface {zone}; ")
    assert error.errno == errno.ENODEV


@linux
def test_errors_of_the_system_itself() -> None:
    error = raised(OURS, socket.AF_INET, ("127.0.0.1", 9))
    assert str(error) == "192.0.2.7 is not an address of this machine, or not one yet"
    assert error.errno == errno.EADDRNOTAVAIL
    error = raised(ANY, socket.AF_INET6, ("fe80::1", 9, 0, 0))
    assert "a link-local address needs its interface" in str(error)
    error = raised(ANY, 12345, ("192.0.2.1", 9))
    assert str(error) == "this machine has no IPv4"


@linux
@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="as root it is known who we are not"
)
def test_who_may_bind_without_privileges_may_do_it_once() -> None:
    """Linux since 5.7; a second binding is refused."""
    code = (
        "import os, socket, encodings.idna\n"
        "from ocpp_adapters.binding import Binding, explain\n"
        "os.setuid(65534)\n"
        "sock = socket.socket()\n"
        "Binding('lo').prepare(sock)\n"
        "try: Binding('lo').prepare(sock)\n"
        "except OSError as error: print(explain(error, Binding('lo'), ''))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith(
        "no permission to bind to interface lo: that takes the capability CAP_NET_RAW"
    ), done.stderr


@pytest.mark.parametrize(
    ("number", "binding", "host", "words"),
    [
        (
            errno.EPERM,
            LO,
            "192.0.2.1",
            "no permission to bind to interface lo: that takes the capability CAP_NET_RAW",
        ),
        (errno.EACCES, ANY, "192.0.2.1", "not permitted: does a firewall of this machine forbid it?"),
        (errno.ENETUNREACH, ANY, "192.0.2.1", "no route there: is the network up?"),
        (errno.ENETUNREACH, OURS, "192.0.2.1", "is the network up? (bound to source address 192.0.2.7)"),
        (
            errno.ENETUNREACH,
            LO,
            "192.0.2.1",
            "no route there by interface lo: has it an address of that kind",
        ),
        (errno.ENETDOWN, LO, "192.0.2.1", "no route there by interface lo"),
        (errno.EHOSTUNREACH, LO, "192.0.2.1", "nobody has that address: is it right, is that machine up?"),
        (errno.EADDRNOTAVAIL, ANY, "192.0.2.1", "no address of this machine to connect from"),
        (errno.EADDRNOTAVAIL, OURS, "192.0.2.1", "192.0.2.7 is not an address of this machine"),
        (errno.EINVAL, ANY, "FE80::1", "a link-local address needs its interface: [fe80::1%25eth0] in a URL"),
        (
            errno.EINVAL,
            LO,
            "fe80::1%e0",
            "fe80::1%e0 is reached by interface e0, but this is bound to interf",
        ),
        (errno.EINVAL, ANY, "192.0.2.1", "not an address to connect to"),
        (errno.EAFNOSUPPORT, ANY, "2001:db8::1", "this machine has no IPv6"),
        (errno.ECONNREFUSED, ANY, "192.0.2.1", "refused: nobody listens on that port, or a firewall says so"),
        (errno.ETIMEDOUT, ANY, "192.0.2.1", "no answer"),
        (errno.ECONNRESET, ANY, "192.0.2.1", os.strerror(errno.ECONNRESET)),
    ],
)
def test_every_error_says_what_to_do(number: int, binding: Binding, host: str, words: str) -> None:
    error = explain(OSError(number, os.strerror(number)), binding, host)
    assert words in str(error)
    assert error.errno == number
    assert isinstance(error, DialError)
    assert isinstance(error, TimeoutError) == (number == errno.ETIMEDOUT)
    assert isinstance(error, ConnectionRefusedError) == (number == errno.ECONNREFUSED)
    assert explain(error, binding, host) is error, "once is enough"


@linux
@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN])
def test_a_link_that_is_down(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the system had said so; a link that is really down is in the tests with namespaces."""
    import fcntl

    def ioctl(_fd: object, _request: int, asked: bytes) -> bytes:
        return asked[:16] + b"\x03\x10" + asked[18:]  # up, and not running: the cable is out

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    error = explain(OSError(number, ""), Binding("eth0"), "192.0.2.1")
    assert str(error) == "interface eth0 is down, or its cable is out"


def test_a_system_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> list[tuple[int, str]]:
        raise OSError

    monkeypatch.setattr(socket, "if_nameindex", nothing)
    error = explain(OSError(errno.ENODEV, ""), Binding("eth0"), "192.0.2.1")
    assert str(error) == "there is no interface eth0; its interfaces cannot be listed"
    monkeypatch.setitem(sys.modules, "fcntl", None)
    error = explain(OSError(errno.ENETUNREACH, ""), Binding("eth0"), "192.0.2.1")
    assert "no route there by interface eth0" in str(error)


def test_an_error_without_a_number() -> None:
    error = explain(OSError("out of luck"), ANY, "192.0.2.1")
    assert str(error) == "out of luck"
    assert str(dial_error(None, "words")) == "words"


def test_a_name_that_cannot_be_looked_up() -> None:
    with pytest.raises(DialError, match=r"^a\.invalid cannot be looked up \(.+\): is the name right"):
        look_up("a.invalid", 1, ANY)
    with pytest.raises(DialError, match=r"^a\.\.b is no host name$"):
        look_up("a..b", 1, ANY)
    with pytest.raises(DialError, match=r"Looking up is not bound to source address 192\.0\.2\.7$"):
        look_up("a.invalid", 1, OURS)


def test_what_is_an_address() -> None:
    assert all(map(is_address, ("192.0.2.1", "::1", "fe80::1%eth0")))
    assert not any(map(is_address, ("", "localhost", "192.0.2", "eth0", "[::1]", "192.0.2.1:80")))
