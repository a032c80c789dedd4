"""Which sequence numbers of a transaction have been seen (2.x part 2, E 1.3.2)."""

from bisect import bisect_right
from collections.abc import Iterable

INTERVALS = 32
"""Runs of consecutive numbers that are told apart; beyond that the oldest gap counts as filled."""


class SeenNumbers:
    """A set of integers that arrive mostly in order, kept as runs of consecutive ones.

    ``intervals`` are the runs, [first, last], in order and never touching.
    """

    __slots__ = ("intervals",)

    def __init__(self, intervals: Iterable[Iterable[int]] = ()) -> None:
        self.intervals: list[list[int]] = [[first, last] for first, last in intervals]

    @property
    def gaps(self) -> bool:
        """Whether a number between the lowest and the highest is missing."""
        return len(self.intervals) > 1

    def add(self, number: int) -> bool:
        """Note a number; False if it was there."""
        intervals = self.intervals
        if intervals and number == intervals[-1][1] + 1:
            intervals[-1][1] = number
            return True
        index = self._at(number)
        if index >= 0 and number <= intervals[index][1]:
            return False
        joins_left = index >= 0 and intervals[index][1] + 1 == number
        joins_right = index + 1 < len(intervals) and intervals[index + 1][0] - 1 == number
        if joins_left and joins_right:
            intervals[index][1] = intervals.pop(index + 1)[1]
        elif joins_left:
            intervals[index][1] = number
        elif joins_right:
            intervals[index + 1][0] = number
        else:
            intervals.insert(index + 1, [number, number])
            if len(intervals) > INTERVALS:
                intervals[0][1] = intervals.pop(1)[1]
        return True

    def _at(self, number: int) -> int:
        """The index of the last run that does not begin after ``number``; -1 if there is none."""
        return bisect_right(self.intervals, number, key=lambda interval: interval[0]) - 1
