"""OCPP without I/O: bytes and events in, actions out.

Three levels, each useful alone: :mod:`ocpp_core.wire` (bytes to text frames), :mod:`ocpp_core.rpc` (frames
to typed calls), and :mod:`ocpp_core.station` / :mod:`ocpp_core.csms` (calls to behaviour). Importing this
package loads none of them.
"""

from .entropy import Entropy, SeededEntropy
from .errors import ConfigurationError, LocalProtocolError, OcppError, StoreError
from .versions import OcppVersion, Role

__all__ = [
    "ConfigurationError",
    "Entropy",
    "LocalProtocolError",
    "OcppError",
    "OcppVersion",
    "Role",
    "SeededEntropy",
    "StoreError",
]
