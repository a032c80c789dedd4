"""The OCPP versions and the two roles."""

from enum import StrEnum


class OcppVersion(StrEnum):
    """An OCPP-J version; the value is its WebSocket subprotocol (OCPP-J 1.6 §3.2, 2.x part 4 §3)."""

    V16 = "ocpp1.6"
    V201 = "ocpp2.0.1"
    V21 = "ocpp2.1"

    @property
    def number(self) -> str:
        """The version as people write it: ``"1.6"``, ``"2.0.1"``, ``"2.1"``."""
        return self.value.removeprefix("ocpp")


class Role(StrEnum):
    """Which end of the link a machine plays."""

    STATION = "station"
    CSMS = "csms"
