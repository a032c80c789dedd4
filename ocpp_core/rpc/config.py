"""What an RPC session may be told: its time-out and its limits."""

from dataclasses import dataclass

from ocpp_core.errors import ConfigurationError
from ocpp_core.messages import STRICT, Tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcConfig:
    """The settings of a session; one object may be shared by any number of sessions.

    Arguments:
        message_timeout: seconds a call of ours may stay unanswered, counted from its sending.
        queue_limit: calls that may wait behind the one in flight; 0: none, ``call()`` while one is in flight
            is refused, as the owner pulls.
        max_frame_size: characters of an incoming frame; a larger one is refused unparsed.
        unanswered_limit: CALLs of the peer that may await an answer at a time. The standard allows a peer
            one, but it may have given up earlier ones unbeknown to us; a call beyond the limit is refused.
        tolerance: what to repair in the peer's payloads.
        answer_cache: answers remembered for calls that are repeated with their id; 0: none.
        recorded_actions: the actions whose answers are remembered; None: for a CSMS those that a station
            repeats (:data:`~ocpp_core.rpc.ranks.ORDERED_ACTIONS`), for a station none, as a CSMS may number
            its calls anew on every connection (1.6-J §4.1.4 before its errata).
        validate_outgoing: check every outgoing payload against its model once more, which finds models made
            with ``model_construct``.

    Raises:
        ConfigurationError: for a limit or time-out that makes no sense.
    """

    message_timeout: float = 30.0
    queue_limit: int = 32
    max_frame_size: int = 1_048_576
    unanswered_limit: int = 4
    tolerance: Tolerance = STRICT
    answer_cache: int = 2
    recorded_actions: frozenset[str] | None = None
    validate_outgoing: bool = False

    def __post_init__(self) -> None:
        if not self.message_timeout > 0:
            raise ConfigurationError("message_timeout must be positive")
        for name, least in (
            ("queue_limit", 0),
            ("max_frame_size", 1),
            ("unanswered_limit", 1),
            ("answer_cache", 0),
        ):
            if getattr(self, name) < least:
                raise ConfigurationError(f"{name} must be at least {least}")
