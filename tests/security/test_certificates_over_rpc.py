"""Blocks A and M over typed calls and frames: 1.6 with the whitepaper and Plug & Charge, 2.0.1, 2.1."""

import json
from pathlib import Path

import pytest

from ocpp_core.messages import message_set
from ocpp_core.versions import OcppVersion
from ocpp_security import messages
from ocpp_security.errors import CertificateError, Fault
from ocpp_security.keys import FileKeyStore
from ocpp_security.manager import CertificateConfig, CertificateManager
from ocpp_security.pki.properties import StationSubject
from ocpp_security.questions import Outcome, SecurityEvent
from ocpp_security.renewal import RenewalConfig, RenewalStopped, SigningRefused, UseNewCertificate
from ocpp_security.trust.decisions import Status, TrustPolicy
from ocpp_security.trust.files import CertificateFiles
from ocpp_security.trust.inventory import LeafUse
from ocpp_security.trust.layout import Layout
from tests.security.pki_kit import DAY, NOW, pem, root
from tests.security.rpc_kit import Csms, Station, World, built, utc

V16, V201, V21 = OcppVersion.V16, OcppVersion.V201, OcppVersion.V21
STATION, V2G, V2G20 = LeafUse.CHARGING_STATION, LeafUse.V2G, LeafUse.V2G20
CSMS_ROOT = root("CSMS root")
CSMS_SUB = CSMS_ROOT.sub("CSMS sub")
V2G_ROOT = root("V2G root")
V2G_SUB = V2G_ROOT.sub("V2G sub")
SUBJECT = StationSubject("SN-0001", "Operator")
TRIGGER = {
    V16: ("ExtendedTriggerMessage", "SignChargePointCertificate"),
    V201: ("TriggerMessage", "SignChargingStationCertificate"),
    V21: ("TriggerMessage", "SignChargingStationCertificate"),
}
ROOT_NAME = {V16: "CentralSystemRootCertificate", V201: "CSMSRootCertificate", V21: "CSMSRootCertificate"}

every_version = pytest.mark.parametrize("version", OcppVersion, ids=lambda v: v.number)


def world(
    path: Path, version: OcppVersion, *uses: LeafUse, policy: TrustPolicy | None = None, **schedule: float
) -> World:
    config = CertificateConfig(dict.fromkeys(LeafUse, SUBJECT), trust=policy or TrustPolicy())
    manager = CertificateManager(CertificateFiles(Layout.under(path)), FileKeyStore(path / "keys"), config)
    station = Station(version, manager, RenewalConfig(frozenset(uses), **schedule))  # type: ignore[arg-type]
    csms = Csms(version, {STATION: CSMS_SUB, V2G: V2G_SUB, V2G20: V2G_SUB})
    return World(station, csms)


def install_roots(made: World) -> None:
    version = made.csms.version
    answer = made.ask("InstallCertificate", certificateType=ROOT_NAME[version], certificate=pem(CSMS_ROOT))
    assert answer["status"] == "Accepted"
    carrier = V201 if version is V16 else version
    fields = {"certificateType": "V2GRootCertificate", "certificate": pem(V2G_ROOT)}
    assert made.ask("InstallCertificate", carrier, **fields)["status"] == "Accepted"


@every_version
@pytest.mark.requirement(
    "A02.FR.03",
    "A02.FR.08",
    "A02.FR.13",
    "A03.FR.02",
    "A03.FR.03",
    "A03.FR.08",
    "1.6-A03.FR.02",
    "1.6-A03.FR.03",
    "A03.FR.13",
    "A03.FR.20",
)
def test_a_station_without_a_certificate_asks_for_one_and_renews_it(
    version: OcppVersion, tmp_path: Path
) -> None:
    made = world(tmp_path, version, STATION)
    install_roots(made)
    made.start()
    made.run_to(59.9)
    assert made.csms.seen == []
    made.run_to(60.0)
    assert made.station.told == [UseNewCertificate(STATION)]
    (info,) = made.station.manager.own.usable(STATION, utc(60.0))
    assert info.path.anchor == CSMS_ROOT.certificate
    # Ninety days are asked to be renewed after sixty, give or take a check.
    made.run_to(59 * 86_400.0)
    assert len(made.csms.seen) == 1
    made.run_to(61 * 86_400.0)
    assert made.station.told == [UseNewCertificate(STATION)] * 2
    new, old = made.station.manager.own.usable(STATION, utc(made.now))
    made.station.manager.own.connected(None, new.leaf.certificate, utc(made.now))
    assert len(made.station.manager.own.usable(STATION, utc(made.now))) == 1
    assert old.leaf == info.leaf


@every_version
@pytest.mark.requirement("A02.FR.02", "A02.FR.03", "1.6-A02.FR.02", "1.6-A02.FR.03")
def test_the_csms_can_ask_for_a_new_certificate(version: OcppVersion, tmp_path: Path) -> None:
    made = world(tmp_path, version, STATION)
    install_roots(made)
    made.start()
    action, requested = TRIGGER[version]
    assert made.ask(action, requestedMessage=requested)["status"] == "Accepted"
    assert made.station.told == [UseNewCertificate(STATION)]
    made.run_to(61.0)
    assert len(made.csms.seen) == 1  # the check finds it


@every_version
@pytest.mark.requirement(
    *("A02.FR.06", "A02.FR.07", "A02.FR.20", "A03.FR.07", "1.6-A02.FR.06", "1.6-A02.FR.07"),
)
def test_an_invalid_certificate_is_rejected_reported_and_not_asked_for_again(
    version: OcppVersion, tmp_path: Path
) -> None:
    made = world(tmp_path, version, STATION)
    install_roots(made)
    made.csms.issue = {"end": NOW - DAY, "begin": NOW - 2 * DAY}
    made.start()
    made.run_to(60.0)
    assert json.loads(made.csms.outcomes[-1].to_json())["status"] == "Rejected"
    events = [event for event in made.station.events if "Invalid" in event]
    assert events == [SecurityEvent.INVALID_CHARGING_STATION_CERTIFICATE]
    spelling = "InvalidChargePointCertificate" if version is V16 else "InvalidChargingStationCertificate"
    assert events[0].spelling(version) == spelling
    assert made.station.told == [RenewalStopped(STATION)]
    made.run_to(30 * 86_400.0)
    assert len(made.csms.seen) == 1
    made.csms.issue = {}
    action, requested = TRIGGER[version]
    made.ask(action, requestedMessage=requested)
    assert made.station.told[-1] == UseNewCertificate(STATION)


@every_version
@pytest.mark.requirement("A02.FR.17", "A02.FR.18", "A02.FR.19")
def test_a_certificate_that_never_comes(version: OcppVersion, tmp_path: Path) -> None:
    made = world(tmp_path, version, STATION, wait_minimum=10.0, repeat_times=3)
    made.csms.deliver = False
    made.start()
    made.run_to(86_400.0)
    assert made.station.told == [RenewalStopped(STATION)]
    sent = [json.loads(request.to_json())["csr"] for request in made.csms.seen]
    assert len(sent) == 4  # the first and three repetitions, after 10, 20 and 40 seconds
    assert len(set(sent)) == 1


@every_version
def test_a_rejected_request_is_made_again_half_a_day_later(version: OcppVersion, tmp_path: Path) -> None:
    made = world(tmp_path, version, STATION)
    install_roots(made)
    made.csms.accept = False
    made.start()
    made.run_to(60.0)
    assert made.station.told == [SigningRefused(STATION)]
    made.csms.accept = True
    made.run_to(60.0 + 43_200.0)
    assert made.station.told[-1] == UseNewCertificate(STATION)


@every_version
def test_a_cut_link_costs_time_but_no_attempt(version: OcppVersion, tmp_path: Path) -> None:
    made = world(tmp_path, version, STATION, wait_minimum=60.0, repeat_times=0)
    install_roots(made)
    made.start()
    made.connected = False
    made.run_to(1000.0)
    assert made.csms.seen == []
    made.connected = True
    made.run_to(1200.0)
    assert made.station.told == [UseNewCertificate(STATION)]


@every_version
@pytest.mark.requirement("A02.FR.10", "A03.FR.10")
def test_power_loss_between_request_and_certificate(version: OcppVersion, tmp_path: Path) -> None:
    made = world(tmp_path, version, STATION)
    install_roots(made)
    made.csms.deliver = False
    made.start()
    made.run_to(60.0)
    request = made.csms.seen[0]
    later = world(tmp_path, version, STATION)
    later.csms.to_send.append(later.csms._sign(request, 0.0))
    later.settle()
    assert later.station.told == [UseNewCertificate(STATION)]


# Roots.


@every_version
@pytest.mark.requirement(
    "M03.FR.01",
    "M03.FR.02",
    "M03.FR.03",
    "M03.FR.04",
    "M04.FR.01",
    "M04.FR.02",
    "M04.FR.04",
    "M05.FR.01",
    "M05.FR.02",
    "1.6-M03.FR.04",
    "1.6-M04.FR.02",
    "1.6-M03.FR.01",
    "1.6-M03.FR.02",
    "1.6-M03.FR.03",
    "1.6-M04.FR.01",
    "1.6-M04.FR.04",
    "1.6-M05.FR.01",
    "1.6-M05.FR.02",
)
def test_roots_are_installed_listed_and_deleted(version: OcppVersion, tmp_path: Path) -> None:
    made = world(tmp_path, version)
    kind = "ManufacturerRootCertificate"
    kinds: object = kind if version is V16 else [kind]
    listing = {"certificateType": kinds}
    assert made.ask("GetInstalledCertificateIds", **listing) == {"status": "NotFound"}
    installed = made.ask("InstallCertificate", certificateType=kind, certificate=pem(CSMS_ROOT))
    assert installed == {"status": "Accepted"}
    answer = made.ask("GetInstalledCertificateIds", **listing)
    assert answer["status"] == "Accepted"
    (entry,) = answer["certificateHashData" if version is V16 else "certificateHashDataChain"]  # type: ignore[misc]
    name = entry if version is V16 else entry["certificateHashData"]  # type: ignore[index]
    upper = {**name, "issuerNameHash": name["issuerNameHash"].upper()}  # type: ignore[dict-item]
    assert made.ask("DeleteCertificate", certificateHashData=upper) == {"status": "Accepted"}
    assert made.ask("DeleteCertificate", certificateHashData=name)["status"] == "NotFound"


@every_version
@pytest.mark.requirement("M04.FR.03", "M05.FR.06", "M05.FR.07", "1.6-M05.FR.03", "1.6-M05.FR.06")
def test_refusals_say_why_where_the_version_can(version: OcppVersion, tmp_path: Path) -> None:
    made = world(tmp_path, version, policy=TrustPolicy(max_entries=1))
    kind = ROOT_NAME[version]

    def install(text: str) -> dict[str, object]:
        return made.ask("InstallCertificate", certificateType=kind, certificate=text)

    assert install("rubbish")["status"] == "Rejected"
    assert install(pem(CSMS_ROOT))["status"] == "Accepted"
    full = install(pem(V2G_ROOT))
    assert full["status"] == "Rejected"
    if version is not V16:
        assert full["statusInfo"]["reasonCode"] == "OutOfStorage"  # type: ignore[index]
    (installed,) = made.station.manager.roots.installed(frozenset(), NOW)
    name = messages.hash_data_out(installed.name)
    last = made.ask("DeleteCertificate", certificateHashData=name)
    assert last["status"] == "Failed"
    if version is not V16:
        assert last["statusInfo"]["reasonCode"] == "Unspecified"  # type: ignore[index]
        assert "last of its kind" in last["statusInfo"]["additionalInfo"]  # type: ignore[index]


# V2G.


@every_version
@pytest.mark.requirement(
    "A02.FR.13",
    "A02.FR.24",
    "A02.FR.26",
    "A02.FR.27",
    "M03.FR.05",
    "M06.FR.06",
    "M06.FR.07",
    "M06.FR.10",
    "A03.FR.13",
    "A03.FR.20",
    "A03.FR.23",
)
def test_a_v2g_certificate_with_its_ocsp_status(version: OcppVersion, tmp_path: Path) -> None:
    made = world(tmp_path, version, V2G)
    install_roots(made)
    made.csms.issue = {"responder": "http://ocsp.example/"}
    made.start()
    made.run_to(60.0)
    (info,) = made.station.manager.own.usable(V2G, utc(60.0))
    leaf = info.leaf.certificate
    assert made.station.manager.status.response(leaf, utc(60.0)) is not None
    sign = json.loads(made.csms.seen[0].to_json())
    assert sign["certificateType"] == "V2GCertificate"
    assert ("requestId" in sign) == ("hashRootCertificate" in sign) == (version is V21)
    # A week later it is asked again, in time.
    before = len(made.csms.seen)
    made.run_to(60.0 + 604_800.0)
    assert len(made.csms.seen) == before + 1
    assert made.station.manager.status.response(leaf, utc(made.now)) is not None
    # It is listed with its sub-CA and can be deleted.
    carrier = V201 if version is V16 else version
    answer = made.ask("GetInstalledCertificateIds", carrier, certificateType=["V2GCertificateChain"])
    (chain,) = answer["certificateHashDataChain"]  # type: ignore[misc]
    assert len(chain["childCertificateHashData"]) == 1  # type: ignore[index, call-overload]
    name = chain["certificateHashData"]  # type: ignore[index, call-overload]
    assert made.ask("DeleteCertificate", carrier, certificateHashData=name)["status"] == "Accepted"
    assert made.station.manager.own.usable(V2G, utc(made.now)) == ()


@every_version
@pytest.mark.requirement("M06.FR.06")
def test_a_status_that_the_csms_does_not_have_is_asked_for_again(
    version: OcppVersion, tmp_path: Path
) -> None:
    made = world(tmp_path, version, V2G)
    install_roots(made)
    made.csms.issue = {"responder": "http://ocsp.example/"}
    made.csms.statuses = False
    made.start()
    made.run_to(61.0)
    (info,) = made.station.manager.own.usable(V2G, utc(made.now))
    leaf = info.leaf.certificate
    assert made.station.manager.status.response(leaf, utc(made.now)) is None
    made.csms.statuses = True
    made.run_to(61.0 + 3600.0)
    assert made.station.manager.status.response(leaf, utc(made.now)) is not None


@pytest.mark.requirement("A02.FR.22", "A02.FR.23")
def test_both_kinds_of_v2g_certificate_side_by_side(tmp_path: Path) -> None:
    made = world(tmp_path, V21, V2G, V2G20)
    install_roots(made)
    made.start()
    for name, use in (("SignV2GCertificate", V2G), ("SignV2G20Certificate", V2G20)):
        made.ask("TriggerMessage", requestedMessage=name)
        assert made.station.told[-1] == UseNewCertificate(use)
    kinds = [json.loads(request.to_json())["certificateType"] for request in made.csms.seen]
    assert kinds == ["V2GCertificate", "V2G20Certificate"]


@pytest.mark.requirement("A02.FR.26")
def test_an_unknown_request_id_is_rejected(tmp_path: Path) -> None:
    made = world(tmp_path, V21)
    install_roots(made)
    answer = made.ask("CertificateSigned", certificateChain=pem(CSMS_ROOT.leaf()), requestId=99)
    assert answer["status"] == "Rejected"
    assert answer["statusInfo"]["reasonCode"] == "NotFound"  # type: ignore[index]


# Messages.


def test_messages_about_other_things_ask_nothing() -> None:
    assert messages.question_in(built(V201, "Reset", type="Immediate")) is None
    assert messages.unwrap(built(V201, "Reset", type="Immediate")) is None
    assert messages.unwrap(built(V16, "DataTransfer", vendorId="somebody")) is None


@pytest.mark.parametrize(
    "fields", [{}, {"messageId": "Nothing"}, {"messageId": "DeleteCertificate", "data": "{}"}]
)
def test_broken_plug_and_charge_messages(fields: dict[str, str]) -> None:
    with pytest.raises(CertificateError, match="malformed"):
        messages.unwrap(built(V16, "DataTransfer", vendorId=messages.PNC_VENDOR, **fields))


@every_version
@pytest.mark.parametrize("fault", Fault)
def test_every_fault_can_be_answered(version: OcppVersion, fault: Fault) -> None:
    """The longest detail, any fault: the response is always one of the schema."""
    request = built(version, "CertificateSigned", certificateChain="x")
    response = messages.response_to(request, Outcome(Status.REJECTED, fault, "é" * 5000))
    model = message_set(version).response("CertificateSigned")
    assert model.model_validate_json(response.to_json()) == response
    assert messages.response_to(request, Outcome(Status.REJECTED, fault))
