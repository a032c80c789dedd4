#!/usr/bin/env bash
# Prints the first interpreter of at least Python 3.11; $PYTHON, where set, is the only candidate.
set -euo pipefail
for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14 python}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        command -v "$candidate"
        exit 0
    fi
done
echo "Python 3.11 or later is needed; name it with PYTHON=/path/to/python3.11" >&2
exit 1
