"""The verbs of an emulated station, member by member.

Those whose behaviour the station does not have yet are listed too: they answer that they are not there yet.
"""

from ocpp_control import Member, Verb
from ocpp_control.kinds import FLAG, LIST, MOMENT, OBJECT, SCALAR, TEXT, choice, number, text, whole
from ocpp_core.domain.security import LONGEST_TECH_INFO, LONGEST_TYPE

_EVSE = Member("evse", whole(0), required=True)
_CONNECTOR = Member("connector", whole(1))
_BY = Member("by", choice("EV", "EVSE"), required=True)
_MAX_SECONDS = 86_400


def _text(name: str, *, required: bool = False, here: bool = True) -> Member:
    return Member(name, TEXT, required=required, here=here)


_VARIABLE = (
    _text("component"),
    _text("variable"),
    _text("key"),
    _text("instance", here=False),
    Member("evse", whole(1), here=False),
    Member("connector", whole(1), here=False),
    Member("attribute", choice("Actual", "Target", "MinSet", "MaxSet"), here=False),
)
_FAULT = (Member("evse", whole(0)), Member("connector", whole(1)))

_NETWORK = (Member("slot", whole(0)), Member("interface", text(40)))

REPORTS = {
    "security_event": Verb(
        "security_event",
        (Member("type", text(LONGEST_TYPE), required=True), Member("techInfo", text(LONGEST_TECH_INFO))),
    ),
    "data_transfer": Verb(
        "data_transfer",
        (Member("vendorId", text(255), required=True), Member("messageId", text(50)), Member("data", SCALAR)),
    ),
}
"""What the station's software can report of itself, and what ``with`` is to hold then."""

STATION_COMMANDS: tuple[Verb, ...] = (
    Verb("plug_in", (_EVSE, _CONNECTOR, Member("cable_amps", number(0, 10_000)))),
    Verb("plug_out", (_EVSE, _CONNECTOR)),
    Verb(
        "present_token",
        (
            _text("token", required=True),
            _text("type"),
            Member("evse", whole(0)),
            Member("group", TEXT, here=False),
            Member("certificate", TEXT, here=False),
            Member("hash_data", LIST, here=False),
        ),
    ),
    Verb("suspend", (_EVSE, _BY)),
    Verb("resume", (_EVSE, _BY)),
    Verb(
        "set_power",
        (_EVSE, Member("watts", number(0, 1e8), required=True), Member("phases", whole(1, 3))),
    ),
    Verb("set_meter", (_EVSE, Member("wh", number(0), required=True))),
    Verb(
        "set_measurand",
        (
            _EVSE,
            _text("measurand", required=True),
            Member("value", number(), required=True),
            Member("unit", text(20)),
            Member("phase", text(20)),
            Member("location", text(20)),
            _text("signed", here=False),
        ),
    ),
    Verb("park", (_EVSE,), here=False),
    Verb("leave", (_EVSE,), here=False),
    Verb(
        "fault",
        (
            *_FAULT,
            _text("fault_id", required=True),
            _text("type", required=True),
            _text("description"),
            _text("origin"),
            Member("inoperative", FLAG),
        ),
        here=False,
    ),
    Verb("clear_fault", (*_FAULT, _text("fault_id")), here=False),
    Verb("ev_needs", (_EVSE, Member("needs", OBJECT, required=True)), here=False),
    Verb(
        "external_limit",
        (
            Member("evse", whole(0), required=True),
            _text("source", required=True),
            Member("limit", number()),
            _text("unit"),
            Member("schedule", OBJECT),
            Member("grid_critical", FLAG),
        ),
        here=False,
    ),
    Verb(
        "answer",
        (
            _text("question", required=True),
            Member("with", OBJECT, required=True),
            Member("times", whole(1)),
        ),
        here=False,
    ),
    Verb(
        "report",
        (Member("what", choice(*REPORTS), required=True), Member("with", OBJECT)),
    ),
    Verb("connect", (Member("slot", whole(0)),)),
    Verb("disconnect", (Member("slot", whole(0)),)),
    Verb("network_lost", _NETWORK),
    Verb("network_back", _NETWORK),
    Verb("held"),
    Verb("release", (Member("csms", TEXT, required=True), Member("to", TEXT))),
    Verb("cut", (Member("half_open", FLAG),)),
    Verb("mend", (Member("half_open", FLAG),)),
    Verb("power_cycle", (Member("off_seconds", number(0, _MAX_SECONDS)),)),
    Verb(
        "set_clock",
        (Member("utc", MOMENT.nullable()), Member("drift_ppm", number(-500_000, 500_000))),
    ),
    Verb("get_variable", _VARIABLE),
    Verb("set_variable", (*_VARIABLE, Member("value", SCALAR, required=True))),
    Verb(
        "composite_schedule",
        (
            Member("evse", whole(0), required=True),
            Member("duration", whole(1), required=True),
            _text("unit"),
        ),
        here=False,
    ),
    Verb("state"),
    Verb("quit"),
)
