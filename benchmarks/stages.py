"""The pipeline offline, stage by stage, and what a command waits for: the sections ``stages`` and ``start``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.recordings import recording
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from benchmarks.e2e.programs import CsmOtel, Sink
from benchmarks.e2e.table import Row
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

_ROUNDS = 20  # repetitions of the recording, for a run long enough to time
_BATCH_SPANS = 512
_RECORDING = "botocore-1.44.5"
_SIZES = (2_000, 8_000)  # bytes of an attempt; botocore sends no more than 8 KiB, most of it a session token
_BARE, _SETTINGS = "python -c starts after", 'python -c "import pydantic_settings"'
_STARTS_A_RUN = 3
_PRINT_TIME = "import time; print(time.time_ns())"
_Datagrams = list[tuple[bytes, "Peer", int]]


def stages(runs: int, progress: Callable[[str], None]) -> list[Row]:
    """Measure the stages by their processor time, each with those before it; all of them in each run."""
    datagrams = [(one.payload, one.peer, one.received_ns) for one in recording(_RECORDING)] * _ROUNDS
    payloads = [payload for payload, _, _ in datagrams]
    measured: dict[str, Callable[[], object]] = {
        "json.loads alone": lambda: [json.loads(payload) for payload in payloads],
        "decode": lambda: [decode(payload) for payload in payloads],
        "decode, record (--record)": lambda: _recorded(datagrams),
        "decode, correlate": lambda: _released(datagrams),
        "decode, correlate, map": lambda: _mapped(datagrams),
        "decode, correlate, map, encode": lambda: encoded(datagrams, rounds=_ROUNDS),
        "the same, put to disk (--spool)": lambda: _spooled(datagrams),
    }
    for size_bytes in _SIZES:
        larger = [(_with_token(payload, size_bytes), peer, received_ns) for payload, peer, received_ns in datagrams]
        measured[f"decode to encode, attempts of {size_bytes:,} bytes"] = partial(encoded, larger, rounds=_ROUNDS)
    times: dict[str, list[float]] = {name: [] for name in measured}
    for run in range(runs):
        for name, stage in measured.items():
            times[name].append(_cpu_seconds(stage) / len(payloads) * 1e6)
        progress(f"run {run}")
    rows: list[Row] = []
    for name, values in times.items():
        rows.append(Row.beside("stages", name, "us a datagram", values, baseline=rows[0] if rows else None))
    return rows


def start(runs: int, progress: Callable[[str], None]) -> list[Row]:
    """Measure how long a command under `exec` waits for its start, and how long the whole takes."""
    print_time = (sys.executable, "-c", _PRINT_TIME)
    exec_quietly = (sys.executable, "-m", "csm_otel", "exec", "--quiet", "--")
    joining = (*exec_quietly[:-1], "--join", "github", "--check-run-id", "1", "--step-name", "Back up", "--")
    on_github = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1", "GITHUB_RUN_ATTEMPT": "1"}
    rows: dict[str, list[float]] = {}
    with Sink("http") as sink:
        environ = CsmOtel("http").variables(sink.endpoint)
        without = {name: value for name, value in environ.items() if not name.startswith("OTEL_")}
        settings = (sys.executable, "-c", "import pydantic_settings")
        measured: dict[str, Callable[[], float]] = {
            _BARE: lambda: _start_ms(print_time, without),
            "csm-otel exec -- python -c starts after": lambda: _start_ms((*exec_quietly, *print_time), without),
            "the same with --join github": lambda: _start_ms((*joining, *print_time), without | on_github),
            _SETTINGS: lambda: _whole_ms(settings, without),
            "csm-otel exec -- true, no back end": lambda: _whole_ms((*exec_quietly, "true"), without),
            "csm-otel exec -- true, OTLP": lambda: _whole_ms((*exec_quietly, "true"), environ),
        }
        for run in range(runs * _STARTS_A_RUN):
            for name, measure in measured.items():
                rows.setdefault(name, []).append(measure())
            progress(f"run {run}")
    baseline: Row | None = None
    found = []
    for name, values in rows.items():
        row = Row.beside("start", name, "ms", values, baseline=None if name in {_BARE, _SETTINGS} else baseline)
        baseline = baseline if row.ratios else row
        found.append(row)
    return found


def _with_token(payload: bytes, size_bytes: int) -> bytes:
    """Return an attempt with a session token that makes it so large, or else the payload."""
    event = json.loads(payload)
    if event["Type"] != "ApiCallAttempt":
        return payload
    token = "".join(f"{number:04x}" for number in range(size_bytes))[: max(size_bytes - len(payload), 0)]
    return json.dumps({**event, "SessionToken": token}).encode()


def _cpu_seconds(stage: Callable[[], object]) -> float:
    began = time.process_time()
    stage()
    return time.process_time() - began


def _start_ms(command: tuple[str, ...], environ: dict[str, str]) -> float:
    began = time.time_ns()
    done = subprocess.run(command, env=environ, capture_output=True, check=True)
    return (int(done.stdout) - began) / 1e6


def _whole_ms(command: tuple[str, ...], environ: dict[str, str]) -> float:
    began = time.monotonic()
    subprocess.run(command, env=environ, capture_output=True, check=True)
    return (time.monotonic() - began) * 1000


def _released(datagrams: _Datagrams, *, rounds: int = _ROUNDS) -> list[Released]:
    released: list[Released] = []
    once = len(datagrams) // rounds
    for begin in range(0, len(datagrams), once):
        # One for each round: with the same times again all calls would compete for all attempts.
        correlator = Correlator()
        for payload, peer, received_ns in datagrams[begin : begin + once]:
            for event in decode(payload).events:
                released += correlator.receive(event, peer=peer, received_ns=received_ns, now=received_ns / 1e9)
        released += correlator.flush()
    return released


def _mapped(datagrams: _Datagrams, *, rounds: int = _ROUNDS) -> list[SpanData]:
    mapper = SpanMapper(ids=RandomIdGenerator(), resource={}, host_name="host")
    return [span for released in _released(datagrams, rounds=rounds) for span in mapper.map(released)]


def _recorded(datagrams: _Datagrams) -> None:
    with tempfile.TemporaryDirectory() as folder:
        heading = Heading(format=FORMAT, seed=1, host_name="host")
        recorder = Recorder.open(Path(folder, "recording"), heading, Tally(), say=print)
        for payload, peer, received_ns in datagrams:
            recorder.datagram(decode(payload), peer=peer, received_ns=received_ns, now=received_ns / 1e9)
        recorder.close(deadline_seconds=60)


def encoded(datagrams: _Datagrams, *, rounds: int) -> list[tuple[bytes, int]]:
    """Return the requests of some repetitions of a recording, each with its number of spans."""
    spans = _mapped(datagrams, rounds=rounds)
    limits = SpanLimits()
    batches = (spans[at : at + _BATCH_SPANS] for at in range(0, len(spans), _BATCH_SPANS))
    return [(encode(batch, limits=limits), len(batch)) for batch in batches]


def _spooled(datagrams: _Datagrams) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), limit_bytes=2**30)
        for request in encoded(datagrams, rounds=_ROUNDS):
            spool.put([request])
        spool.close()
