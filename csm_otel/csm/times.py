"""Event in, its start and end by the sender's clock out, in epoch nanoseconds.

Wire times are whole milliseconds. All SDKs send the start as the Timestamp, except for Go's, which sends the time of
reporting, for calls and attempts alike: taken for a start, it would shift each of its spans by the span's own length.
"""

from __future__ import annotations

from enum import StrEnum

from csm_otel.csm.events import MAX_LATENCY_MS, MAX_TIMESTAMP_MS, ApiCall, Dialect, Event

NS_PER_MS = 1_000_000
MAX_WALL_NS = MAX_TIMESTAMP_MS * NS_PER_MS
_END_STAMP_RATIO = 4  # an unknown sender stamps the end if that puts the end four times closer to the receipt
_MAX_CALL_NS = MAX_LATENCY_MS * NS_PER_MS
_MIN_CONCLUSIVE_LATENCY_NS = 20 * NS_PER_MS  # below this the delay of delivery hides the difference


class TimestampMode(StrEnum):
    """What the Timestamp of an event marks: the start, the end, or what its dialect sends."""

    AUTO = "auto"
    START = "start"
    END = "end"


_STAMP_STARTS = {
    TimestampMode.AUTO: frozenset(Dialect) - {Dialect.GO, Dialect.UNKNOWN},
    TimestampMode.START: frozenset(Dialect),
    TimestampMode.END: frozenset[Dialect](),
}
"""The dialects whose Timestamp is certainly the start."""


def interval_of(event: Event, *, received_ns: int, mode: TimestampMode = TimestampMode.AUTO) -> tuple[int, int]:
    """Return the event's start and end in epoch nanoseconds; the end is never before the start.

    Missing times are derived from the receipt: every SDK but Ruby's sends at the end.
    """
    stamp_ms, latency_ms = event.timestamp_ms, event.latency_ms
    latency_ns = (latency_ms or 0) * NS_PER_MS
    if stamp_ms is None:
        return received_ns - latency_ns, received_ns
    stamp_ns = stamp_ms * NS_PER_MS
    if event.dialect not in _STAMP_STARTS[mode] and _is_end_stamped(event, stamp_ns, latency_ns, received_ns, mode):
        return stamp_ns - latency_ns, stamp_ns
    if latency_ms is None and isinstance(event, ApiCall):
        # a longer call is a wrong clock: no SDK measures more
        return stamp_ns, received_ns if 0 <= received_ns - stamp_ns <= _MAX_CALL_NS else stamp_ns
    return stamp_ns, stamp_ns + latency_ns


def _is_end_stamped(event: Event, stamp_ns: int, latency_ns: int, received_ns: int, mode: TimestampMode) -> bool:
    if mode is TimestampMode.END or event.dialect is Dialect.GO:
        return True
    if latency_ns < _MIN_CONCLUSIVE_LATENCY_NS:
        return False
    return abs(received_ns - stamp_ns) * _END_STAMP_RATIO < abs(received_ns - (stamp_ns + latency_ns))
