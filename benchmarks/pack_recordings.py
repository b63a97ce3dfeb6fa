"""Pack recordings into the format of tests/conformance/captured, as small as the standard library can read.

    python benchmarks/pack_recordings.py [--calls N] FOLDER RECORDING ...

A recording is a file of lines, ``.jsonl`` or ``.jsonl.gz``, as from `record_truth.py`; NAME.json.xz is written into the
folder. `conformance.packed` describes the formats. Of a truth recording it can keep the calls that arrived first, each
with all its attempts. Paths of the machine in the heading are shortened to the names of the files.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from conformance.packed import SUFFIX, heading_of, pack, read

if TYPE_CHECKING:
    from conformance.packed import Recorded


def main() -> None:
    """Pack each recording and print its size."""
    parser = argparse.ArgumentParser(description="Pack recordings for tests/conformance.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("recordings", nargs="+", type=Path, metavar="RECORDING")
    parser.add_argument("--calls", type=int, metavar="N", help="keep the first N calls that arrived, not all")
    asked = parser.parse_args()
    for recording in asked.recordings:
        recorded = read(recording)
        if asked.calls:
            recorded = _first_calls(recorded, asked.calls)
        name = recording.name.partition(".jsonl")[0]
        packed = pack(recorded, _named(heading_of(recording), name))
        to = asked.folder / (name + SUFFIX)
        to.write_bytes(packed)
        print(f"{to}: {len(packed):,} bytes")


def _first_calls(recorded: list[Recorded], count: int) -> list[Recorded]:
    """Return the calls that arrived first with their attempts, also those that arrived later."""
    calls = (one.label for one in recorded if one.payload and json.loads(one.payload)["Type"] == "ApiCall")
    kept = set(islice(calls, count))
    return [one for one in recorded if one.label in kept]


def _named(heading: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a heading with the name of its file as the scenario, and no path of the machine."""
    asked = heading.get("asked", {})
    if "program" in asked:
        program = [Path(argument).name for argument in asked["program"] if "=/" not in argument]
        heading = {**heading, "asked": {**asked, "program": program}}
    return {**heading, "scenario": name} if heading else {}


if __name__ == "__main__":
    main()
