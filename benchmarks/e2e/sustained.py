"""The sections ``sustained`` and ``cpu``: the highest rate without a backlog, and what a datagram costs."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.e2e.programs import CsmOtel, Limit, Plain
from benchmarks.e2e.search import RESOLUTION, highest
from benchmarks.e2e.table import Row
from benchmarks.e2e.trial import trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.e2e.programs import Program
    from benchmarks.e2e.trial import Trial

_SEARCH_SECONDS = 3.0
_FIRST_STEP = 1.5
_TRIALS = 2
_CLEAR_SHARE = 0.05
_MOST_PER_SECOND = 150_000.0  # what two senders can send beside a program
_CPU_SECONDS = 2.0
_RATES = (1_000, 10_000)


class _Searched(NamedTuple):
    program: Program
    guess: float
    """Datagrams a second, for the first search."""
    workload: str = "mixed"

    @property
    def name(self) -> str:
        return self.program.name if self.workload == "mixed" else f"{self.program.name}, {self.workload}"

    @property
    def baseline(self) -> str:
        return self._replace(program=Plain(self.program.protocol)).name


def sustained(runs: int, progress: Callable[[str], None]) -> list[Row]:
    """Search the highest rate of each program, all programs in each run."""
    searched = [
        _Searched(Plain("http"), 16_000.0),
        _Searched(CsmOtel("http"), 20_000.0),
        _Searched(Plain("grpc"), 16_000.0),
        _Searched(CsmOtel("grpc"), 20_000.0),
        _Searched(Plain("http"), 16_000.0, "sequential"),
        _Searched(CsmOtel("http"), 24_000.0, "sequential"),
        _Searched(Limit("http"), _MOST_PER_SECOND),
    ]
    found: dict[str, list[float]] = {one.name: [] for one in searched}
    faults: dict[str, str] = {}
    for run in range(runs):
        for one in searched:
            before = found[one.name]
            known = statistics.median(before) if any(before) else one.guess

            def is_sustained(rate: float, one: _Searched = one, run: int = run) -> bool:
                fault = _fault(one, rate, run, progress)
                if fault:
                    faults[one.name] = fault
                return not fault

            step = RESOLUTION if any(before) else _FIRST_STEP
            before.append(highest(is_sustained, guess=known, step=step, most=_MOST_PER_SECOND))
    rows: dict[str, Row] = {}
    for one in searched:
        note = f"beyond it: {faults.get(one.name, 'no sender is that fast')}"
        rows[one.name] = Row.beside(
            "sustained", one.name, "datagrams/s", found[one.name], baseline=rows.get(one.baseline), note=note
        )
    return list(rows.values())


def _fault(searched: _Searched, rate: float, run: int, progress: Callable[[str], None]) -> str:
    """Return why a program does not sustain a rate; one that nearly does gets a second try, as others disturb it."""
    fault = ""
    for _ in range(_TRIALS):
        one = trial(searched.program, per_second=rate, seconds=_SEARCH_SECONDS, workload=searched.workload, seed=run)
        seen = one.observed
        fault = seen.fault()
        progress(
            f"{searched.name}: {rate:,.0f}/s {fault or 'sustained'}, {one.lost:,} of {seen.sent:,} lost, "
            f"senders {seen.late_seconds * 1000:.0f} ms behind at most"
        )
        if not fault or one.lost > seen.sent * _CLEAR_SHARE:
            break
    return fault


def cpu(runs: int, progress: Callable[[str], None]) -> list[Row]:
    """Measure what a datagram costs each program at fixed rates, and its memory."""
    programs: list[Program] = [Plain("http"), CsmOtel("http"), Plain("grpc"), CsmOtel("grpc"), Limit("http")]
    rows: list[Row] = []
    for rate in _RATES:
        trials: dict[str, list[Trial]] = {program.name: [] for program in programs}
        for run in range(runs):
            for program in programs:
                one = trial(program, per_second=rate, seconds=_CPU_SECONDS, seed=run)
                progress(f"{program.name}: {rate:,}/s, {one.us_a_datagram:.1f} us, {one.observed.fault() or 'kept up'}")
                trials[program.name].append(one)
        rows += _rows_at(rate, programs, trials)
    return rows


def _rows_at(rate: int, programs: list[Program], trials: dict[str, list[Trial]]) -> list[Row]:
    figures: list[tuple[str, str, Callable[[Trial], float]]] = [
        (f"CPU a datagram at {rate:,}/s", "us", lambda one: one.us_a_datagram),
        (f"CPU at {rate:,}/s", "% of a core", lambda one: 100 * one.cpu_share),
    ]
    if rate == _RATES[-1]:
        figures += [
            ("RSS idle", "MiB", lambda one: one.idle_mib),
            (f"RSS at {rate:,}/s", "MiB", lambda one: one.loaded_mib),
        ]
    rows: list[Row] = []
    for what, unit, value_of in figures:
        of_figure: dict[str, Row] = {}
        for program in programs:
            measured = trials[program.name]
            faults = sorted({one.observed.fault() for one in measured} - {""})
            of_figure[program.name] = Row.beside(
                "cpu",
                f"{what}: {program.name}",
                unit,
                [value_of(one) for one in measured],
                baseline=of_figure.get(f"plain, {program.protocol}"),
                note=", ".join(faults),
            )
        rows += of_figure.values()
    return rows
