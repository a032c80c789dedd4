"""The central system as a process: what it tells, what it remembers over a kill, and whom it lets charge."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from ocpp_adapters.sqlite_store import SqliteStore
from ocpp_adapters.stores import GroupCommitter, StoreWriteError
from ocpp_central.service import CentralSystem, Launch
from ocpp_core.store import Commit, Put
from tests.apps.line_process import LineProcess, running


def start(directory: Path, *more: str) -> tuple[str, ...]:
    return ("ocpp_central", "--port", "0", "--store", str(directory / "store"), *more)


def station(central: LineProcess, identity: str, version: str) -> ClientConnection:
    port = next(it["port"] for it in central.seen if it.get("event") == "listening")
    return connect(f"ws://127.0.0.1:{port}/ocpp/{identity}", subprotocols=[Subprotocol(version)])


def call(socket: ClientConnection, id_: str, action: str, payload: Mapping[str, object]) -> dict[str, object]:
    socket.send(json.dumps([2, id_, action, payload]))
    answer = json.loads(socket.recv(10))
    assert answer[:2] == [3, id_], answer
    return dict(answer[2])


def begin(socket: ClientConnection, token: str = "A") -> dict[str, object]:
    started = {"connectorId": 1, "idTag": token, "meterStart": 100, "timestamp": "2030-01-01T00:00:00Z"}
    return call(socket, "start", "StartTransaction", started)


def finish(socket: ClientConnection, transaction: object) -> None:
    ended = {"transactionId": transaction, "meterStop": 350, "timestamp": "2030-01-01T01:00:00Z"}
    call(socket, "stop", "StopTransaction", ended)


def test_what_stations_tell_is_told_in_one_language(tmp_path: Path) -> None:
    with running(*start(tmp_path)) as central:
        central.event("listening")
        with station(central, "CP%201", "ocpp1.6") as socket:
            assert central.event("connected")["station"] == "CP 1"
            boot = call(socket, "1", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
            assert (boot["status"], boot["interval"]) == ("Accepted", 300)
            assert central.event("booted")["model"] == "M"
            call(socket, "2", "Heartbeat", {})
            assert central.event("heartbeat")["station"] == "CP 1"
            status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
            call(socket, "3", "StatusNotification", status)
            told = central.event("status")
            assert (told["evse"], told["status"], told["wire_status"]) == (1, "Occupied", "Charging")
            values = [{"timestamp": "2030-01-01T00:00:00Z", "sampledValue": [{"value": "5"}]}]
            call(socket, "4", "MeterValues", {"connectorId": 1, "meterValue": values})
            assert central.event("meter_values")["readings"] == 1
            transaction = begin(socket)["transactionId"]
            assert central.event("transaction")["phase"] == "started"
            finish(socket, transaction)
            assert central.event("transaction")["stop_reason"] == "Local"
            assert central.do("stations")["stations"] == [
                {"station": "CP 1", "version": "ocpp1.6", "connected": True}
            ]
        assert central.event("disconnected")["code"] == 1000
        central.do("quit")
        assert central.ended() == 0


def test_a_kill_loses_no_bill_and_a_repetition_makes_no_second(tmp_path: Path) -> None:
    with running(*start(tmp_path)) as central:
        central.event("listening")
        with station(central, "A", "ocpp1.6") as socket:
            open_one = begin(socket)["transactionId"]
            central.kill()
    with running(*start(tmp_path)) as central:
        central.event("listening")
        (bill,) = central.do("billed")["transactions"]
        assert (bill["start_wh"], bill["complete"]) == (100.0, False)
        with station(central, "A", "ocpp1.6") as socket:
            assert begin(socket)["transactionId"] == open_one
            finish(socket, open_one)
            central.kill()
    with running(*start(tmp_path)) as central:
        (bill,) = central.do("billed")["transactions"]
        assert (bill["station"], bill["transaction"], bill["token"]) == ("A", str(open_one), "A")
        assert (bill["start_wh"], bill["stop_wh"], bill["energy_wh"]) == (100.0, 350.0, 250.0)
        assert bill["complete"]
        assert central.do("stations")["stations"][0]["connected"] is False


def test_only_listed_tokens_charge(tmp_path: Path) -> None:
    with running(*start(tmp_path, "--token", "GOOD", "--token", "other", "--heartbeat", "7")) as central:
        central.event("listening")
        with station(central, "A", "ocpp2.0.1") as socket:
            boot = {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}}
            assert call(socket, "1", "BootNotification", boot)["interval"] == 7
            for token, status in (("good", "Accepted"), ("OTHER", "Accepted"), ("bad", "Invalid")):
                presented = {"idToken": {"idToken": token, "type": "ISO14443"}}
                assert call(socket, token, "Authorize", presented)["idTokenInfo"] == {"status": status}


def test_a_station_that_cannot_is_an_answer_too(tmp_path: Path) -> None:
    with running(*start(tmp_path)) as central:
        central.event("listening")
        with station(central, "A", "ocpp1.6") as socket:
            call(socket, "1", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
            central.write(b'{"do": "start", "id": "s", "station": "A", "token": "T", "evse": 1}\n')
            _, call_id, action, _ = json.loads(socket.recv(10))
            assert action == "RemoteStartTransaction"
            socket.send(json.dumps([4, call_id, "InternalError", "", {}]))
            answer = central.until(lambda message: message.get("re") == "s")
            assert "the station did not answer: " in answer["error"]


def test_it_stops_when_nobody_listens(tmp_path: Path) -> None:
    command = [sys.executable, "-m", *start(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as central:
        assert central.stdout is not None
        assert central.stdin is not None
        central.stdout.readline()
        central.stdout.close()
        central.stdin.write(b'{"do": "stations"}\n')
        central.stdin.flush()
        assert central.wait(10) == 0


class Disk(SqliteStore):
    """It can be full."""

    full = False

    def commit_all(self, commits: Sequence[tuple[str, Commit]]) -> None:
        if self.full:
            raise StoreWriteError("full")
        super().commit_all(commits)


def test_a_station_that_could_not_be_remembered_is_so_when_it_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "store"

    async def main() -> None:
        with closing(Disk(path)) as disk:
            launch = Launch("127.0.0.1", 0, path, tokens=None, heartbeat=300)
            service = CentralSystem(launch, disk, GroupCommitter(disk, lambda work: work()()))
            for disk.full in (True, False):
                service.remember("CP1", "ocpp1.6")

    asyncio.run(main())
    with closing(SqliteStore(path)) as rows:
        assert rows.load("")["stations"] == {"CP1": "ocpp1.6"}


def test_garbage_is_answered_and_the_end_of_input_is_the_end(tmp_path: Path) -> None:
    with running(*start(tmp_path)) as central:
        central.write(b"what?\n")
        assert "not JSON" in central.until(lambda message: "ok" in message)["error"]
        assert "allowed: billed, stations, start, stop, quit" in central.ask("charge")["error"]
        assert "no member now" in central.ask("billed", now=True)["error"]
        central.close_input()
        assert central.ended() == 0


def test_it_says_why_it_cannot_start(tmp_path: Path) -> None:
    with running(*start(tmp_path)) as first:
        port = str(first.event("listening")["port"])
        with running(*start(tmp_path)) as second:
            assert second.ended() == 1
            assert b"in use by another process" in second.complaints
        elsewhere = ("ocpp_central", "--port", port, "--store", str(tmp_path / "other"))
        with running(*elsewhere) as third:
            assert third.ended() == 1
            assert b"address already in use" in third.complaints
            assert b"Traceback" not in third.complaints


def test_rows_that_were_damaged_end_it_with_a_word(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "store")) as rows:
        rows.commit(Commit((Put("stations", "CP1", "ocpp1.6"),)))
        rows.commit(Commit((Put("csms/CP1", "registration", "torn"),)), "CP1")
    with running(*start(tmp_path)) as central:
        central.event("listening")
        central.write(b'{"do": "billed", "id": 1}\n')
        assert central.ended() == 1
        assert "the registration of 'CP1' is damaged" in central.complaints.decode()
