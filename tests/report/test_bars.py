"""Bars on a time scale: which halves of which columns are drawn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.report.bars import Scale

intervals = st.lists(st.tuples(st.integers(-50, 150), st.integers(-50, 150)).map(lambda pair: (min(pair), max(pair))))


@pytest.mark.parametrize(
    ("busy", "pauses", "expected"),
    [
        pytest.param([], [], "          ", id="nothing"),
        pytest.param([(0, 100)], [], "██████████", id="all"),
        pytest.param([(0, 50)], [], "█████     ", id="the-first-half"),
        pytest.param([(5, 50)], [], "▐████     ", id="from-the-middle-of-a-column"),
        pytest.param([(0, 45)], [], "████▌     ", id="to-the-middle-of-a-column"),
        pytest.param([(0, 0)], [], "▌         ", id="an-instant"),
        pytest.param([(99, 100)], [], "         ▐", id="the-last-instant"),
        pytest.param([(100, 100)], [], "         ▐", id="at-the-very-end"),
        pytest.param([(0, 20), (60, 100)], [(20, 60)], "██····████", id="a-pause-between"),
        pytest.param([(0, 22), (58, 100)], [(22, 58)], "██▌··▐████", id="solid-where-they-meet"),
        pytest.param([], [(0, 100)], "··········", id="a-pause-alone"),
        pytest.param([(-40, -10), (0, 10)], [], "<         ", id="before-the-scale"),
        pytest.param([(110, 140)], [], "         >", id="after-the-scale"),
        pytest.param([(-40, 140)], [], "██████████", id="on-both-sides-of-it"),
    ],
)
def test_bars(busy: list[tuple[int, int]], pauses: list[tuple[int, int]], expected: str) -> None:
    """Busy time is solid, pauses are dotted, and nothing is too short to be seen."""
    assert Scale(0, 100, 10).bar(busy, pauses) == expected


def test_ascii() -> None:
    """A stream without UTF-8 gets whole columns of ASCII."""
    assert Scale(0, 100, 10, ascii_only=True).bar([(0, 25), (60, 100)], [(25, 60)]) == "###...####"


@pytest.mark.parametrize("columns", [1, 3])
def test_a_scale_without_length(columns: int) -> None:
    """A trace that took no time at all has a bar nevertheless."""
    assert Scale(7, 7, columns).bar([(7, 7)], []).strip()


@given(busy=intervals, pauses=intervals, columns=st.integers(1, 20), ascii_only=st.booleans())
def test_any_bar_fits(
    *, busy: list[tuple[int, int]], pauses: list[tuple[int, int]], columns: int, ascii_only: bool
) -> None:
    """Whatever the intervals, a bar has its columns, and is blank only where there is nothing to draw."""
    bar = Scale(0, 100, columns, ascii_only).bar(busy, pauses)

    assert len(bar) == columns
    assert bool(bar.strip()) == bool(busy or pauses)
    assert bar.isascii() or not ascii_only
