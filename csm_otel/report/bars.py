"""Bars on the common time scale of a trace."""

from __future__ import annotations

from itertools import starmap
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from csm_otel.summary.trace import Interval

_EMPTY, _PAUSE, _BUSY = range(3)
# By the busy halves of a column: left, right.
_BLOCKS = {(True, True): "█", (True, False): "▌", (False, True): "▐"}


class Scale(NamedTuple):
    """The time scale of a bar, in epoch nanoseconds; bars are drawn in half columns."""

    start_ns: int
    end_ns: int
    columns: int
    ascii_only: bool = False

    def bar(self, busy: Iterable[Interval], pauses: Iterable[Interval]) -> str:
        """Return a bar of `columns` columns: busy intervals solid, pauses dotted, solid where they overlap.

        An interval is at least half a column. One outside the scale is an arrow at that end.
        """
        halves = [_EMPTY] * (2 * self.columns)
        before = after = False
        for intervals, mark in ((pauses, _PAUSE), (busy, _BUSY)):
            for interval in intervals:
                before |= interval[1] < self.start_ns
                after |= interval[0] > self.end_ns
                first, last = self._halves(interval)
                halves[first:last] = [mark] * (last - first)
        cells = list(starmap(self._cell, zip(halves[::2], halves[1::2], strict=True)))
        if before:
            cells[:1] = "<"
        if after:
            cells[-1:] = ">"
        return "".join(cells)

    def _halves(self, interval: Interval) -> tuple[int, int]:
        """Return the first half column of an interval and the one after its last; at least one, within the scale."""
        count = 2 * self.columns
        length_ns = max(self.end_ns - self.start_ns, 1)
        first = min(max((interval[0] - self.start_ns) * count // length_ns, 0), count - 1)
        last = -((self.start_ns - interval[1]) * count // length_ns)
        return first, min(max(last, first + 1), count)

    def _cell(self, left: int, right: int) -> str:
        if _BUSY in {left, right}:
            return "#" if self.ascii_only else _BLOCKS[left == _BUSY, right == _BUSY]
        if _PAUSE in {left, right}:
            return "." if self.ascii_only else "·"
        return " "
