"""Web servers on loopback, in a thread, which do to whoever asks what a test wants."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Serve = Callable[[socket.socket, bytes], None]
"""Gets a connection and the request that came by it; the connection is closed afterwards."""


def answer(body: bytes, kind: str = "application/ocsp-response", status: str = "200 OK") -> bytes:
    """A plain answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def saying(data: bytes) -> Serve:
    return lambda connection, request: connection.sendall(data)


def silent(connection: socket.socket, request: bytes) -> None:
    """Reads, and says nothing until the asker goes."""
    connection.recv(1)


def reset(connection: socket.socket, request: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stopping(data: bytes) -> Serve:
    """Begins an answer, and says no more until the asker goes."""

    def serve(connection: socket.socket, request: bytes) -> None:
        connection.sendall(data)
        connection.recv(1)

    return serve


def without_end(start: bytes, more: bytes) -> Serve:
    """Sends until the asker has enough."""

    def serve(connection: socket.socket, request: bytes) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(more)

    return serve


@dataclass
class WebServer:
    """What it is asked, and where."""

    port: int
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ocsp"


@contextmanager
def web_server(serve: Serve) -> Iterator[WebServer]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = WebServer(listener.getsockname()[1])
    open_connections: list[socket.socket] = []

    def handle(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            request = _request(connection)
            server.requests.append(request)
            serve(connection, request)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                open_connections.append(connection)
                threading.Thread(target=handle, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in open_connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
