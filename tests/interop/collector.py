"""A real OpenTelemetry Collector with one of the files of collector-config/: `running_collector`, and `validate`.

`spans_in` and `spans_received` are what went in and what came out.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.json_format import MessageToDict
from interop.install_collector import otelcol
from interop.jaeger import ShownSpan, free_addresses, spans_of
from otlp_backend import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

CONFIGS = Path(__file__).parents[2] / "collector-config"
_READY = "Everything is ready."
_STOP_SECONDS = 60.0
_VALIDATE_SECONDS = 60.0
_IDS = {"traceId", "spanId", "parentSpanId"}
_OWN = ("PATH", "HOME", "TMPDIR")
# Several of them run at once: without the fixed port of its own metrics.
_SETTINGS = ("service.telemetry.metrics.level=none",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """A running Collector."""

    process: subprocess.Popen[bytes]
    log: Path
    http: str
    """The base endpoint for OTLP over HTTP."""
    grpc: str
    """The endpoint for OTLP over gRPC."""
    listens: Mapping[str, str]
    """The environment's addresses to listen at, to give to the next process in its place."""

    def stop(self) -> None:
        """End it by SIGTERM."""
        _stop(self.process)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def running_collector(
    config: str, folder: Path, environment: Mapping[str, str] | None = None, *settings: str
) -> Generator[Collector, None, None]:
    """Run the Collector with a file of collector-config/ until the block ends.

    Args:
        config: The name of the file.
        folder: For its log and as its working folder.
        environment: The variables of the file; its addresses to listen at are free ones where they are left out.
        settings: What replaces the file's, as in ``processors.memory_limiter.limit_mib=64``.

    Raises:
        RuntimeError: it is not installed, or ended instead of getting ready, with the end of its log; or the file has
            names that are deprecated.
    """
    given = dict(environment or {})
    grpc, http, health = free_addresses(3)
    listens = {"LISTEN_GRPC": grpc, "LISTEN_HTTP": http, "HEALTH_ENDPOINT": health}
    listens.update({name: given[name] for name in listens if name in given})
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "collector.log"
    said_before = log.stat().st_size if log.exists() else 0
    with log.open("ab") as output:
        process = subprocess.Popen(
            (binary(), "--config", CONFIGS / config, *(f"--set={setting}" for setting in (*_SETTINGS, *settings))),
            cwd=folder,
            env={**_inherited(), **given, **listens},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def said() -> str:
        return log.read_bytes()[said_before:].decode("utf-8", "replace")

    try:
        wait_until(lambda: _READY in said() or process.poll() is not None)
        if _READY not in said():
            message = f"the collector ended with exit code {process.returncode}:\n{said()[-4000:]}"
            raise RuntimeError(message)
        if old := [line for line in said().splitlines() if "deprecated" in line]:
            message = f"{config} has what the collector will drop:\n{old}"
            raise RuntimeError(message)
        yield Collector(
            process=process,
            log=log,
            http=f"http://{listens['LISTEN_HTTP']}",
            grpc=f"http://{listens['LISTEN_GRPC']}",
            listens=listens,
        )
    finally:
        _stop(process)


def validate(config: Path, environment: Mapping[str, str]) -> str:
    """Return the Collector's complaints about a file, "" if it has none."""
    done = subprocess.run(
        (binary(), "validate", "--config", config),
        env={**_inherited(), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_VALIDATE_SECONDS,
        check=False,
    )
    return "" if done.returncode == 0 and not done.stderr else f"exit code {done.returncode}\n{done.stderr}"


def spans_in(file: Path) -> list[ShownSpan]:
    """Return the spans of a file of OTLP JSON lines; a last line without its end is left out."""
    lines = file.read_text("utf-8").split("\n")[:-1] if file.exists() else []
    return [span for line in lines for span in spans_of(json.loads(line))]


def spans_received(requests: Iterable[ExportTraceServiceRequest]) -> list[ShownSpan]:
    """Return the spans of requests, in their order."""
    return [span for request in requests for span in spans_of(_with_hexadecimal_ids(request))]


def by_id(spans: Iterable[ShownSpan]) -> dict[str, ShownSpan]:
    """Return spans by their id, each of which may be there once."""
    listed = list(spans)
    found = {span.span_id: span for span in listed}
    assert len(found) == len(listed)
    return found


def binary() -> Path:
    """Return the installed Collector; without one, skip the test with the reason."""
    installable = otelcol()
    if reason := installable.why_not():
        pytest.skip(reason)
    return installable.folder / "otelcol"


def _with_hexadecimal_ids(request: ExportTraceServiceRequest) -> dict[str, Any]:
    """Return a request as OTLP JSON; protobuf's own has its ids in base64."""
    document: dict[str, Any] = MessageToDict(request, use_integers_for_enums=True)
    for of_resource in document["resourceSpans"]:
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                span.update({key: base64.b64decode(span[key]).hex() for key in span.keys() & _IDS})
    return document


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in _OWN if name in os.environ}


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)  # a no-op for a process that has ended
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
