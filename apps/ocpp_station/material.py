"""What a TLS context is made of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ocpp_adapters.tls_policy import Credential
from ocpp_control.watched import Stamp, stamp


@dataclass(frozen=True, slots=True)
class Material:
    """What a context is made of, as it is found at one time.

    ``own`` are the files of the station's own certificate and key, which ``credential`` puts into a context.
    """

    trust: tuple[Path, ...]
    crls: tuple[Path, ...]
    own: tuple[Path, ...] = ()
    credential: Credential | None = field(default=None, compare=False)

    def stamp(self) -> Stamp:
        """What differs once a file was replaced or written to. Raises OSError: one is gone."""
        return stamp((*self.trust, *self.crls, *self.own))


Find = Callable[[], Material]
