"""Run by ``test_purity.py`` in a process of its own.

``drive.py scenario NAME`` runs a scenario twice: once to load and build what is loaded and built at first
use, then under the guard. ``drive.py deed NAME`` runs one impure deed under the guard. The result is one line
of JSON: the findings, and the digest of everything the scenario's machines said, in both runs.
"""

import hashlib
import json
import sys
from functools import partial

from tests.purity.guard import Guard
from tests.purity.impure import DEEDS


def main(kind: str, name: str) -> None:
    """Run and report."""
    transcripts: list[list[object]] = [[], []]
    if kind == "deed":
        program = DEEDS[name]
    else:
        from tests.purity.scenarios import SCENARIOS  # a deed needs nothing of the core

        SCENARIOS[name](transcripts[0])
        program = partial(SCENARIOS[name], transcripts[1])
    guard = Guard()
    guard.run(program)
    digests = [hashlib.sha256(repr(said).encode()).hexdigest() for said in transcripts]
    print(json.dumps({"findings": guard.findings, "digests": digests, "said": len(transcripts[1])}))


if __name__ == "__main__":
    main(*sys.argv[1:])
