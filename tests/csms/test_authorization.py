"""Authorize (C01; 1.6 §4.1)."""

from typing import Any

import pytest

from ocpp_core import LocalProtocolError, OcppVersion
from ocpp_core.csms import AskAuthorization, CsmsConfig
from ocpp_core.domain.tokens import ANY_TYPE, AuthorizationStatus, IdToken, IdTokenInfo
from tests.csms.csms_kit import (
    ACCEPTED,
    ASKING,
    BOTH_2X,
    V16,
    V21,
    V201,
    VERSIONS,
    Host,
    answer,
    noticed,
    one,
    told,
)

FULL = IdTokenInfo(AuthorizationStatus.ACCEPTED, IdToken("FLEET", "Central"), 1_800_000_000_000)


def _ask(host: Host) -> AskAuthorization:
    host.boot()
    token = {"idTag": "T"} if host.version is V16 else {"idToken": {"idToken": "T", "type": "KeyCode"}}
    return one(host.say("Authorize", token), AskAuthorization)


def _answered(version: OcppVersion, info: IdTokenInfo) -> dict[str, Any]:
    host = Host(version, ASKING)
    assert host.csms.answer_authorization(_ask(host).question, info, host.now)
    info_said: dict[str, Any] = answer(host.drain())[2]["idTagInfo" if version is V16 else "idTokenInfo"]
    return info_said


@pytest.mark.requirement("C01.FR.07", "1.6-4.1")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_application_is_asked(version: OcppVersion) -> None:
    asked = _ask(Host(version, ASKING))
    assert asked.token == IdToken("T", ANY_TYPE if version is V16 else "KeyCode")
    assert (asked.transaction, asked.evse) == (None, None)


@pytest.mark.requirement("C01.FR.07", "C01.FR.18", "C01.FR.22")
@pytest.mark.parametrize("status", AuthorizationStatus)
@pytest.mark.parametrize("version", BOTH_2X)
def test_every_status_of_2x(version: OcppVersion, status: AuthorizationStatus) -> None:
    assert _answered(version, IdTokenInfo(status)) == {"status": status}


@pytest.mark.requirement("1.6-7.2")
@pytest.mark.parametrize("status", AuthorizationStatus)
def test_the_five_statuses_of_16(status: AuthorizationStatus) -> None:
    known = {"Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"}
    assert _answered(V16, IdTokenInfo(status)) == {"status": status if status in known else "Invalid"}


@pytest.mark.requirement("C01.FR.06", "C01.FR.19", "C09.FR.02", "C09.FR.09", "C09.FR.10")
@pytest.mark.parametrize("version", BOTH_2X)
def test_the_group_and_the_end_of_validity(version: OcppVersion) -> None:
    assert _answered(version, FULL) == {
        "status": "Accepted",
        "groupIdToken": {"idToken": "FLEET", "type": "Central"},
        "cacheExpiryDateTime": "2027-01-15T08:00:00.000Z",
    }


@pytest.mark.requirement("1.6-7.27")
def test_the_parent_and_the_end_of_validity() -> None:
    assert _answered(V16, FULL) == {
        "status": "Accepted",
        "parentIdTag": "FLEET",
        "expiryDate": "2027-01-15T08:00:00.000Z",
    }


@pytest.mark.requirement("C01.FR.20")
@pytest.mark.parametrize("version", BOTH_2X)
def test_a_token_for_some_evses(version: OcppVersion) -> None:
    info = IdTokenInfo(AuthorizationStatus.ACCEPTED, evses=(2, 3))
    assert _answered(version, info) == {"status": "Accepted", "evseId": [2, 3]}


@pytest.mark.requirement("C01.FR.07")
@pytest.mark.parametrize("version", VERSIONS)
def test_policy_answers_at_once(version: OcppVersion) -> None:
    host = Host(version)
    host.boot()
    token = {"idTag": "T"} if version is V16 else {"idToken": {"idToken": "T", "type": "Central"}}
    actions = host.say("Authorize", token)
    assert next(iter(answer(actions)[2].values())) == {"status": "Accepted"}
    assert told(actions) == []


@pytest.mark.requirement("C01.FR.07")
@pytest.mark.parametrize(("version", "word"), [(V16, "Invalid"), (V201, "Unknown"), (V21, "Unknown")])
def test_want_of_an_answer_is_no_permission(version: OcppVersion, word: str) -> None:
    host = Host(version, ASKING)
    asked = _ask(host)
    actions = host.wait(20)
    assert next(iter(answer(actions)[2].values())) == {"status": word}
    assert noticed(actions) == ["question unanswered"]
    assert not host.csms.answer_authorization(asked.question, FULL, host.now)
    assert host.drain() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_an_answer_after_the_link_was_lost_is_late(version: OcppVersion) -> None:
    host = Host(version, ASKING)
    asked = _ask(host)
    host.csms.link_lost(host.now)
    assert not host.csms.answer_authorization(asked.question, FULL, host.now)
    assert host.drain() == []
    assert host.csms.next_timer() is None


@pytest.mark.parametrize("number", [0, 2, -1])
def test_questions_that_were_never_asked(number: int) -> None:
    host = Host(V201, ASKING)
    _ask(host)
    with pytest.raises(LocalProtocolError, match="no such question"):
        host.csms.answer_authorization(number, FULL, host.now)


def test_a_question_of_another_kind() -> None:
    host = Host(V201, ASKING)
    asked = _ask(host)
    with pytest.raises(LocalProtocolError, match="no such question"):
        host.csms.answer_registration(asked.question, ACCEPTED, host.now)


def test_what_the_version_cannot_say_changes_nothing() -> None:
    host = Host(V201, ASKING)
    asked = _ask(host)
    odd = IdTokenInfo(AuthorizationStatus.ACCEPTED, IdToken("X", "Telepathy"))
    with pytest.raises(LocalProtocolError, match="Telepathy"):
        host.csms.answer_authorization(asked.question, odd, host.now)
    assert host.drain() == []
    assert host.csms.answer_authorization(asked.question, FULL, host.now)
    assert _answered(V21, odd)["groupIdToken"] == {"idToken": "X", "type": "Telepathy"}


@pytest.mark.parametrize("member", ["authorization", "unanswered_authorization"])
def test_a_configuration_that_cannot_be_said_is_refused_at_once(member: str) -> None:
    odd = IdTokenInfo(AuthorizationStatus.ACCEPTED, IdToken("X", "Telepathy"))
    config = (
        CsmsConfig(authorization=odd)
        if member == "authorization"
        else CsmsConfig(unanswered_authorization=odd)
    )
    with pytest.raises(LocalProtocolError, match="Telepathy"):
        Host(V201, config)
