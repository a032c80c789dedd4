"""What docs/tls.md tells to type works as it stands (but for the port)."""

import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.apps.line_process import running
from tests.apps.secure_rig import connected, url_of

TEXT = (Path(__file__).parents[2] / "docs" / "tls.md").read_text(encoding="utf-8")
MAKE, RUN = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
CENTRAL, STATION, DOCTOR = (shlex.split(line) for line in RUN.splitlines())


def there(arguments: list[str], folder: Path) -> list[str]:
    """The same, with the files in this folder."""
    return [str(folder / it) if re.fullmatch(r"[\w-]+\.(pem|key|json|db)", it) else it for it in arguments]


@pytest.mark.requirement("A00.FR.401", "A00.FR.402", "A00.FR.404")
def test_a_station_with_a_certificate_of_ones_own_making(tmp_path: Path) -> None:
    subprocess.run(["bash", "-ec", MAKE], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert CENTRAL[:2] == ["python", "-m"]
    assert STATION[0] == DOCTOR[0] == "ocpp"
    with ExitStack() as stack:
        arguments = ["0" if it == "9443" else it for it in there(CENTRAL[2:], tmp_path)]
        central = stack.enter_context(running(*arguments))
        url = url_of(central)
        arguments = [url if it.startswith("wss:") else it for it in there(STATION[1:], tmp_path)]
        connected(stack.enter_context(running("ocpp_station", *arguments, "--control", "stdio")))
        arguments = [f"{url}/CP1" if it.startswith("wss:") else it for it in there(DOCTOR[1:], tmp_path)]
        command = [sys.executable, "-m", "ocpp_station", *arguments]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "security profile 3" in said.stdout
