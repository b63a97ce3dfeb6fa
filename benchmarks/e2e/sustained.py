"""The sections ``sustained`` and ``cpu``: the highest rate without a backlog, and what a datagram costs."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

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


def sustained(runs: int, progress: Callable[[str], None]) -> list[Row]:
    """Search the highest rate of each program, all programs in each run."""
    programs: list[tuple[Program, float]] = [
        (Plain("http"), 16_000.0),
        (CsmOtel("http"), 12_000.0),
        (Plain("grpc"), 16_000.0),
        (CsmOtel("grpc"), 12_000.0),
        (Limit("http"), _MOST_PER_SECOND),
    ]
    found: dict[str, list[float]] = {program.name: [] for program, _ in programs}
    faults: dict[str, str] = {}
    for run in range(runs):
        for program, guess in programs:
            before = found[program.name]
            known = statistics.median(before) if any(before) else guess

            def is_sustained(rate: float, program: Program = program, run: int = run) -> bool:
                fault = _fault(program, rate, run, progress)
                if fault:
                    faults[program.name] = fault
                return not fault

            step = RESOLUTION if any(before) else _FIRST_STEP
            before.append(highest(is_sustained, guess=known, step=step, most=_MOST_PER_SECOND))
    rows: dict[str, Row] = {}
    for program, _ in programs:
        baseline = rows.get(f"plain, {program.protocol}")
        note = f"beyond it: {faults.get(program.name, 'no sender is that fast')}"
        rows[program.name] = Row.beside(
            "sustained", program.name, "datagrams/s", found[program.name], baseline=baseline, note=note
        )
    return list(rows.values())


def _fault(program: Program, rate: float, run: int, progress: Callable[[str], None]) -> str:
    """Return why a program does not sustain a rate; one that nearly does gets a second try, as others disturb it."""
    fault = ""
    for _ in range(_TRIALS):
        one = trial(program, per_second=rate, seconds=_SEARCH_SECONDS, seed=run)
        seen = one.observed
        fault = seen.fault()
        progress(
            f"{program.name}: {rate:,.0f}/s {fault or 'sustained'}, {one.lost:,} of {seen.sent:,} lost, "
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
