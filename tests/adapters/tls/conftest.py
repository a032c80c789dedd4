"""What every test of TLS begins with."""

import pytest

from tests.adapters.tls import pki
from tests.adapters.tls.pki import Authority, Leaf


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A root of the module's own."""
    return pki.root(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def server(root: Authority) -> tuple[Leaf, Leaf]:
    """A CSMS's two certificates."""
    return root.leaf(), root.leaf(kind="rsa")
