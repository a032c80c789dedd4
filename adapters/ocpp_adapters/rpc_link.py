"""Typed calls over one link, both ways, for those who write handlers: the rpc level, on any loop.

A handler gets every call of the peer and returns the response, or a coroutine that will; ``await
link.call(...)`` makes a call, also from within a handler: nothing here waits for a handler, so nothing can
deadlock.
"""

import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from pydantic import JsonValue

from ocpp_core import LocalProtocolError, OcppError, OcppVersion, Role
from ocpp_core.entropy import Entropy
from ocpp_core.messages import Request, Response
from ocpp_core.rpc import (
    AnswerCache,
    CallFailed,
    CallRank,
    CallReceived,
    CallSucceeded,
    ErrorCode,
    FailureReason,
    RpcAction,
    RpcConfig,
    RpcSession,
    SendFrame,
    SendReceived,
)
from ocpp_core.wire import Closed

from .calls import Concurrency, Event, Outcomes
from .sessions import Session, TextLink

_log = logging.getLogger(__name__)


class CallFailedError(OcppError):
    """A call ended without a response; ``failure`` says why."""

    def __init__(self, failure: CallFailed) -> None:
        super().__init__(f"{failure.action}: {failure.reason} {failure.code} {failure.description}".rstrip())
        self.failure = failure


class RefuseCallError(Exception):
    """Raised by a handler to answer a call with a CALLERROR."""

    def __init__(
        self, code: ErrorCode, description: str = "", details: Mapping[str, JsonValue] | None = None
    ) -> None:
        super().__init__(code, description)
        self.code = code
        self.description = description
        self.details: Mapping[str, JsonValue] = dict(details or {})


Handler: TypeAlias = Callable[
    ["RpcLink", CallReceived | SendReceived], Response | Awaitable[Response | None] | None
]
"""Answers a call: with the response or an awaitable of it. For a SEND (OCPP 2.1) the result is ignored.

:class:`RefuseCallError` becomes a CALLERROR, any other exception InternalError, with a log entry.
"""


class RpcLink(Session):
    """One end of OCPP-J on one link.

    Arguments:
        role: which end.
        handler: what answers the peer's calls.
        concurrency: the loop it runs on.
        config: time-out and limits.
        entropy: the source of message ids.
        answers: a record of answers to go on with, kept from an earlier link with the same station.
    """

    __slots__ = (
        "_answers",
        "_closed",
        "_concurrency",
        "_config",
        "_draining",
        "_entropy",
        "_handler",
        "_link",
        "_outcomes",
        "_role",
        "_rpc",
        "_watchers",
    )

    def __init__(
        self,
        role: Role,
        handler: Handler,
        concurrency: Concurrency,
        config: RpcConfig | None = None,
        entropy: Entropy = os.urandom,
        answers: AnswerCache | None = None,
    ) -> None:
        self._role = role
        self._handler = handler
        self._concurrency = concurrency
        self._config = config or RpcConfig()
        self._entropy = entropy
        self._answers = answers
        self._link: TextLink | None = None
        self._rpc: RpcSession | None = None
        self._outcomes: Outcomes[CallSucceeded | CallFailed] = Outcomes(concurrency)
        self._watchers: list[Event] = []
        self._closed: Closed | None = None
        self._draining = False

    # What the application asks for.

    @property
    def identity(self) -> str:
        """The station's identity."""
        return self._opened()[0].identity

    @property
    def version(self) -> OcppVersion:
        """The version both sides agreed on."""
        return self._opened()[1].version

    @property
    def answers(self) -> AnswerCache:
        """The record of answers, to be handed to the next link with the same station."""
        return self._opened()[1].answers

    async def call(
        self,
        request: Request,
        *,
        timeout: float | None = None,
        rank: CallRank | None = None,
    ) -> Response:
        """Call the peer and wait for the response.

        Arguments:
            request: a request of this link's version and direction.
            timeout: seconds from the moment it is sent; None: the configured ``message_timeout``.
            rank: its class in the queue; None: that of its action.

        A call whose waiting is cancelled is withdrawn if it has not been sent.

        Raises:
            CallFailedError: there is no response, and will be none. LocalProtocolError: the link is not
            open yet, the queue is full, or the request is not one to send.
        """
        link, rpc = self._usable(request)
        call_id = rpc.call(request, link.now(), timeout=timeout, rank=rank)
        self._outcomes.expect(call_id)
        self._drain()
        outcome = await self._outcomes.wait(call_id, lambda: self._withdraw(call_id))
        if isinstance(outcome, CallFailed):
            raise CallFailedError(outcome)
        return outcome.response

    def _withdraw(self, call_id: str) -> None:
        link, rpc = self._opened()
        rpc.cancel(call_id, link.now())
        self._drain()

    def send(self, request: Request) -> None:
        """Send an unconfirmed message (OCPP 2.1). Raises what :meth:`call` raises."""
        link, rpc = self._usable(request)
        rpc.send(request, link.now())
        self._drain()

    async def wait_closed(self) -> Closed:
        """Wait until the link is gone; returns how it ended."""
        while self._closed is None:
            event = self._concurrency.event()
            self._watchers.append(event)
            try:
                await event.wait()
            finally:
                self._watchers.remove(event)
        return self._closed

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close the link; harmless if it is closed."""
        if self._link is not None:
            self._link.close(code, reason)

    def _usable(self, request: Request) -> tuple[TextLink, RpcSession]:
        if self._closed is not None:
            reason = FailureReason.DISCONNECTED
            raise CallFailedError(
                CallFailed("", request.ACTION, request, reason, "", "the link is closed", {})
            )
        return self._opened()

    def _opened(self) -> tuple[TextLink, RpcSession]:
        if self._link is None or self._rpc is None:
            raise LocalProtocolError("the link is not open")
        return self._link, self._rpc

    # What the server or client tells.

    def link_opened(self, link: TextLink, now: float) -> None:
        """The version is known: the conversation begins."""
        del now
        self._link = link
        version = OcppVersion(link.subprotocol)
        self._rpc = RpcSession(version, self._role, self._entropy, self._config, self._answers)

    def receive_text(self, text: str, now: float) -> None:
        """A frame came."""
        _, rpc = self._opened()
        rpc.receive_frame(text, now)
        self._drain()

    def handle_timer(self, now: float) -> None:
        """A call may have timed out."""
        if self._rpc is not None:
            self._rpc.handle_timer(now)
            self._drain()

    def next_timer(self) -> float | None:
        """When the call in flight times out."""
        return None if self._rpc is None else self._rpc.next_timer()

    def link_closed(self, closed: Closed, now: float) -> None:
        """Every call of ours fails; the peer's can still be answered, to no one."""
        _, rpc = self._opened()
        rpc.link_lost(now)
        self._drain()
        self._closed = closed
        for watcher in self._watchers:
            watcher.set()

    # Carrying out.

    def _drain(self) -> None:
        """Mutate, drain, mutate, drain; what a handler does meanwhile is picked up by the outer turn."""
        if self._draining:
            return
        link, rpc = self._opened()
        self._draining = True
        try:
            while actions := rpc.actions():
                for action in actions:
                    self._perform(action, link)
        finally:
            self._draining = False
        link.rearm()

    def _perform(self, action: RpcAction, link: TextLink) -> None:
        match action:
            case SendFrame(text):
                link.send_text(text)
            case CallReceived():
                self._handle(action)
            case SendReceived():
                self._hear(action)
            case CallSucceeded() | CallFailed():
                self._outcomes.settle(action.call_id, action)
            case _:
                _log.info("%s: %s", link.identity, action)

    def _handle(self, call: CallReceived) -> None:
        try:
            answer = self._handler(self, call)
        except Exception as error:
            self._refuse(call, error)
            return
        if isinstance(answer, Awaitable):
            self._concurrency.spawn(self._answer_later(call, answer))
        else:
            self._respond(call, answer)

    async def _answer_later(self, call: CallReceived, answer: Awaitable[Response | None]) -> None:
        try:
            response = await answer
        except Exception as error:
            self._refuse(call, error)
        else:
            self._respond(call, response)
        self._drain()

    def _respond(self, call: CallReceived, response: Response | None) -> None:
        link, rpc = self._opened()
        try:
            if response is None:
                raise LocalProtocolError(f"the handler returned no response to {call.action}")
            if call.call_id in rpc.unanswered:  # it is forgotten some time after the link was lost
                rpc.respond(call.call_id, response, link.now())
        except LocalProtocolError as error:
            self._refuse(call, error)

    def _refuse(self, call: CallReceived, error: Exception) -> None:
        link, rpc = self._opened()
        if not isinstance(error, RefuseCallError):
            self._failed(call, error)
            error = RefuseCallError(ErrorCode.INTERNAL_ERROR, "the call could not be handled")
        if call.call_id not in rpc.unanswered:
            return
        try:
            rpc.respond_error(call.call_id, error.code, error.description, error.details, link.now())
        except LocalProtocolError as unsayable:
            _log.error("%s: the refusal of %s", link.identity, call.action, exc_info=unsayable)
            rpc.respond_error(call.call_id, error.code, error.description, None, link.now())

    def _hear(self, message: SendReceived) -> None:
        try:
            heard = self._handler(self, message)
        except Exception as error:
            self._failed(message, error)
        else:
            if isinstance(heard, Awaitable):
                self._concurrency.spawn(self._hear_later(message, heard))

    async def _hear_later(self, message: SendReceived, heard: Awaitable[object]) -> None:
        try:
            await heard
        except Exception as error:
            self._failed(message, error)

    def _failed(self, received: CallReceived | SendReceived, error: Exception) -> None:
        what = f"{self.identity}: the handler of {received.action}"
        if isinstance(error, CallFailedError):  # its own call went with the link: no bug of the handler's
            _log.warning("%s gave up: %s", what, error)
        else:
            _log.error("%s failed", what, exc_info=error)
