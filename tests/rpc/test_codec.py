"""The codec alone: what each text is as a frame, and what the encoders write."""

from json import dumps, loads

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.errors import LocalProtocolError
from ocpp_core.messages import RepairKind, Tolerance, message_set
from ocpp_core.rpc import (
    Call,
    CallError,
    CallResult,
    CallResultError,
    Codec,
    ErrorCode,
    Malformed,
    Send,
    UnmatchedResult,
    codec_for,
)
from tests.rpc.rpc_samples import (
    CSMS,
    STATION,
    V16,
    V21,
    V201,
    VERSIONS,
    data_transfer,
    heartbeat,
    heartbeat_response,
    stream21,
)

PENDING = {"ours": "Heartbeat"}.get
TIME = '{"currentTime":"2024-03-01T12:00:00.000Z"}'


@pytest.mark.requirement(
    "1.6-J-4.2.1", "1.6-J-4.2.2", "1.6-J-4.2.3", "2.0.1-J-4.2.1", "2.0.1-J-4.2.2", "2.0.1-J-4.2.3"
)
@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_encoded_is_decoded(version):
    codec = Codec(version)
    call = codec.encode_call("a", data_transfer(version))
    assert codec.decode(call) == Call("a", "DataTransfer", data_transfer(version))
    result = codec.encode_result("ours", heartbeat_response(version))
    assert codec.decode(result, PENDING) == CallResult("ours", "Heartbeat", heartbeat_response(version))
    error = codec.encode_error("a", ErrorCode.FORMAT_VIOLATION, "why", {"x": [1.5]})
    code = ErrorCode.FORMAT_VIOLATION.spelling(version)
    assert codec.decode(error) == CallError("a", code, "why", {"x": [1.5]})


@pytest.mark.requirement("2.1-J-4.2.3", "2.1-J-4.2.4")
def test_what_2_1_adds():
    codec = Codec(V21)
    assert codec.decode(codec.encode_send("a", stream21())) == Send(
        "a", "NotifyPeriodicEventStream", stream21()
    )
    error = codec.encode_result_error("a", ErrorCode.FORMAT_VIOLATION, "why")
    assert codec.decode(error) == CallResultError("a", "FormatViolation", "why", {})


@pytest.mark.parametrize("version", [V16, V201])
def test_older_versions_encode_neither(version):
    with pytest.raises(LocalProtocolError):
        Codec(version).encode_send("a", stream21())
    with pytest.raises(LocalProtocolError):
        Codec(version).encode_result_error("a", ErrorCode.FORMAT_VIOLATION)


@pytest.mark.requirement("1.6-J-4.2.3", "1.6-J-errata-5.1", "1.6-J-errata-5.2", "2.0.1-J-4.3", "2.1-J-4.3")
def test_spellings():
    spellings = {code: [code.spelling(version) for version in VERSIONS] for code in ErrorCode}
    differing = {code: names[0] for code, names in spellings.items() if names[0] != names[1]}
    assert all(names[1] == names[2] == code.value for code, names in spellings.items())
    assert differing == {
        ErrorCode.FORMAT_VIOLATION: "FormationViolation",
        ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION: "OccurenceConstraintViolation",
        ErrorCode.RPC_FRAMEWORK_ERROR: "FormationViolation",
        ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED: "NotSupported",
    }
    assert {code.value for code in ErrorCode} == {
        "FormatViolation",
        "GenericError",
        "InternalError",
        "MessageTypeNotSupported",
        "NotImplemented",
        "NotSupported",
        "OccurrenceConstraintViolation",
        "PropertyConstraintViolation",
        "ProtocolError",
        "RpcFrameworkError",
        "SecurityError",
        "TypeConstraintViolation",
    }


VALID = [
    '[2,"a","Heartbeat",{}]',
    ' [ 2 , "a" , "Heartbeat" , { } ] ',
    '\r\n\t[2,"a","Heartbeat",{}]',
    '[2,"a","Heartbeat",{}]\n',
    '[2,"\\u0061","Heartbeat",{}]',
    '[2,"a","\\u0048eartbeat",{}]',
    '[2,"a","Heartbeat",null]',
    '[2,"a","Heartbeat",{ }]',
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("text", VALID)
def test_ways_to_write_the_same_call(version, text):
    assert Codec(version).decode(text) == Call("a", "Heartbeat", heartbeat(version))


@pytest.mark.parametrize("text", ['[3,"ours",%s]', ' [3 ,"ours" , %s ]\n', '[3,"\\u006furs",%s]'])
def test_ways_to_write_the_same_result(text):
    decoded = Codec(V16).decode(text % TIME, PENDING)
    assert decoded == CallResult("ours", "Heartbeat", heartbeat_response(V16))


@pytest.mark.requirement("1.6-J-4.2.2", "2.0.1-J-4.1.5", "2.1-J-4.1.5")
def test_null_is_the_empty_payload_of_a_result_too():
    frame = Codec(V16).decode('[3,"ours",null]', {"ours": "MeterValues"}.get)
    assert isinstance(frame, CallResult)


@pytest.mark.parametrize(
    "call_id",
    ["", "x" * 36, '"' + "x" * 35, 'quo"te', "back\\slash", "\x00\x1f\x7f", "\u20ac\U0001f600", "-1"],
)
def test_any_id_survives(call_id):
    codec = Codec(V201)
    text = codec.encode_call(call_id, heartbeat(V201))
    assert loads(text)[1] == call_id
    assert codec.decode(text) == Call(call_id, "Heartbeat", heartbeat(V201))
    assert codec.decode(dumps(loads(text), ensure_ascii=False)).call_id == call_id


RPC = ErrorCode.RPC_FRAMEWORK_ERROR
FORMAT = ErrorCode.FORMAT_VIOLATION
UNKNOWN_TYPE = ErrorCode.MESSAGE_TYPE_NOT_SUPPORTED
MALFORMED = [
    ("", None, None, RPC),
    ("garbage", None, None, RPC),
    ("\ufeff[2]", None, None, RPC),
    ("null", None, None, RPC),
    ("{}", None, None, RPC),
    ('"[2]"', None, None, RPC),
    ("[]", None, None, RPC),
    ("[[2]]", None, None, RPC),
    ("[", None, None, RPC),
    ("[2", 2, None, RPC),
    ("[2]", 2, None, RPC),
    ("[2,5]", 2, None, RPC),
    ("[2,null,", 2, None, RPC),
    ('[2,["a"],"Heartbeat",{}]', 2, None, RPC),
    ('[2.0,"a","Heartbeat",{}]', None, "a", RPC),
    ('[true,"a","Heartbeat",{}]', None, "a", RPC),
    ('["2","a","Heartbeat",{}]', None, "a", RPC),
    ('[null,"a"]', None, "a", RPC),
    ('[2,"a"]', 2, "a", RPC),
    ('[2,"a","Heartbeat"]', 2, "a", RPC),
    ('[2,"a","Heartbeat",{},{}]', 2, "a", RPC),
    ('[2,"a",5,{}]', 2, "a", RPC),
    ('[2,"a",null,{}]', 2, "a", RPC),
    ('[2,"a","Heartbeat",[]]', 2, "a", FORMAT),
    ('[2,"a","Heartbeat","{}"]', 2, "a", FORMAT),
    ('[2,"a","Heartbeat",{]', 2, "a", FORMAT),
    ('[2,"a","Heartbeat",{}', 2, "a", FORMAT),
    ('[2,"a","Heartbeat",{}]]', 2, "a", FORMAT),
    ('[2,"a","Heartbeat",{},]', 2, "a", FORMAT),
    ("[2,\"a\",'Heartbeat',{}]", 2, "a", FORMAT),
    ('\v[2,"a","Heartbeat",{}]', None, None, RPC),
    ('[2,"\\u0061","Heartbeat",{]', 2, "a", FORMAT),
    ('[2,"\\ud800","Heartbeat",{]', 2, None, RPC),
    ('[2,"\ud800","Heartbeat",{}]', 2, None, RPC),
    ('[2,"a","Heartbeat",{"a":"\ud800"}]', 2, "a", FORMAT),
    ('[2,"a","",{}]', 2, "a", ErrorCode.NOT_IMPLEMENTED),
    ('[2,"a","heartbeat",{}]', 2, "a", ErrorCode.NOT_IMPLEMENTED),
    ('[2,"a","HeartbeatRequest",{}]', 2, "a", ErrorCode.NOT_IMPLEMENTED),
    (f'[2,"{"x" * 37}","Heartbeat",{{}}]', 2, "x" * 37, RPC),
    (f'[2,"{"x" * 255}","Heartbeat",{{}}]', 2, "x" * 255, RPC),
    (f'[2,"{"x" * 256}","Heartbeat",{{}}]', 2, None, RPC),
    (f'[2,"{"x" * 256}","Heartbeat",{{', 2, None, FORMAT),
    (f'[2,"{"x" * 3000}","Heartbeat",{{', 2, None, RPC),
    ('[3,"ours"]', 3, "ours", RPC),
    ('[3,"ours",{},{}]', 3, "ours", RPC),
    ('[3,"ours","abc",{}]', 3, "ours", RPC),
    ('[3,"ours",5]', 3, "ours", FORMAT),
    ("[3,5,{}]", 3, None, RPC),
    ("[4]", 4, None, RPC),
    ("[4,5]", 4, None, RPC),
    ('[1,"a"]', 1, "a", UNKNOWN_TYPE),
    ('[7,"a",{}]', 7, "a", UNKNOWN_TYPE),
    ("[7]", 7, None, UNKNOWN_TYPE),
    ("[7,", 7, None, UNKNOWN_TYPE),
    ('[7,"a",{', 7, "a", UNKNOWN_TYPE),
    ('[-2,"a"]', -2, "a", UNKNOWN_TYPE),
    (f'[{"9" * 4300},"a"]', int("9" * 4300), "a", UNKNOWN_TYPE),
]


@pytest.mark.requirement("1.6-J-4.2.3", "2.0.1-J-4.2.3", "2.1-J-4.2.3", "2.0.1-J-4.4", "2.1-J-4.4")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("text", "kind", "call_id", "code"), MALFORMED)
def test_malformed_frames(version, text, kind, call_id, code):
    frame = Codec(version).decode(text, PENDING)
    assert isinstance(frame, Malformed)
    assert (frame.message_type, frame.call_id, frame.code) == (kind, call_id, code)
    assert 0 < len(frame.description) <= 255


@pytest.mark.parametrize("version", [V16, V201])
@pytest.mark.parametrize(
    "text", ['[5,"a","Code","",{}]', '[6,"a","NotifyPeriodicEventStream",{}]', '[6,"a",{']
)
def test_what_2_1_adds_is_unknown_to_older_versions(version, text):
    frame = Codec(version).decode(text)
    assert isinstance(frame, Malformed)
    assert (frame.call_id, frame.code) == ("a", UNKNOWN_TYPE)


@pytest.mark.requirement("2.0.1-J-4.3", "1.6-J-4.2.3")
@pytest.mark.parametrize(
    ("version", "role", "text", "code"),
    [
        (V16, CSMS, '[2,"a","Reset",{"type":"Hard"}]', ErrorCode.NOT_SUPPORTED),
        (V16, CSMS, '[2,"a","Reset",{"type":"No"}]', ErrorCode.NOT_SUPPORTED),
        (V16, STATION, '[2,"a","Heartbeat",{}]', ErrorCode.NOT_SUPPORTED),
        (V16, STATION, '[2,"a","TransactionEvent",{}]', ErrorCode.NOT_IMPLEMENTED),
        (V201, CSMS, '[2,"a","StartTransaction",{}]', ErrorCode.NOT_IMPLEMENTED),
        (V201, CSMS, '[2,"a","NotifySettlement",{}]', ErrorCode.NOT_IMPLEMENTED),
        (V21, CSMS, '[2,"a","NotifyPeriodicEventStream",{}]', ErrorCode.NOT_SUPPORTED),
        (V21, CSMS, '[6,"a","Heartbeat",{}]', ErrorCode.NOT_SUPPORTED),
        (V21, STATION, '[6,"a","NotifyPeriodicEventStream",{}]', ErrorCode.NOT_SUPPORTED),
        (V21, CSMS, '[6,"a","Nonsense",{}]', ErrorCode.NOT_IMPLEMENTED),
    ],
)
def test_actions_that_are_not_received(version, role, text, code):
    frame = codec_for(version, role).decode(text)
    assert isinstance(frame, Malformed)
    assert frame.code is code


PAYLOADS = [
    # the payload, its 1.6 code, its 2.x code, the path that the description names
    ('{"a":%s}', "FormationViolation", "ProtocolError", "a"),
    ("{%.0s}", "ProtocolError", "OccurrenceConstraintViolation", "vendorId"),
    ('{"vendorId":5%.0s}', "TypeConstraintViolation", "TypeConstraintViolation", "vendorId"),
    ('{"vendorId":null%.0s}', "TypeConstraintViolation", "TypeConstraintViolation", "vendorId"),
    ('{"vendorId":"%s"}', "PropertyConstraintViolation", "PropertyConstraintViolation", "vendorId"),
]


@pytest.mark.requirement("1.6-J-4.2.3", "2.0.1-J-4.3", "2.1-J-4.3", "FR.03")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("payload", "code_16", "code_2x", "path"), PAYLOADS)
def test_what_is_wrong_with_a_payload_has_its_code_and_path(version, payload, code_16, code_2x, path):
    members = payload % ("x" * 300)
    if path == "a":
        members = '{"vendorId":"v","a":1}'
    codec = Codec(version)
    frame = codec.decode(f'[2,"i","DataTransfer",{members}]')
    assert isinstance(frame, Malformed)
    assert frame.code.spelling(version) == (code_16 if version is V16 else code_2x)
    assert frame.description.startswith(f"{path}: ")
    assert frame == codec.decode(f'[2,"\\u0069","DataTransfer",{members}]')


@pytest.mark.parametrize(
    ("payload", "code", "path"),
    [
        ('{"connectorId":1,"meterValue":5}', "TypeConstraintViolation", "meterValue"),
        ('{"connectorId":1.5,"meterValue":[]}', "TypeConstraintViolation", "connectorId"),
        (
            '{"connectorId":1,"meterValue":[{"timestamp":"yesterday","sampledValue":[{"value":"1"}]}]}',
            "FormationViolation",
            "meterValue[0].timestamp",
        ),
        (
            '{"connectorId":1,"meterValue":[{"timestamp":"2024-03-01T12:00:00Z","sampledValue":'
            '[{"value":"1"},{"value":"2","unit":"Parsec"}]}]}',
            "PropertyConstraintViolation",
            "meterValue[0].sampledValue[1].unit",
        ),
    ],
)
def test_paths_in_wire_names(payload, code, path):
    frame = Codec(V16).decode(f'[2,"i","MeterValues",{payload}]')
    assert isinstance(frame, Malformed)
    assert frame.code.spelling(V16) == code
    assert frame.description.startswith(f"{path}: ")


@pytest.mark.parametrize("version", [V201, V21])
def test_too_few_elements_are_an_occurrence_matter(version):
    frame = Codec(version).decode('[2,"i","GetVariables",{"getVariableData":[]}]')
    assert isinstance(frame, Malformed)
    assert frame.code is ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION
    assert frame.description.startswith("getVariableData: ")


def test_a_description_keeps_the_end_of_a_long_path():
    name = "n" * 1000
    frame = Codec(V16).decode(f'[2,"i","Heartbeat",{{"{name}":1}}]')
    assert isinstance(frame, Malformed)
    assert len(frame.description) == 255
    assert frame.description.startswith("…nnn")
    assert "nnn: " in frame.description


@pytest.mark.parametrize("faults", [100, 101])
def test_countless_faults_are_counted_not_listed(faults):
    members = ",".join(f'"x{n}":0' for n in range(faults))
    frame = Codec(V16).decode(f'[2,"i","Heartbeat",{{{members}}}]')
    assert isinstance(frame, Malformed)
    assert frame.code is ErrorCode.FORMAT_VIOLATION
    assert frame.description.startswith("x0: " if faults == 100 else "101 fields")


def test_a_result_to_no_call_is_not_looked_at():
    for text in (
        '[3,"stranger",{"nonsense":1}]',
        '[3,"stranger",[]] ',
        '[3,"stranger"]',
        '[3,"stranger",{},{}] ',
        '[3,"\\u0061",{}]',
        '[3,"stranger",{]',
        '[3,"stranger",{ ',
        f'[3,"{"x" * 37}",{{}}]',
    ):
        assert isinstance(Codec(V16).decode(text, PENDING), UnmatchedResult)


def test_the_last_of_duplicate_members_counts_on_both_paths():
    codec = Codec(V16)
    members = '{"vendorId":5,"vendorId":"last"}'
    for call_id in ("i", "\\u0069"):
        frame = codec.decode(f'[2,"{call_id}","DataTransfer",{members}]')
        assert frame == Call("i", "DataTransfer", data_transfer(V16, "last"))
    assert isinstance(codec.decode('[2,"i","DataTransfer",{"vendorId":"v","vendorId":5}]'), Malformed)


def test_tolerance_applies_to_what_strict_validation_refuses():
    codec = Codec(V16)
    text = '[2,"i","DataTransfer",{"vendorId":"v","extra":1}]'
    assert isinstance(codec.decode(text), Malformed)
    frame = codec.decode(text, tolerance=Tolerance())
    assert isinstance(frame, Call)
    assert [(repair.path, repair.kind) for repair in frame.repairs] == [
        (("extra",), RepairKind.EXTRA_DROPPED)
    ]
    assert isinstance(codec.decode('[2,"i","DataTransfer",{}]', tolerance=Tolerance()), Malformed)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("role", [None, STATION, CSMS])
def test_prebuild_builds_what_can_be_received(version, role):
    codec = Codec(version, role)
    codec.prebuild(["Heartbeat"])
    assert (
        set(codec._validators)
        == {
            None: {"2Heartbeat", "3Heartbeat"},
            CSMS: {"2Heartbeat"},
            STATION: {"3Heartbeat"},
        }[role]
    )
    with pytest.raises(LocalProtocolError):
        codec.prebuild(["Nonsense"])
    if version is V16:
        codec.prebuild()
        confirmed = len(message_set(version).actions)
        assert len(codec._validators) == (2 * confirmed if role is None else confirmed + 1)


def test_validators_do_not_grow_with_nonsense():
    codec = Codec(V201)
    for n in range(100):
        codec.decode(f'[2,"i","Nonsense{n}",{{}}]')
    assert not codec._validators


def test_codecs_are_shared():
    assert codec_for(V16, CSMS) is codec_for(V16, CSMS)
    assert codec_for(V16, CSMS) is not codec_for(V16, STATION)


def test_details_that_nest_without_end_are_refused():
    details = {}
    details["self"] = details
    with pytest.raises(LocalProtocolError):
        Codec(V16).encode_error("a", ErrorCode.GENERIC_ERROR, "", details)
    deep = {}
    for _ in range(100_000):
        deep = {"deeper": deep}
    with pytest.raises(LocalProtocolError):
        Codec(V16).encode_error("a", ErrorCode.GENERIC_ERROR, "", deep)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NEAR_FRAMES = st.builds(
    lambda head, tail: dumps([*head, *tail]),
    st.tuples(
        st.sampled_from([2, 3, 4, 5, 6, 7, 2.0, "2"]), st.sampled_from(["ours", "i", "", "\x00", "\u20ac", 5])
    ),
    st.lists(st.sampled_from(["Heartbeat", "DataTransfer", "Reset"]) | JSON, max_size=4),
)


@pytest.mark.parametrize("version", VERSIONS)
@given(text=NEAR_FRAMES | st.text() | JSON.map(dumps), cut=st.integers(0, 3))
def test_both_paths_agree_on_every_frame(version, text, cut):
    """A space after the bracket sends the same frame over the long path."""
    codec = Codec(version)
    text = text[: len(text) - cut]
    short, long = codec.decode(text, PENDING), codec.decode(f"{text} ", PENDING)
    if isinstance(short, Malformed) and isinstance(long, Malformed):
        assert (short.message_type, short.call_id, short.code) == (long.message_type, long.call_id, long.code)
    else:
        assert short == long
    if isinstance(short, Call):
        assert loads(text)[:3] == [2, short.call_id, short.action]
