"""Who may connect: the one security profile of the port (A00.FR.006), and the registry of stations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from pydantic import TypeAdapter

from ocpp_adapters.passwords import password_octets
from ocpp_adapters.tls_admission import StationRecord
from ocpp_adapters.tls_peer import Revoked
from ocpp_adapters.tls_policy import CsmsTls, SecurityProfile, files
from ocpp_control.json_files import check_names, read_object, validated
from ocpp_control.watched import Watched
from ocpp_core import ConfigurationError, OcppVersion


@dataclass(frozen=True, slots=True)
class Access:
    """How stations have to connect; ``stations`` None: any station may.

    ``stations`` returns the registry as it is now; ``revoked`` asks about their certificates.
    """

    tls: CsmsTls | None = None
    stations: Callable[[], Mapping[str, StationRecord]] | None = None
    revoked: Revoked | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A station in the registry's file; ``security_profile`` None: the port's."""

    security_profile: SecurityProfile | None = None
    password: str | None = None
    authorization_key: str | None = None
    serial_number: str | None = None
    organizations: tuple[str, ...] = ()


_ENTRY: TypeAdapter[_Entry] = TypeAdapter(_Entry)


def access(
    profile: SecurityProfile | None,
    stations: Path | None,
    certificates: Sequence[Path],
    keys: Sequence[Path],
    client_trust: Sequence[Path],
    revoked: Revoked | None = None,
) -> Access:
    """What the command line says of it; raises :class:`ConfigurationError` where that does not fit together.

    Arguments:
        profile: None: the one that the other arguments make.
        stations: the registry's file, see :func:`load_stations`.
        certificates: the central system's own chains, one RSA and one ECDSA at best.
        keys: their keys, in the same order; none: they are in the same files.
        client_trust: whom the stations' certificates must come from.
        revoked: asks about each certificate.
    """
    profile = _profile(bool(certificates), bool(client_trust)) if profile is None else profile
    if revoked is not None and profile is not SecurityProfile.TLS_CERTIFICATE:
        raise ConfigurationError(f"security profile {profile} has no certificates for --crl and --ocsp")
    if profile is SecurityProfile.NONE and stations is None and not certificates:
        return Access()
    for given, option, wanted in (
        (bool(certificates), "--tls-cert", profile.secure),
        (bool(client_trust), "--client-ca", profile is SecurityProfile.TLS_CERTIFICATE),
    ):
        if given is not wanted:
            raise ConfigurationError(f"security profile {profile} {'needs' if wanted else 'has no'} {option}")
    if stations is None:
        raise ConfigurationError(f"security profile {profile} needs --stations")
    if keys and len(keys) != len(certificates):
        raise ConfigurationError("--tls-key: one for each --tls-cert, or none")
    registry = Watched([stations], lambda: load_stations(stations, profile))
    if not certificates:
        return Access(stations=registry)
    credentials = tuple(files(chain, key) for chain, key in zip_longest(certificates, keys))
    tls = CsmsTls(profile=profile, credentials=credentials, trust=tuple(client_trust))
    return Access(tls, registry, revoked)


def _profile(tls: bool, client_trust: bool) -> SecurityProfile:
    if client_trust:
        return SecurityProfile.TLS_CERTIFICATE
    return SecurityProfile.TLS_BASIC if tls else SecurityProfile.NONE


def load_stations(path: Path, profile: SecurityProfile) -> dict[str, StationRecord]:
    """A registry: a JSON object with an object for each identity.

    Its members: ``password`` (2.x) or ``authorization_key`` (1.6, hexadecimal) with profiles 1 and 2,
    ``serial_number`` and ``organizations`` with profile 3, and ``security_profile`` if it is not that of the
    port. Raises :class:`ConfigurationError`.
    """
    records = {}
    for identity, values in read_object(path).items():
        where = f"{path}: {identity}"
        check_names(values, _Entry, f"{where}.")
        entry = validated(_ENTRY, values, f"{where}.")
        try:
            records[identity] = _record(entry, profile)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: {error}") from None
    return records


def _record(entry: _Entry, profile: SecurityProfile) -> StationRecord:
    if entry.password is not None and entry.authorization_key is not None:
        raise ConfigurationError("password, authorization_key: one of them only")
    password = None
    if entry.password is not None:
        password = password_octets(entry.password, OcppVersion.V201)
    elif entry.authorization_key is not None:
        password = password_octets(entry.authorization_key, OcppVersion.V16)
    return StationRecord(
        profile=profile if entry.security_profile is None else entry.security_profile,
        password=password,
        hex_password=entry.authorization_key is not None,
        serial_number=entry.serial_number,
        organizations=frozenset(entry.organizations),
    )
