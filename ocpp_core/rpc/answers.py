"""The record from which a repeated call is answered (1.6-J errata 3.1: a retry may keep its id)."""


class AnswerCache:
    """The last answers given, by message id and frame; the oldest goes first.

    It may outlive a session: message ids are unique per station over all its connections, and a retry often
    comes over the next one. An entry is the hash of the call's frame (Python's own: 64 bits, keyed by the
    process, and nothing that leaves it) and the text of its CALLRESULT, or None if the answer was an error (a
    call repeated after an error is handled anew).
    """

    __slots__ = ("_entries", "_limit")

    def __init__(self, limit: int) -> None:
        self._entries: dict[str, tuple[int, str | None]] = {}
        self._limit = limit

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, call_id: str) -> bool:
        return call_id in self._entries

    def find(self, call_id: str, frame: str) -> str | None:
        """The CALLRESULT given to exactly this frame, if it is remembered."""
        entry = self._entries.get(call_id)
        if entry is None or entry[0] != hash(frame):
            return None
        return entry[1]

    def record(self, call_id: str, frame: str, answer: str | None) -> None:
        """Remember that ``frame`` was answered with ``answer`` (None: with an error)."""
        self._entries.pop(call_id, None)
        self._entries[call_id] = (hash(frame), answer)
        if len(self._entries) > self._limit:
            del self._entries[next(iter(self._entries))]
