"""A TLS context for each attempt to connect, of what the files hold by then."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from ocpp_adapters.tls_policy import Check, SecurityProfile, StationTls
from ocpp_control import needing
from ocpp_control.watched import Stamp
from ocpp_core import ConfigurationError
from ocpp_core.errors import OcppError

from .material import Find, Material
from .security import Security


class Contexts:
    """Makes contexts for a :class:`~ocpp_adapters.routes.Route`.

    As long as nothing has changed on the disk it is the same one, so that sessions can be resumed.

    Arguments:
        security: what the operator has configured.
        own: whether the station has to show a certificate of its own (security profile 3).
        turn: which of its certificates, if it has several; 0 is the newest.
        check: a further look at the CSMS's certificate.

    Raises:
        ConfigurationError: an extra of this distribution is missing, or the keys cannot be listed.
    """

    def __init__(self, security: Security, *, own: bool, turn: int = 0, check: Check | None = None) -> None:
        self._security = security
        self._check = check
        self._own = own
        with _told_as_configuration():
            self._find = _finder(security, own, turn)
        self._made: tuple[Stamp, ssl.SSLContext] | None = None

    def __call__(self) -> ssl.SSLContext:
        """The context for one attempt. Raises OcppError, OSError: a file or a key cannot be used."""
        material = self._find()
        stamp = material.stamp()
        if self._made is None or self._made[0] != stamp:
            self._made = stamp, self._policy(material).context()
        return self._made[1]

    def _policy(self, material: Material) -> StationTls:
        security = self._security
        return StationTls(
            profile=SecurityProfile.TLS_CERTIFICATE if self._own else SecurityProfile.TLS_BASIC,
            trust=material.trust,
            system_trust=not material.trust if security.system_trust is None else security.system_trust,
            credential=material.credential,
            crls=material.crls,
            crl_chain=security.crl_chain,
            names=security.names,
            server_name=security.server_name,
            ciphers=security.ciphers,
            check=self._check,
            keylog=security.keylog,
            resumption=security.resumption,
        )


@contextmanager
def _told_as_configuration() -> Iterator[None]:
    try:
        with needing("security"):
            yield
    except (OSError, OcppError) as error:
        raise ConfigurationError(str(error)) from error


def has_certificate(security: Security) -> bool:
    """Whether the station has a certificate of its own. Raises ConfigurationError, as :class:`Contexts`."""
    if security.directory is None:
        return security.chain is not None
    with _told_as_configuration():
        from .certificates import Directory

        return Directory(security, security.directory, 0).served()


def _finder(security: Security, own: bool, turn: int) -> Find:
    if security.directory is None and not own:
        return lambda: Material(security.trust, security.crls)
    from .certificates import finder  # only now: it needs more than the rest

    return finder(security, own, turn)
