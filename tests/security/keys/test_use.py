"""What keys in files are for: signing requests, and TLS client authentication."""

import ssl
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ocpp_security.keys import (
    ChainError,
    FileKeyStore,
    KeyAlgorithm,
    KeyMismatchError,
    PrivateKey,
    one_secret,
)
from ocpp_security.keys.store import MAX_CHAIN_SIZE
from tests.security.keys.tls_kit import STATION, VERSIONS, TlsKit, shake

MAX_CSR = 5500
"""Characters that SignCertificate.req has room for."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> FileKeyStore:
    store = FileKeyStore(tmp_path_factory.mktemp("keys"), one_secret(b"password"))
    for algorithm in KeyAlgorithm:
        store.create(algorithm.name, algorithm)
    return store


@cache
def loaded(keys: FileKeyStore, algorithm: KeyAlgorithm) -> PrivateKey:
    """An encrypted key takes a while to load."""
    return keys.load(algorithm.name)


texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=64).filter(
    lambda text: len(text.encode()) <= 64  # the library counts octets
)


@pytest.mark.requirement("A02.FR.03", "A00.FR.509", "A00.FR.511")
@given(algorithm=st.sampled_from(KeyAlgorithm), common_name=texts, organization=texts, hosts=st.booleans())
def test_a_request_says_what_it_was_told_and_verifies(
    keys: FileKeyStore, algorithm: KeyAlgorithm, common_name: str, organization: str, hosts: bool
) -> None:
    key = loaded(keys, algorithm)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        ]
    )
    names = x509.SubjectAlternativeName([x509.DNSName("station.example")])
    extensions = [x509.Extension(names.oid, False, names)] if hosts else []
    pem = key.sign_csr(subject, extensions)
    request = x509.load_pem_x509_csr(pem.encode())
    assert request.is_signature_valid
    assert request.subject == subject
    assert request.public_key() == key.public_key
    assert list(request.extensions) == extensions
    assert len(pem) <= MAX_CSR
    assert request.signature_hash_algorithm is not None
    digests = {KeyAlgorithm.EC_P384: "sha384", KeyAlgorithm.EC_P521: "sha512"}
    assert request.signature_hash_algorithm.name == digests.get(algorithm, "sha256")


@pytest.mark.requirement("A00.FR.401", "A00.FR.402")
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("algorithm", KeyAlgorithm)
def test_a_station_authenticates_with_its_key(
    kit: TlsKit, keys: FileKeyStore, algorithm: KeyAlgorithm, version: ssl.TLSVersion
) -> None:
    key = keys.load(algorithm.name)
    context = kit.client(version)
    key.use_for_tls(context, kit.chain(key))
    ends = shake(context, kit.server(version))
    assert ends.peer == STATION
    assert ends.client.version() == version.name.replace("v1_", "v1.")


def test_a_certificate_of_another_key_is_refused_before_anything_changes(
    kit: TlsKit, keys: FileKeyStore
) -> None:
    first, second = keys.load("EC_P256"), keys.load("RSA_2048")
    context = kit.client()
    first.use_for_tls(context, kit.chain(first, "first"))
    with pytest.raises(KeyMismatchError, match="RSA_2048"):
        second.use_for_tls(context, kit.chain(first))
    assert shake(context, kit.server()).peer == "first"


def test_a_chain_that_cannot_be_used(kit: TlsKit, keys: FileKeyStore, tmp_path: Path) -> None:
    key = keys.load("EC_P256")
    good = kit.chain(key).read_bytes()
    chains = {
        "missing": None,
        "empty": b"",
        "text": b"no certificate",
        "large": good + b" " * MAX_CHAIN_SIZE,
        "broken": good[:200],
        "second broken": good.replace(b"-----END", b"-----DNE").replace(b"-----DNE", b"-----END", 1),
    }
    for name, data in chains.items():
        path = tmp_path / name
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(ChainError, match=name):
            key.use_for_tls(kit.client(), path)


def test_the_key_file_is_gone(kit: TlsKit, tmp_path: Path) -> None:
    key = FileKeyStore(tmp_path / "keys").create("leaf")
    (tmp_path / "keys" / "leaf.key").unlink()
    with pytest.raises(ChainError, match=r"leaf\.key"):
        key.use_for_tls(kit.client(), kit.chain(key))
