"""The generated files are what the generator writes, and the generator stops at what it does not know."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "generate_messages.py"

pytestmark = pytest.mark.skipif(not TOOL.exists(), reason="the tool is not part of the built wheel")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    from generate import names

    return names


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
def test_attribute_names(names: object, wire: str, attribute: str) -> None:
    assert names.attribute_name(wire) == attribute  # type: ignore[attr-defined]


@pytest.mark.parametrize("wire", ["newVATField", "x1", "Upper", "with_underscore", "dash-ed"])
def test_an_unusual_wire_name_needs_a_review(names: object, wire: str) -> None:
    with pytest.raises(KeyError):
        names.attribute_name(wire)  # type: ignore[attr-defined]


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
def test_member_names(names: object, value: str, member: str) -> None:
    assert names.member_name(value) == member  # type: ignore[attr-defined]
