"""The section ``steps``: where the processor time of the running program goes."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.e2e.programs import SteppedCsmOtel
from benchmarks.e2e.table import Row
from benchmarks.e2e.trial import trial

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 4.0
_PER_SECOND = 10_000.0
_WORKLOADS = ("mixed", "sequential")


def steps(runs: int, progress: Callable[[str], None]) -> list[Row]:
    """Measure the steps of csm-otel over HTTP, without those within them."""
    rows: list[Row] = []
    for workload in _WORKLOADS:
        values: dict[str, list[float]] = {}
        for run in range(runs):
            for step, seconds in _measured(workload, run).items():
                values.setdefault(step, []).append(seconds * 1e6)
            progress(f"{workload}: run {run}")
        wholes = [sum(parts) for parts in zip(*values.values(), strict=True)]
        whole = Row.beside("steps", f"{workload}: all", "us a datagram", wholes, baseline=None)
        rows.append(whole)
        rows += [
            Row.beside("steps", f"{workload}: {step}", "us a datagram", found, baseline=whole)
            for step, found in values.items()
        ]
    return rows


def _measured(workload: str, seed: int) -> dict[str, float]:
    """Return the seconds that a datagram takes in each step."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "steps.json")
        one = trial(SteppedCsmOtel(file), per_second=_PER_SECOND, seconds=_SECONDS, workload=workload, seed=seed)
        return {step: seconds / one.received for step, seconds in json.loads(file.read_text("utf-8")).items()}
