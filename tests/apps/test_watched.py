"""Files that are replaced while a program runs: what they say counts at once, and what is broken does not."""

import os
from pathlib import Path

import pytest

from ocpp_central.access import access
from ocpp_control.watched import Watched
from ocpp_core import ConfigurationError
from tests.apps.test_central_access import TLS, WORD, registry


def test_what_has_changed_is_read_again_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    reads = []

    def read() -> str:
        reads.append(file.read_text())
        return reads[-1]

    watched = Watched([file], read)
    assert [watched(), watched(), len(reads)] == ["one", "one", 1]
    (tmp_path / "new").write_text("two")
    (tmp_path / "new").replace(file)
    assert [watched(), watched(), len(reads)] == ["two", "two", 2]
    os.utime(file, ns=(1, 1))
    assert [watched(), len(reads)] == ["two", 3]


def test_what_cannot_be_read_leaves_what_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = registry(tmp_path, {"CP1": {"password": WORD}})
    stations = access(TLS, path, [tmp_path / "own.pem"], [], []).stations
    assert stations is not None
    for broken in ("{", "[]", None):
        path.unlink() if broken is None else path.write_text(broken)
        for _ in range(3):
            assert list(stations()) == ["CP1"]
    assert [str(path) in record.getMessage() for record in caplog.records] == [True] * 3
    registry(tmp_path, {"CP2": {"password": WORD}})
    assert list(stations()) == ["CP2"]
    with pytest.raises(ConfigurationError):
        access(TLS, tmp_path / "nowhere", [tmp_path / "own.pem"], [], [])
