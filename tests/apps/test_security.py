"""Security files: read strictly, every fault named, and what a context is made of."""

import json
import re
import ssl
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from ocpp_adapters.tls_policy import Names, SecurityProfile
from ocpp_core import ConfigurationError, OcppError
from ocpp_station.certificates import finder
from ocpp_station.contexts import Contexts, has_certificate
from ocpp_station.security import Security, load_security
from tests.adapters.tls import pki
from tests.adapters.tls.pki import DAY, Authority, Leaf

WORD = "0123456789abcdef"
HEX = "00" * 16


def load(folder: Path, value: object) -> Security:
    path = folder / "security.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return load_security(path)


def test_without_a_file_nothing_is_set() -> None:
    security = load_security(None)
    assert security == Security()
    assert (security.octets(), security.security_profile, security.names) == (None, None, Names.EXACT)


def test_a_directory_is_named_or_is_all_there_is(tmp_path: Path) -> None:
    assert load_security(tmp_path) == Security(directory=tmp_path)
    assert load(tmp_path, {"directory": "."}).directory == tmp_path


def test_everything_can_be_set(tmp_path: Path) -> None:
    for name in ("root.pem", "own.pem", "own.key", "word", "list.pem"):
        (tmp_path / name).touch()
    security = load(
        tmp_path,
        {
            "security_profile": 3,
            "password": WORD,
            "trust": ["root.pem", str(tmp_path / "own.pem")],
            "system_trust": True,
            "chain": "own.pem",
            "key": "own.key",
            "key_password_file": "word",
            "tpm": {"tcti": "swtpm:", "auth_file": "word"},
            "crls": ["list.pem"],
            "crl_chain": True,
            "names": "wildcard",
            "server_name": "csms.example.com",
            "ciphers": ["ECDHE-ECDSA-AES128-GCM-SHA256"],
            "resumption": False,
            "keylog": "new.log",
        },
    )
    assert security.security_profile is SecurityProfile.TLS_CERTIFICATE
    assert security.trust == (tmp_path / "root.pem", tmp_path / "own.pem")
    assert (security.chain, security.key) == (tmp_path / "own.pem", tmp_path / "own.key")
    assert security.tpm is not None
    assert (security.tpm.tcti, security.tpm.auth_file) == ("swtpm:", tmp_path / "word")
    assert (security.names, security.keylog) == (Names.WILDCARD, tmp_path / "new.log")
    assert WORD not in repr(security)


@pytest.mark.requirement("2.0.1-A00.FR.205", "2.0.1-A00.FR.304", "1.6-A00.FR.205", "1.6-A00.FR.304")
@pytest.mark.parametrize(
    ("settings", "octets"),
    [
        ({"password": "pässword-pässword"}, "pässword-pässword".encode()),
        ({"password_file": "word"}, WORD.encode()),
        ({"authorization_key": "003A" * 8}, b"\0:" * 8),
        ({"authorization_key_file": "hex"}, bytes(16)),
        ({}, None),
    ],
)
def test_passwords_travel_as_their_version_has_them(
    tmp_path: Path, settings: dict[str, str], octets: bytes | None
) -> None:
    (tmp_path / "word").write_bytes(WORD.encode() + b"\r\n")
    (tmp_path / "hex").write_text(HEX)
    security = load(tmp_path, settings)
    assert (security.octets(), security.has_password) == (octets, octets is not None)


BAD: dict[str, tuple[Any, str]] = {
    "not JSON": ("{", "security.json: Expecting property name"),
    "no object": ("[]", "security.json: one JSON object is expected"),
    "unknown member": (
        {"colour": 1},
        "security.json: colour is no setting; allowed: security_profile, password,",
    ),
    "no profile": ({"security_profile": 4}, "security_profile: Input should be 0, 1, 2 or 3"),
    "profile as text": ({"security_profile": "2"}, "security_profile: Input should be 0, 1, 2 or 3"),
    "password no text": ({"password": 5}, "password: Input should be a valid string"),
    "password too short": ({"password": "short"}, "password: BasicAuthPassword: 16 to 64 characters"),
    "key no digits": (
        {"authorization_key": WORD + "x"},
        "authorization_key: AuthorizationKey: 16 to 20 octets",
    ),
    "two passwords": (
        {"password": WORD, "authorization_key_file": "empty"},
        "password, password_file, authorization_key, authorization_key_file: one of them only",
    ),
    "empty password file": ({"password_file": "empty"}, "password_file: BasicAuthPassword"),
    "binary password file": ({"password_file": "binary"}, "password_file: 'utf-8' codec"),
    "password file is a directory": ({"password_file": "."}, "password_file: [Errno 21] Is a directory"),
    "no password file": ({"password_file": "gone"}, "password_file: there is no "),
    "trust no list": ({"trust": "root.pem"}, "trust: Input should be a valid array"),
    "trust not there": ({"trust": ["empty", "gone.pem"]}, "trust: there is no "),
    "no such directory": ({"directory": "gone"}, "directory: there is no "),
    "no chain there": ({"chain": "gone", "key": "empty"}, "chain: there is no "),
    "no key there": ({"chain": "empty", "key": "gone"}, "key: there is no "),
    "chain without key": ({"chain": "empty"}, "chain, key: one is of no use without the other"),
    "key without chain": ({"key": "empty"}, "chain, key: one is of no use without the other"),
    "chain beside directory": (
        {"directory": ".", "chain": "empty", "key": "empty"},
        "chain, key: the directory has them",
    ),
    "key password without key": (
        {"key_password_file": "empty"},
        "key_password_file: there is no key that it could be for",
    ),
    "TPM without key": ({"tpm": {}}, "tpm: there is no key that it could be for"),
    "TPM no object": ({"tpm": "swtpm"}, "tpm: an object is expected"),
    "TPM unknown member": ({"tpm": {"pin": 1}}, "tpm.pin is no setting; allowed: tcti, auth_file"),
    "TPM tcti no text": ({"directory": ".", "tpm": {"tcti": 1}}, "tpm.tcti: Input should be a valid string"),
    "TPM auth not there": (
        {"directory": ".", "tpm": {"auth_file": "gone"}},
        "tpm.auth_file: there is no ",
    ),
    "no list there": ({"crls": ["gone"]}, "crls: there is no "),
    "names": ({"names": "some"}, "names: Input should be 'exact', 'wildcard' or 'any'"),
    "ciphers": ({"ciphers": [1]}, "ciphers.0: Input should be a valid string"),
    "resumption": ({"resumption": "yes"}, "resumption: Input should be a valid boolean"),
}


@pytest.mark.parametrize(("value", "said"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_named(tmp_path: Path, value: object, said: str) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff" * 20)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, value)
    assert said in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert WORD not in str(caught.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)
MEMBERS = [field.name for field in fields(Security)]


@given(st.dictionaries(st.sampled_from(MEMBERS), VALUES | st.just("security.json"), max_size=4))
def test_whatever_a_file_holds_it_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    folder, refusal = tmp_path_factory.mktemp("any"), None
    try:
        load(folder, values)
    except ConfigurationError as error:
        refusal = str(error)
    assert refusal is None or "security.json: " in refusal


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.json: .*No such file"):
        load_security(tmp_path / "gone.json")


# Contexts


def test_a_context_is_kept_until_a_file_changes(tmp_path: Path) -> None:
    root = pki.root(tmp_path)
    trust = tmp_path / "trust.pem"
    trust.write_bytes(root.file.read_bytes())
    contexts = Contexts(Security(trust=(trust,)), own=False)
    first = contexts()
    assert contexts() is first
    trust.write_bytes(root.file.read_bytes() + pki.root(tmp_path, "Other").file.read_bytes())
    second = contexts()
    assert second is not first
    assert (len(first.get_ca_certs()), len(second.get_ca_certs())) == (1, 2)
    trust.write_text("no certificate")
    with pytest.raises(ConfigurationError, match=r"cannot use .*trust\.pem"):
        contexts()
    trust.unlink()
    with pytest.raises(OSError, match="No such file"):
        contexts()


@pytest.mark.parametrize("system", [None, True, False])
def test_the_system_is_trusted_where_nobody_else_is(tmp_path: Path, system: bool | None) -> None:
    trust = pki.root(tmp_path).file
    anchors = Contexts(Security(trust=(trust,), system_trust=system), own=False)().get_ca_certs()
    assert (len(anchors) > 1) is bool(system)
    if system is False:
        with pytest.raises(ConfigurationError, match="no trust anchor"):
            Contexts(Security(system_trust=False), own=False)()
    else:
        assert Contexts(Security(system_trust=system), own=False)().get_ca_certs()


# Directories


def provision(root: Path, *leaves: Leaf) -> Path:
    """A certificate directory with these of the station's own, named by their numbers."""
    for name in ("client/csms", "ca/csms", "crl"):
        (root / name).mkdir(parents=True)
    for number, leaf in enumerate(leaves):
        (root / f"client/csms/{number}.pem").write_bytes(leaf.chain.read_bytes())
        (root / f"client/csms/{number}.key").write_bytes(leaf.key_file.read_bytes())
    return root


def shown(root: Path, turn: int = 0) -> list[str]:
    """The files of the certificate that is shown when it is this one's turn."""
    return [path.name for path in finder(Security(directory=root), own=True, turn=turn)().own]


@pytest.fixture
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return pki.root(tmp_path_factory.mktemp("pki"))


def test_a_directory_without_a_root_connects_nowhere(tmp_path: Path, issuer: Authority) -> None:
    root = provision(tmp_path)
    with pytest.raises(ConfigurationError, match=r"no root certificate in .*ca/csms"):
        Contexts(Security(directory=root), own=False)()
    Contexts(Security(directory=root, trust=(issuer.file,)), own=False)()


def test_roots_and_lists_of_a_directory(tmp_path: Path, issuer: Authority) -> None:
    root = provision(tmp_path)
    (root / "ca/csms/ROOT.pem").write_bytes(issuer.file.read_bytes())
    (root / "ca/csms/SUB.pem").write_bytes(issuer.authority("Sub").file.read_bytes())
    (root / "crl/list.pem").write_bytes(issuer.crl().read_bytes())
    context = Contexts(Security(directory=root), own=False)()
    (anchor,) = context.get_ca_certs()
    assert anchor["subject"] == ((("commonName", "Root"),), (("organizationName", pki.OPERATOR),))
    assert context.cert_store_stats() == {"x509": 1, "crl": 1, "x509_ca": 1}
    assert context.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF


@pytest.mark.requirement("A02.FR.28")
def test_valid_certificates_with_their_keys_take_turns(tmp_path: Path, issuer: Authority) -> None:
    old, new = issuer.leaf("SN", since=-2 * DAY), issuer.leaf("SN", kind="rsa", since=-DAY / 2)
    past = issuer.leaf("SN", since=-2 * DAY, until=-DAY)
    root = provision(tmp_path, old, past, new)
    (root / "ca/csms/ROOT.pem").write_bytes(issuer.file.read_bytes())
    assert [shown(root, turn)[0] for turn in range(3)] == ["2.pem", "0.pem", "2.pem"]
    (root / "client/csms/2.key").unlink()
    assert shown(root)[0] == "0.pem"


@pytest.mark.requirement("A00.FR.430")
def test_an_expired_certificate_is_shown_if_there_is_no_other(tmp_path: Path, issuer: Authority) -> None:
    root = provision(tmp_path, issuer.leaf("SN", since=-2 * DAY, until=-DAY))
    (root / "ca/csms/ROOT.pem").write_bytes(issuer.file.read_bytes())
    assert shown(root) == ["0.pem", "0.key"]
    assert has_certificate(Security(directory=root))


def test_the_longest_chain_in_pem_is_shown(tmp_path: Path, issuer: Authority) -> None:
    leaf = issuer.authority("Sub").leaf("SN")
    root = provision(tmp_path, leaf)
    (root / "ca/csms/ROOT.pem").write_bytes(issuer.file.read_bytes())
    client = root / "client/csms"
    (client / "0.pem").rename(client / "chain.pem")
    (client / "leaf.pem").write_bytes(leaf.certificate.public_bytes(Encoding.PEM))
    (client / "leaf.der").write_bytes(leaf.certificate.public_bytes(Encoding.DER))
    (client / "sub-ca.key").write_text("another one's")
    assert shown(root) == ["chain.pem", "0.key"]
    (client / "chain.pem").unlink()
    assert shown(root) == ["leaf.pem", "0.key"]
    (client / "leaf.pem").unlink()
    (client / "leaf.der").write_bytes(issuer.leaf("SN").certificate.public_bytes(Encoding.DER))
    with pytest.raises(ConfigurationError, match=r"leaf\.der: TLS needs the chain in PEM"):
        shown(root)


def test_a_directory_without_a_certificate_of_our_own(tmp_path: Path, issuer: Authority) -> None:
    root = tmp_path / "certs"
    (root / "ca/csms").mkdir(parents=True)
    (root / "ca/csms/ROOT.pem").write_bytes(issuer.file.read_bytes())
    assert not has_certificate(Security(directory=root))
    with pytest.raises(ConfigurationError, match=r"no certificate with its key in .*client/csms"):
        shown(root)
    assert not (root / "client").exists()


def test_why_a_key_cannot_be_used_is_told(tmp_path: Path, issuer: Authority) -> None:
    root = provision(tmp_path, issuer.leaf("SN"))
    (root / "ca/csms/ROOT.pem").write_bytes(issuer.file.read_bytes())
    (root / "client/csms/0.key").write_text("damaged")
    with pytest.raises(ConfigurationError, match=r"no certificate with its key.*; 0: .* not a private key"):
        shown(root)
    assert has_certificate(Security(directory=root))  # it is profile 3 that is meant


def test_keys_with_a_password(tmp_path: Path, issuer: Authority) -> None:
    leaf = issuer.leaf("SN")
    locked = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    (tmp_path / "own").write_bytes(locked)
    (tmp_path / "word").touch(0o600)
    (tmp_path / "word").write_text("word")
    settings = {"trust": [str(issuer.file)], "chain": str(leaf.chain), "key": "own"}
    with pytest.raises(OcppError, match="no password for it"):
        Contexts(load(tmp_path, settings), own=True)()
    Contexts(load(tmp_path, settings | {"key_password_file": "word"}), own=True)()
    (tmp_path / "word").chmod(0o644)
    with pytest.raises(OcppError, match="chmod 600"):
        Contexts(load(tmp_path, settings | {"key_password_file": "word"}), own=True)()


# Extras

MISSING = """
import json, sys
sys.modules[sys.argv[1]] = None  # as if it were not installed
from ocpp_station.cli import main
for path in sys.argv[2:]:
    where = ["--url", "wss://127.0.0.1:9/", "--id", "X", "--control", "stdio"]
    print("status", main(["station", *where, "--security", path]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("module", "said", "cases"),
    [
        (
            "cryptography",
            "pip install 'ocpp-core[security]'",
            [({"directory": "."}, 1), ({"chain": "key", "key": "key"}, 1), ({"password": WORD}, 0)],
        ),
        (
            "tpm2_pytss",
            "pip install 'ocpp-core[tpm]'",
            [
                ({"chain": "key", "key": "key", "tpm": {}}, 1),
                ({"chain": "key", "key": "tpm.key"}, 1),
                ({"chain": "key", "key": "key"}, 0),
            ],
        ),
    ],
)
def test_an_extra_that_is_missing_is_named(
    tmp_path: Path, module: str, said: str, cases: list[tuple[dict[str, Any], int]]
) -> None:
    (tmp_path / "key").touch()
    (tmp_path / "tpm.key").write_text("handle:0x81000001\n")
    paths = [tmp_path / f"security{number}.json" for number in range(len(cases))]
    for path, (settings, _) in zip(paths, cases, strict=True):
        path.write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-c", MISSING, module, *map(str, paths)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    words, statuses = (re.split(r"^status (\d)$", done.stderr, flags=re.MULTILINE)[it::2] for it in (0, 1))
    assert [(said in text, int(status)) for text, status in zip(words, statuses, strict=False)] == [
        (status == 1, status) for _, status in cases
    ]
