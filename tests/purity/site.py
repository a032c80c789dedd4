"""A station and its CSMS with every level of the core between them, in virtual time: no adapter anywhere."""

from datetime import UTC, datetime

from ocpp_core import OcppVersion, SeededEntropy
from ocpp_core.csms import Csms, CsmsConfig, Registration
from ocpp_core.domain.metering import Quantity
from ocpp_core.domain.status import RegistrationStatus, StationInfo
from ocpp_core.domain.tokens import AuthorizationStatus, IdToken, IdTokenInfo
from ocpp_core.rpc import SendFrame
from ocpp_core.station import DoPower, OpenLink, Station, StationConfig
from ocpp_core.wire import (
    ClientConfig,
    HandshakeReceived,
    Opened,
    SendBytes,
    ServerConfig,
    Text,
    WebSocketClient,
    WebSocketServer,
)

UTC_MS = int(datetime(2025, 3, 14, 9, 26, 53, tzinfo=UTC).timestamp() * 1000)


class Site:
    """Moves bytes between the two ends until both are quiet; every action goes into the transcript."""

    def __init__(self, said: list[object], version: OcppVersion) -> None:
        self.now = 100.0
        self._said = said
        self._version = version
        self._entropy = SeededEntropy(11)
        config = StationConfig(
            StationInfo("Model", "Vendor"), versions=(version,), sample_interval=60.0, autoconnect=False
        )
        self.station = Station(config, SeededEntropy(1), self.now)
        self._csms_config = CsmsConfig(
            registration=Registration(RegistrationStatus.ACCEPTED),
            authorization=IdTokenInfo(AuthorizationStatus.ACCEPTED),
        )
        self.csms = self._new_csms()
        self._client: WebSocketClient | None = None
        self._server = WebSocketServer(ServerConfig(), self.now)

    def _new_csms(self, rows: dict[str, dict[str, str]] | None = None) -> Csms:
        csms = Csms(self._csms_config, "CP-1", self._version, SeededEntropy(2), self.now, rows)
        csms.set_utc(UTC_MS + round(self.now * 1000), self.now)
        return csms

    def connect(self) -> None:
        """The operator wants the link."""
        self.station.connect(self.now)
        self.run()

    def cut(self) -> None:
        """The link breaks; the CSMS hears it first."""
        rows = self.csms.snapshot()
        self.csms.link_lost(self.now)
        self._said += self.csms.actions()
        self._client = None
        self.station.link_closed(1006, "cut", self.now)
        self.csms = self._new_csms(rows)
        self.run()

    def present(self, token: str) -> None:
        """A driver identifies."""
        self.station.present_token(IdToken(token), 1, self.now)
        self.run()

    def charge(self, wh: float, seconds: float) -> None:
        """Time passes, the meter turns."""
        self.now += seconds
        self.station.meter(1, (Quantity(wh), Quantity(11_000.0, "Power.Active.Import", "W")), self.now)
        self.station.handle_timer(self.now)
        self.csms.handle_timer(self.now)
        self.run()

    def run(self) -> None:
        """Mutate, drain, until nobody has anything to do."""
        while self._station_acts() | self._bytes_travel() | self._csms_acts():
            pass

    def _station_acts(self) -> bool:
        actions = self.station.actions()
        self._said += actions
        for action in actions:
            if isinstance(action, OpenLink):
                self._open()
            elif isinstance(action, SendFrame) and self._client is not None:
                self._client.send_text(action.text, self.now)
            elif isinstance(action, DoPower):
                self.station.power_switched(action.evse, action.on, self.now)
        return bool(actions)

    def _open(self) -> None:
        config = ClientConfig(url="ws://csms/CP-1", subprotocols=(self._version,))
        self._client = WebSocketClient(config, self._entropy, self.now)
        self._server = WebSocketServer(ServerConfig(), self.now)

    def _bytes_travel(self) -> bool:
        if self._client is None:
            return False
        sent, answered = self._client.actions(), self._server.actions()
        self._said += [*sent, *answered]
        for action in sent:
            if isinstance(action, SendBytes):
                self._server.receive_data(action.data, self.now)
            elif isinstance(action, Opened):
                self.station.link_opened(action.subprotocol or "", self.now)
            elif isinstance(action, Text):
                self.station.receive_frame(action.text, self.now)
        for action in answered:
            if isinstance(action, SendBytes):
                self._client.receive_data(action.data, self.now)
            elif isinstance(action, HandshakeReceived):
                self._server.accept(self.now)
            elif isinstance(action, Text):
                self.csms.receive_frame(action.text, self.now)
        return bool(sent or answered)

    def _csms_acts(self) -> bool:
        actions = self.csms.actions()
        self._said += actions
        for action in actions:
            if isinstance(action, SendFrame):
                self._server.send_text(action.text, self.now)
        return bool(actions)
