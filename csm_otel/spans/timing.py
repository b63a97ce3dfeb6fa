"""The times of spans: a call by its own times, its attempts within it. All values are epoch nanoseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from csm_otel.csm.times import NS_PER_MS

if TYPE_CHECKING:
    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCallAttempt, Event

_BEHIND_NS = 24 * 60 * 60 * 1000 * NS_PER_MS  # a call reported a day late is a wrong clock
_AHEAD_NS = 5 * 60 * 1000 * NS_PER_MS
_ROUNDING_NS = 2 * NS_PER_MS  # two clock readings, each cut to a millisecond


class Placement(msgspec.Struct, frozen=True, gc=False):
    """Start and end of a span."""

    start_ns: int
    end_ns: int
    overrun_ms: int | None = None
    """How far an attempt exceeds its call, in milliseconds; None within rounding."""


def clock_offset_ns(observed: Observed[Event]) -> int:
    """Return what to add to a sender's times: 0, unless its clock is so wrong that the time of receipt is used."""
    if observed.event.timestamp_ms is None:
        return 0
    stamp_ns = observed.event.timestamp_ms * NS_PER_MS
    if -_BEHIND_NS <= stamp_ns - observed.received_ns <= _AHEAD_NS:
        return 0
    return observed.received_ns - observed.end_ns


def attempt_offset_ns(attempt: Observed[ApiCallAttempt], call_offset_ns: int) -> int:
    """Return what to add to an attempt's times: the offset of its call, so that they stay together.

    Where their clocks are more than a day apart, it is the attempt's own offset: with the call's it could be anywhere,
    before 1970 included.
    """
    if attempt.event.timestamp_ms is None:
        return 0
    own_ns = clock_offset_ns(attempt)
    return own_ns if abs(own_ns - call_offset_ns) > _BEHIND_NS else call_offset_ns


def place(start_ns: int, end_ns: int, *, within: Placement) -> Placement:
    """Shift an attempt into its call if it exceeds it by rounding at most; a longer overrun keeps its times."""
    if within.start_ns <= start_ns and end_ns <= within.end_ns:
        return Placement(start_ns, end_ns)
    overrun_ns = max(within.start_ns - start_ns, end_ns - within.end_ns)
    if overrun_ns > _ROUNDING_NS:
        return Placement(start_ns, end_ns, round(overrun_ns / NS_PER_MS))
    length_ns = min(end_ns - start_ns, within.end_ns - within.start_ns)
    start_ns = min(max(start_ns, within.start_ns), within.end_ns - length_ns)
    return Placement(start_ns, start_ns + length_ns)
