#!/usr/bin/env bash
# tools/make_venv.sh PYTHON DIR: a virtual environment with pip, also where ensurepip is missing.
#
# Debian and Ubuntu split ensurepip off into python3-venv. There the environment is made without pip and
# the interpreter's own pip (>= 22.3) installs pip into it; as root the package is the last resort.
set -euo pipefail
python=$1 dir=$2

with_ensurepip() { "$python" -m venv --clear "$dir" >/dev/null 2>&1; }
with_own_pip() {
    "$python" -m venv --clear --without-pip "$dir" &&
        "$python" -m pip --python "$dir/bin/python" install -q 'pip>=25.1'
}

with_ensurepip || with_own_pip || {
    tools/system_package.sh python3-venv && with_ensurepip
} || {
    echo "cannot make a virtual environment with $python; on Debian: apt-get install python3-venv" >&2
    exit 1
}
