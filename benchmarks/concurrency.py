"""The cost of a datagram in the correlator, by what is pending: each figure also as a ratio to the first of its block.

Run it with ``make bench``; there is no pass or fail. The senders are simulated: threads that make sequential calls of
one API, with one attempt in ten failing. A flood is one group full of events without counterparts.
"""

from __future__ import annotations

import heapq
import random
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.correlation.correlator import Correlator
from csm_otel.csm.events import ApiCall, ApiCallAttempt, Dialect, Event, Failure, Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

PEER = Peer("127.0.0.1", 40_000)
BASE_MS = 1_700_000_000_000
CALLS = 3000  # a run
RUNS = 3
GROUPS = (1, 100, 10_000)
THREADS = (1, 8, 32, 512)
FLOOD = (1_000, 10_000)
FAILING = 0.1
LATENCY_MS = 30.0
SLOW_DOWN = Failure("InternalServerError", "")


class Arrival(NamedTuple):
    """An event and when it arrives, in ms."""

    at_ms: float
    event: Event


def main() -> None:
    """Measure and print."""
    print(f"{'us a datagram':52} {'median':>8} {'range':>17} {'ratio':>7}")
    steady = list(_threads(1))
    _block({f"1 thread; pending groups: {groups}": (groups, steady) for groups in GROUPS})
    _block({f"threads of one group: {threads}": (0, list(_threads(threads))) for threads in THREADS})
    _block(
        {
            f"threads of one group, call first (Ruby): {threads}": (0, list(_threads(threads, Dialect.RUBY)))
            for threads in THREADS
        }
    )
    _block({f"flood of attempts without calls: {count}": (0, list(_attempts(count))) for count in FLOOD})
    _block({f"flood of waiting calls without attempts: {count}": (0, list(_waiting_calls(count))) for count in FLOOD})
    _block({f"flood of retries, one call in ten: {count}": (0, list(_retries(count))) for count in FLOOD})


def _block(rows: dict[str, tuple[int, list[Arrival]]]) -> None:
    baseline = 0.0
    for name, (groups, arrivals) in rows.items():
        times = [_microseconds(groups, arrivals) for _ in range(RUNS)]
        median = statistics.median(times)
        baseline = baseline or median
        print(f"{name:52} {median:8.1f} {min(times):8.1f}-{max(times):<8.1f} {median / baseline:6.2f}x", flush=True)


def _microseconds(groups: int, arrivals: list[Arrival]) -> float:
    correlator = Correlator()
    for number in range(groups):
        _receive(correlator, Arrival(0.0, _attempt(0.0, 0.0, api=f"Api{number}")))
    began = time.perf_counter()
    for arrival in arrivals:
        correlator.expire(now=arrival.at_ms / 1000)
        _receive(correlator, arrival)
    return (time.perf_counter() - began) / len(arrivals) * 1e6


def _receive(correlator: Correlator, arrival: Arrival) -> None:
    received_ns = int((BASE_MS + arrival.at_ms) * 1e6)
    correlator.receive(arrival.event, peer=PEER, received_ns=received_ns, now=arrival.at_ms / 1000)


def _threads(count: int, dialect: Dialect = Dialect.BOTOCORE) -> Iterator[Arrival]:
    """Yield the datagrams of threads that make calls without a pause."""
    rng = random.Random(1)
    free_at = [(rng.random() * LATENCY_MS, number) for number in range(count)]
    arrivals = []
    for _ in range(CALLS):
        start, thread = heapq.heappop(free_at)
        times = [(start + 0.5, start + 0.5 + rng.expovariate(1 / LATENCY_MS))]
        while rng.random() < FAILING:
            back_off = rng.random() * 50 * 2 ** (len(times) - 1)
            again = times[-1][1] + 0.3 + back_off
            times.append((again, again + rng.expovariate(1 / LATENCY_MS)))
        end = times[-1][1] + 0.15
        tries = [_attempt(*at, failed=at is not times[-1], dialect=dialect) for at in times]
        call = _call(start, end, tries=len(tries), dialect=dialect)
        if dialect is Dialect.RUBY:
            arrivals += [Arrival(end + 0.1 + 0.02 * place, event) for place, event in enumerate([call, *tries])]
        else:
            arrivals += [Arrival(at[1] + 0.1, one) for at, one in zip(times, tries, strict=True)]
            arrivals.append(Arrival(end + 0.1, call))
        heapq.heappush(free_at, (end + 0.2, thread))
    arrivals.sort(key=lambda arrival: arrival.at_ms)
    yield from arrivals


def _attempts(count: int) -> Iterator[Arrival]:
    for number in range(count):
        yield Arrival(number / 20, _attempt(number / 20 - 20, number / 20, failed=True))


def _waiting_calls(count: int) -> Iterator[Arrival]:
    for number in range(count):
        yield Arrival(number / 20, _call(number / 20 - 20, number / 20, dialect=Dialect.RUBY))


def _retries(count: int) -> Iterator[Arrival]:
    for number in range(count):
        at = number / 20
        is_call = number % 10 == 0
        yield Arrival(at, _call(at - 500, at, tries=3) if is_call else _attempt(at - 20, at, failed=True))


def _attempt(
    start_ms: float, end_ms: float, *, api: str = "Query", failed: bool = False, dialect: Dialect = Dialect.BOTOCORE
) -> ApiCallAttempt:
    return ApiCallAttempt(
        dialect=dialect,
        service="DynamoDB",
        api=api,
        timestamp_ms=BASE_MS + int(start_ms),
        latency_ms=int(end_ms) - int(start_ms),
        status=500 if failed else 200,
        aws_exception=SLOW_DOWN if failed else None,
        request_id=f"{start_ms}",
        size_bytes=500,
    )


def _call(start_ms: float, end_ms: float, *, tries: int = 1, dialect: Dialect = Dialect.BOTOCORE) -> ApiCall:
    return ApiCall(
        dialect=dialect,
        service="DynamoDB",
        api="Query",
        timestamp_ms=BASE_MS + int(start_ms),
        latency_ms=int(end_ms) - int(start_ms),
        status=200,
        attempt_count=tries,
        size_bytes=500,
    )


if __name__ == "__main__":
    main()
