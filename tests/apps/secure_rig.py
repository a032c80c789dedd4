"""A central system with TLS and a registry, and stations that come with security settings."""

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.adapters.tls import pki
from tests.adapters.tls.pki import OPERATOR, Authority
from tests.apps.line_process import LineProcess, Message, running

SERIAL = "SN-0001"
PASSWORD = "0123456789abcdef"
QUICK = {"backoff": {"minimum": 0.2, "random_range": 0.0, "repeats": 0}, "info": {"serial_number": SERIAL}}


def write(path: Path, value: object) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


@dataclass
class Rig:
    """Processes that end with the stack, and what they need on the disk."""

    stack: ExitStack
    folder: Path
    root: Authority = field(init=False)

    def __post_init__(self) -> None:
        self.root = pki.root(self.folder)

    def central(
        self, *options: object, stations: dict[str, Any], name: str = "central", port: object = 0
    ) -> LineProcess:
        """A central system, at any free port, which lets in these stations only."""
        registry = write(self.folder / f"{name}.json", stations)
        fixed = ("--port", port, "--store", self.folder / name, "--stations", registry)
        return self.stack.enter_context(running("ocpp_central", *map(str, (*fixed, *options))))

    def secured(self, *options: object, name: str = "central", **station: object) -> LineProcess:
        """A central system with an RSA and an ECDSA certificate, which knows the station CP1."""
        pairs: list[object] = []
        for kind in ("ec", "rsa"):
            leaf = self.root.leaf("localhost", kind=kind)
            pairs += ["--tls-cert", leaf.chain, "--tls-key", leaf.key_file]
        return self.central(*pairs, *options, stations={"CP1": station}, name=name)

    def certified(self, *options: object) -> LineProcess:
        """A central system that wants to see the certificate of CP1."""
        known = {"serial_number": SERIAL, "organizations": [OPERATOR]}
        return self.secured("--client-ca", self.root.file, *options, **known)

    def station(
        self, url: str | None, security: object = None, *options: object, config: object = None
    ) -> LineProcess:
        """The station CP1; ``security`` is a path, or what the file says."""
        more: list[object] = ["--config", write(self.folder / "config.json", {**QUICK, **(config or {})})]
        if url is not None:
            more += ["--url", url]
        if security is not None:
            path = security if isinstance(security, Path) else self.settings(security)
            more += ["--security", path]
        command = ("station", "--id", "CP1", "--version", "2.0.1", "--control", "stdio", *more, *options)
        return self.stack.enter_context(running("ocpp_station", *map(str, command)))

    def settings(self, security: object) -> Path:
        """A security file."""
        return write(self.folder / "security.json", security)


def url_of(central: LineProcess, scheme: str = "wss") -> str:
    port = next((it["port"] for it in central.seen if it.get("event") == "listening"), None)
    port = central.event("listening")["port"] if port is None else port
    return f"{scheme}://localhost:{port}/ocpp"


def disconnected(station: LineProcess, words: str) -> Message:
    """The next time that the link is gone is for this reason, and the station is still there."""
    event = station.event("connection", state="disconnected")
    assert words in event["reason"], event
    assert station.do("state")["power"]
    return event


def connected(station: LineProcess, **members: Any) -> Message:
    """It is connected, and the central system takes it in."""
    event = station.event("connection", state="connected", **members)
    station.event("notice", kind="registration", status="Accepted")
    return event
