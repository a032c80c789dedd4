#!/usr/bin/env bash
# Builds the wheel, installs it into a clean environment and runs the suite against it, from a copy of the
# tests that stands apart from the source tree: what passes here is what was packaged.
#   tools/test_wheel.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
rm -rf dist .wheel-venv
.venv/bin/python -m pip wheel -q --no-deps --wheel-dir dist .
tools/make_venv.sh "$(tools/find_python.sh)" .wheel-venv
.wheel-venv/bin/python -m pip install -q --upgrade 'pip>=25.1'
extras=apps
pkg-config --exists tss2-esys 2>/dev/null && extras+=,tpm  # what tools/tpm_packages.sh installs
.wheel-venv/bin/python -m pip install -q "$(ls dist/*.whl)[$extras]" --group dev

apart=$(mktemp -d)
trap 'rm -rf "$apart"' EXIT
cp -R pyproject.toml Makefile README.md CHANGELOG.md tests examples tools fuzz docs benchmarks "$apart"/
if [ -d .sslyze-venv ]; then ln -s "$root/.sslyze-venv" "$apart"/; fi
cd "$apart"
"$root/.wheel-venv/bin/python" - "$root" <<'PY'
import sys
import ocpp_core
if ocpp_core.__file__.startswith(sys.argv[1] + "/ocpp_core"):
    sys.exit(f"the source tree is importable: {ocpp_core.__file__}")
PY
"$root/.wheel-venv/bin/python" -m pytest -n "${JOBS:-3}" --dist worksteal "$@"
