"""Who may connect to a CSMS, by security profile: one check in front of an ``admit`` callback.

TLS has verified a path to a trust anchor; whose certificate it is, and whether it belongs to the identity in
the URL, is known only now, from the CSMS's registry (A00.FR.404, A00.FR.405).
"""

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ocpp_core import ConfigurationError, OcppError
from ocpp_core.wire import HandshakeReceived

from .server_driver import ServerDriver
from .sessions import Admit, Decision, Peer, Reject
from .tls_failures import SecurityEvent
from .tls_peer import Revoked, peer_certificate
from .tls_policy import SecurityProfile

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StationRecord:
    """What a CSMS's registry knows of one station.

    Arguments:
        profile: the one security profile that the station uses (A00.FR.001).
        password: with profiles 1 and 2; 2.x: the text in UTF-8, 1.6: the bytes of AuthorizationKey.
        hex_password: accept the hexadecimal text of a 1.6 password, too.
        serial_number: with profile 3, the certificate's common name (A00.FR.405).
        organizations: with profile 3: the operator, and others whom it trusts; the certificate must name one
            of them as its owner (A00.FR.404).
    """

    profile: SecurityProfile
    password: bytes | None = field(default=None, repr=False)
    hex_password: bool = False
    serial_number: str | None = None
    organizations: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Check that the profile can be checked. Raises ConfigurationError."""
        if self.profile.password and not self.password:
            raise ConfigurationError(f"security profile {self.profile} needs a password (A00.FR.207)")
        if self.profile is SecurityProfile.TLS_CERTIFICATE and not (
            self.serial_number and self.organizations
        ):
            raise ConfigurationError("security profile 3 needs serial number and organizations (A00.FR.404)")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A station that was not let in."""

    identity: str
    reject: Reject
    event: SecurityEvent | None
    """For the CSMS's own security log (A00.FR.408)."""


Lookup: TypeAlias = Callable[[str], StationRecord | Awaitable[StationRecord | None] | None]
"""The registry: an identity's record, at once or later; None: unknown."""

_REVOKED: Final = (1008, "certificate revoked")
_BAD_CERTIFICATE: Final = SecurityEvent.INVALID_CHARGING_STATION_CERTIFICATE


def log_refusal(refusal: Refusal) -> None:
    """Write a refusal to the log."""
    _log.warning("%s refused: %s (%s)", refusal.identity, refusal.reject.reason, refusal.event or "no event")


def _log_unknown(identity: str, error: Exception) -> None:
    """Nobody could say, which the words explain; or there is a bug, which needs more."""
    trace = None if isinstance(error, OcppError) else error
    _log.warning("%s: its certificate: %s", identity, error, exc_info=trace)


async def dismiss_revoked(connections: Mapping[str, ServerDriver], revoked: Revoked) -> None:
    """Ask again about everybody who is connected, and close the links of who is revoked by now (1008).

    For now and then: a link may last for months. Where nobody can say it stays open, and the log says so.

    Arguments:
        connections: a server's.
        revoked: as the gate has it.
    """
    for identity, connection in list(connections.items()):
        certificate = peer_certificate(connection.peer().tls)
        if certificate is None:
            continue
        try:
            bad = await revoked(certificate)
        except Exception as error:
            _log_unknown(identity, error)
            continue
        if bad:
            _log.warning("%s dismissed: certificate revoked (%s)", identity, _BAD_CERTIFICATE)
            connection.close(*_REVOKED)


class ProfileGate:
    """An ``admit`` callback that holds every station to its security profile before it asks another.

    Arguments:
        lookup: the registry.
        admit: decides about the stations that have proved who they are.
        revoked: asked about each client certificate, if given (A00.FR.702, A00.FR.705); an exception refuses
            the station with 503.
        report: hears of every refusal.
    """

    def __init__(
        self,
        lookup: Lookup,
        admit: Admit,
        *,
        revoked: Revoked | None = None,
        report: Callable[[Refusal], None] = log_refusal,
    ) -> None:
        self._lookup = lookup
        self._admit = admit
        self._revoked = revoked
        self._report = report

    def __call__(self, handshake: HandshakeReceived, peer: Peer) -> Decision | Awaitable[Decision]:
        """Decide on a handshake."""
        found = self._lookup(handshake.identity)
        if inspect.isawaitable(found):
            return self._decide_later(found, handshake, peer)
        if self._revoked is not None and peer.tls is not None:
            return self._decide_online(found, handshake, peer, self._revoked)
        return self._refuse(found, handshake, peer) or self._admit(handshake, peer)

    async def _decide_later(
        self, found: Awaitable[StationRecord | None], handshake: HandshakeReceived, peer: Peer
    ) -> Decision:
        record = await found
        if self._revoked is not None and peer.tls is not None:
            return await self._decide_online(record, handshake, peer, self._revoked)
        return self._refuse(record, handshake, peer) or await self._ask(handshake, peer)

    async def _decide_online(
        self, record: StationRecord | None, handshake: HandshakeReceived, peer: Peer, revoked: Revoked
    ) -> Decision:
        if refused := self._refuse(record, handshake, peer):
            return refused
        certificate = peer_certificate(peer.tls)
        if certificate is not None:
            try:
                bad = await revoked(certificate)
            except Exception as error:
                _log_unknown(handshake.identity, error)
                return self._rejected(handshake, 503, "certificate status unknown")
            if bad:
                return self._rejected(handshake, 403, "certificate revoked", _BAD_CERTIFICATE)
        return await self._ask(handshake, peer)

    async def _ask(self, handshake: HandshakeReceived, peer: Peer) -> Decision:
        answer = self._admit(handshake, peer)
        return await answer if inspect.isawaitable(answer) else answer

    def _refuse(
        self, record: StationRecord | None, handshake: HandshakeReceived, peer: Peer
    ) -> Reject | None:
        if record is None:
            return self._rejected(handshake, 404, "unknown station")
        certificate = peer_certificate(peer.tls)
        used = (peer.tls is not None, certificate is not None)
        if used != (record.profile.secure, record.profile is SecurityProfile.TLS_CERTIFICATE):
            return self._rejected(handshake, 403, "another security profile")
        if record.profile.password and not self._knows_password(record, handshake):
            return self._rejected(handshake, 401, "wrong user name or password")
        if certificate is not None and certificate.common_name != record.serial_number:
            return self._rejected(handshake, 403, "certificate of another station", _BAD_CERTIFICATE)
        if certificate is not None and not record.organizations.intersection(certificate.organizations):
            return self._rejected(handshake, 403, "certificate of another organization", _BAD_CERTIFICATE)
        return None

    def _knows_password(self, record: StationRecord, handshake: HandshakeReceived) -> bool:
        credentials = handshake.credentials
        return (
            credentials is not None
            and record.password is not None
            and credentials.matches(handshake.identity, record.password, hex_text=record.hex_password)
        )

    def _rejected(
        self, handshake: HandshakeReceived, status: int, reason: str, event: SecurityEvent | None = None
    ) -> Reject:
        reject = Reject(status, reason)
        self._report(Refusal(handshake.identity, reject, event))
        return reject
