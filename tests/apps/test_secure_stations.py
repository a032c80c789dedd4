"""Security profiles between the real programs, over real sockets."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.adapters.tls import pki
from tests.adapters.tls.pki import DAY, OPERATOR, Leaf
from tests.adapters.tls.responder import GOOD, REVOKED, responder
from tests.apps.line_process import running
from tests.apps.secure_rig import PASSWORD, SERIAL, Rig, connected, disconnected, url_of

HEX = "000102030405060708090a0b0c0d0e0f3a"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield Rig(stack, tmp_path)


def own(leaf: Leaf) -> dict[str, str]:
    return {"chain": str(leaf.chain), "key": str(leaf.key_file)}


def put(leaf: Leaf, folder: Path) -> None:
    """Certificate and key under the same names as those before, each replaced at once."""
    for path, name in ((leaf.chain, "own.pem"), (leaf.key_file, "own.key")):
        (folder / "new").write_bytes(path.read_bytes())
        (folder / "new").replace(folder / name)


@pytest.mark.requirement("A00.FR.202", "A00.FR.203", "A00.FR.204", "A00.FR.207")
@pytest.mark.parametrize(
    ("registered", "settings"),
    [
        ({"password": PASSWORD}, {"password": PASSWORD}),
        ({"authorization_key": HEX}, {"authorization_key": HEX}),
        ({"authorization_key": HEX.upper()}, {"password": HEX}),  # as text, which many stations send
    ],
)
def test_a_password_over_a_plain_link(rig: Rig, registered: dict[str, str], settings: dict[str, str]) -> None:
    central = rig.central("--security-profile", 1, stations={"CP1": registered})
    station = rig.station(url_of(central, "ws"), settings)
    connected(station)
    assert central.event("connected")["station"] == "CP1"
    assert PASSWORD not in str(station.do("state"))


@pytest.mark.requirement("A00.FR.207")
def test_a_wrong_password_and_then_the_right_one(rig: Rig) -> None:
    central = rig.central("--security-profile", 1, stations={"CP1": {"password": PASSWORD}})
    station = rig.station(url_of(central, "ws"), {"password": "another password"})
    disconnected(station, "unauthorized")
    refused = central.event("refused")
    assert (refused["station"], refused["reason"]) == ("CP1", "wrong user name or password")
    (rig.folder / "word").write_text(PASSWORD + "\n")
    connected(rig.station(url_of(central, "ws"), {"password_file": "word"}))


def test_strangers_are_told_that_they_are_unknown(rig: Rig) -> None:
    central = rig.central(stations={})
    disconnected(rig.station(url_of(central, "ws")), "not found")
    assert central.event("refused")["reason"] == "unknown station"


@pytest.mark.requirement("A00.FR.301", "A00.FR.302", "A00.FR.303", "A00.FR.311")
def test_tls_with_the_wrong_root_and_then_the_right_one(rig: Rig) -> None:
    central = rig.secured(password=PASSWORD)
    trust = rig.folder / "trust.pem"
    trust.write_bytes(pki.root(rig.folder, "Other").file.read_bytes())
    station = rig.station(url_of(central), {"password": PASSWORD, "trust": ["trust.pem"]})
    disconnected(station, "bad certificate: ")
    trust.write_bytes(rig.root.file.read_bytes())
    connected(station)
    assert central.event("connected")["subprotocol"] == "ocpp2.0.1"


@pytest.mark.requirement("A00.FR.310", "A04.FR.01", "A04.FR.04")
def test_the_central_system_is_told_of_the_certificate_that_was_refused(rig: Rig) -> None:
    central = rig.secured(password=PASSWORD)
    (rig.folder / "trust.pem").write_bytes(pki.root(rig.folder, "Other").file.read_bytes())
    station = rig.station(url_of(central), {"password": PASSWORD, "trust": ["trust.pem"]})
    disconnected(station, "bad certificate: ")
    (rig.folder / "trust.pem").write_bytes(rig.root.file.read_bytes())
    told = station.until(lambda it: "SecurityEventNotification" in it.get("text", ""))
    assert json.loads(told["text"])[3]["type"] == "InvalidCsmsCertificate"
    station.do("report", what="security_event", **{"with": {"type": "TamperDetectionActivated"}})
    told = station.until(lambda it: "SecurityEventNotification" in it.get("text", ""))
    assert json.loads(told["text"])[3]["type"] == "TamperDetectionActivated"


def test_without_settings_the_system_is_trusted(rig: Rig) -> None:
    central = rig.secured(password=PASSWORD)
    disconnected(rig.station(url_of(central)), "bad certificate: ")


@pytest.mark.requirement("A00.FR.001", "A00.FR.002")
def test_a_station_with_another_profile_is_refused(rig: Rig) -> None:
    central = rig.certified()
    station = rig.station(url_of(central), {"password": PASSWORD, "trust": [str(rig.root.file)]})
    disconnected(station, "own certificate refused")


@pytest.mark.requirement("A00.FR.401", "A00.FR.402", "A00.FR.404", "A00.FR.405")
def test_a_certificate_that_is_replaced_is_shown_at_the_next_attempt(rig: Rig) -> None:
    central = rig.certified()
    put(rig.root.leaf("SN-0002", OPERATOR), rig.folder)
    settings = {"trust": [str(rig.root.file)], "chain": "own.pem", "key": "own.key"}
    station = rig.station(url_of(central), settings)
    refused = central.event("refused")
    assert refused["reason"] == "certificate of another station"
    assert refused["security_event"] == "InvalidChargingStationCertificate"
    disconnected(station, "unauthorized")
    (rig.folder / "own.pem").unlink()
    station.event("connection", state="disconnected")
    disconnected(station, "No such file")
    put(rig.root.leaf(SERIAL, OPERATOR), rig.folder)
    connected(station)
    booted = station.do("state")["connection"]
    assert (booted["state"], booted["subprotocol"]) == ("open", "ocpp2.0.1")


@pytest.mark.requirement("A00.FR.702", "A00.FR.705", "1.6-A00.FR.702", "1.6-A00.FR.704")
def test_a_station_that_becomes_known_and_a_certificate_that_is_revoked(rig: Rig) -> None:
    """All while the central system runs: the registry, a revocation list and what a responder says count."""
    ocsp = rig.stack.enter_context(responder(rig.root))
    leaves = [rig.root.leaf(SERIAL, OPERATOR, responder=ocsp.url) for _ in range(3)]
    for leaf, says in zip(leaves, (REVOKED, GOOD, GOOD), strict=True):
        ocsp.say(leaf.certificate, says)
    lists = rig.folder / "list.pem"
    lists.write_bytes(rig.root.crl().read_bytes())
    lists.write_bytes(rig.root.crl(leaves[1].certificate).read_bytes())
    central = rig.certified("--ocsp", "--crl", lists)
    put(leaves[0], rig.folder)
    known = (rig.folder / "central.json").read_text()
    (rig.folder / "central.json").write_text("{}")
    settings = {"trust": [str(rig.root.file)], "chain": "own.pem", "key": "own.key"}
    station = rig.station(url_of(central), settings)
    assert central.event("refused")["reason"] == "unknown station"
    (rig.folder / "central.json").write_text(known)
    refused = central.event("refused", reason="certificate revoked")
    assert refused["security_event"] == "InvalidChargingStationCertificate"
    put(leaves[1], rig.folder)
    station.event("connection", state="disconnected")
    central.event("refused", reason="certificate revoked")
    put(leaves[2], rig.folder)
    connected(station)


@pytest.mark.requirement("A00.FR.308", "A00.FR.310", "A04.FR.01")
def test_a_station_that_asks_leaves_a_revoked_central_system(rig: Rig) -> None:
    ocsp = rig.stack.enter_context(responder(rig.root))
    leaf = rig.root.leaf("localhost", responder=ocsp.url)
    ocsp.say(leaf.certificate, REVOKED)
    options = ("--tls-cert", leaf.chain, "--tls-key", leaf.key_file)
    central = rig.central(*options, stations={"CP1": {"password": PASSWORD}})
    settings = {"password": PASSWORD, "trust": [str(rig.root.file)], "ocsp": True}
    station = rig.station(url_of(central), settings)
    station.event("connection", state="connected")
    station.event("connection", state="disconnected")
    disconnected(station, "bad certificate: revoked")


def test_a_key_that_does_not_belong_to_its_certificate_is_told(rig: Rig) -> None:
    central = rig.certified()
    good, other = rig.root.leaf(SERIAL, OPERATOR), rig.root.leaf("X", OPERATOR, kind="rsa")
    settings = {"trust": [str(rig.root.file)], "chain": str(good.chain), "key": str(other.key_file)}
    disconnected(rig.station(url_of(central), settings), "belongs to another key")


def directory(rig: Rig) -> Path:
    """libocpp's layout with a root, and nothing of the station yet."""
    folder = rig.folder / "certs"
    for name in ("ca/csms", "client/csms"):
        (folder / name).mkdir(parents=True)
    (folder / "ca/csms/CSMS_ROOT_CA.pem").write_bytes(rig.root.file.read_bytes())
    return folder


def install(leaf: Leaf, folder: Path, name: str) -> None:
    (folder / f"client/csms/{name}.key").write_bytes(leaf.key_file.read_bytes())
    (folder / f"client/csms/{name}.pem").write_bytes(leaf.chain.read_bytes())


def test_a_directory_in_the_layout_of_libocpp(rig: Rig) -> None:
    central = rig.certified()
    folder = directory(rig)
    install(rig.root.leaf(SERIAL, OPERATOR), folder, "SECC_LEAF")
    station = rig.station(url_of(central), folder)
    connected(station)


@pytest.mark.requirement("A02.FR.28")
def test_the_certificate_before_is_shown_if_the_newest_is_refused(rig: Rig) -> None:
    central = rig.certified()
    folder = directory(rig)
    settings = rig.settings({"security_profile": 3, "directory": "certs"})
    station = rig.station(url_of(central), settings)
    disconnected(station, "no certificate with its key")
    install(rig.root.leaf(SERIAL, OPERATOR), folder, "before")
    install(rig.root.leaf("SN-0002", OPERATOR, kind="rsa", since=-DAY / 2), folder, "newest")
    assert central.event("refused")["reason"] == "certificate of another station"
    connected(station)


# The way there


@pytest.fixture
def proxy(rig: Rig, free_tcp_port: int) -> str:
    """The URL of a proxy that lets in who knows the password."""
    command = ("tests.adapters.network.proxy_child", str(free_tcp_port), "me:secret")
    rig.stack.enter_context(running(*command)).event("listening")
    return f"http://me:secret@127.0.0.1:{free_tcp_port}"


def test_through_a_proxy_and_by_an_interface(rig: Rig, proxy: str) -> None:
    central = rig.secured(password=PASSWORD)
    profiles = [{"slot": 1, "proxy": proxy, "interface": "lo"}]
    settings = {"password": PASSWORD, "trust": [str(rig.root.file)]}
    station = rig.station(url_of(central), settings, config={"network_profiles": profiles})
    connected(station)
    doctor = ("ocpp_station", "doctor", "tls", url_of(central), "--ca", str(rig.root.file))
    done = run_program(*doctor, "--proxy", proxy, "--interface", "lo")
    assert (done.returncode, "A station can connect." in done.stdout) == (0, True), done.stdout
    done = run_program(*doctor, "--proxy", proxy.replace("secret", "wrong"))
    assert done.returncode == 1
    assert "refuses our user name or password" in done.stdout
    assert "wrong" not in done.stdout + done.stderr
    done = run_program(*doctor, "--interface", "nowhere0")
    assert done.returncode == 1
    assert "nowhere0" in done.stdout
    done = run_program(*doctor, "--interface", "no/where")
    assert (done.returncode, done.stderr) == (1, "ocpp: not the name of a network interface: 'no/where'\n")


def test_an_interface_that_is_not_there_is_a_reason_to_go_on_trying(rig: Rig) -> None:
    central = rig.central(stations={"CP1": {}})
    profiles = [{"slot": 1, "interface": "nowhere0"}]
    station = rig.station(url_of(central, "ws"), config={"network_profiles": profiles})
    disconnected(station, "nowhere0")


def run_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
