"""What docs/tls.md tells to type works as it stands (but for the port)."""

import ast
import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ocpp_adapters.binding import Binding
from ocpp_core.domain.status import StationInfo
from ocpp_core.station import Station, StationConfig
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig
from tests.adapters.charger import Charger
from tests.apps.line_process import running
from tests.apps.secure_rig import connected, url_of

TEXT = (Path(__file__).parents[2] / "docs" / "tls.md").read_text(encoding="utf-8")
MAKE, RUN = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
CENTRAL, STATION, DOCTOR = (shlex.split(line) for line in RUN.splitlines())


def there(arguments: list[str], folder: Path) -> list[str]:
    """The same, with the files in this folder."""
    return [str(folder / it) if re.fullmatch(r"[\w-]+\.(pem|key|json|db)", it) else it for it in arguments]


def run(block: str, names: dict[str, Any]) -> None:
    """A block that awaits outside of functions."""
    code = compile(block.replace("9443", "0"), "docs/tls.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    async def main() -> None:
        made = eval(code, names)
        if made is not None:
            await made

    asyncio.run(main())


def test_both_ends_are_set_up_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["bash", "-ec", MAKE], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    monkeypatch.chdir(tmp_path)
    for name in ("csms-root.pem", "station-root.pem"):
        shutil.copy("root.pem", name)
    shutil.copy("station.pem", "station-chain.pem")
    for name in ("ecdsa.pem", "rsa.pem"):
        Path(name).write_text(Path("csms.pem").read_text() + Path("csms.key").read_text())
    station, csms = PYTHON[:2]
    assert "StationTls(" in station
    assert "CsmsTls(" in csms
    route = ClientConfig(url="wss://127.0.0.1:1/CP-7")
    machine = Station(StationConfig(StationInfo("Model", "Vendor"), autoconnect=False), os.urandom, 0.0)
    names = {"station": machine, "route": route, "store": MemoryStore(), "hardware": Charger()}
    run(station, names)
    run(csms, names)
    gate, route_that_asks = (block for block in PYTHON if "OnlineStatus(" in block)
    run(gate, names)
    run(route_that_asks, names | {"binding": Binding(), "proxy": None})


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
