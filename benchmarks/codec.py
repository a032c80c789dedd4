"""Frames to validated requests and back: our codec against those of mobilityhouse and ocpp-rpc.

Decoding ends where a handler begins: with the message parsed, validated, and its members under the names
that a program uses. So for mobilityhouse it is ``unpack``, schema validation and ``camel_to_snake_case``;
encoding is what its ``call()`` does before sending, from a dataclass. For ocpp-rpc it is ``JSON.parse`` and
its validator, and back. Ours goes the same way: text to typed model, and model to text; a model is validated
when it is made, so making it is measured too, in a column of its own.
"""

import json
import subprocess
from dataclasses import fields
from types import ModuleType
from typing import Any

import ocpp.v16.call
import ocpp.v201.call
from ocpp.charge_point import camel_to_snake_case, remove_nones, serialize_as_dict, snake_to_camel_case
from ocpp.messages import Call as PeerCall
from ocpp.messages import _validate_payload, unpack

from benchmarks.payloads import CALL_ID, SAMPLES, Sample
from benchmarks.peers import node
from benchmarks.report import Table, amount, ratio
from benchmarks.timing import Work, rates
from ocpp_core import OcppVersion
from ocpp_core.messages import Request
from ocpp_core.rpc import Call, Codec

PEER_CALLS: dict[OcppVersion, ModuleType] = {
    OcppVersion.V16: ocpp.v16.call,
    OcppVersion.V201: ocpp.v201.call,
}


def _ours(sample: Sample) -> dict[str, Work]:
    codec = Codec(sample.version)
    text = sample.text
    frame = codec.decode(text)
    assert isinstance(frame, Call), frame
    request: Request = frame.payload
    assert json.loads(codec.encode_call(CALL_ID, request)) == json.loads(text)
    model = type(request)
    values = {
        name: getattr(request, name) for name in model.model_fields if getattr(request, name) is not None
    }
    return {
        "decode": lambda: codec.decode(text),
        "encode": lambda: codec.encode_call(CALL_ID, request),
        "make and encode": lambda: codec.encode_call(CALL_ID, model(**values)),
    }


def _mobilityhouse(sample: Sample) -> dict[str, Work]:
    number, text = sample.version.number, sample.text

    def decode() -> Any:
        message = unpack(text)
        _validate_payload(message, number)
        return camel_to_snake_case(message.payload)

    arguments: dict[str, Any] = decode()
    call = getattr(PEER_CALLS[sample.version], sample.action)(**arguments)
    assert {field.name for field in fields(call)} >= arguments.keys()

    def encode() -> str:
        payload = remove_nones(snake_to_camel_case(serialize_as_dict(call)))
        message = PeerCall(CALL_ID, sample.action, payload)
        _validate_payload(message, number)
        return str(message.to_json())

    assert json.loads(encode()) == json.loads(text)
    return {"decode": decode, "encode": encode}


def _ocpp_rpc(seconds: float) -> list[dict[str, float]]:
    samples = [{"version": s.version, "action": s.action, "text": s.text} for s in SAMPLES]
    done = subprocess.run(
        node.command("ocpp_rpc_codec.js", str(seconds)),
        input=json.dumps(samples),
        env=node.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[dict[str, float]] = json.loads(done.stdout)
    return found


def run(seconds: float) -> list[Table]:
    """Decode and encode, a table each."""
    rows: dict[str, list[tuple[str, ...]]] = {"decode": [], "encode": []}
    for sample, rpc in zip(SAMPLES, _ocpp_rpc(seconds), strict=True):
        work = {f"ours {kind}": done for kind, done in _ours(sample).items()}
        work |= {f"mobilityhouse {kind}": done for kind, done in _mobilityhouse(sample).items()}
        found = rates(work, seconds)
        for kind, table in rows.items():
            ours, theirs = found[f"ours {kind}"], found[f"mobilityhouse {kind}"]
            row = [sample.label, amount(ours), amount(theirs), amount(rpc[kind])]
            row += [ratio(ours, theirs), ratio(ours, rpc[kind])]
            if kind == "encode":
                row.append(amount(found["ours make and encode"]))
            table.append(tuple(row))
    header = ("message", "ours", "mobilityhouse", "ocpp-rpc", "ours / mobilityhouse", "ours / ocpp-rpc")
    return [
        Table("Codec: decode and validate (messages per CPU second)", header, tuple(rows["decode"])),
        Table(
            "Codec: encode (messages per CPU second)",
            (*header, "ours, making the model too"),
            tuple(rows["encode"]),
        ),
    ]
