"""``--security``: whom the station trusts, and how it proves who it is."""

import os.path
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter

from ocpp_adapters.passwords import password_octets
from ocpp_adapters.tls_policy import STANDARD_CIPHERS, Names, SecurityProfile
from ocpp_control.json_files import check_names, read_object, validated
from ocpp_core import ConfigurationError, OcppVersion

_PASSWORDS: Final = {
    "password": OcppVersion.V201,
    "password_file": OcppVersion.V201,
    "authorization_key": OcppVersion.V16,
    "authorization_key_file": OcppVersion.V16,
}
"""The members that hold a password, and which version's spelling it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tpm:
    """The TPM that has the station's key: how to reach it, and a file with the key's authorisation value."""

    tcti: str = "device:/dev/tpmrm0"
    auth_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """What a security file says. Relative paths in it start where the file is.

    Arguments:
        security_profile: 0 to 3; None: the highest that there is what it takes for.
        password, password_file: 2.x's BasicAuthPassword, or a file with it.
        authorization_key, authorization_key_file: 1.6's AuthorizationKey, hexadecimal, or a file with it.
        directory: libocpp's layout (:class:`~ocpp_security.trust.layout.Layout`): roots, own chains and keys,
            revocation lists.
        trust, system_trust: PEM files with trust anchors, and whether the operating system's count, too;
            they do where no other is named.
        chain, key, key_password_file: the station's certificate with its sub-CAs, and its key.
        tpm: where the key is if its file is a TPM's.
        ocsp: ask whether the CSMS's certificate is revoked, while connected.
        crls, crl_chain, names, server_name, ciphers, resumption, keylog: as
            :class:`~ocpp_adapters.tls_policy.StationTls` has them.
    """

    security_profile: SecurityProfile | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    authorization_key: str | None = field(default=None, repr=False)
    authorization_key_file: Path | None = None
    directory: Path | None = None
    trust: tuple[Path, ...] = ()
    system_trust: bool | None = None
    chain: Path | None = None
    key: Path | None = None
    key_password_file: Path | None = None
    tpm: Tpm | None = None
    ocsp: bool = False
    crls: tuple[Path, ...] = ()
    crl_chain: bool = False
    names: Names = Names.EXACT
    server_name: str | None = None
    ciphers: tuple[str, ...] = STANDARD_CIPHERS
    resumption: bool = True
    keylog: Path | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without a file."""
        if sum(getattr(self, name) is not None for name in _PASSWORDS) > 1:
            raise ConfigurationError(f"{', '.join(_PASSWORDS)}: one of them only")
        if self.directory is not None and (self.chain or self.key):
            raise ConfigurationError("chain, key: the directory has them")
        if (self.chain is None) != (self.key is None):
            raise ConfigurationError("chain, key: one is of no use without the other")
        if self.chain is None and self.directory is None:
            for name in ("key_password_file", "tpm"):
                if getattr(self, name) is not None:
                    raise ConfigurationError(f"{name}: there is no key that it could be for")

    @property
    def has_password(self) -> bool:
        """Whether there is one, in whatever form."""
        return any(getattr(self, name) is not None for name in _PASSWORDS)

    def octets(self) -> bytes | None:
        """The password as it travels. Raises :class:`ConfigurationError`, which names the member."""
        for name, version in _PASSWORDS.items():
            value = getattr(self, name)
            if value is not None:
                try:
                    return password_octets(_text(value) if isinstance(value, Path) else value, version)
                except (OSError, ValueError) as error:
                    raise ConfigurationError(f"{name}: {error}") from None
        return None


_SECURITY: TypeAdapter[Security] = TypeAdapter(Security)
_Settings = TypeVar("_Settings", Security, Tpm)


def load_security(path: Path | None) -> Security:
    """What ``--security`` names: a JSON file with the fields of :class:`Security`, or a ``directory``.

    Raises :class:`ConfigurationError`, naming the member that is wrong or the file that is missing.
    """
    if path is None:
        return Security()
    if path.is_dir():
        return Security(directory=path)
    return security_of(read_object(path), path.parent, f"{path}: ")


def security_of(values: Any, base: Path, where: str) -> Security:
    """The settings in a JSON object; relative paths start at ``base``. Raises :class:`ConfigurationError`."""
    check_names(values, Security, where)
    if values.get("tpm") is not None:
        check_names(values["tpm"], Tpm, f"{where}tpm.")
    security = _located(validated(_SECURITY, values, where), base, where)
    if security.tpm is not None:
        security = replace(security, tpm=_located(security.tpm, base, f"{where}tpm."))
    try:
        security.octets()
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}{error}") from None
    return security


def _located(settings: _Settings, base: Path, where: str) -> _Settings:
    """The same settings with their paths made absolute; all but the key log must be there."""
    found: dict[str, Any] = {}
    for item in fields(settings):
        value = getattr(settings, item.name)
        paths = value if isinstance(value, tuple) else (value,)
        if not paths or not all(isinstance(path, Path) for path in paths):
            continue
        paths = tuple(base / path for path in paths)
        for path in paths:
            if item.name != "keylog" and not os.path.exists(path):
                raise ConfigurationError(f"{where}{item.name}: there is no {path}")
        found[item.name] = paths if isinstance(value, tuple) else paths[0]
    return replace(settings, **found)


def _text(path: Path) -> str:
    return path.read_text().removesuffix("\n").removesuffix("\r")
