"""Where spans lie: a call in its own time, its attempts within it. All values are epoch nanoseconds.

Source: span-mapping, Time and Common conversions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from csm_otel.csm.times import NS_PER_MS

if TYPE_CHECKING:
    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCallAttempt, Event

_BEHIND_NS = 24 * 60 * 60 * 1000 * NS_PER_MS  # a call reported a day late is a wrong clock
_AHEAD_NS = 5 * 60 * 1000 * NS_PER_MS
_ROUNDING_NS = 2 * NS_PER_MS  # two clock readings, each cut to a millisecond


class Placement(NamedTuple):
    """Where a span is drawn."""

    start_ns: int
    end_ns: int
    overrun_ms: int | None = None
    """How far an attempt really sticks out of its call; None within rounding."""


def clock_offset_ns(observed: Observed[Event]) -> int:
    """Return what to add to a sender's times: 0, unless its clock is so wrong that the receipt is believed instead."""
    if observed.event.timestamp_ms is None:
        return 0
    stamp_ns = observed.event.timestamp_ms * NS_PER_MS
    if -_BEHIND_NS <= stamp_ns - observed.received_ns <= _AHEAD_NS:
        return 0
    return observed.received_ns - observed.end_ns


def attempt_offset_ns(attempt: Observed[ApiCallAttempt], call_offset_ns: int) -> int:
    """Return what to add to an attempt's times: what its call's are moved by, so that they stay together.

    But where the two were stamped by clocks that are more than a day apart, so that one of them would land anywhere,
    before 1970 included, the attempt is judged by itself.
    """
    if attempt.event.timestamp_ms is None:
        return 0
    own_ns = clock_offset_ns(attempt)
    return own_ns if abs(own_ns - call_offset_ns) > _BEHIND_NS else call_offset_ns


def place(start_ns: int, end_ns: int, *, within: Placement) -> Placement:
    """Shift an attempt into its call where it sticks out by no more than rounding; a real overrun keeps its times."""
    overrun_ns = max(within.start_ns - start_ns, end_ns - within.end_ns)
    if overrun_ns <= 0:
        return Placement(start_ns, end_ns)
    if overrun_ns > _ROUNDING_NS:
        return Placement(start_ns, end_ns, round(overrun_ns / NS_PER_MS))
    length_ns = min(end_ns - start_ns, within.end_ns - within.start_ns)
    start_ns = min(max(start_ns, within.start_ns), within.end_ns - length_ns)
    return Placement(start_ns, start_ns + length_ns)
