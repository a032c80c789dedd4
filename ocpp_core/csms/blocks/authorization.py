"""Tokens that a station asks about (C01; 1.6 §4.1)."""

from ...domain.tokens import IdTokenInfo
from ..actions import AskAuthorization
from ..context import Context
from ..dialect import Authorize
from ..questions import AuthorizeQuestion


class Authorization:
    """Authorize: the policy of the configuration, or the application's word."""

    __slots__ = ("_context",)

    def __init__(self, context: Context) -> None:
        self._context = context

    def authorize(self, call_id: str, authorize: Authorize, now: float) -> None:
        """An Authorize."""
        context = self._context
        info = context.config.authorization
        if info is not None:
            context.answer(call_id, context.dialect.authorize_response(info), now)
            return
        number, deadline = context.ask(AuthorizeQuestion(call_id), now)
        context.emit(AskAuthorization(number, deadline, authorize.token))

    def answered(self, number: int, question: AuthorizeQuestion, info: IdTokenInfo, now: float) -> None:
        """The application's word, or the one for want of it."""
        response = self._context.dialect.authorize_response(info)
        self._context.settle(number)
        self._context.answer(question.call_id, response, now)
