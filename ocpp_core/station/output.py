"""The one ordered queue of actions, storage first, and what becomes of it when storage fails."""

from dataclasses import dataclass

from ..rpc.actions import SendFrame
from ..store import Tables
from .actions import DoPower, Notice, NoticeKind, StationAction, TransactionChanged


@dataclass(frozen=True, slots=True)
class _Queued:
    action: StationAction
    durable: bool


class Output:
    """Collects a drain's actions behind its commit.

    An action queued as ``durable`` presumes the rows changed so far: while the store fails it is withheld, in
    order, until a later commit has taken those rows. The others (answers, best-effort traffic) go on. Beyond
    ``limit`` withheld actions the oldest news of transactions is given up (what it told is a fact in a row).
    """

    __slots__ = ("_blocked", "_doubtful", "_handed", "_limit", "_queue", "_tables", "_withheld")

    def __init__(self, tables: Tables, limit: int) -> None:
        self._tables = tables
        self._limit = limit
        self._queue: list[_Queued] = []
        self._withheld: list[_Queued] = []
        self._handed: list[_Queued] = []
        self._blocked = False
        self._doubtful = False

    @property
    def healthy(self) -> bool:
        """Whether the store takes commits; after one failed, not before another has been taken."""
        return not self._doubtful

    def do(self, action: StationAction, *, durable: bool = False) -> None:
        """Queue an action. A contactor hears the last word only: an earlier one not handed out is void."""
        if isinstance(action, DoPower):
            self._queue = _without_power(self._queue, {action.evse})
            self._withheld = _without_power(self._withheld, {action.evse})
        self._queue.append(_Queued(action, durable))

    def drain(self) -> list[StationAction]:
        """Everything to do now, in order, handed over once."""
        if self._blocked:
            self._withhold([queued for queued in self._queue if queued.durable])
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
        spoken = {queued.action.evse for queued in self._queue if isinstance(queued.action, DoPower)}
        owed = _without_power(self._handed, spoken)
        self._queue = [queued for queued in owed if not queued.durable] + self._queue
        self._withhold(
            [queued for queued in owed if queued.durable and not isinstance(queued.action, Notice)]
        )  # a notice that must be durable tells of a recovery, which was none
        self._handed = []
        self._blocked = self._doubtful = True

    def retry(self) -> bool:
        """Let the next drain try to commit again; what was withheld goes out behind it.

        False if that has been done: the store took it, or :meth:`failed` would have been called.
        """
        if not self._blocked:
            self._doubtful = False
            return False
        self._blocked = False
        self.do(Notice(NoticeKind.STORE_RECOVERED, "the store took what it owed"), durable=True)
        return True

    def withholds(self, action: StationAction) -> bool:
        """Whether this action waits for the store."""
        return any(queued.action == action for queued in self._withheld)

    def take_back_frame(self) -> bool:
        """Forget the frame that waits for the store; False if none does."""
        waiting = self._withheld + self._queue
        frame = next(
            (queued for queued in waiting if queued.durable and isinstance(queued.action, SendFrame)), None
        )
        self._withheld = [queued for queued in self._withheld if queued is not frame]
        self._queue = [queued for queued in self._queue if queued is not frame]
        return frame is not None

    def drop_frames(self) -> None:
        """Forget frames not yet handed out, or whose commit is under way: their link is gone."""
        self._handed = _without_frames(self._handed)
        self._queue = _without_frames(self._queue)
        self._withheld = _without_frames(self._withheld)

    def _withhold(self, queued: list[_Queued]) -> None:
        self._withheld += queued
        excess = len(self._withheld) - self._limit
        for news in [queued for queued in self._withheld if isinstance(queued.action, TransactionChanged)]:
            if excess <= 0:
                break
            self._withheld.remove(news)
            excess -= 1


def _without_power(queue: list[_Queued], evses: set[int]) -> list[_Queued]:
    return [
        queued for queued in queue if not (isinstance(queued.action, DoPower) and queued.action.evse in evses)
    ]


def _without_frames(queue: list[_Queued]) -> list[_Queued]:
    return [queued for queued in queue if not isinstance(queued.action, SendFrame)]
