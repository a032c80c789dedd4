"""Runs every fuzz target for a bounded time: ``python tools/fuzz.py --seconds 60 [NAME...]``.

A target is ``fuzz/fuzz_<name>.py``; its seed corpus is ``fuzz/corpus/<name>/``. A target for several
variants (one per OCPP version) has a corpus ``fuzz/corpus/<name>_<variant>/`` for each and takes the
variant as its first argument. Inputs that broke an invariant are left in ``fuzz/findings/<name>/``; what the
fuzzer learns on the way is not kept, so that every run begins with the committed corpus.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUZZ = ROOT / "fuzz"


def targets() -> dict[str, list[str]]:
    """Name of every run -> its command line up to the corpus."""
    found: dict[str, list[str]] = {}
    for script in sorted(FUZZ.glob("fuzz_*.py")):
        name = script.stem.removeprefix("fuzz_")
        command = [sys.executable, str(script)]
        if (FUZZ / "corpus" / name).is_dir():
            found[name] = command
            continue
        variants = sorted((FUZZ / "corpus").glob(f"{name}_*"))
        if not variants:
            raise SystemExit(f"{script.name} has nothing to begin with: fuzz/corpus/{name}/ is missing")
        for corpus in variants:
            found[corpus.name] = [*command, corpus.name.removeprefix(f"{name}_")]
    return found


def run(name: str, command: list[str], seconds: int, seed: int) -> bool:
    """Whether the target lived through its time; a seed of 0 is another one every time."""
    findings = FUZZ / "findings" / name
    findings.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as learned:
        arguments = [
            learned,  # the first corpus folder is the one libFuzzer writes to
            str(FUZZ / "corpus" / name),
            f"-max_total_time={seconds}",
            f"-seed={seed}",
            f"-artifact_prefix={findings}/",
            "-timeout=20",
            "-rss_limit_mb=2048",
            "-verbosity=0",
            "-print_final_stats=1",
        ]
        done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    executed = next((line.split()[-1] for line in output.splitlines() if "executed_units" in line), "no")
    print(f"{name}: {'fine' if done.returncode == 0 else 'BROKEN'}, {executed} inputs", flush=True)
    if done.returncode:
        print(output[-4000:])
    return done.returncode == 0


def main() -> int:
    """Run the targets one after the other; fail if any did or if there are none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="time for each target")
    parser.add_argument("--seed", type=int, default=0, help="begin the same way every time")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these targets")
    arguments = parser.parse_args()
    chosen = {n: c for n, c in targets().items() if not arguments.names or n in arguments.names}
    if not chosen:
        print("no such fuzz target; there are:", ", ".join(targets()) or "none")
        return 2
    results = [run(name, command, arguments.seconds, arguments.seed) for name, command in chosen.items()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
