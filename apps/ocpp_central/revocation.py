"""Which stations' certificates are revoked: by lists in files, by asking. Needs the extra ``security``."""

from collections.abc import Sequence
from pathlib import Path

from ocpp_adapters.anyio_web import AnyioFetch
from ocpp_adapters.tls_peer import Revoked
from ocpp_control.watched import Watched
from ocpp_core import ConfigurationError
from ocpp_security.errors import CertificateError
from ocpp_security.inquiry import StatusPolicy, WhenUnknown
from ocpp_security.online import OnlineStatus
from ocpp_security.pki.crl import RevocationList, parse_crl


def revocation(lists: Sequence[Path], *, ask: bool, unknown: WhenUnknown) -> Revoked:
    """What asks about a station's certificate.

    Arguments:
        lists: revocation lists, PEM or DER, one in each file; read again when a file changes.
        ask: ask also the responders, and fetch the lists, that certificates name.
        unknown: what follows if nobody can say.

    Raises:
        ConfigurationError: a list cannot be read.
    """
    policy = StatusPolicy(when_unknown=unknown, ocsp=ask, lists=ask)
    watched = Watched(lists, lambda: [_read(path) for path in lists])
    return OnlineStatus(AnyioFetch(), policy, lists=watched).revoked


def _read(path: Path) -> RevocationList:
    try:
        return parse_crl(path.read_bytes())
    except (OSError, CertificateError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
