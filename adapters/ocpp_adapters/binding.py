"""What connections leave by: a network interface, a source address, or whatever the system picks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Binding:
    """Where connections leave this machine.

    Arguments:
        interface: by this network interface only (``eth0``; Linux).
        source: from this address of this machine.
    """

    interface: str | None = None
    source: str | None = None
