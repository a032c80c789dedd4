"""What must hold however a run went: safety (nothing lost, doubled or invented) and liveness (it all drains)."""

import json
from collections import defaultdict
from datetime import datetime
from typing import Any

from ocpp_core.csms import Csms, CsmsConfig
from ocpp_core.versions import OcppVersion

from .hardware import MS_PER_HOUR
from .world import IDENTITY, World


def check(world: World) -> None:
    """Raise AssertionError for the first promise that is broken."""
    assert world.station is not None
    state = world.station.state(world.mono)
    assert state["queue"]["facts"] == 0, f"the queue did not drain: {state['queue']}"
    assert state["queue"]["pinned"] is None, "a transaction is still pinned to a version"
    assert all(evse["transaction"] is None for evse in state["evses"]), "a transaction never ended"
    assert world.store.load() == world.station.snapshot(), "the store does not hold what the station believes"
    _statuses_converged(world, state)
    _each_started_and_ended_once(world)
    _bills_match_meters(world)
    _payloads_never_change(world)
    if world.version is not OcppVersion.V16:
        _numbers_without_gap(world)
    _times_and_meters_forward(world)


def _statuses_converged(world: World, state: dict[str, Any]) -> None:
    key = "status_16" if world.version is OcppVersion.V16 else "status"
    for connector in state["connectors"]:
        told = world.statuses.get((connector["evse"], connector["connector"]))
        assert told == connector[key], f"the CSMS believes {told}, the truth is {connector[key]}"


def _each_started_and_ended_once(world: World) -> None:
    assert len(set(world.started)) == len(world.started), "a transaction started twice"
    assert sorted(world.ended) == sorted(world.started), "starts and ends do not pair"


def _bills_match_meters(world: World) -> None:
    """All energy that flowed is billed, once: per EVSE the bills add up to what its meter counted."""
    csms = Csms(
        CsmsConfig(layout=world.layout, closed_transactions=1000),
        IDENTITY,
        world.version,
        world.entropy,
        world.now / 1000,
        world.csms_store.load(),
    )
    billed: dict[int, float] = defaultdict(float)
    bills: dict[int, int] = defaultdict(int)
    for bill in csms.billed():
        assert bill.complete, f"{bill.transaction} is incomplete: {bill}"
        assert bill.evse is not None or not bill.energy_wh
        billed[bill.evse or 0] += bill.energy_wh or 0
        bills[bill.evse or 0] += 1
    for number, outlet in world.outlets.items():
        delivered = outlet.watt_ms / MS_PER_HOUR
        # 1.6 tells registers in whole Wh: each bill may be off by the rounding of its two ends.
        allowed = 1.0 * bills[number] if world.version is OcppVersion.V16 else 1e-6
        assert abs(billed[number] - delivered) <= allowed, (
            f"EVSE {number}: billed {billed[number]} Wh, delivered {delivered} Wh"
        )


def _transaction_events(world: World) -> dict[str, list[dict[str, Any]]]:
    events: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for _, frame in world.frames:
        if frame[0] == 2 and frame[2] == "TransactionEvent":
            events[frame[3]["transactionInfo"]["transactionId"]].append(frame[3])
    return events


def _numbers_without_gap(world: World) -> None:
    for transaction, events in _transaction_events(world).items():
        numbers = sorted({event["seqNo"] for event in events})
        assert numbers == list(range(len(numbers))), f"{transaction}: seqNo {numbers}"
        by_number: dict[int, str] = {}
        for event in events:
            text = json.dumps(event, sort_keys=True)
            assert by_number.setdefault(event["seqNo"], text) == text, (
                f"two facts share seqNo {event['seqNo']}"
            )


def _payloads_never_change(world: World) -> None:
    """A retry repeats the message id, and whoever repeats an id repeats the payload (pitfall of message ids)."""
    said: dict[str, str] = {}
    for _, frame in world.frames:
        if frame[0] == 2:
            text = json.dumps(frame[2:])
            assert said.setdefault(frame[1], text) == text, f"id {frame[1]} carried two payloads"


_FACTS_16 = ("StartTransaction", "StopTransaction")


def _times_and_meters_forward(world: World) -> None:
    last: dict[Any, tuple[datetime, float]] = {}
    for _, frame in world.frames:
        if frame[0] != 2:
            continue
        body = frame[3]
        if frame[2] == "TransactionEvent":
            key: Any = body["transactionInfo"]["transactionId"]
        elif frame[2] in _FACTS_16 or (frame[2] == "MeterValues" and "transactionId" in body):
            key = "station"  # 1.6 delivers all its transaction messages in the order of their happening
        else:
            continue
        text = body.get("timestamp") or body["meterValue"][0]["timestamp"]
        at = datetime.fromisoformat(text)
        before = last.get(key, (at, 0.0))
        if key != "station":
            assert at >= before[0], f"{key}: {at} after {before[0]}"
        last[key] = (at, 0.0)
