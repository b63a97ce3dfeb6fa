"""The scenarios, each for all programs side by side: an outage, its bound, a restart in it, faults, a pause."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from soak.backend import CountingBackend
from soak.daemon import free_port
from soak.peers.outcome import Outcome
from soak.proxy import FaultyProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from soak.peers.program import Program, Run

_POLL_SECONDS = 0.05
_DEADLINE_SECONDS = 120.0
_STALL_SHARE = 1.5  # times the program's timeout
_T = TypeVar("_T")
_U = TypeVar("_U")


class _Arrived(NamedTuple):
    arrived: int
    seconds: float
    """Until the last one arrived."""


def refused(
    scenario: str, programs: Sequence[Program], *, seconds: float, per_second: float, quiet_seconds: float
) -> list[Outcome]:
    """Refuse connections while spans arrive, then accept them; ``quiet_seconds`` exceeds every program's backoff."""
    ports = [free_port() for _ in programs]
    with ExitStack() as stack:
        runs = _started(programs, ports, stack)
        sent = _each(lambda run: run.send(int(seconds * per_second), per_second=per_second), runs)
        backends = [stack.enter_context(CountingBackend(port=port)) for port in ports]
        return _outcomes(scenario, programs, runs, backends, sent, quiet_seconds=quiet_seconds)


def ended(
    scenario: str,
    programs: Sequence[Program],
    *,
    number: signal.Signals,
    seconds: float,
    per_second: float,
    quiet_seconds: float,
) -> list[Outcome]:
    """End each program by a signal in an outage, and start another when the back end is available."""
    ports = [free_port() for _ in programs]
    with ExitStack() as stack:
        runs = _started(programs, ports, stack)
        sent = _each(lambda run: run.send(int(seconds * per_second), per_second=per_second), runs)
        _each(lambda run: run.wait_until_read(), runs)
        _each(lambda run: run.stop(number), runs)
        reported = [run.reported for run in runs]
    with ExitStack() as stack:
        backends = [stack.enter_context(CountingBackend(port=port)) for port in ports]
        runs = _started(programs, ports, stack)
        found = _outcomes(scenario, programs, runs, backends, sent, quiet_seconds=quiet_seconds)
    # What both reported, or nothing if the first could not report.
    return [
        outcome._replace(
            reported=None if first is None or outcome.reported is None else first + outcome.reported, seconds=None
        )
        for outcome, first in zip(found, reported, strict=True)
    ]


def faulty(
    scenario: str,
    programs: Sequence[Program],
    *,
    seconds: float,
    per_second: float,
    timeout_seconds: float,
    quiet_seconds: float,
) -> list[Outcome]:
    """Cut, reset and stall connections while spans arrive, then forward everything."""
    with ExitStack() as stack:
        backends = [stack.enter_context(CountingBackend()) for _ in programs]
        stall_seconds = _STALL_SHARE * timeout_seconds
        proxies = [stack.enter_context(FaultyProxy(backend.port, stall_seconds=stall_seconds)) for backend in backends]
        runs = _started(programs, [proxy.port for proxy in proxies], stack)
        sent = _each(lambda run: run.send(int(seconds * per_second), per_second=per_second), runs)
        for proxy in proxies:
            proxy.heal()
        return _outcomes(scenario, programs, runs, backends, sent, quiet_seconds=quiet_seconds)


def paused(scenario: str, programs: Sequence[Program], *, count: int, size: int, quiet_seconds: float) -> list[Outcome]:
    """Stop each program for a second while datagrams arrive, one program after the other."""
    outcomes = []
    for program in programs:
        with ExitStack() as stack:
            backend = stack.enter_context(CountingBackend())
            runs = _started([program], [backend.port], stack)
            os.kill(runs[0].pid, signal.SIGSTOP)
            try:
                sent = runs[0].send(count, per_second=count, size=size)
            finally:
                os.kill(runs[0].pid, signal.SIGCONT)
            runs[0].wait_until_read()
            outcomes += _outcomes(scenario, [program], runs, [backend], [sent], quiet_seconds=quiet_seconds)
    return [outcome._replace(seconds=None) for outcome in outcomes]


def _started(programs: Sequence[Program], ports: Sequence[int], stack: ExitStack) -> list[Run]:
    return [stack.enter_context(program.running(port)) for program, port in zip(programs, ports, strict=True)]


def _each(do: Callable[[_T], _U], all_of_them: Sequence[_T]) -> list[_U]:
    with ThreadPoolExecutor(len(all_of_them)) as pool:
        return list(pool.map(do, all_of_them))


def _outcomes(
    scenario: str,
    programs: Sequence[Program],
    runs: Sequence[Run],
    backends: Sequence[CountingBackend],
    sent: Sequence[int],
    *,
    quiet_seconds: float,
) -> list[Outcome]:
    """Wait until everything has arrived, end the programs, and return the outcome of each."""

    def wait_for(number: int) -> _Arrived:
        run = runs[number]
        arrived = _arrived_by(_arrivals(run, backends[number]), sent[number], quiet_seconds=quiet_seconds)
        end = time.monotonic() + quiet_seconds
        while run.waiting and run.waiting() and time.monotonic() < end:  # repeats of arrived ones
            time.sleep(_POLL_SECONDS)
        return arrived

    arrived = _each(wait_for, range(len(runs)))
    _each(lambda run: run.stop(), runs)
    outcomes = []
    for program, run, backend, count, after in zip(programs, runs, backends, sent, arrived, strict=True):
        is_scraped = run.scraped is not None
        outcomes.append(
            Outcome(
                scenario=scenario,
                program=program.name,
                sent=count,
                arrived=after.arrived if is_scraped else len(backend.names),  # with arrivals at shutdown
                reported=run.reported,
                repeated=0 if is_scraped else backend.spans_arrived - len(backend.names),
                seconds=after.seconds,
            )
        )
    return outcomes


def _arrivals(run: Run, backend: CountingBackend) -> Callable[[], int]:
    return run.scraped or (lambda: len(backend.names))


def _arrived_by(count_arrived: Callable[[], int], count: int, *, quiet_seconds: float) -> _Arrived:
    """Poll until so many have arrived, or no more do for a while."""
    began = last = time.monotonic()
    arrived = 0
    while arrived < count and (now := time.monotonic()) < min(last + quiet_seconds, began + _DEADLINE_SECONDS):
        if (found := count_arrived()) > arrived:
            arrived, last = found, now
        else:
            time.sleep(_POLL_SECONDS)
    return _Arrived(arrived, last - began)
