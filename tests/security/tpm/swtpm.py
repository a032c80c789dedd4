"""A TPM in software, started by the test: swtpm on two ports of the loopback, with a state of its own."""

import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

HOST = "127.0.0.1"
_START_LIMIT = 10.0


class SoftwareTpm:
    """A context manager; ``stop`` and ``start`` are a TPM that dies and comes back, its keys with it."""

    def __init__(self, folder: Path | None = None, *, started: bool = True) -> None:
        self._own = folder is None
        self._folder = folder or Path(tempfile.mkdtemp(prefix="swtpm-"))
        self._flags = "not-need-init,startup-clear" if started else "not-need-init"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def tcti(self) -> str:
        return f"swtpm:host={HOST},port={self._port}"

    def __enter__(self) -> "SoftwareTpm":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._own:
            shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, on the ports that it had before if there were any."""
        deadline = time.monotonic() + _START_LIMIT
        before = self._port
        while True:
            self._port = before or _free_pair()
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            while self._process.poll() is None:
                try:
                    socket.create_connection((HOST, self._port + 1), 1.0).close()
                except ConnectionRefusedError:
                    time.sleep(0.005)
                else:
                    return
            assert time.monotonic() < deadline, "swtpm does not start"
            time.sleep(0.05)  # somebody took the ports

    def stop(self) -> None:
        """Kill it, as a bus that breaks would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def reset(self) -> None:
        """Reset it in mid-connection (CMD_INIT on the control channel): what was loaded is gone."""
        with socket.create_connection((HOST, self._port + 1), 5.0) as control:
            control.sendall((2).to_bytes(4, "big") + (0).to_bytes(4, "big"))
            assert control.recv(4) == bytes(4)

    def _command(self) -> list[str]:
        return [
            "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self._folder}",
            "--server", f"type=tcp,port={self._port},bindaddr={HOST}",
            "--ctrl", f"type=tcp,port={self._port + 1},bindaddr={HOST}",
            "--flags", self._flags,
        ]  # fmt: skip


def _free_pair() -> int:
    """A port of which the next one is free, too: the TSS looks for the control channel there.

    Both are below those that systems give out by themselves (from 32768 on), so that nobody gets them by
    chance before the TPM has them, or while it is dead.
    """
    while True:
        port = 20_000 + 2 * secrets.randbelow(6_000)
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind((HOST, port))
                second.bind((HOST, port + 1))
            except OSError:
                continue
            return port
