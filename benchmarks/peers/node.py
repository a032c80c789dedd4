"""How to run a peer written for Node with the packages of the interoperability tests."""

import os
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
MODULES = ROOT / "tests" / "interop" / "node" / "node_modules"


def command(script: str, *arguments: str) -> list[str]:
    """The command line of a script of this folder."""
    if not MODULES.is_dir():
        raise SystemExit("ocpp-rpc is not installed: run tools/node_packages.sh")
    return ["node", str(Path(__file__).parent / script), *arguments]


def environment() -> dict[str, str]:
    """The environment in which Node finds them."""
    return {**os.environ, "NODE_PATH": str(MODULES)}
