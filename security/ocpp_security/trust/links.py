"""One symbolic link that always leads to the certificate in use, its chain and its key, all or none.

Programs that read files (an ISO 15118 stack, a VPN) follow ``current/leaf.pem``, ``current/chain.pem`` and
``current/key.pem``. ``current`` is re-pointed by one rename: they never see a certificate with another's key.
"""

import contextlib
import glob
import shutil
from pathlib import Path

from ..durable import sync_directory
from ..errors import CertificateStoreError
from ..pki.certificate import to_pem
from . import disk
from .inventory import Leaf


def point(link: Path, leaf: Leaf, key: Path | None) -> None:
    """Lead ``link`` to ``leaf``. Raises CertificateStoreError: it leads where it led before.

    What it leads to is a directory beside it, with the certificate, the chain and a link to the key.
    """
    if leads_to(link, leaf):
        return
    target = _target(link, leaf)
    disk.write(target / "leaf.pem", leaf.certificate.pem.encode())
    disk.write(target / "chain.pem", to_pem(leaf.chain).encode())
    try:
        if key is not None:
            _replace_link(target / "key.pem", key.resolve())
            sync_directory(target)
        _replace_link(link, Path(target.name))
        sync_directory(link.parent)
    except OSError as error:
        raise CertificateStoreError(f"cannot link {link}: {error.strerror}") from error
    mine = f".{glob.escape(link.name)}-{'[0-9a-f]' * 16}"  # not what a longer name's link leads to
    with contextlib.suppress(OSError):
        for old in link.parent.glob(mine):
            if old != target:
                shutil.rmtree(old, ignore_errors=True)


def remove(link: Path) -> None:
    """Take the link away, for want of a certificate."""
    with contextlib.suppress(OSError):
        link.unlink()


def leads_to(link: Path, leaf: Leaf) -> bool:
    """Whether ``link`` leads to ``leaf``."""
    target = _target(link, leaf)
    try:
        return link.readlink() == Path(target.name) and target.is_dir()
    except OSError:
        return False


def _target(link: Path, leaf: Leaf) -> Path:
    return link.with_name(f".{link.name}-{leaf.certificate.fingerprint[:16]}")


def _replace_link(link: Path, target: Path) -> None:
    temporary = link.with_name(link.name + disk.TEMPORARY)
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
