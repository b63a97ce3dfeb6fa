"""Traces that share the lines of a screen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.report.shares import lines_by_trace


@pytest.mark.parametrize(
    ("heights", "failed", "expected"),
    [
        pytest.param([], "", {}, id="none"),
        pytest.param([900], " ", {0: 10}, id="one"),
        pytest.param([3, 0, 4], "   ", {0: 3, 1: 0, 2: 4}, id="all-fit"),
        pytest.param([900, 2, 900], "   ", {0: 4, 1: 2, 2: 4}, id="those-that-need-many-share"),
        pytest.param([1] * 30, " " * 30, dict.fromkeys(range(10), 1), id="the-first"),
        pytest.param([1] * 30, " " * 29 + "x", dict.fromkeys([*range(9), 29], 1), id="and-a-late-failure"),
        pytest.param(
            [1] * 30, "x" * 30, dict.fromkeys([*range(5), *range(25, 30)], 1), id="the-first-and-the-last-failures"
        ),
    ],
)
def test_ten_lines(heights: list[int], failed: str, expected: dict[int, int]) -> None:
    """What failed is shown, then what came first; few lines are given whole."""
    assert lines_by_trace(heights, [letter == "x" for letter in failed], 10) == expected


@pytest.mark.parametrize(
    ("failed", "expected"), [pytest.param(" x ", {1: 1}, id="one"), pytest.param("   ", {0: 1, 1: 1, 2: 1}, id="none")]
)
def test_only_failed(failed: str, expected: dict[int, int]) -> None:
    """Other traces are shown only where none failed."""
    assert lines_by_trace([1, 1, 1], [letter == "x" for letter in failed], 10, only_failed=True) == expected


@given(traces=st.lists(st.tuples(st.integers(1, 50), st.booleans())), max_lines=st.integers(1, 60))
def test_no_more_than_there_are(traces: list[tuple[int, bool]], max_lines: int) -> None:
    """The lines are bounded, used as far as needed, and no trace that is shown is without one."""
    heights = [height for height, _ in traces]
    shares = lines_by_trace(heights, [has_failed for _, has_failed in traces], max_lines)

    assert sum(shares.values()) == min(max_lines, sum(heights))
    assert all(1 <= lines <= heights[index] for index, lines in shares.items())
