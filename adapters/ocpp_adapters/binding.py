"""What connections leave by: a network interface, a source address, or whatever the system picks."""

import errno
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import Any, Final, Self, TypeAlias

from ocpp_core import ConfigurationError

SocketAddress: TypeAlias = tuple[Any, ...]
"""As :mod:`socket` has it: host, port, and for IPv6 flow and scope."""

_INTERFACE_LENGTH: Final = 15
"""Bytes of an interface's name (Linux: IFNAMSIZ, less its end)."""
_UNDER_WAY: Final = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY}
_GET_FLAGS: Final = 0x8913
"""SIOCGIFFLAGS."""
_UP: Final = 0x1
_RUNNING: Final = 0x40


class DialError(OSError):
    """There is no connection; the text says what to do about it, ``errno`` is the system's, if it has one."""

    def __str__(self) -> str:
        return str(self.strerror)


class DialRefusedError(DialError, ConnectionRefusedError):
    """Nobody listens there."""


class DialTimeoutError(DialError, TimeoutError):
    """Not in time."""


_CLASSES: Final = {errno.ECONNREFUSED: DialRefusedError, errno.ETIMEDOUT: DialTimeoutError}


def dial_error(number: int | None, words: str) -> DialError:
    """The error of the class that goes with an errno."""
    number = number or 0
    return _CLASSES.get(number, DialError)(number, words)


@dataclass(frozen=True, slots=True)
class Binding:
    """Where connections leave this machine. Names are looked up by the system as ever, bound to nothing.

    Arguments:
        interface: by this network interface only (``eth0``; Linux).
        source: from this address of this machine.

    Raises:
        ConfigurationError: that is no name of an interface, or no address.
    """

    interface: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if self.interface is not None and not _is_interface(self.interface):
            raise ConfigurationError(f"not the name of a network interface: {self.interface!r}")
        if self.source is not None and not is_address(self.source):
            raise ConfigurationError(f"not an address: {self.source!r}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """From what is configured as one value: an address, the name of an interface, or nothing.

        Raises :class:`~ocpp_core.ConfigurationError`.
        """
        if not text:
            return cls()
        return cls(source=text) if is_address(text) else cls(interface=text)

    def __str__(self) -> str:
        parts = [f"interface {self.interface}"] if self.interface else []
        parts += [f"source address {self.source}"] if self.source else []
        return " and ".join(parts)

    @property
    def family(self) -> socket.AddressFamily | None:
        """The only family of addresses that can be reached from the source address; None: any."""
        return None if self.source is None else family_of(self.source)

    def prepare(self, sock: socket.socket) -> None:
        """Bind a socket that is not connected yet. Raises OSError; :func:`explain` makes words of it."""
        if self.interface is not None:
            if not hasattr(socket, "SO_BINDTODEVICE"):
                raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.encode() + b"\0")
        if self.source is not None:
            if hasattr(socket, "IP_BIND_ADDRESS_NO_PORT"):
                with suppress(OSError):  # the port is chosen on connecting, as one that only has to be unique
                    sock.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind(_with_scope(self.source, 0))


def look_up(host: str, port: int, binding: Binding) -> list[tuple[int, SocketAddress]]:
    """The addresses of a host, (family, socket address) each; the system may take its time.

    Raises :class:`DialError`.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise explain(error, binding, host) from error
    except UnicodeError as error:
        raise dial_error(None, f"{host} is no host name") from error
    return [(family, address) for family, _, _, _, address in found]


def begin(binding: Binding, family: int, address: SocketAddress) -> socket.socket:
    """A bound socket on its way to an address, not blocking; it can be written when there is an outcome.

    Raises :class:`DialError`.
    """
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise explain(error, binding, str(address[0])) from error
    try:
        sock.setblocking(False)
        binding.prepare(sock)
        where = _with_scope(*address[:2]) if "%" in str(address[0]) else address
        status = sock.connect_ex(where)
        if status not in _UNDER_WAY:
            raise OSError(status, os.strerror(status))
    except OSError as error:
        sock.close()
        raise explain(error, binding, str(address[0])) from error
    return sock


def finish(sock: socket.socket, binding: Binding, address: SocketAddress) -> None:
    """What came of it: raises :class:`DialError`, or the socket is connected, and sends without delay."""
    status = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if status:
        raise explain(OSError(status, os.strerror(status)), binding, str(address[0]))
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def explain(error: OSError, binding: Binding, host: str) -> DialError:
    """An error of looking up, binding or connecting in words that say what to do.."""
    if isinstance(error, DialError):
        return error
    if isinstance(error, socket.gaierror):
        return dial_error(error.errno, _unknown_host(error, binding, host))
    words = _WORDS.get(error.errno or 0)
    said = words(binding, host) if words is not None else error.strerror or str(error)
    return dial_error(error.errno, said)


def is_address(host: str) -> bool:
    """Whether this is an address, which needs no looking up; a zone must be able to be an interface."""
    _, zoned, zone = host.partition("%")
    try:
        ip_address(host)
    except ValueError:
        return False
    return not zoned or _is_interface(zone)


def family_of(address: str) -> socket.AddressFamily:
    """The family of a numeric address."""
    return socket.AF_INET if isinstance(ip_address(address), IPv4Address) else socket.AF_INET6


def _is_interface(name: str) -> bool:
    return name.isprintable() and 0 < len(name.encode()) <= _INTERFACE_LENGTH and not set(name) & set("/: ")


def _with_scope(host: str, port: int) -> SocketAddress:
    """A numeric address for the socket, its zone resolved. Raises DialError: there is none of that name."""
    try:  # as bytes: a zone is no host name, IDNA would refuse it or make another name of it
        found = socket.getaddrinfo(host.encode(), port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror as error:
        zone = host.partition("%")[2]
        raise dial_error(errno.ENODEV, f"{host}: there is no interface {zone}; {_interfaces()}") from error
    return found[0][4]


# What to say, for each errno.


def _unknown_host(error: socket.gaierror, binding: Binding, host: str) -> str:
    words = f"{host} cannot be looked up ({error.strerror}): is the name right, does the DNS server answer?"
    return f"{words} Looking up is not bound to {binding}" if str(binding) else words


def _not_allowed(binding: Binding, _host: str) -> str:
    if binding.interface is None:
        return "not permitted: does a firewall of this machine forbid it?"
    return (
        f"no permission to bind to interface {binding.interface}: that takes the capability CAP_NET_RAW, or "
        "Linux 5.7 and a socket that is not bound to an interface yet"
    )


def _no_device(binding: Binding, _host: str) -> str:
    return f"there is no interface {binding.interface}; {_interfaces()}"


def _no_route(binding: Binding, _host: str) -> str:
    if binding.interface is None:
        return "no route there: is the network up?" + (f" (bound to {binding})" if binding.source else "")
    if _is_down(binding.interface):
        return _DOWN.format(binding.interface)
    return f"no route there by interface {binding.interface}: has it an address of that kind, and a gateway?"


def _no_host(binding: Binding, _host: str) -> str:
    if binding.interface is not None and _is_down(binding.interface):
        return _DOWN.format(binding.interface)
    return "nobody has that address: is it right, is that machine up?"


_DOWN: Final = "interface {} is down, or its cable is out"


def _not_ours(binding: Binding, _host: str) -> str:
    if binding.source is None:
        return "no address of this machine to connect from"
    return f"{binding.source} is not an address of this machine, or not one yet"


def _no_zone(binding: Binding, host: str) -> str:
    zone = host.partition("%")[2]
    if zone and str(binding):
        return f"{host} is reached by interface {zone}, but this is bound to {binding}"
    if host.lower().startswith("fe80:"):
        return "a link-local address needs its interface: [fe80::1%25eth0] in a URL"
    return "not an address to connect to"


def _no_binding(_binding: Binding, _host: str) -> str:
    return "this system cannot bind to an interface: bind to a source address"


def _no_family(_binding: Binding, host: str) -> str:
    return f"this machine has no {'IPv6' if ':' in host else 'IPv4'}"


def _refused(_binding: Binding, _host: str) -> str:
    return "refused: nobody listens on that port, or a firewall says so"


def _no_answer(_binding: Binding, _host: str) -> str:
    return "no answer"


_WORDS: Final[dict[int, Callable[[Binding, str], str]]] = {
    errno.EPERM: _not_allowed,
    errno.EACCES: _not_allowed,
    errno.ENODEV: _no_device,
    errno.ENETDOWN: _no_route,
    errno.ENETUNREACH: _no_route,
    errno.EHOSTUNREACH: _no_host,
    errno.EADDRNOTAVAIL: _not_ours,
    errno.EINVAL: _no_zone,
    errno.ENOPROTOOPT: _no_binding,
    errno.EAFNOSUPPORT: _no_family,
    errno.ECONNREFUSED: _refused,
    errno.ETIMEDOUT: _no_answer,
}


def _interfaces() -> str:
    with suppress(OSError):
        return "there are " + ", ".join(name for _, name in socket.if_nameindex())
    return "its interfaces cannot be listed"


def _is_down(interface: str) -> bool:
    """Whether the system says so."""
    try:
        import fcntl  # not on every system

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            answer = fcntl.ioctl(probe, _GET_FLAGS, struct.pack("16s16x", interface.encode()))
    except (ImportError, OSError):
        return False
    flags: int = struct.unpack_from("H", answer, 16)[0]
    return not (flags & _UP and flags & _RUNNING)
