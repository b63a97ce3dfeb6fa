"""The workloads by name: `WORKLOADS`, each a function that returns the streams of its senders."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

from conformance.recordings import recording

from benchmarks.e2e.generated import of_lines, of_retries, of_threads
from benchmarks.e2e.workload import Stream, stream_by_peer, stream_by_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BURST_SECONDS = 0.25
_PER_SECOND = 200.0
_PAUSE_SECONDS = 0.1


class _Source(NamedTuple):
    recording: str
    share: float


# Most programs make one call after the other; the threads of the others are at work in bursts.
_SEQUENTIAL = "boto3_mp4"
_ONE_BY_ONE = (_Source(_SEQUENTIAL, 30), _Source("awscli1", 10))
_IN_BURSTS = (
    _Source("boto3_mt8_client", 15),
    _Source("boto3_mt32_client_flt", 5),
    _Source("boto3_mt8_5of9_flt", 5),
    _Source("aio_conc8", 5),
    _Source("go_conc8", 8),
    _Source("java_mt8", 8),
    _Source("cpp_mt8", 5),
    _Source("js_conc8", 3),
    _Source("php_conc8", 3),
    _Source("ruby_mt8_client", 3),
)


THREADS = (1, 8, 32, 64, 512)
"""The numbers of threads of the workloads ``threads-N``."""


@cache
def mixed() -> Sequence[Stream]:
    """Return streams of all SDKs, sequential ones and such of many threads."""
    return [
        *(stream_by_peer(recording(name), share, pause_seconds=_PAUSE_SECONDS) for name, share in _ONE_BY_ONE),
        *(
            stream_by_time(recording(name), share, round_seconds=_BURST_SECONDS, per_second=_PER_SECOND)
            for name, share in _IN_BURSTS
        ),
    ]


def sequential() -> Sequence[Stream]:
    """Return a stream of programs that make one call after the other."""
    return [stream_by_peer(recording(_SEQUENTIAL), 1, pause_seconds=_PAUSE_SECONDS)]


def _threads(count: int, per_second: float) -> Sequence[Stream]:
    return of_threads(count, per_second=per_second)


WORKLOADS: dict[str, Callable[[float], Sequence[Stream]]] = {
    "mixed": lambda _: mixed(),
    "sequential": lambda _: sequential(),
    "retries": lambda per_second: of_retries(per_second=per_second),
    "lines": lambda per_second: of_lines(per_second=per_second),
    **{f"threads-{count}": partial(_threads, count) for count in THREADS},
}
"""By name; each takes the rate of a sender's process."""
