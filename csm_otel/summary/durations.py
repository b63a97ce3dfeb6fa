"""Many durations in bounded memory: `Durations`."""

from __future__ import annotations

from collections import Counter

import msgspec

_NS_PER_MS = 1_000_000
_EXACT_BELOW_MS = 1000


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """What many durations come to, in milliseconds."""

    p50_ms: int
    p95_ms: int
    max_ms: int
    total_ms: int


class Durations:
    """Counts durations by the millisecond, from one second on by three significant digits.

    So percentiles are within 0.5 %, and the number of counts is bounded: there are 900 for each power of ten.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._counts: Counter[int] = Counter()
        self._total_ns = self._max_ns = 0

    def add(self, length_ns: int) -> None:
        """Add a duration in nanoseconds."""
        self._counts[_rounded_ms(length_ns)] += 1
        self._total_ns += length_ns
        self._max_ns = max(self._max_ns, length_ns)

    def percentiles(self) -> Percentiles:
        """Return the percentiles by the nearest rank, all 0 if there are no durations."""
        ordered = sorted(self._counts.items())
        return Percentiles(
            p50_ms=_at_rank(ordered, self._counts.total(), 50),
            p95_ms=_at_rank(ordered, self._counts.total(), 95),
            max_ms=round(self._max_ns / _NS_PER_MS),
            total_ms=round(self._total_ns / _NS_PER_MS),
        )


def _at_rank(ordered: list[tuple[int, int]], total: int, percent: int) -> int:
    rank = -(-total * percent // 100)
    reached = 0
    for value, count in ordered:
        reached += count
        if reached >= rank:
            return value
    return 0


def _rounded_ms(length_ns: int) -> int:
    ms = round(length_ns / _NS_PER_MS)
    unit = 1
    while ms >= _EXACT_BELOW_MS * unit:
        unit *= 10
    return (ms + unit // 2) // unit * unit
