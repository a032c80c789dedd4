"""What an installation without extras can do."""

import subprocess
import sys

CHECK = """
import sys
sys.modules["anyio"] = None
import ocpp_adapters.asyncio_server, ocpp_adapters.central, ocpp_adapters.rpc_link, ocpp_adapters.sqlite_store
import ocpp_adapters.replay, ocpp_adapters.bridge
import ocpp_adapters.threads_server, ocpp_adapters.threads_station, ocpp_adapters.threads_bridge
import ocpp_adapters.poll_server, ocpp_adapters.poll_station, ocpp_adapters.poll_rpc
import ocpp_adapters.threads_web, ocpp_adapters.poll_web
import ocpp_adapters.tls_revocation, ocpp_adapters.tls_admission
"""


def test_asyncio_threads_poll_and_bridge_need_no_anyio() -> None:
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
