"""benchmarks/e2e/paired.py: a median and how sure it is."""

from __future__ import annotations

import pytest

from benchmarks.e2e.paired import Interval


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [
        pytest.param(6, 1, 6, id="all"),
        pytest.param(8, 1, 8, id="still-all"),
        pytest.param(9, 2, 8, id="all-but-two"),
        pytest.param(20, 6, 15, id="twenty"),
        pytest.param(100, 40, 61, id="hundred"),
        pytest.param(2000, 956, 1045, id="more-than-a-float-counts"),
    ],
)
def test_the_ranks_are_those_of_the_tables(count: int, low: int, high: int) -> None:
    """The ends are the values at the ranks that tables of the sign test have."""
    found = Interval.of([float(value) for value in range(count, 0, -1)])

    assert found == (low, (count + 1) / 2, high)


def test_in_percent() -> None:
    """Ratios are shown as differences."""
    assert Interval(0.991, 1.004, 1.0214).in_percent() == "+0.4 % (-0.9 to +2.1)"
