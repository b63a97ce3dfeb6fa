"""When an event began and ended, in nanoseconds of the epoch, as its sender's clock tells it.

Wire times are whole milliseconds. All SDKs stamp the start, but the Go SDK stamps the moment of reporting, for calls
and attempts alike: read as starts, its spans would all lie to the right by their own length.
"""

from __future__ import annotations

from enum import StrEnum

from csm_otel.csm.events import MAX_TIMESTAMP_MS, ApiCall, Dialect, Event

NS_PER_MS = 1_000_000
MAX_WALL_NS = MAX_TIMESTAMP_MS * NS_PER_MS
_CLEARLY_CLOSER = 4  # how much nearer to its receipt the end reading must be, for a sender that nothing else identifies
_LONGEST_NS = 24 * 60 * 60 * 1000 * NS_PER_MS
_TELLING_LATENCY_NS = 20 * NS_PER_MS  # below this the delay of delivery blurs the difference


class TimestampMode(StrEnum):
    """What the Timestamp of an event is taken for: by its dialect, or always the start, or always the end."""

    AUTO = "auto"
    START = "start"
    END = "end"


def interval_of(event: Event, *, received_ns: int, mode: TimestampMode = TimestampMode.AUTO) -> tuple[int, int]:
    """Return the event's start and end in epoch nanoseconds; the end is never before the start.

    What the datagram does not say is taken from its receipt: every SDK but Ruby sends at the end.
    """
    latency_ns = (event.latency_ms or 0) * NS_PER_MS
    if event.timestamp_ms is None:
        return received_ns - latency_ns, received_ns
    stamp_ns = event.timestamp_ms * NS_PER_MS
    if _is_end_stamped(event, stamp_ns, latency_ns, received_ns, mode):
        return stamp_ns - latency_ns, stamp_ns
    if event.latency_ms is None and isinstance(event, ApiCall):
        # a length that no SDK could have measured is a wrong clock's, not the call's
        return stamp_ns, received_ns if 0 <= received_ns - stamp_ns <= _LONGEST_NS else stamp_ns
    return stamp_ns, stamp_ns + latency_ns


def _is_end_stamped(event: Event, stamp_ns: int, latency_ns: int, received_ns: int, mode: TimestampMode) -> bool:
    if mode is not TimestampMode.AUTO:
        return mode is TimestampMode.END
    if event.dialect is not Dialect.UNKNOWN:
        return event.dialect is Dialect.GO
    if latency_ns < _TELLING_LATENCY_NS:
        return False
    return abs(received_ns - stamp_ns) * _CLEARLY_CLOSER < abs(received_ns - (stamp_ns + latency_ns))
