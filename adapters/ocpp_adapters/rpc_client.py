"""A station on the rpc level, on any loop: a handler that declines, an error for what did not open."""

from collections.abc import Callable

from ocpp_core import OcppError
from ocpp_core.rpc import CallReceived, ErrorCode, SendReceived
from ocpp_core.wire import HandshakeFailed

from .rpc_link import RefuseCallError, RpcLink
from .sessions import TextLink


class HandshakeFailedError(OcppError):
    """The link did not open; ``failure`` says why."""

    def __init__(self, failure: HandshakeFailed) -> None:
        super().__init__(f"{failure.reason}: {failure.detail}")
        self.failure = failure


def refuse_all(link: object, call: CallReceived | SendReceived) -> None:
    """A handler for those who only call: every call is answered NotImplemented."""
    del link
    raise RefuseCallError(ErrorCode.NOT_IMPLEMENTED, f"{call.action} is not handled here")


class AnnouncedLink(RpcLink):
    """Says when it is open, by a call of ``announce``."""

    __slots__ = ("announce",)

    announce: Callable[[], None]

    def link_opened(self, link: TextLink, now: float) -> None:
        """The handshake is over."""
        super().link_opened(link, now)
        self.announce()
