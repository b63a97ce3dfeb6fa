"""The highest rate that a program sustains: `highest`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

RESOLUTION = 1.05
"""The ratio of the lowest rate that failed to the highest that did not, at the end."""


_MOST_TRIALS = 12
_GROWTH = 1.5
_ROUNDING = 1.001


def highest(is_sustained: Callable[[float], bool], *, guess: float, step: float, most: float) -> float:
    """Return the highest rate found to be sustained, 0 if none was; rates above ``most`` are not tried.

    From ``guess`` it goes up or down by a factor of ``step``, which grows, until one rate is sustained and a higher one
    is not; then it halves the ratio between both until it is `RESOLUTION`.
    """
    low, high = 0.0, 0.0
    rate = guess
    for _ in range(_MOST_TRIALS):
        if is_sustained(rate):
            low = rate
            if rate >= most:
                break
        else:
            high = rate
        if low and high:
            if high / low <= RESOLUTION * _ROUNDING:
                break
            rate = (low * high) ** 0.5
        else:
            rate = min(low * step, most) if low else high / step
            step **= _GROWTH
    return low
