"""Stations and CSMSs with one thing wrong, each of which the exploration must notice.

A mutant is a function that patches the core in place. It is small and believable: what a hurried change could
leave behind. If the exploration goes through one without a broken promise, a promise is missing.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ocpp_core.clock import Clock
from ocpp_core.csms import Csms
from ocpp_core.csms.blocks import transactions as csms_transactions
from ocpp_core.csms.sequence import SeenNumbers
from ocpp_core.domain.transactions import Phase
from ocpp_core.entropy import message_id
from ocpp_core.rpc import SendFrame
from ocpp_core.station import DoPower, NoticeKind
from ocpp_core.station.blocks.availability import Availability
from ocpp_core.station.blocks.delivery import Delivery
from ocpp_core.station.blocks.provisioning import Provisioning
from ocpp_core.station.blocks.recording import Recording
from ocpp_core.station.context import Context, Failure, Intent
from ocpp_core.station.dialects.v2x import Dialect2x
from ocpp_core.station.dialects.v16 import Dialect16
from ocpp_core.station.output import Output
from ocpp_core.store import Commit, Tables

Mutant = Callable[[pytest.MonkeyPatch], None]
MUTANTS: dict[Mutant, str] = {}
"""Every mutant, and the script that must notice it where few do; else empty."""


def mutant(patch: Mutant) -> Mutant:
    MUTANTS[patch] = ""
    return patch


def mutant_in(script: str) -> Callable[[Mutant], Mutant]:
    def note(patch: Mutant) -> Mutant:
        MUTANTS[patch] = script
        return patch

    return note


# ---------------------------------------------------------------------- storage


def _forgets(patch: pytest.MonkeyPatch, *tables: str) -> None:
    original = Tables.put

    def put(self: Tables, table: str, key: str, row: str) -> None:
        original(self, table, key, row)
        if table in tables:
            self._pending.pop((table, key), None)

    patch.setattr(Tables, "put", put)


@mutant
def a_transaction_is_not_written_down(patch: pytest.MonkeyPatch) -> None:
    _forgets(patch, "transactions")


@mutant
def the_wire_row_with_its_seq_no_is_not_written_down(patch: pytest.MonkeyPatch) -> None:
    _forgets(patch, "wires")


@mutant_in("ended_series")
def kept_samples_are_not_written_down(patch: pytest.MonkeyPatch) -> None:
    _forgets(patch, "samples")


@mutant
def what_was_deleted_comes_back(patch: pytest.MonkeyPatch) -> None:
    original = Tables.delete

    def delete(self: Tables, table: str, key: str) -> None:
        original(self, table, key)
        self._pending.pop((table, key), None)

    patch.setattr(Tables, "delete", delete)


@mutant
def the_commit_comes_after_what_presumes_it(patch: pytest.MonkeyPatch) -> None:
    original = Output.drain

    def drain(self: Output) -> list[Any]:
        actions = original(self)
        return sorted(actions, key=lambda action: isinstance(action, Commit))

    patch.setattr(Output, "drain", drain)


@mutant
def a_commit_is_torn_in_two(patch: pytest.MonkeyPatch) -> None:
    original = Output.drain

    def drain(self: Output) -> list[Any]:
        actions = original(self)
        if actions and isinstance(actions[0], Commit):
            changes = actions[0].changes
            halves = (changes[: len(changes) // 2], changes[len(changes) // 2 :])
            actions[:1] = [Commit(half) for half in halves if half]
        return actions

    patch.setattr(Output, "drain", drain)


def _not_durable(patch: pytest.MonkeyPatch, kind: type) -> None:
    original = Output.do

    def do(self: Output, action: Any, *, durable: bool = False) -> None:
        original(self, action, durable=durable and not isinstance(action, kind))

    patch.setattr(Output, "do", do)


@mutant_in("plug_then_token")
def power_does_not_wait_for_a_failing_store(patch: pytest.MonkeyPatch) -> None:
    _not_durable(patch, DoPower)


@mutant
def a_frame_does_not_wait_for_a_failing_store(patch: pytest.MonkeyPatch) -> None:
    _not_durable(patch, SendFrame)


@mutant
def what_a_failing_store_held_back_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    original = Output.failed

    def failed(self: Output) -> None:
        self._handed = []
        original(self)

    patch.setattr(Output, "failed", failed)


@mutant
def a_withheld_frame_goes_out_although_it_was_taken_back(patch: pytest.MonkeyPatch) -> None:
    original = Output.take_back_frame

    def take_back_frame(self: Output) -> bool:
        withheld, queue = list(self._withheld), list(self._queue)
        taken = original(self)
        self._withheld, self._queue = withheld, queue
        return taken

    patch.setattr(Output, "take_back_frame", take_back_frame)


@mutant_in("slow_link")
def a_withheld_frame_times_out_before_it_left(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Output, "take_back_frame", lambda self: False)


# ---------------------------------------------------------------------- delivery


@mutant
def a_fact_is_deleted_when_sent(patch: pytest.MonkeyPatch) -> None:
    original = Delivery._intent

    def intent(self: Delivery, number: int, row: Any, dialect: Any) -> Intent:
        made = original(self, number, row, dialect)
        self._outbox.delete(f"{number:012d}")
        return made

    patch.setattr(Delivery, "_intent", intent)


def _each_send(patch: pytest.MonkeyPatch, change: Callable[[Any], Any]) -> None:
    """What the first send of a fact fixed is changed for every retry."""
    original = Delivery._intent

    def intent(self: Delivery, number: int, row: Any, dialect: Any) -> Intent:
        if row.attempts:
            row = replace(row, sent=change(row.sent))
        return original(self, number, row, dialect)

    patch.setattr(Delivery, "_intent", intent)


@mutant
def a_retry_has_another_timestamp(patch: pytest.MonkeyPatch) -> None:
    _each_send(patch, lambda sent: replace(sent, utc_ms=sent.utc_ms + 1))


@mutant
def a_retry_has_another_message_id(patch: pytest.MonkeyPatch) -> None:
    _each_send(patch, lambda sent: replace(sent, message_id=message_id(bytes)))


@mutant
def a_restarted_station_fixes_its_frames_anew(patch: pytest.MonkeyPatch) -> None:
    original = Delivery.__init__

    def init(self: Delivery, *arguments: Any) -> None:
        original(self, *arguments)
        for number, row in self._facts.items():
            self._facts[number] = replace(row, sent=None)

    patch.setattr(Delivery, "__init__", init)


@mutant
def a_seq_no_is_used_twice(patch: pytest.MonkeyPatch) -> None:
    original = Dialect2x.plan

    def plan(self: Dialect2x, fact: Any, wire: Any) -> Any:
        planned = original(self, fact, wire)
        return replace(planned, next_seq_no=wire.next_seq_no) if planned and fact.is_state_change else planned

    patch.setattr(Dialect2x, "plan", plan)


@mutant
def facts_of_one_evse_overtake_the_others(patch: pytest.MonkeyPatch) -> None:
    def head(self: Delivery) -> int | None:
        return min(self._facts, key=lambda number: (-self._facts[number].fact.evse, number), default=None)

    patch.setattr(Delivery, "_head", head)


@mutant
def a_lost_link_counts_as_an_attempt(patch: pytest.MonkeyPatch) -> None:
    original = Delivery.failed

    def failed(self: Delivery, key: str, failure: Failure, detail: str, now: float) -> None:
        original(self, key, Failure.TIMEOUT, detail, now)

    patch.setattr(Delivery, "failed", failed)


@mutant
def attempts_never_end(patch: pytest.MonkeyPatch) -> None:
    original = Delivery.failed

    def failed(self: Delivery, key: str, failure: Failure, detail: str, now: float) -> None:
        row = self._facts[int(key)]
        self._facts[int(key)] = replace(row, attempts=0)
        original(self, key, failure, detail, now)

    patch.setattr(Delivery, "failed", failed)


@mutant
def a_fact_is_given_up_in_silence(patch: pytest.MonkeyPatch) -> None:
    original = Context.notice

    def notice(self: Context, kind: NoticeKind, detail: str) -> None:
        if kind is not NoticeKind.FACT_DISCARDED:
            original(self, kind, detail)

    patch.setattr(Context, "notice", notice)


@mutant
def a_status_does_not_wait_for_its_facts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Delivery, "told_up_to", lambda self, barrier: True)


@mutant
def a_status_waits_for_its_facts_also_after_a_reconnect(patch: pytest.MonkeyPatch) -> None:
    original = Availability.link_opened

    def link_opened(self: Availability) -> None:
        barriers = {ref: told.barrier for ref, told in self._subjects.items()}
        original(self)
        for ref, told in self._subjects.items():
            told.barrier = barriers[ref]

    patch.setattr(Availability, "link_opened", link_opened)


@mutant
def a_status_counts_as_told_when_it_was_sent(patch: pytest.MonkeyPatch) -> None:
    original = Availability._intent

    def intent(self: Availability, ref: Any, dialect: Any, now: float) -> Intent | None:
        made = original(self, ref, dialect, now)
        if made is not None:
            self._subjects[ref].acknowledged = dialect.status_text(self.view(ref))
        return made

    patch.setattr(Availability, "_intent", intent)


@mutant_in("version_changes")
def the_version_of_open_transactions_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Delivery, "pinned", lambda self, csms: None)


@mutant_in("handed_over")
def what_goes_to_the_operator_is_deleted_at_once(patch: pytest.MonkeyPatch) -> None:
    original = Delivery.pass_on

    def pass_on(self: Delivery) -> None:
        original(self)
        original(self)

    patch.setattr(Delivery, "pass_on", pass_on)


@mutant_in("plug_then_token")
def the_number_of_a_lost_start_is_waited_for_in_vain(patch: pytest.MonkeyPatch) -> None:
    original = Dialect16.plan

    def plan(self: Dialect16, fact: Any, wire: Any) -> Any:
        return None if wire.csms_id == -1 else original(self, fact, wire)

    patch.setattr(Dialect16, "plan", plan)


@mutant
def the_station_speaks_before_it_is_accepted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Provisioning, "accepted", property(lambda self: self._connectivity.online))


# ---------------------------------------------------------------------- time and readings


@mutant_in("time_learned_late")
def the_clock_is_anchored_anew_each_time(patch: pytest.MonkeyPatch) -> None:
    original = Clock.set_utc

    def set_utc(self: Clock, utc_ms: int | None, now: float) -> bool:
        self._boots[self.boot] = replace(self.current, anchor=None)
        return original(self, utc_ms, now)

    patch.setattr(Clock, "set_utc", set_utc)


@mutant
def timestamps_follow_a_clock_that_is_set_back(patch: pytest.MonkeyPatch) -> None:
    original = Delivery._prepare

    def prepare(self: Delivery, number: int, row: Any, dialect: Any) -> Any:
        wire = self._wires.get(row.fact.transaction)
        if wire is not None:
            self._wires.put(row.fact.transaction, replace(wire, last_utc_ms=0))
        return original(self, number, row, dialect)

    patch.setattr(Delivery, "_prepare", prepare)


@mutant
def every_second_kept_sample_is_lost(patch: pytest.MonkeyPatch) -> None:
    original = Recording._keep

    def keep(self: Recording, evse: Any, sample: Any) -> None:
        if int(sample.at.mono / 20) % 2:
            original(self, evse, sample)

    patch.setattr(Recording, "_keep", keep)


@mutant
def a_periodic_reading_is_lost_while_offline(patch: pytest.MonkeyPatch) -> None:
    original = Delivery.record

    def record(self: Delivery, fact: Any) -> bool:
        return True if fact.is_sample and len(self) > 1 else original(self, fact)

    patch.setattr(Delivery, "record", record)


@mutant
def what_a_power_loss_cut_short_is_never_ended(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Recording, "unfinished", lambda self: [])


@mutant
def the_register_at_the_end_is_that_of_the_last_fact(patch: pytest.MonkeyPatch) -> None:
    original = Recording.end

    def end(self: Recording, evse: Any, ending: Any, now: float) -> None:
        evse.take_reading(tuple(replace(quantity, value=evse.row.meter_wh) for quantity in evse.readings))
        original(self, evse, ending, now)

    patch.setattr(Recording, "end", end)


@mutant
def the_evse_is_told_with_every_fact(patch: pytest.MonkeyPatch) -> None:
    original = Recording._record

    def record(self: Recording, evse: Any, phase: Phase, *arguments: Any, **named: Any) -> None:
        evse.row = replace(evse.row, told_evse=False)
        original(self, evse, phase, *arguments, **named)

    patch.setattr(Recording, "_record", record)


# ---------------------------------------------------------------------- the CSMS


@mutant
def the_csms_takes_a_repeated_start_for_another(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(csms_transactions, "_began_so", lambda record, report: False)


@mutant
def the_csms_tells_what_comes_again_anew(patch: pytest.MonkeyPatch) -> None:
    original = SeenNumbers.add

    def add(self: SeenNumbers, number: int) -> bool:
        original(self, number)
        return True

    patch.setattr(SeenNumbers, "add", add)


@mutant
def the_csms_answers_before_it_has_written_down(patch: pytest.MonkeyPatch) -> None:
    original = Csms.actions

    def actions(self: Csms) -> list[Any]:
        return sorted(original(self), key=lambda action: isinstance(action, Commit))

    patch.setattr(Csms, "actions", actions)


@mutant_in("plug_then_token")
def the_csms_guesses_no_transaction_for_an_end_without_number(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(csms_transactions, "_goes_on_so", lambda record, report: False)
