"""What an installation without extras can do."""

import subprocess
import sys

CHECK = """
import sys
sys.modules["anyio"] = None
import ocpp_adapters.asyncio_server, ocpp_adapters.central, ocpp_adapters.rpc_link, ocpp_adapters.sqlite_store
import ocpp_adapters.replay
"""


def test_the_asyncio_server_needs_no_anyio() -> None:
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
