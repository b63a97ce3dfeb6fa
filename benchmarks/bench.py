"""What csm-otel costs: each figure as a ratio to a baseline measured beside it in the same run.

Prints medians with their ranges, section by section. Nothing here judges. ``make bench`` runs all sections,
``make bench BENCH="--runs 3 sustained cpu"`` some of them.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import concurrency, instructions, stages
from benchmarks.e2e import capacity, latency, loss, replayed, steps, sustained, threads, watched
from benchmarks.e2e.table import as_json, heading, line, section_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.e2e.table import Row

_RUNS = 5
_SECTIONS: dict[str, tuple[str, Callable[[int, Callable[[str], None]], list[Row]]]] = {
    "stages": ("the pipeline offline, by its stages, each with those before it", stages.stages),
    "instructions": ("the pipeline offline, counted by valgrind if there is one", instructions.instructions),
    "concurrency": ("the correlator offline, by what is pending", concurrency.concurrency),
    "start": ("what a command waits for, and `exec` as a whole", stages.start),
    "sink": ("what the back end of the next sections takes", capacity.sink),
    "sustained": ("the highest rate without loss or backlog, beside the plain bridge", sustained.sustained),
    "cpu": ("processor time and memory at fixed rates, beside the plain bridge", sustained.cpu),
    "steps": ("where the processor time of csm-otel goes, each step without those within it", steps.steps),
    "loss": ("what is lost beyond the sustained rate", loss.loss),
    "threads": ("csm-otel by the concurrency of one sender, beside one thread", threads.threads),
    "latency": ("from the end of a call until its arrival at the back end", latency.latency),
    "watched": ("what a call costs the script that makes it", watched.watched),
    "replay": ("a recording as fast as it goes", replayed.replay),
}


def main() -> None:
    """Measure the selected sections and print them."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that all started programs are ended
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description="What csm-otel costs.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"all unless given: {', '.join(_SECTIONS)}")
    parser.add_argument("--runs", type=int, default=_RUNS, help=f"of each measurement (default: {_RUNS})")
    parser.add_argument("--daemons", type=int, default=_RUNS, help=f"of the section latency (default: {_RUNS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    parser.add_argument("--verbose", action="store_true", help="show each trial on stderr")
    asked = parser.parse_args()
    if unknown := set(asked.sections) - _SECTIONS.keys():
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    python = sys.version.partition(" ")[0]
    print(f"{os.cpu_count()} processors, which senders and sink share with the program, Python {python}\n")
    print(heading(), flush=True)
    rows: list[Row] = []
    for name in asked.sections or _SECTIONS:
        about, measure = _SECTIONS[name]
        began = time.monotonic()
        runs = asked.daemons if name == "latency" else asked.runs
        found = measure(runs, _say if asked.verbose else lambda _: None)
        rows += found
        print(section_line(name, about), *map(line, found), sep="\n", flush=True)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    if asked.json:
        about_run = {"processors": os.cpu_count(), "python": python, "runs": asked.runs}
        asked.json.write_text(json.dumps(as_json(rows, about_run), indent=1) + "\n", "utf-8")


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
