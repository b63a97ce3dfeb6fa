"""The cost of a datagram in the correlator, by what is pending: the section ``concurrency``.

Each figure is also a ratio to the first of its block. The senders are simulated: threads that make sequential calls of
one API, with one attempt in ten failing. A flood is one group full of events without counterparts.
"""

from __future__ import annotations

import heapq
import random
import time
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.e2e.table import Row
from csm_otel.correlation.correlator import Correlator
from csm_otel.csm.events import ApiCall, ApiCallAttempt, Dialect, Event, Failure, Peer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PEER = Peer("127.0.0.1", 40_000)
BASE_MS = 1_700_000_000_000
CALLS = 3000  # a run, by default
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
    call: int = 0
    """Which call of the sender it belongs to, from 1 on; 0: none that is sent."""


def concurrency(runs: int, progress: Callable[[str], None]) -> list[Row]:
    """Measure all blocks, by their processor time."""
    steady = list(threads(1))
    blocks: list[dict[str, tuple[int, list[Arrival]]]] = [
        {f"1 thread; pending groups: {groups}": (groups, steady) for groups in GROUPS},
        {f"threads of one group: {count}": (0, list(threads(count))) for count in THREADS},
        {
            f"threads of one group, call first (Ruby): {count}": (0, list(threads(count, Dialect.RUBY)))
            for count in THREADS
        },
        {f"flood of attempts without calls: {count}": (0, list(_attempts(count))) for count in FLOOD},
        {f"flood of waiting calls without attempts: {count}": (0, list(_waiting_calls(count))) for count in FLOOD},
        {f"flood of retries, one call in ten: {count}": (0, list(retries(count))) for count in FLOOD},
    ]
    rows: list[Row] = []
    for block in blocks:
        first: Row | None = None
        for name, (groups, arrivals) in block.items():
            times = [_microseconds(groups, arrivals) for _ in range(min(runs, RUNS))]
            progress(name)
            rows.append(Row.beside("concurrency", name, "us a datagram", times, baseline=first))
            first = first or rows[-1]
    return rows


def _microseconds(groups: int, arrivals: list[Arrival]) -> float:
    correlator = Correlator()
    for number in range(groups):
        _receive(correlator, Arrival(0.0, _attempt(0.0, 0.0, api=f"Api{number}")))
    began = time.process_time()
    for arrival in arrivals:
        correlator.expire(now=arrival.at_ms / 1000)
        _receive(correlator, arrival)
    return (time.process_time() - began) / len(arrivals) * 1e6


def _receive(correlator: Correlator, arrival: Arrival) -> None:
    received_ns = int((BASE_MS + arrival.at_ms) * 1e6)
    correlator.receive(arrival.event, peer=PEER, received_ns=received_ns, now=arrival.at_ms / 1000)


def threads(
    count: int, dialect: Dialect = Dialect.BOTOCORE, *, calls: int = CALLS, latency_ms: float = LATENCY_MS
) -> Iterator[Arrival]:
    """Yield the datagrams of threads that make calls without a pause."""
    rng = random.Random(1)
    free_at = [(rng.random() * latency_ms, number) for number in range(count)]
    arrivals = []
    for number in range(1, calls + 1):
        start, thread = heapq.heappop(free_at)
        times = [(start + 0.5, start + 0.5 + rng.expovariate(1 / latency_ms))]
        while rng.random() < FAILING:
            back_off = rng.random() * 50 * 2 ** (len(times) - 1)
            again = times[-1][1] + 0.3 + back_off
            times.append((again, again + rng.expovariate(1 / latency_ms)))
        end = times[-1][1] + 0.15
        tries = [_attempt(*at, failed=at is not times[-1], dialect=dialect) for at in times]
        call = _call(start, end, tries=len(tries), dialect=dialect)
        if dialect is Dialect.RUBY:
            arrivals += [Arrival(end + 0.1 + 0.02 * place, event, number) for place, event in enumerate([call, *tries])]
        else:
            arrivals += [Arrival(at[1] + 0.1, one, number) for at, one in zip(times, tries, strict=True)]
            arrivals.append(Arrival(end + 0.1, call, number))
        heapq.heappush(free_at, (end + 0.2, thread))
    arrivals.sort(key=lambda arrival: arrival.at_ms)
    yield from arrivals


def _attempts(count: int) -> Iterator[Arrival]:
    for number in range(count):
        yield Arrival(number / 20, _attempt(number / 20 - 20, number / 20, failed=True))


def _waiting_calls(count: int) -> Iterator[Arrival]:
    for number in range(count):
        yield Arrival(number / 20, _call(number / 20 - 20, number / 20, dialect=Dialect.RUBY))


def retries(count: int, *, every_ms: float = 0.05) -> Iterator[Arrival]:
    """Yield the datagrams of a flood of retries, most of calls that never end."""
    for number in range(count):
        at = number * every_ms
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
