"""The times of spans: a call by its own times, its attempts within it. All values are epoch nanoseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from csm_otel.csm.times import NS_PER_MS

if TYPE_CHECKING:
    from csm_otel.correlation.released import CorrelatedCall, Observed
    from csm_otel.csm.events import ApiCallAttempt, Event

# How old a timestamp may be at its receipt: one of a day ago is that of a wrong clock.
_MOST_BEHIND_NS = 24 * 60 * 60 * 1000 * NS_PER_MS
_MOST_AHEAD_NS = -5 * 60 * 1000 * NS_PER_MS
_ROUNDING_NS = 2 * NS_PER_MS  # two clock readings, each cut to a millisecond


class Placement(msgspec.Struct, frozen=True, gc=False):
    """Start and end of a span."""

    start_ns: int
    end_ns: int
    offset_ns: int = 0
    """What was added to its sender's times."""
    overrun_ms: int | None = None
    """How far an attempt exceeds its call, in milliseconds; None within rounding."""


def place_call(released: CorrelatedCall) -> Placement:
    """Return the times of a call; without its own (Java, timed out) it begins with its first attempt."""
    call = released.call
    start_ns, end_ns, offset_ns = call.start_ns, call.end_ns, clock_offset_ns(call)
    if call.event.latency_ms is None and call.event.timestamp_ms is None:
        start_ns = min([start_ns, *(one.start_ns + attempt_offset_ns(one, 0) for one in released.attempts)])
    return Placement(start_ns + offset_ns, end_ns + offset_ns, offset_ns) if offset_ns else Placement(start_ns, end_ns)


def place_attempt(attempt: Observed[ApiCallAttempt], call: Placement) -> Placement:
    """Return the times of an attempt: shifted into its call if it exceeds it by rounding at most, else its own."""
    offset_ns = attempt_offset_ns(attempt, call.offset_ns)
    if attempt.event.not_sent:
        return Placement(call.end_ns, call.end_ns, offset_ns)  # it has no times, and it ended the call
    start_ns, end_ns = attempt.start_ns, attempt.end_ns
    if offset_ns:
        start_ns, end_ns = start_ns + offset_ns, end_ns + offset_ns
    if call.start_ns <= start_ns and end_ns <= call.end_ns:
        return Placement(start_ns, end_ns, offset_ns)
    overrun_ns = max(call.start_ns - start_ns, end_ns - call.end_ns)
    if overrun_ns > _ROUNDING_NS:
        return Placement(start_ns, end_ns, offset_ns, round(overrun_ns / NS_PER_MS))
    length_ns = min(end_ns - start_ns, call.end_ns - call.start_ns)
    start_ns = min(max(start_ns, call.start_ns), call.end_ns - length_ns)
    return Placement(start_ns, start_ns + length_ns, offset_ns)


def place_orphan(orphan: Observed[ApiCallAttempt]) -> Placement:
    """Return the times of an attempt without its call."""
    offset_ns = clock_offset_ns(orphan)
    return Placement(orphan.start_ns + offset_ns, orphan.end_ns + offset_ns, offset_ns)


def clock_offset_ns(observed: Observed[Event]) -> int:
    """Return what to add to a sender's times: 0, unless its clock is so wrong that the time of receipt is used."""
    stamp_ms = observed.event.timestamp_ms
    if stamp_ms is None or _MOST_AHEAD_NS <= observed.received_ns - stamp_ms * NS_PER_MS <= _MOST_BEHIND_NS:
        return 0
    return observed.received_ns - observed.end_ns


def attempt_offset_ns(attempt: Observed[ApiCallAttempt], call_offset_ns: int) -> int:
    """Return what to add to an attempt's times: the offset of its call, so that they stay together.

    Where their clocks are more than a day apart, it is the attempt's own offset: with the call's it could be anywhere,
    before 1970 included.
    """
    own_ns = clock_offset_ns(attempt)
    if own_ns == call_offset_ns or attempt.event.timestamp_ms is None:
        return own_ns
    return own_ns if abs(own_ns - call_offset_ns) > _MOST_BEHIND_NS else call_offset_ns
