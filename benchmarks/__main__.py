"""``python -m benchmarks``: everything, printed and written to docs/benchmarks.md.

``python -m benchmarks wire codec csms`` runs some of it and prints only; ``--write`` has it put in the page,
too, in place of what was there.
"""

import argparse
import os
import platform
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from benchmarks import codec, csms, poll, tls_idle, tls_keys, wire
from benchmarks.report import Table

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
INTRODUCTION = Path(__file__).parent / "introduction.md"
PACKAGES = ("ocpp", "websockets", "wsproto", "h11", "pydantic", "pydantic_core")
SECTIONS: dict[str, Callable[[float, int], list[Table]]] = {
    "wire": lambda seconds, _rounds: wire.run(seconds / 10),
    "codec": lambda seconds, _rounds: codec.run(seconds / 10),
    "csms": csms.run,
    "poll": lambda seconds, _rounds: poll.run(seconds / 2),
    "tls_idle": lambda _seconds, _rounds: tls_idle.run(),
    "tls_keys": lambda seconds, _rounds: tls_keys.run(seconds / 6),
}


def machine() -> str:
    """What it ran on."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in cpus if line.startswith("model name"))
    model = next(models, platform.machine())
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    node = os.popen("node --version").read().strip()
    return (
        f"{len(os.sched_getaffinity(0))} cores of {model}, Python {platform.python_version()}, Node {node}, "
        f"ocpp-rpc 2.2.1, {versions}."
    )


def replaced(page: str, parts: list[str]) -> str:
    """The page with these tables in place of those of the same titles; new ones go behind the others."""
    sections = re.split(r"(?m)^(?=## )", page)
    for part in parts:
        title = part.partition("\n")[0] + "\n"
        places = [place for place, section in enumerate(sections) if section.startswith(title)]
        if places:
            sections[places[0]] = part + "\n"
        else:
            sections.append("\n" + part)
    return "".join(sections).rstrip("\n") + "\n"


def main() -> None:
    """Run, print, and write the page if everything ran or it is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; default: all"
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="for each measurement under load")
    parser.add_argument("--rounds", type=int, default=3, help="measurements under load; the best counts")
    parser.add_argument("--write", action="store_true", help="put the sections that ran into the page")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - SECTIONS.keys():
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    console = Console()
    parts = []
    for name in arguments.sections or SECTIONS:
        for table in SECTIONS[name](arguments.seconds, arguments.rounds):
            parts.append(table.markdown())
            console.print(Markdown(parts[-1]))
    if not arguments.sections:
        introduction = INTRODUCTION.read_text().replace("{machine}", machine())
        PAGE.write_text("\n".join([introduction, *parts]))
    elif arguments.write:
        PAGE.write_text(replaced(PAGE.read_text(), parts))
    if arguments.write or not arguments.sections:
        print(f"written to {PAGE.relative_to(Path.cwd())}", file=sys.stderr)


if __name__ == "__main__":
    main()
