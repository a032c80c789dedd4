#!/usr/bin/env bash
# Installs sslyze, a scanner for TLS servers, into an environment of its own: it wants other versions of our
# dependencies. Without it one test skips, naming this script; no error here, unless OCPP_NO_SKIPS=1.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .sslyze-venv/bin/sslyze ] && exit 0
if tools/make_venv.sh "$(tools/find_python.sh)" .sslyze-venv &&
    .sslyze-venv/bin/pip install --quiet "sslyze>=6.1" </dev/null; then
    exit 0
fi
echo "sslyze cannot be installed: the test with it will skip" >&2
exit "${OCPP_NO_SKIPS:-0}"
