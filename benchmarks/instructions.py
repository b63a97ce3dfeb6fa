"""How many machine instructions a datagram takes offline: the section ``instructions``. They vary little, times a lot.

    python -m benchmarks.instructions WHAT ROUNDS

is what valgrind counts: it plays a recording so many times. The difference between two numbers of rounds is the cost.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from conformance.recordings import recording

from benchmarks.e2e.table import Row
from benchmarks.stages import encoded

if TYPE_CHECKING:
    from collections.abc import Callable

_RECORDING = "boto3_mp4"
_FEW, _MANY = 1, 3
_JSON, _PIPELINE = "json.loads alone", "decode, correlate, map, encode"
_COUNT = re.compile(r"I\s+refs:\s+([\d,]+)")
_VALGRIND = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")


def instructions(runs: int, progress: Callable[[str], None]) -> list[Row]:
    """Count once, whatever the number of runs; without valgrind there are no rows."""
    del runs
    if shutil.which(_VALGRIND[0]) is None:
        progress("no valgrind")
        return []
    datagrams = len(recording(_RECORDING)) * (_MANY - _FEW)
    rows: list[Row] = []
    for what in (_JSON, _PIPELINE):
        few, many = _counted(what, _FEW), _counted(what, _MANY)
        progress(f"{what}: {few:,} and {many:,}")
        thousands = (many - few) / datagrams / 1000
        baseline = rows[0] if rows else None
        rows.append(Row.beside("instructions", what, "thousands a datagram", [thousands], baseline=baseline))
    return rows


def _counted(what: str, rounds: int) -> int:
    command = (*_VALGRIND, sys.executable, "-m", "benchmarks.instructions", what, str(rounds))
    done = subprocess.run(
        command, env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=True
    )
    found = _COUNT.search(done.stderr)
    assert found, done.stderr
    return int(found[1].replace(",", ""))


def main() -> None:
    """Play the recording."""
    what, rounds = sys.argv[1:]
    datagrams = [(one.payload, one.peer, one.received_ns) for one in recording(_RECORDING)]
    for _ in range(int(rounds)):
        if what == _JSON:
            for payload, _, _ in datagrams:
                json.loads(payload)
        else:
            encoded(datagrams, rounds=1)


if __name__ == "__main__":
    main()
