"""The runs of sequence numbers against a plain set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.csms.sequence import INTERVALS, SeenNumbers

NUMBERS = st.lists(st.integers(-3, 40) | st.integers(), max_size=60)


@pytest.mark.requirement("2.0.1-E-1.3.2", "2.1-E-1.3.2")
@given(NUMBERS.filter(lambda numbers: len(set(numbers)) <= INTERVALS))
def test_it_is_a_set(numbers: list[int]) -> None:
    seen, oracle = SeenNumbers(), set[int]()
    for number in numbers:
        assert seen.add(number) is (number not in oracle)
        oracle.add(number)
    assert SeenNumbers(seen.intervals).intervals == seen.intervals
    covered = [number for first, last in seen.intervals for number in range(first, last + 1)]
    assert covered == sorted(oracle)
    gaps = bool(oracle) and len(oracle) != max(oracle) - min(oracle) + 1
    assert seen.gaps is gaps
    for (_, last), (first, _) in zip(seen.intervals, seen.intervals[1:], strict=False):
        assert first > last + 1


@pytest.mark.requirement("2.0.1-E-1.3.2", "2.1-E-1.3.2")
@given(st.lists(st.integers(0, 500), max_size=200))
def test_it_is_bounded_and_never_forgets(numbers: list[int]) -> None:
    seen = SeenNumbers()
    for number in numbers:
        seen.add(number)
        assert len(seen.intervals) <= INTERVALS
        assert not seen.add(number)
    assert not any(seen.add(number) for number in numbers)


def test_the_oldest_gap_is_given_up() -> None:
    seen = SeenNumbers()
    for number in range(0, 2 * INTERVALS + 2, 2):
        assert seen.add(number)
    assert seen.intervals[0] == [0, 2]
    assert not seen.add(1)
    assert seen.add(3)
