"""The cost of csm-otel: each figure as a ratio to a baseline measured beside it in the same run.

Prints the median of five runs with the range; run it with ``make bench``. Nothing here judges.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from conformance.recordings import recording

from csm_otel.correlation.correlator import Correlator
from csm_otel.csm.decoding import decode
from csm_otel.delivery.encoding import encode
from csm_otel.delivery.spool import Spool
from csm_otel.files.recorder import Recorder
from csm_otel.files.recording import FORMAT, Heading
from csm_otel.spans.mapper import SpanMapper
from csm_otel.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.correlation.released import Released
    from csm_otel.csm.events import Peer
    from csm_otel.spans.data import SpanData

RUNS = 5
ROUNDS = 20  # repetitions of the recording, for a run long enough to time
BATCH_SPANS = 512
RECORDING = "botocore-1.44.5"
PRINT_TIME = "import time; print(time.time_ns())"


def main() -> None:
    """Measure and print."""
    datagrams = [(one.payload, one.peer, one.received_ns) for one in recording(RECORDING)] * ROUNDS
    payloads = [payload for payload, _, _ in datagrams]
    print(
        f"{os.cpu_count()} processors, Python {sys.version.split()[0]}; {len(payloads)} datagrams of botocore a run\n"
    )
    print(f"{'us a datagram':42} {'median':>8} {'range':>17} {'to json.loads':>14}")
    stages: dict[str, Callable[[], object]] = {
        "json.loads alone (baseline)": lambda: [json.loads(payload) for payload in payloads],
        "decode": lambda: [decode(payload) for payload in payloads],
        "decode, record (--record)": lambda: _recorded(datagrams),
        "decode, correlate": lambda: _released(datagrams),
        "decode, correlate, map": lambda: _mapped(datagrams),
        "decode, correlate, map, encode": lambda: _encoded(datagrams),
        "the same, put to disk (--spool)": lambda: _spooled(datagrams),
    }
    baseline = 0.0
    for name, stage in stages.items():
        times = [_seconds(stage) / len(payloads) * 1e6 for _ in range(RUNS)]
        baseline = baseline or statistics.median(times)
        print(_row(name, times, baseline))
    print(f"\n{'ms until a command runs':42} {'median':>8} {'range':>17} {'to python -c':>14}")
    plain = [_start_ms([sys.executable, "-c", PRINT_TIME]) for _ in range(RUNS)]
    under = [
        _start_ms([sys.executable, "-m", "csm_otel", "exec", "--quiet", "--", sys.executable, "-c", PRINT_TIME])
        for _ in range(RUNS)
    ]
    print(_row("python -c (baseline)", plain, statistics.median(plain)))
    print(_row("csm-otel exec -- python -c", under, statistics.median(plain)))


def _row(name: str, values: list[float], baseline: float) -> str:
    median = statistics.median(values)
    return f"{name:42} {median:8.1f} {min(values):8.1f}-{max(values):<8.1f} {median / baseline:13.2f}x"


def _seconds(stage: Callable[[], object]) -> float:
    began = time.perf_counter()
    stage()
    return time.perf_counter() - began


def _start_ms(command: list[str]) -> float:
    began = time.time_ns()
    return (int(subprocess.run(command, capture_output=True, check=True).stdout) - began) / 1e6


def _released(datagrams: list[tuple[bytes, Peer, int]]) -> list[Released]:
    released: list[Released] = []
    once = len(datagrams) // ROUNDS
    for begin in range(0, len(datagrams), once):
        # One for each round: with the same times again all calls would compete for all attempts.
        correlator = Correlator()
        for payload, peer, received_ns in datagrams[begin : begin + once]:
            for event in decode(payload).events:
                released += correlator.receive(event, peer=peer, received_ns=received_ns, now=received_ns / 1e9)
        released += correlator.flush()
    return released


def _mapped(datagrams: list[tuple[bytes, Peer, int]]) -> list[SpanData]:
    mapper = SpanMapper(ids=RandomIdGenerator(), resource={}, host_name="host")
    return [span for released in _released(datagrams) for span in mapper.map(released)]


def _recorded(datagrams: list[tuple[bytes, Peer, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        heading = Heading(format=FORMAT, seed=1, host_name="host")
        recorder = Recorder.open(Path(folder, "recording"), heading, Tally(), say=print)
        for payload, peer, received_ns in datagrams:
            recorder.datagram(decode(payload), peer=peer, received_ns=received_ns, now=received_ns / 1e9)
        recorder.close(deadline_seconds=60)


def _encoded(datagrams: list[tuple[bytes, Peer, int]]) -> list[tuple[bytes, int]]:
    spans = _mapped(datagrams)
    limits = SpanLimits()
    batches = (spans[at : at + BATCH_SPANS] for at in range(0, len(spans), BATCH_SPANS))
    return [(encode(batch, limits=limits), len(batch)) for batch in batches]


def _spooled(datagrams: list[tuple[bytes, Peer, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), limit_bytes=2**30)
        for request in _encoded(datagrams):
            spool.put([request])
        spool.close()


if __name__ == "__main__":
    main()
