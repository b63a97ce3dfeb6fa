"""When calls were in progress: `Timeline`. Intervals are pairs of epoch nanoseconds."""

from __future__ import annotations

import heapq
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from csm_otel.summary.trace import Interval

_MAX_INTERVALS = 20_000


class Timeline:
    """The union of intervals, and how many of them there were at most at once, in bounded memory.

    Beyond the bound, the intervals so far are merged, and of what remains the shortest gaps are closed. Then the time
    covered is a little too long, and how many there were at once may be too few, where those that came later began
    before. Nothing else is approximate.
    """

    def __init__(self, *, max_intervals: int = _MAX_INTERVALS) -> None:
        """Keep at most so many intervals."""
        self._max_intervals = max_intervals
        self._new: list[Interval] = []
        self._merged: list[Interval] = []
        self._most_at_once = 0

    def add(self, start_ns: int, end_ns: int) -> None:
        """Add an interval."""
        self._new.append((start_ns, end_ns))
        if len(self._new) >= self._max_intervals:
            self._merge()

    def most_at_once(self) -> int:
        """Return how many intervals had an instant in common."""
        self._merge()
        return self._most_at_once

    def covered_ns(self, within: Interval) -> int:
        """Return the length of the union, as far as it lies within an interval."""
        self._merge()
        first_ns, last_ns = within
        return sum(max(min(end_ns, last_ns) - max(start_ns, first_ns), 0) for start_ns, end_ns in self._merged)

    def _merge(self) -> None:
        if not self._new:
            return
        self._new.sort()
        self._most_at_once = max(self._most_at_once, _most_at_once(self._new))
        self._merged = _union(heapq.merge(self._merged, self._new))
        self._new.clear()
        if (excess := len(self._merged) - self._max_intervals) > 0:
            gaps = sorted(second[0] - first[1] for first, second in pairwise(self._merged))
            self._merged = _union(self._merged, slack_ns=gaps[excess - 1])


def _union(ordered: Iterable[Interval], *, slack_ns: int = 0) -> list[Interval]:
    """Return the disjoint intervals that cover ordered ones, and gaps of up to ``slack_ns``."""
    union: list[Interval] = []
    for start_ns, end_ns in ordered:
        if union and start_ns <= union[-1][1] + slack_ns:
            union[-1] = union[-1][0], max(union[-1][1], end_ns)
        else:
            union.append((start_ns, end_ns))
    return union


def _most_at_once(ordered: Iterable[Interval]) -> int:
    """Return how many intervals, ordered by their start, had an instant in common: one's end is not another's start."""
    ends: list[int] = []
    most = 0
    for start_ns, end_ns in ordered:
        while ends and ends[0] <= start_ns:
            heapq.heappop(ends)
        heapq.heappush(ends, end_ns)
        most = max(most, len(ends))
    return most
