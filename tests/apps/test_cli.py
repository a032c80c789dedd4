"""The command ``ocpp``, without a process of its own: what it refuses, and with which exit status."""

from pathlib import Path

import pytest

from ocpp_station.cli import main


def test_a_station_needs_a_url(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as status:
        main(["station", "--id", "CP1"])
    assert status.value.code == 2
    assert "--url is needed, unless a configuration has it" in capsys.readouterr().err


def test_a_configuration_without_a_url_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.json"
    path.write_text("{}")
    assert main(["station", "--id", "CP1", "--config", str(path)]) == 1
    assert "url" in capsys.readouterr().err


def test_a_recording_that_is_none_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "record"
    path.write_text("nonsense\n")
    assert main(["replay", str(path)]) == 2
    assert "record is no record" in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "none")]) != 0
    assert "No such file" in capsys.readouterr().err
