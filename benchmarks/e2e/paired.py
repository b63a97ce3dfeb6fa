"""How sure the median of measurements is: `Interval`."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

_ONE_IN = 40  # beyond either end, which is 95 % between them


class Interval(NamedTuple):
    """A median, and between what it lies with a confidence of 95 %."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return that of at least six values, by the sign test, which assumes nothing about their distribution."""
        ordered = sorted(values)
        rank = _rank(len(ordered))
        return cls(ordered[rank], statistics.median(ordered), ordered[-1 - rank])

    def in_percent(self) -> str:
        """Return how far ratios are from 1."""
        low, median, high = (f"{(ratio - 1) * 100:+.1f}" for ratio in self)
        return f"{median} % ({low} to {high})"


def _rank(count: int) -> int:
    """Return which of so many values, by size and from 0, the median is smaller than in one case of 40 at most.

    So often do so many throws of a coin, or fewer, of ``count`` show heads.
    """
    rank, cases = 0, 1
    while (cases := cases + math.comb(count, rank + 1)) * _ONE_IN <= 2**count:
        rank += 1
    return rank
