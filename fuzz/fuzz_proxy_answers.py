"""Fuzz a proxy's answers to CONNECT: ``python fuzz/fuzz_proxy_answers.py fuzz/corpus/proxy_answers``.

The first byte chooses what the proxy was asked, the second how its answer is cut. Each answer comes in pieces
and whole, and must mean the same.
"""

import atheris

with atheris.instrument_imports(include=["ocpp_adapters", "h11"]):
    from ocpp_adapters.binding import DialError
    from ocpp_adapters.proxy import Proxy, Tunnel

from _harness import chunks, run

SECRET = "0pensesame"
LIMIT = 16 << 10


def ask(flags: int) -> Tunnel:
    proxy = Proxy("2001:db8::1" if flags & 1 else "proxy.example", 3128, "jo" if flags & 2 else None)
    if flags & 4 and proxy.user is not None:
        proxy = Proxy(proxy.host, proxy.port, proxy.user, SECRET)
    tunnel = Tunnel(proxy, "fe80::1" if flags & 8 else "csms.example", 443)
    assert tunnel.request.startswith(b"CONNECT ")
    assert tunnel.request.endswith(b"\r\n\r\n")
    assert (b"Proxy-Authorization" in tunnel.request) == (proxy.user is not None)
    return tunnel


def outcome(tunnel: Tunnel, pieces: list[bytes]) -> tuple[int, str]:
    """How many bytes decided, and what: open, an error's words, or nothing yet."""
    taken = 0
    for piece in pieces:
        taken += len(piece)
        try:
            if tunnel.receive_data(piece):
                return taken, "open"
        except DialError as error:
            check(error)
            return taken, str(error)
        assert taken <= LIMIT, "there is no end to it"
    return taken, ""


def check(error: DialError) -> None:
    """Words for an operator: one line, not long, nothing secret."""
    words = str(error)
    assert error.errno
    assert words.isprintable()
    assert 0 < len(words) < 200
    assert SECRET not in words


def one_input(data: bytes) -> None:
    if len(data) < 3:
        return
    flags, rhythm, stream = data[0], data[1], data[2 : LIMIT + 2]
    taken, in_pieces = outcome(ask(flags), list(chunks(stream, rhythm)))
    assert outcome(ask(flags), [stream[:taken]]) == (taken, in_pieces)
    if not in_pieces:
        check(ask(flags).receive_eof())


if __name__ == "__main__":
    run(one_input)
