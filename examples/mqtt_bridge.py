"""OCPP over MQTT: a station and its central system exchange messages through a broker.

What the station says goes to ``ocpp/IDENTITY/csms``, what it hears comes from ``ocpp/IDENTITY/station``:
``python examples/mqtt_bridge.py csms|station [BROKER_PORT]``, the central system first.
"""

import sys
import threading
from datetime import UTC, datetime

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from ocpp_adapters.rpc_link import RefuseCallError
from ocpp_adapters.threads_bridge import ThreadBridge
from ocpp_adapters.threads_monitor import Monitor
from ocpp_adapters.threads_rpc import BlockingLink
from ocpp_core import Role
from ocpp_core.messages import Response, v201
from ocpp_core.rpc import CallReceived, ErrorCode, SendReceived

IDENTITY = "CP01"


def handle(link: BlockingLink, call: CallReceived | SendReceived) -> Response:
    """Answer a call, in a thread of its own."""
    match call.request:
        case v201.BootNotificationRequest():
            print(f"{link.identity} booted", flush=True)
            return v201.BootNotificationResponse(
                current_time=datetime.now(UTC), interval=300, status=v201.RegistrationStatusEnum.ACCEPTED
            )
        case v201.HeartbeatRequest():
            cleared = link.call(v201.ClearCacheRequest())  # while the station waits
            print(f"the cache of {link.identity}: {cleared}", flush=True)
            return v201.HeartbeatResponse(current_time=datetime.now(UTC))
        case v201.ClearCacheRequest():
            return v201.ClearCacheResponse(status=v201.ClearCacheStatusEnum.ACCEPTED)
    raise RefuseCallError(ErrorCode.NOT_IMPLEMENTED)


def connected(broker: int, topic: str) -> mqtt.Client:
    """A client of the broker that gets a topic's messages, each of them once."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", broker)
    client.loop_start()
    client.subscribe(topic, qos=2)
    subscribed.wait(10)
    return client


def main(role: Role, broker: int) -> None:
    """The station says what it has to say; the central system listens for ever."""
    here, there = ("station", "csms") if role is Role.STATION else ("csms", "station")
    monitor = Monitor()
    link = BlockingLink(role, handle, monitor)
    client = connected(broker, f"ocpp/{IDENTITY}/{here}")
    bridge = ThreadBridge(
        link,
        lambda text: client.publish(f"ocpp/{IDENTITY}/{there}", text, qos=2),
        identity=IDENTITY,
        subprotocol="ocpp2.0.1",
        monitor=monitor,
    )
    client.on_message = lambda _client, _data, message: bridge.receive(message.payload.decode())
    with bridge:
        if role is Role.CSMS:
            print("ready", flush=True)
            threading.Event().wait()
        station = v201.ChargingStation(model="Example", vendor_name="Acme")
        boot = v201.BootNotificationRequest(charging_station=station, reason=v201.BootReasonEnum.POWER_UP)
        print(f"boot: {link.call(boot)}", flush=True)
        print(f"heartbeat: {link.call(v201.HeartbeatRequest())}", flush=True)
    client.loop_stop()


if __name__ == "__main__":
    main(
        Role.CSMS if sys.argv[1] == "csms" else Role.STATION, int(sys.argv[2]) if len(sys.argv) > 2 else 1883
    )
