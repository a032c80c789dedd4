"""Roots: install, delete, list (use cases M03 to M05)."""

from datetime import datetime
from pathlib import Path

from ..pki.certificate import Certificate
from ..pki.hashdata import CertificateHashData
from ..questions import ChainKind, InstalledChain, Kind, Outcome
from ..trust.decisions import decide_delete, decide_install
from ..trust.inventory import Leaf, LeafUse, TrustUse
from .context import Context

V2G_USES = (LeafUse.V2G, LeafUse.V2G20)
MAX_CHILDREN = 4
"""Sub-CAs of a chain in GetInstalledCertificateIdsResponse."""


class Roots:
    """Trust anchors, and the list of all that is installed."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def install(self, use: TrustUse, pem: str, at: datetime, *, secure: bool = True) -> Outcome:
        """InstallCertificate (M05). ``secure``: it came over security profile 2 or 3."""
        context = self._context
        decision = decide_install(context.inventory, context.config.trust, use, pem, at, secure=secure)
        return context.carry_out(decision, at)

    def delete(self, name: CertificateHashData, at: datetime) -> Outcome:
        """DeleteCertificate (M04)."""
        context = self._context
        decision = decide_delete(context.inventory, context.config.trust, name, in_use=context.in_use)
        return context.carry_out(decision, at)

    def installed(self, kinds: frozenset[Kind], at: datetime) -> tuple[InstalledChain, ...]:
        """What is installed of these kinds, of all if none is named (M03)."""
        algorithm, inventory = self._context.config.hash_algorithm, self._context.inventory
        chains = [
            InstalledChain(use, inventory.hash_data(root, algorithm))
            for use in TrustUse
            for root in inventory.trusted(use)
        ]
        for leaf in (leaf for use in V2G_USES for leaf in inventory.of_use(use)):
            names = [inventory.hash_data(c, algorithm) for c in self._without_root(leaf, at)]
            chains.append(InstalledChain(ChainKind.V2G, names[0], tuple(names[1 : MAX_CHILDREN + 1])))
        return tuple(chain for chain in chains if not kinds or chain.kind in kinds)

    def present(self, use: TrustUse) -> bool:
        """Whether there is a root of a use (a condition of security profiles 2 and 3, A05.FR.02)."""
        return bool(self._context.inventory.trusted(use))

    def trusted(self, use: TrustUse) -> tuple[Certificate, ...]:
        """The roots of a use, the newest first, a fallback last (M05.FR.14)."""
        return self._context.inventory.trusted(use)

    def verify_file(self, use: TrustUse) -> Path:
        """A PEM bundle of a use's roots for a TLS stack, brought up to date by this call.

        Raises CertificateStoreError.
        """
        return self._context.files.write_verify_file(use, self.trusted(use))

    def _without_root(self, leaf: Leaf, at: datetime) -> tuple[Certificate, ...]:
        """Leaf and sub-CAs; those that were provisioned beside the chain are found by the path."""
        chain = self._context.inventory.ordered_chain(leaf, at)
        anchors = self._context.inventory.trusted(leaf.use.trust)
        return chain[:1] + tuple(c for c in chain[1:] if c not in anchors)
