"""The section ``latency``: how long after its end a call arrives at the back end, over the delay of a batch."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks.e2e.programs import SCHEDULE_DELAY_SECONDS, CsmOtel, Plain
from benchmarks.e2e.table import Row
from benchmarks.e2e.trial import trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.e2e.programs import Program

_PER_SECOND = 100
_SECONDS = 4.0  # at least a hundred calls, of which the 99th percentile is not the slowest alone
_MOST_PLAIN = 5


def latency(daemons: int, progress: Callable[[str], None]) -> list[Row]:
    """Measure the 99th percentile of so many fresh processes; of the plain bridge, which is the baseline, of a few."""
    plain: Program = Plain("http")
    ours: Program = CsmOtel("http")
    over: dict[str, list[float]] = {plain.name: [], ours.name: []}
    for run in range(daemons):
        for program in (plain, ours) if run < _MOST_PLAIN else (ours,):
            one = trial(program, per_second=_PER_SECOND, seconds=_SECONDS, workload="sequential", senders=1, seed=run)
            assert one.arrived is not None
            percentiles = statistics.quantiles(one.arrived.behind_ms, n=100, method="inclusive")
            late_ms = percentiles[-1] - SCHEDULE_DELAY_SECONDS * 1000
            progress(f"{program.name}: {late_ms:.1f} ms")
            over[program.name].append(late_ms)
    return [
        Row("latency", f"p99 over the schedule delay at {_PER_SECOND}/s, of {len(values)}: {name}", "ms", values)
        for name, values in over.items()
    ]
