"""Fuzz everything that reads certificates: ``python fuzz/fuzz_certificates.py fuzz/corpus/certificates``.

The first byte chooses what the rest is: certificates, a signing request, a revocation list.
"""

from contextlib import suppress
from datetime import UTC, datetime

import atheris

with atheris.instrument_imports(include=["ocpp_security"]):
    from ocpp_security.errors import CertificateError
    from ocpp_security.pki.certificate import Certificate, parse_bundle, public_octets, to_pem
    from ocpp_security.pki.crl import parse_crl, revocation
    from ocpp_security.pki.csr import parse_csr
    from ocpp_security.pki.hashdata import HashAlgorithm
    from ocpp_security.pki.path import find_path, order_chain, strong_signature
    from ocpp_security.trust.decisions import Status, TrustPolicy, decide_delete, decide_install
    from ocpp_security.trust.inventory import Inventory, Leaf, LeafUse, TrustUse
    from ocpp_security.trust.leaves import LeafPolicy, PendingKey, decide_signed

from _harness import run

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)


def certificates(data: bytes) -> None:
    """A chain of the CSMS's is installed, sent back, listed and deleted, whatever it is."""
    text = data.decode("utf-8", "replace")
    decision = decide_install(Inventory(), TrustPolicy(), TrustUse.CSMS, text, AT)
    assert decision.status in (Status.ACCEPTED, Status.REJECTED)
    try:
        chain = parse_bundle(data)
    except CertificateError:
        assert decision.status is Status.REJECTED
        return
    assert parse_bundle(to_pem(chain)) == chain
    look_at(chain)
    leaf, *others = chain
    inventory = Inventory(
        {TrustUse.CSMS: tuple(c for c in others if c.is_ca)},
        leaves=(Leaf(LeafUse.V2G, order_chain(leaf, others)),),
    )
    key = PendingKey("charging_station-1", LeafUse.CHARGING_STATION, 1, public_octets(leaf.public_key))
    signed, whose = decide_signed(inventory, LeafPolicy(), {key.public: key}, {}, text, AT)
    if signed.status is Status.ACCEPTED:
        assert whose is key
        assert find_path(leaf, others, others, AT)
    for algorithm in HashAlgorithm:
        name = inventory.hash_data(leaf, algorithm)
        assert inventory.named(leaf, name)
        assert decide_delete(inventory, TrustPolicy(), name).status is Status.ACCEPTED


def look_at(chain: tuple[Certificate, ...]) -> None:
    """Nothing about a certificate that was read can fail."""
    for certificate in chain:
        assert certificate.key_octets()
        assert certificate.subject is not None
        strong_signature(certificate)
        for issuer in chain[:4]:
            certificate.issued_by(issuer)
    with suppress(CertificateError):
        path = find_path(chain[0], chain[1:], chain[1:], AT)
        assert path.leaf == chain[0]
        assert path.anchor in chain


def signing_request(data: bytes) -> None:
    try:
        request = parse_csr(data.decode("utf-8", "replace"))
    except CertificateError:
        return
    assert request.subject.serial_number
    assert request.subject.organization


def revocation_list(data: bytes) -> None:
    """A list, and behind its end marker the certificate and issuer that it is consulted about."""
    head, _, tail = data.partition(b"-----END X509 CRL-----\n")
    try:
        crl = parse_crl(head + b"-----END X509 CRL-----\n" if tail else data)
        assert parse_crl(crl.pem.encode()) == crl
        about = parse_bundle(tail)
        revocation(crl, about[0], about[-1], AT)
    except CertificateError:
        return


def one_input(data: bytes) -> None:
    kinds = (certificates, signing_request, revocation_list)
    if data:
        kinds[data[0] % len(kinds)](data[1:])


if __name__ == "__main__":
    run(one_input)
