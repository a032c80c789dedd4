"""Vehicles' chains and the CSMS's word on their revocation (OCPP 2.1, M07)."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from ocpp_core.versions import OcppVersion
from ocpp_security import messages
from ocpp_security.certificates import vehicle
from ocpp_security.certificates.vehicle import StatusEntry, StatusRequest, StatusSource
from ocpp_security.errors import CertificateError, Fault
from ocpp_security.manager import CertificateManager
from ocpp_security.pki.hashdata import hash_data
from ocpp_security.pki.ocsp import Revocation
from ocpp_security.trust.inventory import TrustUse
from tests.security.manager_kit import CSMS_ROOT, V2G_ROOT
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


@pytest.mark.requirement("M07.FR.09")
def test_a_status_is_kept_until_it_is_out_of_date_and_a_week_at_most(cars: vehicle.VehicleStatus) -> None:
    second = timedelta(seconds=1)
    cars.take([entry(CAR_NAME, until=NOW + DAY), entry(SUB_NAME, until=NOW + 8 * DAY)], NOW)
    assert cars.requests(CHAIN, NOW + DAY - second) == ()
    assert cars.requests(CHAIN, NOW + DAY) == BOTH[:1]
    assert cars.requests(CHAIN, NOW + 7 * DAY - second) == BOTH[:1]
    assert cars.requests(CHAIN, NOW + 7 * DAY) == BOTH


def test_the_oldest_of_a_thousand_goes_first(cars: vehicle.VehicleStatus) -> None:
    others = [entry(replace(CAR_NAME, serial_number=f"f{number:08x}")) for number in range(2000)]
    cars.take([entry(CAR_NAME), *others[:998], entry(SUB_NAME)], NOW)
    useless = [replace(other, status=None) for other in others[998:1500]]
    useless += [replace(other, next_update=NOW) for other in others[1500:]]
    cars.take(useless, NOW)  # what says nothing takes nobody's place
    assert cars.requests(CHAIN, NOW) == ()
    cars.take([entry(CAR_NAME)], NOW)  # said anew: it is the youngest now
    for until, missing in ((1996, ()), (1997, BOTH[1:]), (1998, BOTH)):
        cars.take(others[998:until], NOW)
        assert cars.requests(CHAIN, NOW) == missing


@pytest.mark.requirement("M07.FR.10")
def test_as_many_addresses_as_fit_are_named(cars: vehicle.VehicleStatus) -> None:
    fits, too_long = "http://x/".ljust(2000, "a"), "http://x/".ljust(2001, "a")
    urls = [too_long, fits, *[f"http://ocsp.example/{number}" for number in range(6)]]
    access = x509.AuthorityInformationAccess(
        x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))
        for url in urls
    )
    car = OEM.leaf("car", extensions=[(access, False)])
    (request,) = cars.requests(pem(car), NOW)
    assert request.source is StatusSource.OCSP
    assert request.urls == tuple(urls[1:6])


def test_vehicles_come_from_oem_and_v2g_hierarchies_with_what_is_provisioned(
    manager: CertificateManager, tmp_path: Path
) -> None:
    provisioned = tmp_path / "ca" / "cso" / "sub.pem"
    provisioned.parent.mkdir(parents=True)
    provisioned.write_text(pem(SUB))
    manager.reload()
    car, of_v2g = SUB.leaf("car"), V2G_ROOT.leaf("car")
    for chain in (pem(of_v2g), pem(of_v2g, CSMS_ROOT)):
        assert manager.vehicles.check(chain, NOW, require=False).leaf == of_v2g.certificate
    for chain in (pem(car), pem(CSMS_ROOT.leaf("car")), pem(CSMS_ROOT)):
        with pytest.raises(CertificateError):
            manager.vehicles.check(chain, NOW, require=False)
    manager.roots.install(TrustUse.OEM, pem(OEM), NOW)
    path = manager.vehicles.check(pem(car), NOW, require=False)
    assert path.certificates == (car.certificate, SUB.certificate, OEM.certificate)


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
