"""docs/certificates.md shows a station that renews its certificate: it comes back with the new one."""

import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from ocpp_adapters.central import Central, StationLink
from ocpp_adapters.routes import Route
from ocpp_adapters.stores import MemoryStores
from ocpp_adapters.threads_monitor import Monitor
from ocpp_adapters.threads_server import serve
from ocpp_adapters.threads_station import connect_station
from ocpp_adapters.tls_peer import peer_certificate
from ocpp_adapters.tls_policy import CsmsTls, SecurityProfile
from ocpp_core import OcppVersion
from ocpp_core.csms import CsmsAction, RequestReceived
from ocpp_core.domain.network import NetworkProfile
from ocpp_core.domain.status import StationInfo
from ocpp_core.messages import Request
from ocpp_core.station import Station, StationConfig
from ocpp_core.store import MemoryStore
from ocpp_core.wire import ClientConfig
from ocpp_security.csms import certificate_signed, signing_response
from ocpp_security.keys import FileKeyStore
from ocpp_security.questions import InstallRoot
from ocpp_security.trust.inventory import TrustUse
from tests.adapters.charger import EASY, QUICK, Charger
from tests.adapters.tls import pki
from tests.security.manager_kit import ask, open_manager, take
from tests.security.pki_kit import LEAF_USAGE, Wish, build, pem

TEXT = (Path(__file__).parents[3] / "docs" / "certificates.md").read_text(encoding="utf-8")
(SHOWN,) = [
    block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "class Certified" in block
]
PATIENCE = 10.0


def until(so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < end
        time.sleep(0.005)


class Csms:
    """Signs what it is asked for; remembers the certificates that stations came with."""

    def __init__(self, root: pki.Authority) -> None:
        self.root = root
        self.monitor = Monitor()
        self.came: list[tuple[bytes, ...]] = []
        self.signed = 0
        config = replace(EASY, requests=frozenset({"SignCertificate"}))
        self.central = Central(config, self.observe, MemoryStores(), self.monitor)
        credentials = (root.leaf("localhost").credential,)
        profile = SecurityProfile.TLS_CERTIFICATE
        self.tls = CsmsTls(profile=profile, credentials=credentials, trust=(root.file,)).context()

    def admit(self, _: Any, peer: Any) -> StationLink:
        certificate = peer_certificate(peer.tls)
        assert certificate is not None
        self.came.append(certificate.chain)
        return self.central.session(certificate_serial=certificate.common_name)

    def observe(self, link: StationLink, action: CsmsAction) -> None:
        if isinstance(action, RequestReceived):
            with link.turn() as now:
                link.machine.respond(action.call_id, signing_response(action.request, accepted=True), now)
            csr = json.loads(action.request.to_json())["csr"]
            self.monitor.spawn(send(link, certificate_signed(action.request, self.sign(csr))))

    def sign(self, csr: str) -> str:
        asked = x509.load_pem_x509_csr(csr.encode())
        self.signed += 1  # the newest is taken, which begins last
        wish = Wish(
            begin=pki.NOW - pki.DAY + timedelta(seconds=self.signed), end=pki.NOW + pki.DAY, usage=LEAF_USAGE
        )
        issuer = self.root.certificate.subject
        return pem(build(asked.subject, asked.public_key(), issuer, self.root.key, wish))


async def send(link: StationLink, request: Request) -> None:
    await link.call(request)


@pytest.mark.requirement("A02.FR.02", "A02.FR.05", "A02.FR.08")
def test_it_renews_over_its_own_link_and_reconnects(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    exec(SHOWN, names)
    csms = Csms(pki.root(tmp_path))
    manager, at = open_manager(tmp_path / "station"), datetime.now(UTC)
    manager.answer(InstallRoot(TrustUse.CSMS, csms.root.file.read_text()), at)
    assert take(manager, csms.sign(ask(manager, at=at).csr), at).accepted
    certified = names["Certified"](manager, FileKeyStore(tmp_path / "station" / "keys"), (csms.root.file,))
    config = StationConfig(
        StationInfo("Model", "Vendor", serial_number="SN-0001"),
        versions=(OcppVersion.V201,),
        network_profiles=(NetworkProfile(security_profile=SecurityProfile.TLS_CERTIFICATE),),
        requests=names["asked"],
        backoff=QUICK,
    )
    charger, station = Charger(), Station(config, os.urandom, time.monotonic())

    def observe(action: Any) -> None:
        certified.observe(charger.runner, action)

    with serve(csms.admit, "127.0.0.1", monitor=csms.monitor, ssl_context=csms.tls) as server:
        link = ClientConfig(url=f"wss://localhost:{server.port}/CP1")
        route = Route(config=link, ssl_context=certified.context)
        with connect_station(station, route, MemoryStore(), charger, observe=observe) as runner:
            charger.runner = runner
            until(lambda: station.state(0.0)["registration"] == "Accepted")
            answer: Any = runner.call(certified.request(OcppVersion.V201))
            assert answer.status == "Accepted"
            until(lambda: len(csms.came) == 2)
            until(lambda: station.state(0.0)["connection"]["state"] == "open")
    assert csms.came[0] != csms.came[1]
    assert [entry["type"] for entry in station.security_log()] == ["ReconfigurationOfSecurityParameters"]
