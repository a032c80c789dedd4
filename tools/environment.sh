#!/usr/bin/env bash
# Makes the virtual environment .venv and installs this checkout into it, editable.
#
#   tools/environment.sh apps          what the programs need (the demo)
#   tools/environment.sh dev           the above, and all that tests, checks and benchmarks need
#   tools/environment.sh fuzz          the above, and the fuzzer
#
# Needs Python 3.11 or later with pip, and nothing else; PYTHON=... chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:?apps, dev or fuzz}
export PIP_DISABLE_PIP_VERSION_CHECK=1

python=$(tools/find_python.sh)
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    tools/make_venv.sh "$python" .venv
fi
# Dependency groups (PEP 735) need pip 25.1; what an interpreter brings is often older.
if ! .venv/bin/python -m pip install --help | grep -q -- --group; then
    .venv/bin/python -m pip install -q --upgrade 'pip>=25.1'
fi
case $kind in
    apps) .venv/bin/python -m pip install -q -e '.[apps]' ;;
    dev)  .venv/bin/python -m pip install -q -e '.[apps]' --group dev ;;
    fuzz) .venv/bin/python -m pip install -q -e '.[apps]' --group dev --group fuzz ;;
    *)    echo "environment.sh: no environment called '$kind'" >&2; exit 2 ;;
esac
