"""Vehicles' chains and the CSMS's word on their revocation (OCPP 2.1, M07)."""

import json
from datetime import datetime

import pytest

from ocpp_core.versions import OcppVersion
from ocpp_security import messages
from ocpp_security.certificates import vehicle
from ocpp_security.certificates.vehicle import StatusEntry, StatusRequest, StatusSource
from ocpp_security.errors import CertificateError, Fault
from ocpp_security.manager import CertificateManager
from ocpp_security.pki.hashdata import hash_data
from ocpp_security.pki.ocsp import Revocation
from ocpp_security.trust.inventory import TrustUse
from tests.security.pki_kit import DAY, NOW, pem, root
from tests.security.rpc_kit import answered

OEM = root("OEM")
SUB = OEM.sub("OEM sub", crl="http://crl.example/oem")
CAR = SUB.leaf("WMIV1234567890ABCD", responder="http://ocsp.example/car")
CHAIN = pem(CAR, SUB)
CAR_NAME = hash_data(CAR.certificate, SUB.certificate)
SUB_NAME = hash_data(SUB.certificate, OEM.certificate)
BOTH = (
    StatusRequest(CAR_NAME, StatusSource.OCSP, ("http://ocsp.example/car",)),
    StatusRequest(SUB_NAME, StatusSource.CRL, ("http://crl.example/oem",)),
)


@pytest.fixture
def cars(manager: CertificateManager) -> vehicle.VehicleStatus:
    assert manager.roots.install(TrustUse.OEM, pem(OEM), NOW).accepted
    return manager.vehicles


def entry(
    name: object, status: Revocation | None = Revocation.GOOD, until: datetime = NOW + DAY
) -> StatusEntry:
    return StatusEntry(name, status, until)  # type: ignore[arg-type]


def fault_of(cars: vehicle.VehicleStatus, at: datetime = NOW, chain: str = CHAIN) -> Fault | None:
    try:
        cars.check(chain, at)
    except CertificateError as error:
        return error.fault
    return None


@pytest.mark.requirement("M07.FR.09", "M07.FR.10", "M07.FR.11")
def test_what_is_not_in_the_cache_is_asked_for(cars: vehicle.VehicleStatus) -> None:
    assert cars.requests(CHAIN, NOW) == BOTH
    cars.take([entry(CAR_NAME), entry(SUB_NAME, until=NOW + 30 * DAY)], NOW)
    assert cars.requests(CHAIN, NOW) == ()
    assert fault_of(cars) is None
    assert cars.requests(CHAIN, NOW + DAY) == BOTH[:1]
    assert cars.requests(CHAIN, NOW + 7 * DAY) == BOTH  # a week at most, whatever the CSMS says
    assert fault_of(cars, NOW + DAY) is Fault.STATUS_UNKNOWN


@pytest.mark.parametrize(
    ("statuses", "fault"),
    [
        ((Revocation.GOOD, Revocation.GOOD), None),
        ((Revocation.REVOKED, Revocation.GOOD), Fault.REVOKED),
        ((None, Revocation.REVOKED), Fault.REVOKED),
        ((Revocation.UNKNOWN, Revocation.GOOD), Fault.STATUS_UNKNOWN),
        ((Revocation.GOOD, None), Fault.STATUS_UNKNOWN),
    ],
)
def test_verdicts(
    cars: vehicle.VehicleStatus,
    statuses: tuple[Revocation | None, Revocation | None],
    fault: Fault | None,
) -> None:
    cars.take([entry(CAR_NAME, statuses[0]), entry(SUB_NAME, statuses[1])], NOW)
    assert fault_of(cars) is fault
    if fault is Fault.STATUS_UNKNOWN:
        assert cars.check(CHAIN, NOW, require=False).anchor == OEM.certificate


def test_a_later_word_replaces_an_earlier(cars: vehicle.VehicleStatus) -> None:
    cars.take([entry(CAR_NAME), entry(SUB_NAME)], NOW)
    cars.take([entry(CAR_NAME, Revocation.REVOKED)], NOW)
    assert fault_of(cars) is Fault.REVOKED
    cars.take([entry(CAR_NAME, None)], NOW)
    assert cars.requests(CHAIN, NOW) == BOTH[:1]
    cars.take([entry(CAR_NAME, until=NOW)], NOW)  # it is out of date already
    assert cars.requests(CHAIN, NOW) == BOTH[:1]


def test_the_cache_has_a_limit(cars: vehicle.VehicleStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vehicle, "MAX_ENTRIES", 1)
    cars.take([entry(CAR_NAME), entry(SUB_NAME)], NOW)
    assert cars.requests(CHAIN, NOW) == BOTH[:1]


def test_nobody_to_ask_or_no_path(cars: vehicle.VehicleStatus) -> None:
    silent = OEM.leaf("car", responder="http://" + 2000 * "a")
    assert cars.requests(pem(silent), NOW) == ()
    assert cars.requests(pem(OEM.leaf("car")), NOW) == ()
    assert fault_of(cars, chain=pem(root("Other").leaf("car"))) is Fault.NO_PATH


def test_messages(cars: vehicle.VehicleStatus) -> None:
    request = json.loads(messages.get_certificate_chain_status(BOTH).to_json())
    statuses = [
        {
            "certificateHashData": asked["certificateHashData"],
            "source": asked["source"],
            "status": status,
            "nextUpdate": "2026-06-03T00:00:00Z",
        }
        for asked, status in zip(request["certificateStatusRequests"], ("Good", "Failed"), strict=True)
    ]
    response = answered(OcppVersion.V21, "GetCertificateChainStatus", certificateStatus=statuses)
    cars.take(messages.chain_status_in(response), NOW)
    assert cars.requests(CHAIN, NOW) == BOTH[1:]
