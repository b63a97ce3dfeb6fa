"""The union of intervals, and how many there are at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.summary.timeline import Timeline

ALWAYS = (-(10**9), 10**9)


def timeline(*intervals: tuple[int, int], max_intervals: int = 1000) -> Timeline:
    """Return a timeline with these intervals."""
    collected = Timeline(max_intervals=max_intervals)
    for interval in intervals:
        collected.add(*interval)
    return collected


@pytest.mark.parametrize(
    ("intervals", "covered", "at_once"),
    [
        pytest.param([], 0, 0, id="none"),
        pytest.param([(0, 5)], 5, 1, id="one"),
        pytest.param([(0, 5), (5, 7)], 7, 1, id="one-begins-as-the-other-ends"),
        pytest.param([(4, 9), (0, 5)], 9, 2, id="out-of-order"),
        pytest.param([(0, 9), (1, 2), (3, 4)], 9, 2, id="nested"),
        pytest.param([(0, 1), (8, 9)], 2, 1, id="a-gap"),
        pytest.param([(3, 3)], 0, 1, id="empty"),
    ],
)
def test_timeline(intervals: list[tuple[int, int]], covered: int, at_once: int) -> None:
    """Overlaps count once."""
    collected = timeline(*intervals)
    assert (collected.covered_ns(ALWAYS), collected.most_at_once()) == (covered, at_once)


def test_within() -> None:
    """What is before or after does not count."""
    assert timeline((0, 10), (20, 30)).covered_ns((5, 22)) == 7


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 20)), max_size=30), st.integers(1, 8))
def test_bounded(given_intervals: list[tuple[int, int]], most: int) -> None:
    """With few intervals kept, gaps may be closed, but nothing covered is lost; the count at once is not above."""
    intervals = [(start, start + length) for start, length in given_intervals]
    exact, bounded = timeline(*intervals), timeline(*intervals, max_intervals=most)
    assert bounded.covered_ns(ALWAYS) >= exact.covered_ns(ALWAYS)
    assert bounded.covered_ns(ALWAYS) <= max([end for _, end in intervals], default=0)
    assert bounded.most_at_once() <= exact.most_at_once()


def test_many_disjoint_intervals() -> None:
    """The shortest gaps are closed first."""
    collected = timeline((0, 1), (2, 3), (10, 11), (20, 21), max_intervals=3)
    assert collected.covered_ns(ALWAYS) == 3 + 1 + 1
