"""Fuzz what web servers answer: ``python fuzz/fuzz_web_answers.py fuzz/corpus/web_answers``.

The first byte chooses what was asked, the second how the answer is cut, the third how often it is repeated.
An answer in pieces must mean what it means whole, and however long it is, little of it may be kept.
"""

from dataclasses import replace

import atheris

with atheris.instrument_imports(include=["ocpp_adapters", "h11"]):
    from ocpp_adapters.proxy import Proxy
    from ocpp_adapters.web import Exchange, FetchError, FetchFault, Web

from _harness import chunks, run

from ocpp_security.inquiry import ask_responder

LONGEST = 4000
"""Bytes that are looked at in pieces: none of the limits on pieces and on the whole is in reach."""


QUESTION = replace(ask_responder("http://ca.example:8080/ocsp", b"question"), limit=1000)


def ask(flags: int) -> Exchange:
    question = replace(QUESTION, body=None, accept=("a/b", "c/d")) if flags & 1 else QUESTION
    web = Web(proxy=Proxy("proxy.example", 3128, "jo", "0pensesame")) if flags & 2 else Web()
    exchange = Exchange(question, web, 1.0)
    assert exchange.request.startswith(b"GET " if flags & 1 else b"POST ")
    return exchange


def outcome(exchange: Exchange, pieces: list[bytes]) -> tuple[int, bytes | FetchFault | None]:
    """How many bytes decided, and what: a body, why there is none, or nothing yet."""
    taken = 0
    try:
        for piece in pieces:
            taken += len(piece)
            body = exchange.receive_data(piece)
            if body is not None:
                assert len(body) <= 1000
                return taken, body
    except FetchError as error:
        check(error)
        return taken, error.fault
    return taken, None


def check(error: FetchError) -> None:
    """Words for an operator: one line, not long, nothing secret."""
    words = str(error)
    assert words.startswith("ca.example:8080: ")
    assert words.isprintable()
    assert len(words) < 200
    assert "0pensesame" not in words


def one_input(data: bytes) -> None:
    if len(data) < 4:
        return
    flags, rhythm, times, stream = data[0], data[1], data[2], data[3 : LONGEST + 3]
    taken, in_pieces = outcome(ask(flags), list(chunks(stream, rhythm)))
    assert outcome(ask(flags), [stream[:taken]]) == (taken, in_pieces)
    exchange = ask(flags)
    if outcome(exchange, [stream] * (1 + times % 32))[1] is None:
        try:
            assert len(exchange.receive_eof()) <= 1000
        except FetchError as error:
            check(error)


if __name__ == "__main__":
    run(one_input)
