"""The one ordered queue of actions, storage first, and what becomes of it when storage fails."""

from dataclasses import dataclass

from ..rpc.actions import SendFrame
from ..store import Tables
from .actions import Notice, NoticeKind, StationAction


@dataclass(frozen=True, slots=True)
class _Queued:
    action: StationAction
    durable: bool


class Output:
    """Collects a drain's actions behind its commit.

    An action queued as ``durable`` presumes the rows changed so far: while the store fails it is withheld, in
    order, until a later commit has taken those rows. The others (answers, best-effort traffic) go on.
    """

    __slots__ = ("_blocked", "_handed", "_queue", "_tables", "_withheld")

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._queue: list[_Queued] = []
        self._withheld: list[_Queued] = []
        self._handed: list[_Queued] = []
        self._blocked = False

    @property
    def healthy(self) -> bool:
        """Whether the store took the last commit, as far as is known."""
        return not self._blocked

    def do(self, action: StationAction, *, durable: bool = False) -> None:
        """Queue an action."""
        self._queue.append(_Queued(action, durable))

    def drain(self) -> list[StationAction]:
        """Everything to do now, in order, handed over once."""
        if self._blocked:
            self._withheld += [queued for queued in self._queue if queued.durable]
            batch = [queued for queued in self._queue if not queued.durable]
            commit: list[StationAction] = []
        else:
            batch = self._withheld + self._queue
            self._withheld = []
            commit = [self._tables.take()] if self._tables.dirty else []
        self._queue = []
        self._handed = batch if commit else []
        return commit + [queued.action for queued in batch]

    def failed(self) -> None:
        """The commit of the last drain was not made durable, nor anything after it carried out."""
        self._tables.failed()
        self._withheld = [
            queued
            for queued in self._handed
            if queued.durable and not isinstance(queued.action, Notice)  # a recovery that was none
        ]
        self._queue = [queued for queued in self._handed if not queued.durable] + self._queue
        self._handed = []
        self._blocked = True

    def retry(self) -> None:
        """Let the next drain try to commit again; what was withheld goes out behind it."""
        self._blocked = False
        self.do(Notice(NoticeKind.STORE_RECOVERED, "the store took what it owed"), durable=True)

    def withdraw(self, action: StationAction) -> bool:
        """Take back a withheld action that is no longer wanted; False if it is not withheld."""
        kept = [queued for queued in self._withheld if queued.action != action]
        withdrawn = len(kept) < len(self._withheld)
        self._withheld = kept
        return withdrawn

    def drop_frames(self) -> None:
        """Forget frames not yet handed out, or whose commit is under way: their link is gone."""
        self._handed = [queued for queued in self._handed if not isinstance(queued.action, SendFrame)]
        self._queue = [queued for queued in self._queue if not isinstance(queued.action, SendFrame)]
        self._withheld = [queued for queued in self._withheld if not isinstance(queued.action, SendFrame)]
