"""Make the recordings of examples/captured-runs from the datagrams of boto3 in tests/conformance/captured.

Usage: PYTHONPATH=tests sample_recordings.py [FOLDER]. The groups of datagrams of a run are put one after the other, as
if one command had sent them under `csm-otel exec`; nothing else is changed. The same captures give the same bytes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.recordings import recording

from csm_otel.csm.decoding import decode
from csm_otel.csm.traceparent import TraceParent
from csm_otel.files.recording import FORMAT, Heading, RecordedCommand, RecordedDatagram, encode_line
from csm_otel.spans.command import Command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conformance.packed import Recorded

FOLDER = Path(__file__).parents[1] / "examples/captured-runs"

_BEGAN_NS = 1_795_910_400_000_000_000
_BEFORE_FIRST_NS = 150_000_000
_BETWEEN_NS = 20_000_000
_NS_PER_MS = 1_000_000
# Two threads whose calls are so alike that it is not certain which attempt is whose.
_ALIKE = ("4670.t25", "4670.t26")


def main() -> int:
    """Write the recordings and return 0."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, groups, exit_code in (("marks", _marks(), 1), ("uploads", [recording("boto3_pagwait")], 0)):
        (folder / f"{name}.ndjson").write_bytes(b"".join(_lines(name, groups, exit_code)))
    return 0


def _marks() -> list[list[Recorded]]:
    """Return calls with each mark and word of a waterfall."""
    captured, threads = recording("botocore-1.44.5"), recording("boto3_mt8_client")
    labelled = {
        label: [one for one in captured if one.label == label]
        for label in ("simple", "nocreds", "hugetoken", "retry503", "connrefused")
    }
    return [
        labelled["simple"],
        labelled["nocreds"],
        labelled["hugetoken"],
        labelled["retry503"][:1],  # the process was killed before the call ended
        [one for one in threads if one.label in _ALIKE],
        labelled["connrefused"],
    ]


def _lines(name: str, groups: Sequence[Sequence[Recorded]], exit_code: int) -> Iterator[bytes]:
    context = TraceParent(trace_id=0x5EED << 112 | len(name), span_id=0x5EED << 48, sampled=True)
    script = f"{name}.py"
    yield encode_line(
        Heading(format=FORMAT, seed=len(name), host_name="build", service_name=script, context=str(context))
    )
    now_ns = _BEGAN_NS + _BEFORE_FIRST_NS
    for group in groups:
        shift_ms = (now_ns - min(map(_start_ns, group))) // _NS_PER_MS
        for one in group:
            received_ns = one.received_ns + shift_ms * _NS_PER_MS
            sent = json.loads(one.payload)
            moved = {**sent, "Timestamp": sent["Timestamp"] + shift_ms, "ClientId": f"{script};{context}"}
            yield encode_line(
                RecordedDatagram(
                    at_ns=received_ns - _BEGAN_NS,
                    received_ns=received_ns,
                    host="127.0.0.1",
                    port=40_000,
                    events=tuple(decode(json.dumps(moved).encode()).events),
                )
            )
            now_ns = max(now_ns, received_ns)
        now_ns += _BETWEEN_NS
    command = Command(
        name=script, executable="python", pid=4711, exit_code=exit_code, start_ns=_BEGAN_NS, end_ns=now_ns
    )
    yield encode_line(RecordedCommand(at_ns=now_ns - _BEGAN_NS, command=command))


def _start_ns(one: Recorded) -> int:
    stamp_ms: int = json.loads(one.payload)["Timestamp"]
    return stamp_ms * _NS_PER_MS


if __name__ == "__main__":
    sys.exit(main())
