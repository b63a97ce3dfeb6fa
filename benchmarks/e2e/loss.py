"""The section ``loss``: what is lost at a rate above what is sustained, and whether the program reports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.e2e.programs import BUFFER_BYTES, CsmOtel, Limit, Plain
from benchmarks.e2e.table import Row
from benchmarks.e2e.trial import trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.e2e.programs import Program
    from benchmarks.e2e.trial import Trial

_PER_SECOND = 20_000
_SECONDS = 10.0
_SMALL_BYTES = 212_992
_MOST_RUNS = 2


def loss(runs: int, progress: Callable[[str], None]) -> list[Row]:
    """Measure the share that is lost with the default receive buffer and with that of a system's default limit."""
    rows: list[Row] = []
    for buffer_bytes in (BUFFER_BYTES, _SMALL_BYTES):
        programs: list[Program] = [kind("http", buffer_bytes=buffer_bytes) for kind in (Plain, CsmOtel, Limit)]
        trials: dict[str, list[Trial]] = {program.name: [] for program in programs}
        for run in range(min(runs, _MOST_RUNS)):
            for program in programs:
                one = trial(program, per_second=_PER_SECOND, seconds=_SECONDS, seed=run)
                progress(f"{program.name}: {one.lost:,} of {one.observed.sent:,} lost, {one.reported} by its own count")
                trials[program.name].append(one)
        rows += [
            Row(
                "loss",
                f"lost at {_PER_SECOND:,}/s, {buffer_bytes:,} bytes asked for: {name}",
                "%",
                [100 * one.lost / one.observed.sent for one in measured],
                note=_told(measured),
            )
            for name, measured in trials.items()
        ]
    return rows


def _told(trials: list[Trial]) -> str:
    if any(one.reported is None for one in trials):
        return "not reported"
    wrong = [one for one in trials if one.reported != one.lost]
    return f"reported wrongly in {len(wrong)} of {len(trials)}" if wrong else "reported exactly"
