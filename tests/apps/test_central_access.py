"""Who may connect to the central system: what its command line and its registry may say."""

import json
from pathlib import Path
from typing import Any

import pytest

from ocpp_adapters.tls_admission import StationRecord
from ocpp_adapters.tls_policy import SecurityProfile
from ocpp_central.access import Access, access, load_stations
from ocpp_core import ConfigurationError

WORD = "0123456789abcdef"
NONE, BASIC, TLS, CERTIFICATE = SecurityProfile


def registry(folder: Path, value: object) -> Path:
    path = folder / "stations.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_without_options_any_station_may_connect() -> None:
    assert access(None, None, [], [], []) == Access()
    assert access(NONE, None, [], [], []) == Access()


@pytest.mark.parametrize(
    ("profile", "certificates", "trust", "found"),
    [(None, 0, 0, NONE), (BASIC, 0, 0, BASIC), (None, 2, 0, TLS), (None, 1, 1, CERTIFICATE)],
)
def test_the_options_make_the_profile(
    tmp_path: Path, profile: SecurityProfile | None, certificates: int, trust: int, found: SecurityProfile
) -> None:
    entry = {"password": WORD, "serial_number": "SN", "organizations": ["O"]}
    paths = [tmp_path / "own.pem"] * certificates
    made = access(profile, registry(tmp_path, {"CP1": entry}), paths, [], [tmp_path / "ca.pem"] * trust)
    assert made.stations is not None
    assert made.stations()["CP1"].profile is found
    assert (made.tls is not None) is found.secure
    if made.tls is not None:
        assert made.tls.profile is found
        assert (len(made.tls.credentials), len(made.tls.trust)) == (certificates, trust)


@pytest.mark.parametrize(
    ("profile", "stations", "certificates", "keys", "trust", "said"),
    [
        (BASIC, False, 0, 0, 0, "security profile 1 needs --stations"),
        (None, False, 1, 0, 0, "security profile 2 needs --stations"),
        (TLS, True, 0, 0, 0, "security profile 2 needs --tls-cert"),
        (BASIC, True, 1, 0, 0, "security profile 1 has no --tls-cert"),
        (NONE, False, 1, 0, 0, "security profile 0 has no --tls-cert"),
        (None, True, 0, 0, 1, "security profile 3 needs --tls-cert"),
        (CERTIFICATE, True, 1, 0, 0, "security profile 3 needs --client-ca"),
        (TLS, True, 1, 0, 1, "security profile 2 has no --client-ca"),
        (None, True, 2, 1, 0, "--tls-key: one for each --tls-cert, or none"),
    ],
)
def test_options_that_do_not_go_together(
    tmp_path: Path,
    profile: SecurityProfile | None,
    stations: bool,
    certificates: int,
    keys: int,
    trust: int,
    said: str,
) -> None:
    path = registry(tmp_path, {}) if stations else None
    with pytest.raises(ConfigurationError) as caught:
        access(profile, path, [Path("own")] * certificates, [Path("key")] * keys, [Path("ca")] * trust)
    assert str(caught.value) == said


def test_revocation_is_asked_about_where_there_are_certificates(tmp_path: Path) -> None:
    async def revoked(certificate: object) -> bool:
        return False

    with pytest.raises(
        ConfigurationError, match="security profile 2 has no certificates for --crl and --ocsp"
    ):
        access(TLS, registry(tmp_path, {}), [Path("own")], [], [], revoked)
    made = access(None, registry(tmp_path, {}), [Path("own")], [], [Path("ca")], revoked)
    assert made.revoked is revoked


def test_a_registry_knows_what_a_station_is_to_prove(tmp_path: Path) -> None:
    path = registry(
        tmp_path,
        {
            "CP1": {"password": WORD},
            "CP2": {"authorization_key": "003A" * 8},
            "CP3": {"security_profile": 3, "serial_number": "SN", "organizations": ["O", "P"]},
            "CP4": {"security_profile": 0},
        },
    )
    assert load_stations(path, TLS) == {
        "CP1": StationRecord(profile=TLS, password=WORD.encode()),
        "CP2": StationRecord(profile=TLS, password=b"\0:" * 8, hex_password=True),
        "CP3": StationRecord(profile=CERTIFICATE, serial_number="SN", organizations=frozenset({"O", "P"})),
        "CP4": StationRecord(profile=NONE),
    }


BAD: dict[str, tuple[Any, str]] = {
    "not JSON": ("{", "Expecting property name"),
    "no object": ([], "one JSON object is expected"),
    "no entry": ({"CP1": "password"}, "CP1: an object is expected"),
    "unknown member": (
        {"CP1": {"colour": 1}},
        "CP1.colour is no setting; allowed: security_profile,",
    ),
    "profile": ({"CP1": {"security_profile": 4}}, "CP1.security_profile: Input should be 0, 1, 2 or 3"),
    "two passwords": (
        {"CP1": {"password": WORD, "authorization_key": "00" * 16}},
        "CP1: password, authorization_key: one of them only",
    ),
    "password too short": ({"CP1": {"password": "short"}}, "CP1: BasicAuthPassword: 16 to 64 characters"),
    "no password": ({"CP1": {}}, "CP1: security profile 2 needs a password"),
    "no serial number": ({"CP1": {"security_profile": 3}}, "CP1: security profile 3 needs serial number"),
}


@pytest.mark.parametrize(("value", "said"), BAD.values(), ids=BAD)
def test_what_is_wrong_with_a_registry_is_named(tmp_path: Path, value: object, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_stations(registry(tmp_path, value), TLS)
    assert said in str(caught.value)
    assert WORD not in str(caught.value)
