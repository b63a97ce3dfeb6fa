"""``python -m soak``: the scenarios one after the other, a table of their results, 1 if a bar was missed."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.config.settings import SETTINGS
from soak import commands, history, loads, outages
from soak.fuzz import fuzz
from soak.table import heading, rendered

if TYPE_CHECKING:
    from collections.abc import Callable

    from soak.table import Row

_LARGE_BUFFER, _SMALL_BUFFER = 4 * 1024 * 1024, 106_496  # our default, and Linux's default
_MOST_MB = 100.0
_MOST_MEMORY_MB = 150.0  # without a spool the queue, up to 64 MiB, is in memory itself
_MEMORY_MINUTES = 4.0  # 64 MiB are full after three
_MOST_GROWTH_MB = 8.0
_DRAIN_SECONDS = SETTINGS["drain_seconds"].default_of("serve")


def main() -> int:
    """Run the selected scenarios and return the exit code."""
    scenarios = _scenarios()
    parser = argparse.ArgumentParser(prog="python -m soak", description="Long runs against what goes wrong outside.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all unless given: {', '.join(scenarios)}")
    parser.add_argument("--minutes", type=float, default=10.0, help="of the long outage")
    parser.add_argument("--seconds", type=int, default=60, help="of the fuzzing of each law")
    parser.add_argument("--datagrams", type=int, default=1_000_000, help="that are damaged")
    asked = parser.parse_args()
    if unknown := set(asked.names) - scenarios.keys():
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    print(f"{os.cpu_count()} processors, Python {sys.version.partition(' ')[0]}\n\n{heading()}", flush=True)
    rows: list[Row] = []
    for name in asked.names or scenarios:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="csm-otel-soak-") as folder:
            found = scenarios[name](asked, Path(folder))
        rows += found
        print(rendered(found), flush=True)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    missed = sum(row.is_held is False for row in rows)
    print(f"\n{len(rows)} bars, {missed} missed, {sum(row.is_held is None for row in rows)} skipped")
    return 1 if missed else 0


def _scenarios() -> dict[str, Callable[[argparse.Namespace, Path], list[Row]]]:
    return {
        "refused": lambda _, __: outages.refused(seconds=60, per_second=200, within_seconds=5),
        "refused-spool": lambda _, folder: outages.refused(
            seconds=60, per_second=200, within_seconds=5, flags=("--spool", folder / "spool")
        ),
        "faulty": lambda _, __: outages.faulty(seconds=60, per_second=200),
        "faulty-spool": lambda _, folder: outages.faulty(
            seconds=60, per_second=200, flags=("--spool", folder / "spool")
        ),
        "killed": lambda _, folder: outages.killed(
            seconds=34, per_second=50, window_seconds=1, folder=folder / "spool"
        ),
        "paused": lambda _, __: loads.paused(count=2500, buffer_bytes=_LARGE_BUFFER, loses=False),
        "paused-small": lambda _, __: loads.paused(count=2500, buffer_bytes=_SMALL_BUFFER, loses=True),
        "terminated": lambda _, __: _terminated(None),
        "terminated-spool": lambda _, folder: _terminated(folder / "spool"),
        "terminated-flood": lambda _, __: _terminated(None, seconds=3, per_second=20_000),
        "fuzz-decoding": lambda asked, _: fuzz("decoding", seconds=asked.seconds),
        "fuzz-correlator": lambda asked, _: fuzz("correlator", seconds=asked.seconds),
        "fuzzed": lambda asked, _: loads.fuzzed(
            count=asked.datagrams, most_growth_mb=_MOST_GROWTH_MB, lines_a_second=1
        ),
        "replayed": lambda _, __: history.replayed(hours=8, calls_per_second=20, most_growth_mb=_MOST_GROWTH_MB),
        "executed": lambda _, folder: commands.executed(with_boto3=100, with_sender=900, at_once=2, folder=folder),
        "long": lambda asked, folder: outages.long(
            minutes=asked.minutes, per_second=1000, folder=folder / "spool", most_mb=_MOST_MB
        ),
        "long-memory": lambda asked, _: outages.long(
            minutes=min(asked.minutes, _MEMORY_MINUTES), per_second=1000, folder=None, most_mb=_MOST_MEMORY_MB
        ),
    }


def _terminated(folder: Path | None, *, seconds: float = 10, per_second: float = 500) -> list[Row]:
    return loads.terminated(
        seconds=seconds,
        per_second=per_second,
        answer_seconds=2,
        drain_seconds=_DRAIN_SECONDS,
        slack_seconds=0.5,
        folder=folder,
    )


if __name__ == "__main__":
    sys.exit(main())
