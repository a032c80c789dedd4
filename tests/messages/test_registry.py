"""The tables of actions, and that nothing is imported before it is used."""

import subprocess
import sys
from textwrap import dedent

import pytest

from ocpp_core.messages import Direction, Request, Response, message_set, v16, v21, v201
from ocpp_core.versions import OcppVersion

VERSIONS = list(OcppVersion)


def test_a_message_set_per_version() -> None:
    assert [len(message_set(version).actions) for version in VERSIONS] == [39, 64, 91]
    assert message_set(OcppVersion.V16) is message_set(OcppVersion.V16)
    assert message_set(OcppVersion.V21).version is OcppVersion.V21


@pytest.mark.parametrize("version", VERSIONS)
def test_every_action_has_its_models(version: OcppVersion) -> None:
    messages = message_set(version)
    for name, action in messages.actions.items():
        request = messages.request(name)
        assert action.name == name == request.ACTION
        assert issubclass(request, Request)
        assert request.VERSION is version
        if action.confirmed:
            response = messages.response(name)
            assert issubclass(response, Response)
            assert (name, version) == (response.ACTION, response.VERSION)


def test_what_is_sent_unconfirmed_has_no_response() -> None:
    unconfirmed = {
        (version, name)
        for version in VERSIONS
        for name, action in message_set(version).actions.items()
        if not action.confirmed
    }
    assert unconfirmed == {(OcppVersion.V21, "NotifyPeriodicEventStream")}
    messages = message_set(OcppVersion.V21)
    assert messages.request("NotifyPeriodicEventStream") is v21.NotifyPeriodicEventStream
    with pytest.raises(KeyError):
        messages.response("NotifyPeriodicEventStream")


def test_unknown_actions_and_names() -> None:
    for look_up in (message_set(OcppVersion.V16).request, message_set(OcppVersion.V16).response):
        with pytest.raises(KeyError):
            look_up("TransactionEvent")
    with pytest.raises(AttributeError, match="has no attribute 'TransactionEventRequest'"):
        _ = v16.TransactionEventRequest


def test_directions() -> None:
    def actions(version: OcppVersion, direction: Direction) -> set[str]:
        known = message_set(version).actions.values()
        return {action.name for action in known if action.direction is direction}

    assert all(actions(version, Direction.BOTH) == {"DataTransfer"} for version in VERSIONS)
    assert actions(OcppVersion.V16, Direction.STATION_TO_CSMS) == {
        "Authorize",
        "BootNotification",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "SecurityEventNotification",
        "SignCertificate",
        "SignedFirmwareStatusNotification",
        "StartTransaction",
        "StatusNotification",
        "StopTransaction",
    }
    assert len(actions(OcppVersion.V201, Direction.STATION_TO_CSMS)) == 24
    assert len(actions(OcppVersion.V21, Direction.STATION_TO_CSMS)) == 36
    assert {"NotifyWebPaymentStarted", "AFRRSignal"} <= actions(OcppVersion.V21, Direction.CSMS_TO_STATION)


def test_a_package_lists_what_it_has() -> None:
    assert {"ACTIONS", "TransactionEventRequest", "CustomData", "Tariff"} <= set(dir(v21))
    assert "Tariff" not in dir(v201)


_WATCHED = ("ocpp_core", "pydantic", "h11", "wsproto")


def imported(statement: str) -> set[str]:
    """The modules of the project, and of what it stands on, that ``statement`` imports in a fresh process."""
    program = f"""
        import sys
        {statement}
        print(*(name for name in sys.modules if name.split(".")[0] in {_WATCHED}))
    """
    command = [sys.executable, "-c", dedent(program)]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def of_messages(modules: set[str]) -> set[str]:
    prefix = "ocpp_core.messages."
    return {name.removeprefix(prefix) for name in modules if name.startswith(prefix)}


def test_importing_the_core_imports_neither_messages_nor_wire() -> None:
    """What it does import takes well under the 30 ms it may cost: no pydantic, no h11, no wsproto."""
    few = {"ocpp_core", "ocpp_core.entropy", "ocpp_core.errors", "ocpp_core.versions"}
    assert imported("import ocpp_core") <= few


def test_importing_messages_imports_no_version() -> None:
    assert of_messages(imported("import ocpp_core.messages")) == {"base", "registry", "tolerance"}


@pytest.mark.parametrize("version", ["v16", "v201", "v21"])
def test_a_version_imports_no_other_and_a_block_only_what_it_needs(version: str) -> None:
    base = {"base", "registry", "tolerance", version}
    assert of_messages(imported(f"from ocpp_core.messages import {version}")) == base
    asked = f"from ocpp_core.messages import {version}; {version}.ClearCacheRequest"
    block = "core" if version == "v16" else "authorization"
    assert of_messages(imported(asked)) <= base | {f"{version}.{block}", f"{version}.datatypes"}
    known = f"""from ocpp_core.messages import message_set
        from ocpp_core.versions import OcppVersion
        message_set(OcppVersion.{version.upper()}).actions["Heartbeat"]"""
    assert of_messages(imported(known)) == base


def test_every_model_of_a_version_can_be_imported_without_the_others() -> None:
    everything = "from ocpp_core.messages import v201\n        [getattr(v201, name) for name in dir(v201)]"
    modules = of_messages(imported(everything))
    assert {name.split(".")[0] for name in modules} == {"base", "registry", "tolerance", "v201"}
    assert len(modules) > 15
