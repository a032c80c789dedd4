"""Level 1, bytes to text frames: a blocking socket, a WebSocket machine, and nothing else.

Serves one station after the other and prints what it says: ``python examples/wire_socket.py [PORT]``.
"""

import socket
import sys
import time

from ocpp_core.wire import (
    Closed,
    CloseTransport,
    HandshakeReceived,
    Opened,
    SendBytes,
    ServerConfig,
    Text,
    WebSocketServer,
)


def converse(connection: socket.socket) -> None:
    """One station's connection, from the HTTP request to the end."""
    wire = WebSocketServer(ServerConfig(ping_interval=30), time.monotonic())
    while carry_out(wire, connection):
        due = wire.next_timer()
        connection.settimeout(None if due is None else max(due - time.monotonic(), 0.001))
        try:
            data = connection.recv(65_536)
        except TimeoutError:
            wire.handle_timer(time.monotonic())
        except OSError:
            wire.receive_eof(time.monotonic())
        else:
            wire.receive_data(data, time.monotonic()) if data else wire.receive_eof(time.monotonic())


def carry_out(wire: WebSocketServer, connection: socket.socket) -> bool:
    """Do everything that the machine wants done; False once the link is gone."""
    connection.settimeout(10)
    while actions := wire.actions():
        for action in actions:
            match action:
                case HandshakeReceived(identity=identity):
                    print(f"{identity} wants to connect")
                    wire.accept(time.monotonic())
                case Opened(subprotocol):
                    print(f"it speaks {subprotocol}")
                case Text(text):
                    print(text)
                case SendBytes(data):
                    connection.sendall(data)
                case CloseTransport():
                    connection.close()
                case Closed(code, reason):
                    print(f"closed: {code} {reason}")
                    return False
    return True


def main(port: int) -> None:
    """Listen for ever."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(f"listening on {listener.getsockname()[1]}", flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                converse(connection)
            sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9000)
