"""Percentiles of durations, and their precision."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.summary.durations import Durations, Percentiles

MS = 1_000_000


def durations(*lengths_ms: int) -> Durations:
    """Return these durations."""
    collected = Durations()
    for length_ms in lengths_ms:
        collected.add(length_ms * MS)
    return collected


@pytest.mark.parametrize(
    ("lengths_ms", "expected"),
    [
        pytest.param([], Percentiles(p50_ms=0, p95_ms=0, max_ms=0, total_ms=0), id="none"),
        pytest.param([7], Percentiles(p50_ms=7, p95_ms=7, max_ms=7, total_ms=7), id="one"),
        pytest.param([1, 2, 3, 4], Percentiles(p50_ms=2, p95_ms=4, max_ms=4, total_ms=10), id="nearest-rank"),
        pytest.param(range(1, 101), Percentiles(p50_ms=50, p95_ms=95, max_ms=100, total_ms=5050), id="hundred"),
        pytest.param(
            [12_345, 99_950], Percentiles(p50_ms=12_300, p95_ms=100_000, max_ms=99_950, total_ms=112_295), id="rounded"
        ),
    ],
)
def test_percentiles(lengths_ms: list[int], expected: Percentiles) -> None:
    """Durations below a second are exact; maximum and total always are."""
    assert durations(*lengths_ms).percentiles() == expected


@given(st.lists(st.integers(0, 86_400_000), min_size=1))
def test_precision(lengths_ms: list[int]) -> None:
    """A percentile is within 0.5 % of a duration that was added, and in order."""
    found = durations(*lengths_ms).percentiles()
    assert found.p50_ms <= found.p95_ms
    for percentile in (found.p50_ms, found.p95_ms):
        assert min(abs(percentile - one) / max(one, 1) for one in lengths_ms) <= 0.005
