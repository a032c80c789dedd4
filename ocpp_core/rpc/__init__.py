"""OCPP-J: typed calls and answers over text frames, for both roles, over any carrier of text messages."""

from .actions import (
    CallFailed,
    CallReceived,
    CallSucceeded,
    FailureReason,
    NoticeKind,
    ResponseRefused,
    RpcAction,
    RpcNotice,
    SendFrame,
    SendReceived,
)
from .answers import AnswerCache
from .codec import Codec, codec_for
from .config import RpcConfig
from .error_codes import ErrorCode
from .frames import (
    Call,
    CallError,
    CallResult,
    CallResultError,
    Frame,
    Malformed,
    MessageType,
    Send,
    UnmatchedResult,
)
from .ranks import ORDERED_ACTIONS, CallRank, default_rank
from .session import RpcSession

__all__ = [
    "RpcSession",
    "RpcConfig",
    "RpcAction",
    "SendFrame",
    "CallReceived",
    "SendReceived",
    "CallSucceeded",
    "CallFailed",
    "FailureReason",
    "ResponseRefused",
    "RpcNotice",
    "NoticeKind",
    "ErrorCode",
    "CallRank",
    "ORDERED_ACTIONS",
    "default_rank",
    "AnswerCache",
    "Codec",
    "codec_for",
    "Frame",
    "MessageType",
    "Call",
    "CallResult",
    "CallError",
    "CallResultError",
    "Send",
    "UnmatchedResult",
    "Malformed",
]
