#!/usr/bin/env bash
# Installs what the tests with a TPM need: swtpm (a TPM in software), the TSS and its Python binding, and the
# OpenSSL provider with its resource manager.
#
# Without them those tests skip, naming this script; so a machine without them is no error here, unless
# OCPP_NO_SKIPS=1.
set -euo pipefail
cd "$(dirname "$0")/.."

{ command -v swtpm && command -v tpm2-abrmd && pkg-config --exists tss2-esys; } >/dev/null 2>&1 ||
    tools/system_package.sh swtpm libtss2-dev libtss2-tcti-swtpm0 gcc pkg-config \
        tpm2-openssl tpm2-abrmd libtss2-tcti-tabrmd0 dbus-daemon || exit "${OCPP_NO_SKIPS:-0}"
.venv/bin/python -c 'import tpm2_pytss' 2>/dev/null && exit 0
.venv/bin/python -m pip install -q --disable-pip-version-check -e '.[tpm]' || {
    echo "tpm2-pytss was not installed: tests with a TPM will skip" >&2
    exit "${OCPP_NO_SKIPS:-0}"
}
