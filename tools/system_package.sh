#!/usr/bin/env bash
# tools/system_package.sh NAME...: installs system packages where that is ours to do (root and apt-get).
# Elsewhere it says what to run and fails, so that a caller can go on without.
set -euo pipefail
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed: $*; as root: apt-get install $*" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -q --no-install-recommends "$@" </dev/null >/dev/null 2>&1 ||
    { apt-get update -q </dev/null >/dev/null && apt-get install -y -q --no-install-recommends "$@" </dev/null; }
