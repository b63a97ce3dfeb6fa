"""Generated senders: threads of one API, floods of retries, lines of statsd; for what no recording has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.packed import Recorded
from datagrams import attempt, call

from benchmarks.concurrency import BASE_MS, PEER, retries, threads
from benchmarks.e2e.workload import Stream, stream_by_time, stream_of_all
from csm_otel.csm.events import ApiCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.concurrency import Arrival

_NS_PER_MS = 1_000_000
_LATENCY_MS = 30.0
_DATAGRAMS_A_CALL = 2.2
_CALLS, _CALLS_A_THREAD = 3_000, 20
_FLOOD = 10_000
_LINE_BYTES = 430  # a datagram's mean


def of_threads(count: int, *, per_second: float) -> Sequence[Stream]:
    """Return a sender with threads that make calls of one API without a pause.

    The calls take 30 ms, or longer where so many threads would exceed the rate.
    """
    latency_ms = max(_LATENCY_MS, count * _DATAGRAMS_A_CALL * 1000 / per_second)
    return [_stream(threads(count, calls=max(_CALLS, count * _CALLS_A_THREAD), latency_ms=latency_ms))]


def of_retries(*, per_second: float) -> Sequence[Stream]:
    """Return a sender whose calls are nearly all given up unseen: one call for nine attempts that failed."""
    return [_stream(retries(_FLOOD, every_ms=1000 / per_second))]


def of_lines(*, per_second: float) -> Sequence[Stream]:
    """Return senders of one counter of statsd, in lines as long as datagrams."""
    line = b"sent_to_statsd:1|c|#padding:"
    line += b"x" * (_LINE_BYTES - len(line))
    count = int(per_second)
    lines = [Recorded(line, PEER, BASE_MS * _NS_PER_MS + number * 10**9 // count, "") for number in range(count)]
    return [stream_by_time(lines, 1, round_seconds=1.0)]


def _stream(arrivals: Iterable[Arrival]) -> Stream:
    recorded = [_recorded(arrival, number) for number, arrival in enumerate(arrivals)]
    return stream_of_all(recorded)


def _recorded(arrival: Arrival, number: int) -> Recorded:
    event = arrival.event
    fields: dict[str, object] = {"Service": event.service, "Api": event.api, "Timestamp": event.timestamp_ms}
    if isinstance(event, ApiCall):
        payload = call(**fields, Latency=event.latency_ms, AttemptCount=event.attempt_count)
    else:
        failed = {} if event.aws_exception is None else {"AwsException": event.aws_exception.name}
        payload = attempt(
            **fields, AttemptLatency=event.latency_ms, HttpStatusCode=event.status, **failed, XAmznRequestId=str(number)
        )
    return Recorded(payload, PEER, int((BASE_MS + arrival.at_ms) * _NS_PER_MS), str(arrival.call or ""))
