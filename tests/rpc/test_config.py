"""The settings of a session."""

from math import inf, nan

import pytest

from ocpp_core.errors import ConfigurationError
from ocpp_core.rpc import RpcConfig


@pytest.mark.parametrize(
    "setting",
    [
        {"message_timeout": 0.0},
        {"message_timeout": -1.0},
        {"message_timeout": nan},
        {"queue_limit": -1},
        {"max_frame_size": 0},
        {"unanswered_limit": 0},
        {"answer_cache": -1},
    ],
)
def test_senseless_settings_are_refused_by_name(setting):
    (name,) = setting
    with pytest.raises(ConfigurationError, match=name):
        RpcConfig(**setting)


def test_the_bounds_themselves_are_allowed():
    RpcConfig(message_timeout=inf, queue_limit=0, max_frame_size=1, unanswered_limit=1, answer_cache=0)
