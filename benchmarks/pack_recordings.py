"""Pack recordings into the format of tests/conformance/captured, as small as the standard library can read.

    python benchmarks/pack_recordings.py FOLDER RECORDING ...

A recording is a file of lines, ``.jsonl`` or ``.jsonl.gz``, as from `record_truth.py`; NAME.json.xz is written into the
folder. `conformance.packed` describes the formats.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from conformance.packed import SUFFIX, heading_of, pack, read


def main() -> None:
    """Pack each recording and print its size."""
    folder, *recordings = map(Path, sys.argv[1:])
    for recording in recordings:
        packed = pack(read(recording), heading_of(recording))
        to = folder / (recording.name.partition(".jsonl")[0] + SUFFIX)
        to.write_bytes(packed)
        print(f"{to}: {len(packed):,} bytes")


if __name__ == "__main__":
    main()
