"""The section ``threads``: the cost of a datagram by the number of threads that call one API, and of retries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.e2e.programs import CsmOtel
from benchmarks.e2e.table import Row
from benchmarks.e2e.trial import trial
from benchmarks.e2e.workloads import THREADS

if TYPE_CHECKING:
    from collections.abc import Callable

_PER_SECOND = 2_000
_RETRIES_PER_SECOND = 500
_SECONDS = 3.0
_MOST_RUNS = 3


def threads(runs: int, progress: Callable[[str], None]) -> list[Row]:
    """Measure csm-otel at one rate; where one thread is too slow for it, there are more senders."""
    workloads = {f"threads-{count}": (f"threads of one API: {count}", _PER_SECOND) for count in THREADS}
    workloads["retries"] = (f"flood of retries, {_RETRIES_PER_SECOND:,}/s", _RETRIES_PER_SECOND)
    costs: dict[str, list[float]] = {name: [] for name in workloads}
    faults: dict[str, set[str]] = {name: set() for name in workloads}
    for run in range(min(runs, _MOST_RUNS)):
        for name, (_, per_second) in workloads.items():
            one = trial(CsmOtel("http"), per_second=per_second, seconds=_SECONDS, workload=name, senders=1, seed=run)
            progress(f"{name}: {one.us_a_datagram:.1f} us, {one.observed.fault() or 'kept up'}")
            costs[name].append(one.us_a_datagram)
            faults[name] |= {one.observed.fault()} - {""}
    rows: list[Row] = []
    for name, (what, _) in workloads.items():
        baseline = rows[0] if rows else None
        note = ", ".join(sorted(faults[name]))
        rows.append(Row.beside("threads", f"CPU a datagram, {what}", "us", costs[name], baseline=baseline, note=note))
    return rows
