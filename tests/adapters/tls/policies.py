"""A station's and a CSMS's policy, good for each other unless a test wants something else."""

import ssl

import pytest

from ocpp_adapters.tls_policy import CsmsTls, SecurityProfile, StationTls
from tests.adapters.tls.pki import Authority, Leaf

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("newest", [TLS12, TLS13], ids=["1.2", "1.3"])
PROFILE3 = SecurityProfile.TLS_CERTIFICATE
SERIAL = "SN-0001"


def station(root: Authority, leaf: Leaf | None = None, **changes: object) -> ssl.SSLContext:
    profile = SecurityProfile.TLS_BASIC if leaf is None else PROFILE3
    credential = None if leaf is None else leaf.credential
    arguments = {"trust": (root.file,), "profile": profile, "credential": credential, **changes}
    return StationTls(**arguments).context()


def csms(root: Authority, server: tuple[Leaf, Leaf], **changes: object) -> ssl.SSLContext:
    credentials = tuple(leaf.credential for leaf in server)
    arguments = {"trust": (root.file,), "profile": PROFILE3, "credentials": credentials, **changes}
    return CsmsTls(**arguments).context()
