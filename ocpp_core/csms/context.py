"""What the blocks of one connection share: the session, the rows, the questions, the way out."""

from datetime import datetime
from enum import Enum, auto
from hashlib import sha256
from typing import TypeVar

from ..domain.time import from_utc_ms
from ..entropy import Entropy
from ..errors import LocalProtocolError
from ..messages import Response
from ..rpc import CallReceived, ErrorCode, RpcSession
from ..store import Tables
from ..timers import Timers
from .actions import CloseLink, CsmsAction, Notice, NoticeKind
from .config import CsmsConfig
from .dialect import Dialect
from .questions import Question

Asked = TypeVar("Asked", bound=Question)


class Link(Enum):
    """Where the connection stands."""

    OPEN = auto()
    CLOSING = auto()
    """Given up by this side; what still comes in is ignored."""
    LOST = auto()


class Context:
    """The shared parts of one connection. Blocks act through it and reach into no other block's state.

    ``frame`` is the text of the frame being handled: that of the call a block looks at.
    """

    __slots__ = (
        "_asked",
        "_offset_ms",
        "config",
        "dialect",
        "entropy",
        "frame",
        "identity",
        "link",
        "out",
        "questions",
        "session",
        "tables",
        "timers",
    )

    def __init__(
        self,
        config: CsmsConfig,
        identity: str,
        dialect: Dialect,
        session: RpcSession,
        tables: Tables,
        entropy: Entropy,
    ) -> None:
        self.config = config
        self.identity = identity
        self.dialect = dialect
        self.session = session
        self.tables = tables
        self.entropy = entropy
        self.timers: Timers[int] = Timers()
        self.questions: dict[int, Question] = {}
        self.out: list[CsmsAction] = []
        self.frame = ""
        self.link = Link.OPEN
        self._asked = 0
        self._offset_ms: int | None = None

    # Time.

    def set_utc(self, utc_ms: int | None, now: float) -> None:
        """Learn (or, with None, forget) what time it is."""
        self._offset_ms = None if utc_ms is None else utc_ms - round(now * 1000)

    def utc(self, now: float) -> datetime | None:
        """The time, or None while it is not known."""
        return None if self._offset_ms is None else from_utc_ms(round(now * 1000) + self._offset_ms)

    # What goes out.

    def emit(self, action: CsmsAction) -> None:
        """Hand out an action, after those before it."""
        self.out.append(action)

    def notice(self, kind: NoticeKind, detail: str) -> None:
        """Tell the operator."""
        self.out.append(Notice(kind, detail))

    def close(self, code: int, reason: str) -> None:
        """Give the link up."""
        self.link = Link.CLOSING
        self.out.append(CloseLink(code, reason))

    def answer(self, call_id: str, response: Response, now: float) -> None:
        """Answer a call of the station. Raises LocalProtocolError for an invalid response."""
        self.session.respond(call_id, response, now)
        self._hand_over()

    def refuse(self, call_id: str, code: ErrorCode, description: str, now: float) -> None:
        """Answer a call of the station with an error."""
        self.session.respond_error(call_id, code, description, None, now)
        self._hand_over()

    def _hand_over(self) -> None:
        # An answer makes a frame or a notice, never a call that would have to be handled.
        self.out += [action for action in self.session.actions() if not isinstance(action, CallReceived)]

    def fingerprint(self, action: str) -> int:
        """64 bits that tell the payload of the call being handled from any other."""
        payload = self.frame[self.frame.find(action) :]
        return int.from_bytes(sha256(payload.encode("utf-8", "surrogatepass")).digest()[:8], "big")

    # Questions to the application.

    def ask(self, question: Question, now: float) -> tuple[int, float]:
        """Note a question; its number and deadline. There are never more than calls the station awaits."""
        self._asked += 1
        deadline = now + self.config.question_timeout
        self.questions[self._asked] = question
        self.timers.set(self._asked, deadline)
        return self._asked, deadline

    def question(self, number: int, *kinds: type[Asked]) -> Asked | None:
        """An open question of one of these kinds, or None if it is over.

        Raises :class:`LocalProtocolError` if it was never asked, or is of another kind.
        """
        question = self.questions.get(number)
        if isinstance(question, kinds):
            return question
        if question is not None or not 1 <= number <= self._asked:
            raise LocalProtocolError(f"there was no such question {number}")
        return None

    def settle(self, number: int) -> None:
        """A question is over."""
        del self.questions[number]
        self.timers.cancel(number)
