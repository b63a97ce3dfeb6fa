"""The section ``replay``: how fast a recording is played, start and delivery included."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.e2e.programs import CsmOtel, Sink
from benchmarks.e2e.table import Row
from benchmarks.e2e.workload import schedule
from benchmarks.e2e.workloads import mixed
from csm_otel.csm.decoding import decode
from csm_otel.files.recording import FORMAT, Heading, RecordedDatagram, encode_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PER_SECOND = 10_000
_SECONDS = 5.0
_BEGAN_MS = 1_700_000_000_000
_NS_PER_SECOND = 1_000_000_000
_PORTS = (1024, 65_536)


def replay(runs: int, progress: Callable[[str], None]) -> list[Row]:
    """Measure the replay beside the mere parsing of its lines."""
    parsed, played = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "recording")
        lines = list(_lines())
        path.write_bytes(b"".join(lines))
        for _ in range(runs):
            parsed.append(len(lines) / _parse_seconds(path))
            seconds, spans = _play(path)
            played.append(len(lines) / seconds)
            progress(f"{played[-1]:,.0f}/s, {spans:,} spans")
    baseline = Row("replay", "its lines parsed by json alone", "lines/s", parsed)
    return [baseline, Row.beside("replay", f"replay of {len(lines):,} datagrams", "/s", played, baseline=baseline)]


def _lines() -> Iterator[bytes]:
    yield encode_line(Heading(format=FORMAT, seed=1, host_name="host"))
    ports: dict[tuple[int, int, int], int] = {}
    for datagram in schedule(mixed(), per_second=_PER_SECOND, seconds=_SECONDS):
        at_ns = int(datagram.at_seconds * _NS_PER_SECOND)
        first, end = _PORTS
        yield encode_line(
            RecordedDatagram(
                at_ns=at_ns,
                received_ns=_BEGAN_MS * 1_000_000 + at_ns,
                host="127.0.0.1",
                port=first + ports.setdefault(datagram.port, len(ports)) % (end - first),
                events=tuple(decode(datagram.template.shifted(_BEGAN_MS + datagram.shift_ms)).events),
            )
        )


def _parse_seconds(path: Path) -> float:
    decoder = msgspec.json.Decoder()
    began = time.monotonic()
    for line in path.read_bytes().splitlines():
        decoder.decode(line)
    return time.monotonic() - began


def _play(path: Path) -> tuple[float, int]:
    """Replay a recording, and return how many seconds it took and how many spans arrived."""
    with Sink("http") as sink:
        command = (sys.executable, "-m", "csm_otel", "replay", path)
        began = time.monotonic()
        subprocess.run(command, env=CsmOtel("http").variables(sink.endpoint), check=True, capture_output=True)
        return time.monotonic() - began, sink.arrived().spans
