"""What happened, in a form that does not depend on when it did."""

import json
import re
from typing import Any

from ocpp_adapters.codecs import describe
from ocpp_adapters.sessions import Session, TextLink
from ocpp_core.store import Commit, MemoryStore
from ocpp_core.wire import Closed

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)|(?<=UTC is )\d+")


_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Trace(list[str]):
    """One side's story, line by line."""

    def note(self, what: str, detail: Any = "") -> None:
        """Something happened; times of day are put aside."""
        text = detail if isinstance(detail, str) else json.dumps(describe(detail), sort_keys=True)
        self.append(_TIME.sub("<time>", f"{what} {text}"))

    def renumbered(self) -> "Trace":
        """With message ids by their first appearance: where masking keys are drawn from the same source."""
        seen: dict[str, str] = {}
        numbered = (_ID.sub(lambda it: seen.setdefault(it[0], f"<{len(seen)}>"), line) for line in self)
        return Trace(numbered)


class Tap(Session):
    """A session between a link and another session, that writes down all that passes."""

    def __init__(self, session: Session, trace: Trace) -> None:
        self._session = session
        self._trace = trace

    def link_opened(self, link: TextLink, now: float) -> None:
        self._trace.note("opened", f"{link.identity} {link.subprotocol}")
        self._session.link_opened(_TappedLink(link, self._trace), now)

    def receive_text(self, text: str, now: float) -> None:
        self._trace.note("<-", text)
        self._session.receive_text(text, now)

    def link_closed(self, closed: Closed, now: float) -> None:
        self._trace.note("closed", f"{closed.code} {'clean' if closed.clean else 'not clean'}")
        self._session.link_closed(closed, now)

    def handle_timer(self, now: float) -> None:
        self._session.handle_timer(now)

    def next_timer(self) -> float | None:
        return self._session.next_timer()


class _TappedLink:
    def __init__(self, link: TextLink, trace: Trace) -> None:
        self._link = link
        self._trace = trace

    def send_text(self, text: str) -> None:
        self._trace.note("->", text)
        self._link.send_text(text)

    def close(self, code: int, reason: str) -> None:
        self._trace.note("close", f"{code} {reason}")
        self._link.close(code, reason)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)


class TracedStore(MemoryStore):
    """Rows in memory; which of them changed, together, is written down."""

    __slots__ = ("trace",)

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace

    def commit(self, commit: Commit) -> None:
        changes = [f"{type(it).__name__} {it.table}/{it.key}" for it in commit.changes]
        self.trace.note("commit", ", ".join(changes))
        super().commit(commit)
