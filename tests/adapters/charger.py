"""A charger to test stations with: one EVSE, a meter, a contactor that obeys."""

from collections.abc import Iterable

from ocpp_adapters.station_runner import Runner
from ocpp_core.csms import CsmsConfig, Registration
from ocpp_core.domain.layout import ConnectorRef
from ocpp_core.domain.metering import Quantity
from ocpp_core.domain.status import RegistrationStatus, StationInfo
from ocpp_core.domain.tokens import AuthorizationStatus, IdToken, IdTokenInfo
from ocpp_core.station import Backoff, StationConfig
from ocpp_core.versions import OcppVersion

TOKEN = IdToken("ABCDEF")
QUICK = Backoff(minimum=0.02, random_range=0.01, repeats=1)
EASY = CsmsConfig(
    registration=Registration(RegistrationStatus.ACCEPTED, 300),
    authorization=IdTokenInfo(AuthorizationStatus.ACCEPTED),
)


def config(*versions: OcppVersion) -> StationConfig:
    return StationConfig(
        StationInfo("Model", "Vendor"),
        versions=versions or tuple(OcppVersion),
        sample_interval=0.1,
        backoff=QUICK,
    )


class Charger:
    """The hardware; the contactor reports in the same breath."""

    def __init__(self) -> None:
        self.wh = 1000.0
        self.power = False
        self.locked = False
        self.runner: Runner | None = None

    def meters(self) -> Iterable[tuple[int, tuple[Quantity, ...]]]:
        if self.power:
            self.wh += 1.0
        return [(1, (Quantity(self.wh),))]

    def switch_power(self, evse: int, on: bool) -> None:
        self.power = on
        assert self.runner is not None
        with self.runner.turn() as now:
            self.runner.station.power_switched(evse, on, now)

    def lock(self, ref: ConnectorRef, locked: bool) -> None:
        self.locked = locked
