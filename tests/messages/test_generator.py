"""The generated files are what the generator writes, and the generator stops at what it does not know."""

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "generate_messages.py"

pytestmark = pytest.mark.skipif(not TOOL.exists(), reason="the tool is not part of the built wheel")


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Imports a module of the generator."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return lambda name: import_module(f"generate.{name}")


def test_the_generated_files_are_up_to_date() -> None:
    """Each run formats with the project's ruff, in another hash seed: the output does not depend on it."""
    done = subprocess.run([sys.executable, str(TOOL), "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_check_finds_what_differs(tmp_path: Path) -> None:
    """``--check`` on a tree without the generated files names all of them and writes none."""
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'tools')!r}); import generate_messages as tool;"
        f"from pathlib import Path; tool.MODELS = Path({str(tmp_path / 'models')!r});"
        f"tool.STRATEGIES = Path({str(tmp_path / 'shapes')!r}); tool.formatted = lambda path, text: text;"
        f"tool.ROOT = Path({str(tmp_path)!r}); sys.argv = ['generate', '--check']; sys.exit(tool.main())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "models/v16/core.py differs" in done.stdout
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("wire", "attribute"),
    [
        ("customData", "custom_data"),
        ("ocppCsmsUrl", "ocpp_csms_url"),
        ("evseId", "evse_id"),
        ("evMaxV2XEnergyRequest", "ev_max_v2x_energy_request"),
        ("prioritizedEMAIDs", "prioritized_emaids"),
        ("setpointReactive_L3", "setpoint_reactive_l3"),
        ("t", "t"),
    ],
)
def test_attribute_names(tool: Callable[[str], Any], wire: str, attribute: str) -> None:
    assert tool("names").attribute_name(wire) == attribute


@pytest.mark.parametrize("wire", ["newVATField", "x1", "Upper", "with_underscore", "dash-ed"])
def test_an_unusual_wire_name_needs_a_review(tool: Callable[[str], Any], wire: str) -> None:
    with pytest.raises(KeyError):
        tool("names").attribute_name(wire)


@pytest.mark.parametrize(
    ("value", "member"),
    [
        ("SuspendedEVSE", "SUSPENDED_EVSE"),
        ("Energy.Active.Import.Register", "ENERGY_ACTIVE_IMPORT_REGISTER"),
        ("L1-N", "L1_N"),
        ("s309-1P-16A", "S309_1P_16A"),
        ("cCCS1", "C_CCS1"),
        ("V2G20Certificate", "V2G20_CERTIFICATE"),
        ("SoCLimitReached", "SOC_LIMIT_REACHED"),
        ("AC_BPT_DER", "AC_BPT_DER"),
        ("OCPP201", "OCPP201"),
        ("kWh", "KWH"),
        ("IdleTIme", "IDLE_TIME"),
    ],
)
def test_member_names(tool: Callable[[str], Any], value: str, member: str) -> None:
    assert tool("names").member_name(value) == member


def test_the_reviewed_tables_hold_nothing_that_the_schemas_lack(tool: Callable[[str], Any]) -> None:
    schemas, names, units = tool("schemas"), tool("names"), tool("units")
    wires, values, numbers, places_16 = set(), set(), set(), set()
    for version in map(schemas.load, schemas.VERSIONS):
        values |= {value for known in version.types.values() for value in getattr(known, "values", ())}
        bodies = [message.body for message in version.messages]
        bodies += [known for known in version.types.values() if isinstance(known, schemas.Composite)]
        members = {(body.name, member.wire, member.type) for body in bodies for member in body.members}
        wires |= {wire for _, wire, _ in members}
        for owner, wire, kind in members:
            if isinstance(kind, schemas.Integer | schemas.Number):
                numbers |= {wire, f"{owner}.{wire}"}
            if version.name == "v16":
                places_16.add(f"{owner}.{wire}")
    assert names._REVIEWED.keys() <= wires
    assert names._MEMBERS.keys() <= values
    assert units._UNITS.keys() <= numbers
    assert names.INLINE_16.keys() <= places_16


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"type": "string", "pattern": "x"}, "keywords the tool does not know"),
        ({"type": "number", "multipleOf": 0.5}, "multipleOf"),
        ({"type": "integer", "minimum": 0.5}, "no whole number"),
        ({"type": ["string", "null"]}, "list"),
    ],
)
def test_what_the_tool_does_not_understand_stops_it(
    tool: Callable[[str], Any], node: dict[str, Any], message: str
) -> None:
    schemas = tool("schemas")
    reader = schemas._Reader(schemas.Version("v201"), {})
    with pytest.raises((SystemExit, TypeError), match=message):
        reader.composite({"properties": {"member": node}}, "Owner")


def test_one_name_for_two_types_stops_the_tool(tool: Callable[[str], Any]) -> None:
    schemas = tool("schemas")
    document = {"definitions": {"XEnumType": {"type": "string", "enum": ["a"]}}}
    reference = {"properties": {"x": {"$ref": "#/definitions/XEnumType"}}}
    version = schemas.Version("v201")
    schemas._Reader(version, document).composite(reference, "One")
    schemas._Reader(version, document).composite(reference, "Other")
    document["definitions"]["XEnumType"]["enum"] = ["b"]
    with pytest.raises(SystemExit, match="two types of one name"):
        schemas._Reader(version, document).composite(reference, "Third")
