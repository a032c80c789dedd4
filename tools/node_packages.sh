#!/usr/bin/env bash
# Installs the peers written for Node (tests/interop/node) as their lock file says.
#
# Without Node the interoperability tests with ocpp-rpc skip, naming this script; so a machine without it is
# no error here, unless OCPP_NO_SKIPS=1.
set -euo pipefail
cd "$(dirname "$0")/../tests/interop/node"
command -v npm >/dev/null || ../../../tools/system_package.sh nodejs npm || exit "${OCPP_NO_SKIPS:-0}"
stamp=node_modules/.installed
[ "$stamp" -nt package-lock.json ] && exit 0
if npm ci --no-audit --no-fund --loglevel=error </dev/null; then
    touch "$stamp"
else
    echo "npm ci failed: tests with ocpp-rpc will skip" >&2
    exit "${OCPP_NO_SKIPS:-0}"
fi
