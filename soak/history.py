"""Hours of calls at full speed: a recording that is written into `replay` while it is replayed."""

from __future__ import annotations

import math
import subprocess
import time
from typing import TYPE_CHECKING

import msgspec
from datagrams import attempt, call
from e2e.programs import CSM_OTEL, DEADLINE_SECONDS, environment, has_traceback

from csm_otel.csm.decoding import decode
from csm_otel.files.recording import FORMAT, Heading, RecordedDatagram, encode_line
from soak.backend import CountingBackend
from soak.daemon import Memory, PrintedTally
from soak.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGAN_MS = 1_795_458_108_000
_NS_PER_MS = 1_000_000
_APIS = ("ListBuckets", "GetObject", "PutObject", "HeadObject", "DeleteObject")
_CALLS_OF_A_PORT = 1000  # then the next script begins
_PORTS = 20_000
_LINES_AT_A_TIME = 2000


def replayed(*, hours: float, calls_per_second: float, most_growth_mb: float = math.inf) -> list[Row]:
    """Replay hours of calls, each with one attempt, into a back end that accepts everything."""
    calls = int(hours * 3600 * calls_per_second)
    with CountingBackend(keeps_names=False) as backend:
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint, OTEL_TRACES_EXPORTER="otlp")
        began = time.monotonic()
        with subprocess.Popen(
            [*CSM_OTEL, "replay", "-"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            memory = Memory(process.pid)
            try:
                assert process.stdin is not None
                for lines in _recording(calls, calls_per_second):
                    process.stdin.write(lines)
                    memory.sample()
                _, stderr = process.communicate(timeout=DEADLINE_SECONDS)
            finally:
                process.kill()
        took = time.monotonic() - began
    tally = PrintedTally.read(stderr)
    about = f"{hours:g} h at {calls_per_second:g} calls/s replayed, {2 * calls / took:,.0f} datagrams/s"
    is_all = tally.delivered == backend.spans_arrived == 2 * calls and not has_traceback(stderr)
    growth_mb = memory.growth_mb()
    return [
        Row(f"{about}: delivered", "all", f"{tally.delivered:,} of {2 * calls:,}", is_all),
        Row(
            f"{about}: RSS after the first tenth",
            f"grows <= {most_growth_mb:g} MB",
            f"{growth_mb:+.1f} MB to {memory.peak_mb:.1f} MB",
            growth_mb <= most_growth_mb,
        ),
    ]


def _recording(calls: int, calls_per_second: float) -> Iterator[bytes]:
    """Yield a recording in pieces of many lines."""
    (attempted,), (called,) = decode(attempt()).events, decode(call()).events
    lines = [encode_line(Heading(format=FORMAT, seed=1, host_name="soak"))]
    for number in range(calls):
        at_ms = int(number * 1000 / calls_per_second)
        api = _APIS[number % len(_APIS)]
        port = 40_000 + number // _CALLS_OF_A_PORT % _PORTS
        for event, start_ms, end_ms in ((attempted, 2, 27), (called, 0, 30)):
            moved = msgspec.structs.replace(event, api=api, timestamp_ms=_BEGAN_MS + at_ms + start_ms)
            line = RecordedDatagram(
                at_ns=(at_ms + end_ms) * _NS_PER_MS,
                received_ns=(_BEGAN_MS + at_ms + end_ms) * _NS_PER_MS,
                host="127.0.0.1",
                port=port,
                events=(moved,),
            )
            lines.append(encode_line(line))
        if len(lines) >= _LINES_AT_A_TIME:
            yield b"".join(lines)
            lines = []
    yield b"".join(lines)
