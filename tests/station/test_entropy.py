"""Randomness as an input."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_core.entropy import SeededEntropy, fraction, message_id


@given(st.integers(), st.lists(st.integers(1, 100), max_size=20))
def test_the_same_seed_gives_the_same_bytes_however_they_are_drawn(seed, sizes):
    whole = SeededEntropy(seed)(sum(sizes)) if sizes else b""
    drawn = SeededEntropy(seed)
    assert b"".join(drawn(size) for size in sizes) == whole


def test_other_seeds_give_other_bytes():
    assert len({SeededEntropy(seed)(16) for seed in range(1000)}) == 1000


@pytest.mark.requirement("1.6-J-errata-3.1")
@given(st.binary(min_size=16, max_size=16))
def test_a_message_id_is_a_random_uuid(raw):
    text = message_id(lambda n: raw[:n])
    parsed = uuid.UUID(text)
    assert parsed.version == 4
    assert parsed.variant == uuid.RFC_4122
    assert len(text) == 36
    assert str(parsed) == text


@given(st.binary(min_size=4, max_size=4))
def test_a_fraction_is_below_one(raw):
    assert 0 <= fraction(lambda _: raw) < 1


def test_fractions_span_their_range():
    assert fraction(lambda n: b"\x00" * n) == 0
    assert fraction(lambda n: b"\xff" * n) > 0.999999
