"""Single cases: those that once broke a promise, and the one in ``SIMULATION_CASE``.

A broken promise prints the line that runs it here again.
"""

import os

import pytest

from . import explore
from .case import Case

ONCE_BROKEN: dict[str, str] = {
    "a frame that the store held back timed out before it left, which counted as an attempt": (
        '{"version":"ocpp2.1","script":"token_then_plug","delay_ms":3000,"store":[5],'
        '"config":{"message_timeout":7.0,"attempts":1}}'
    ),
    "a boot that knew the time was forgotten, and the one before it moved to another time": (
        '{"version":"any","script":"never_online","seed":2523,"power_loss":[43,57],'
        '"off_ms":200000,"cut":[1,22,45,70],"delay_ms":5000,"contactor_ms":8000,'
        '"csms_store":[4,9,16],"misanswers":[[36,"unanswered"]],"shunned":[[5,"unanswered"]],'
        '"verdicts":["Accepted","Accepted","Pending"],"heartbeat_s":30,'
        '"config":{"sample_interval":20,"ended_interval":15,"ended_samples_limit":3}}'
    ),
    "an end without number was taken for that of a transaction that began later": (
        '{"version":"ocpp1.6","script":"two_at_once","seed":1512,"power_loss":[37,64],'
        '"off_ms":200000,"cut":[26,27,30,53],"silence_ms":5000,"contactor_ms":8000,'
        '"store":[16,19,32],"csms_store":[14],"shunned":[[0,"unheard"]],"config":{"attempts":1}}'
    ),
    "the end of one driver's transaction, without number, was taken for that of another driver's": (
        '{"version":"ocpp1.6","script":"two_at_once","seed":30852,"power_loss":[68],"cut":[43,72],'
        '"silence_ms":45007,"contactor_ms":8000,"store":[11,22],"csms_store":[16,19],'
        '"misanswers":[[1,"unanswered"],[12,"unanswered"]],"shunned":[[1,"error"]],'
        '"verdicts":["Rejected"],"heartbeat_s":30,"config":{"sample_interval":0,"ended_interval":15,'
        '"ended_samples_limit":3,"outbox_limit":8,"stop_tx_on_invalid_id":false,"attempts":1}}'
    ),
    "the operator was given a fact that no store had taken, and after a power loss another in its place": (
        '{"version":"any","script":"another_csms","seed":18092,"power_loss":[31,43],"off_ms":200000,'
        '"cut":[45],"silence_ms":5003,"contactor_ms":8000,"store":[8,17,34],"misanswers":[[20,"unheard"]],'
        '"verdicts":["Pending","Accepted"],"config":{"sample_interval":0,"outbox_limit":8,"attempts":2,'
        '"pin_policy":"hand over","network_profiles":["one","two"],"network_attempts":1}}'
    ),
}
"""What broke -> the case that showed it."""

if "SIMULATION_CASE" in os.environ:
    ONCE_BROKEN["from the environment"] = os.environ["SIMULATION_CASE"]


@pytest.mark.requirement("E01.FR.07", "E04.FR.02")
@pytest.mark.parametrize("what", ONCE_BROKEN)
def test_case(what):
    explore.run(Case.parse(ONCE_BROKEN[what]))
