"""The highest rate that each program takes without loss or backlog: `rates`, and their table."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from benchmarks.e2e.programs import Daemon, Program
from benchmarks.e2e.search import highest
from benchmarks.e2e.trial import trial
from soak.peers.statsd import StatsdExporter

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from benchmarks.e2e.trial import Trial
    from soak.peers.program import Program as Peer
    from soak.peers.program import Run

_SECONDS = 3.0
_GUESS_PER_SECOND = 20_000.0
_MOST_PER_SECOND = 150_000.0
_STEP = 1.7


class Rate(NamedTuple):
    """What a program sustained."""

    program: str
    per_second: float
    us_a_datagram: float
    """Its processor time at that rate."""
    fault: str
    """Why it did not sustain a higher one; "" if senders cannot send more."""


def rates(
    programs: Sequence[Peer],
    *,
    seconds: float = _SECONDS,
    guess: float = _GUESS_PER_SECOND,
    most: float = _MOST_PER_SECOND,
) -> list[Rate]:
    """Search the rate of each program, one after the other."""
    return [_rate(_Adapted(program), seconds=seconds, guess=guess, most=most) for program in programs]


def heading() -> str:
    """Return the first lines of the table, as Markdown."""
    return "| program | datagrams/s without loss or backlog | CPU a datagram | beyond it |\n|---|---|---|---|"


def rendered(found: Sequence[Rate]) -> str:
    """Return lines of the table."""
    return "\n".join(
        f"| {rate.program} | {rate.per_second:,.0f} | {rate.us_a_datagram:.1f} us | "
        f"{rate.fault or 'the senders are no faster'} |"
        for rate in found
    )


def _rate(program: _Adapted, *, seconds: float, guess: float, most: float) -> Rate:
    best: Trial | None = None
    fault = ""

    def is_sustained(per_second: float) -> bool:
        nonlocal best, fault
        one = trial(program, per_second=per_second, seconds=seconds, workload=program.workload)
        if why := one.observed.fault():
            fault = why
            return False
        best = one
        return True

    per_second = highest(is_sustained, guess=guess, step=_STEP, most=most)
    cost = best.cpu_seconds / best.observed.sent * 1e6 if best else 0.0
    return Rate(program.name, per_second, cost, fault)


class _Adapted(Program):
    """One of the compared programs for a trial."""

    def __init__(self, peer: Peer) -> None:
        super().__init__("http")
        self._peer = peer
        # It exports nothing by itself, and understands lines only.
        self.delivers = not isinstance(peer, StatsdExporter)
        self.workload = "mixed" if self.delivers else "lines"

    @property
    def name(self) -> str:
        return self._peer.name

    @contextmanager
    def running(self, endpoint: str) -> Generator[Daemon]:
        with self._peer.running(urlsplit(endpoint).port or 0) as run:
            yield _Running(run)


class _Running(Daemon):
    def __init__(self, run: Run) -> None:
        self._run = run
        self.pid = run.pid
        self.address = run.address

    def stop(self) -> int:
        received = self._run.scraped() if self._run.scraped else 0
        self._run.stop()
        self.reported = self._run.reported
        return received
