"""What every test with a TPM starts from; where there can be none, it skips and says how to get one.

``tpm`` and ``openssl`` are the modules under test, to be used from here: without tpm2-pytss there are none.
"""

import shutil
import ssl
from pathlib import Path

import pytest

from tests.security.tpm.swtpm import SoftwareTpm

REASON = "needs swtpm and tpm2-pytss: run tools/tpm_packages.sh"

tpm = pytest.importorskip("ocpp_security.tpm", reason=REASON, exc_type=ImportError)
openssl = pytest.importorskip("ocpp_security.tpm.openssl", reason=REASON, exc_type=ImportError)
if shutil.which("swtpm") is None:
    pytest.skip(REASON, allow_module_level=True)

AUTH = b"authorise"

__all__ = ["AUTH", "REASON", "SoftwareTpm", "loaded_objects", "loaded_sessions", "openssl", "tpm"]


def loaded_objects(connection: object) -> int:
    """How many transient objects the TPM itself says it holds."""
    from tpm2_pytss import TPM2_HR

    return _count(connection, TPM2_HR.TRANSIENT)


def loaded_sessions(connection: object) -> int:
    """How many sessions the TPM itself says are open."""
    from tpm2_pytss import TPM2_HR

    return _count(connection, TPM2_HR.HMAC_SESSION)


def _count(connection: object, kind: int) -> int:
    from tpm2_pytss import TPM2_CAP

    def count(esapi: object) -> int:
        _, data = esapi.get_capability(TPM2_CAP.HANDLES, kind, 32)  # type: ignore[attr-defined]
        return int(data.data.handles.count)

    return int(connection.run("counting", count))  # type: ignore[attr-defined]


def station(kit: object, key: object, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A client context with the key and a certificate for it."""
    context = kit.client(version)  # type: ignore[attr-defined]
    key.use_for_tls(context, kit.chain(key))  # type: ignore[attr-defined]
    assert isinstance(context, ssl.SSLContext)
    return context


def write_key(folder: Path, name: str, data: bytes) -> None:
    """Put a file into a store's directory, as provisioning does."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.key").write_bytes(data)
