"""Fuzz what an ASGI server tells of a connection: ``python fuzz/fuzz_asgi_tls.py fuzz/corpus/asgi_tls``.

The first byte chooses what the scope has. The rest is path, subprotocols, authorization, and the station's
certificate with its issuers as in the extension ``tls``, parted by the byte 0x1e. Only a certificate that
names the station, and its operator, lets it in.
"""

import asyncio
from typing import Any

import atheris
from cryptography import x509
from cryptography.x509.oid import NameOID

with atheris.instrument_imports(include=["ocpp_adapters", "ocpp_core"]):
    from ocpp_adapters.asgi import OcppEndpoint
    from ocpp_adapters.sessions import Session
    from ocpp_adapters.tls_admission import ProfileGate, StationRecord
    from ocpp_adapters.tls_policy import SecurityProfile

from _harness import run

SERIAL, OPERATOR = "SN-0001", "Example CSO"
RECORD = StationRecord(
    profile=SecurityProfile.TLS_CERTIFICATE, serial_number=SERIAL, organizations=frozenset({OPERATOR})
)
GATE = ProfileGate(
    lambda _identity: RECORD, lambda _handshake, _peer: Session(), report=lambda _refusal: None
)
LOOP = asyncio.new_event_loop()


def make_scope(flags: int, fields: list[bytes]) -> dict[str, Any]:
    path, offered, authorization, *chain = fields
    extension = {"client_cert_chain": [item.decode("latin-1") for item in chain]}
    if flags & 1:
        extension["client_cert_error"] = "expired" if flags & 2 else None
    scope = {
        "type": "websocket",
        "scheme": "ws" if flags & 4 else "wss",
        "path": path.decode("utf-8", "replace"),
        "raw_path": path if flags & 8 else None,
        "query_string": b"a=b",
        "headers": [(b"Authorization", authorization)] if authorization else [],
        "subprotocols": offered.decode("latin-1").split(",") if offered else [],
        "client": None if flags & 16 else ("192.0.2.1", 50000),
        "extensions": {} if flags & 32 else {"tls": extension},
    }
    if flags & 64:
        scope["extensions"]["websocket.http.response"] = {}
    return scope


def is_the_stations(text: str) -> bool:
    """Read by nobody else's code than the library's."""
    subject = x509.load_pem_x509_certificate(text.encode()).subject
    names, owners = (
        [str(attribute.value) for attribute in subject.get_attributes_for_oid(kind)]
        for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
    )
    return names == [SERIAL] and OPERATOR in owners


async def serve(scope: dict[str, Any]) -> list[dict[str, Any]]:
    """One connection, of a station that leaves as soon as it was answered."""
    sent: list[dict[str, Any]] = []
    answered = asyncio.Event()
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "websocket.connect"}
        await answered.wait()
        return {"type": "websocket.disconnect", "code": 1001}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        answered.set()

    async with asyncio.timeout(5):
        await OcppEndpoint(GATE)(scope, receive, send)
    return sent


def one_input(data: bytes) -> None:
    fields = data[1:].split(b"\x1e")
    if len(fields) < 3:
        return
    scope = make_scope(data[0], fields)
    kinds = [message["type"] for message in LOOP.run_until_complete(serve(scope))]
    first, *others = kinds
    if first == "websocket.http.response.start":
        assert others == ["websocket.http.response.body"]
    elif others:
        assert (first, others) == ("websocket.accept", ["websocket.close"]), "no subprotocol in common"
    elif first == "websocket.accept":
        tls = scope["extensions"]["tls"]
        assert tls.get("client_cert_error") is None
        assert is_the_stations(tls["client_cert_chain"][0])
    else:
        assert first == "websocket.close"


if __name__ == "__main__":
    run(one_input)
