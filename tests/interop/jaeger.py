"""A real Jaeger v2 on free loopback ports: OTLP goes in, spans come out of its query API.

Accepted spans can be queried at once: there is no batch processor, and the storage exporter has no queue.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

CONFIG = Path(__file__).with_name("jaeger.yaml")
READY_SECONDS = 60.0
STOP_SECONDS = 20.0
ANSWER_SECONDS = 10.0
POLL_SECONDS = 0.05
MAX_TRACES = 10_000  # as in jaeger.yaml

AttributeValue = str | bool | int | float | list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSpan:
    """A span as the query API returns it."""

    trace_id: str
    span_id: str
    parent_id: str
    """"" for a root."""
    name: str
    kind: int
    """OTLP's number of the kind: 1 internal, 3 client."""
    start_ns: int
    end_ns: int
    status: int
    """OTLP's number of the status: 0 unset, 2 error."""
    status_message: str
    attributes: Mapping[str, AttributeValue]
    events: tuple[tuple[str, Mapping[str, AttributeValue]], ...]
    """Name and attributes of each."""
    resource: Mapping[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class Jaeger:
    """The addresses of a running Jaeger for OTLP, and its query API."""

    otlp_http: str
    """The base endpoint for OTLP over HTTP."""
    otlp_grpc: str
    """The endpoint for OTLP over gRPC."""
    query: str
    """The base address of the query API."""

    def trace(self, trace_id: str) -> list[ShownSpan]:
        """Return the spans of a trace (32 hex digits), earliest first; none if Jaeger does not know it."""
        return self._ask(f"/api/v3/traces/{trace_id}")

    def traces_of(self, service: str) -> dict[str, list[ShownSpan]]:
        """Return by trace id every trace with a span of this service, with all its spans, earliest first."""
        now = datetime.now(UTC)
        wanted = {
            "query.service_name": service,
            "query.start_time_min": (now - timedelta(days=1)).isoformat(),
            "query.start_time_max": (now + timedelta(days=1)).isoformat(),
            "query.num_traces": MAX_TRACES,
        }
        traces: dict[str, list[ShownSpan]] = {}
        for span in self._ask(f"/api/v3/traces?{urllib.parse.urlencode(wanted)}"):
            traces.setdefault(span.trace_id, []).append(span)
        return traces

    def services(self) -> set[str]:
        """Return the services listed for selection."""
        return set(json.loads(answer_at(f"{self.query}/api/services"))["data"])

    def _ask(self, path: str) -> list[ShownSpan]:
        try:
            answer = answer_at(self.query + path)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                return []
            raise
        return sorted(spans_of(json.loads(answer)["result"]), key=lambda span: (span.start_ns, -span.end_ns))


@contextlib.contextmanager
def running_jaeger(binary: Path, log: Path, *settings: str) -> Generator[Jaeger, None, None]:
    """Run Jaeger until the block ends; its output goes to the file `log`.

    ``settings`` add to its configuration, as in ``extensions.jaeger_query.base_path=/jaeger``.

    A RuntimeError with the end of that file where it is not ready within READY_SECONDS.
    """
    otlp_grpc, otlp_http, health, query_http, query_grpc = free_addresses(5)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
        "INTEROP_OTLP_GRPC": otlp_grpc,
        "INTEROP_OTLP_HTTP": otlp_http,
        "INTEROP_HEALTH": health,
        "INTEROP_QUERY_HTTP": query_http,
        "INTEROP_QUERY_GRPC": query_grpc,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            (binary, "--config", CONFIG, *(f"--set={setting}" for setting in settings)),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        await_ready(process, (f"http://{health}/status", f"http://{query_http}/api/v3/services"), log, name="Jaeger")
        yield Jaeger(otlp_http=f"http://{otlp_http}", otlp_grpc=f"http://{otlp_grpc}", query=f"http://{query_http}")
    finally:
        stop_process(process)


def await_ready(process: subprocess.Popen[bytes], addresses: tuple[str, ...], log: Path, *, name: str) -> None:
    """Wait until a server answers at all addresses.

    Raises:
        RuntimeError: it does not within READY_SECONDS; with the end of its log.
    """
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if all(map(_answers, addresses)):
            return
        time.sleep(POLL_SECONDS)
    state = f"ended with exit code {process.returncode}" if process.returncode is not None else "is not ready"
    last_lines = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
    message = f"{name} {state} after at most {READY_SECONDS:.0f} s:\n{last_lines}"
    raise RuntimeError(message)


def stop_process(process: subprocess.Popen[bytes]) -> None:
    """Stop a process, by force if it takes too long."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_addresses(count: int) -> list[str]:
    """Return free loopback addresses, all different since all are held until the last is known."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return ["{}:{}".format(*one.getsockname()) for one in sockets]


def _answers(address: str) -> bool:
    try:
        answer_at(address)
    except OSError:
        return False
    return True


def answer_at(address: str) -> bytes:
    """Return the body at an address of loopback, whatever proxy the environment has."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=ANSWER_SECONDS) as answer:
        return bytes(answer.read())


def spans_of(traces: Mapping[str, Any]) -> Iterator[ShownSpan]:
    """Flatten OTLP JSON, in which absent means zero or empty."""
    for of_resource in traces["resourceSpans"]:
        resource = _attributes(of_resource["resource"])
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                status = span.get("status", {})
                yield ShownSpan(
                    trace_id=span["traceId"],
                    span_id=span["spanId"],
                    parent_id=span.get("parentSpanId", ""),
                    name=span["name"],
                    kind=span.get("kind", 0),
                    start_ns=int(span["startTimeUnixNano"]),
                    end_ns=int(span["endTimeUnixNano"]),
                    status=status.get("code", 0),
                    status_message=status.get("message", ""),
                    attributes=_attributes(span),
                    events=tuple((event["name"], _attributes(event)) for event in span.get("events", ())),
                    resource=resource,
                )


def _attributes(holder: Mapping[str, Any]) -> dict[str, AttributeValue]:
    return {pair["key"]: _value(pair["value"]) for pair in holder.get("attributes", ())}


def _value(value: Mapping[str, Any]) -> AttributeValue:
    match value:
        case {"stringValue": str(text)}:
            return text
        case {"boolValue": bool(flag)}:
            return flag
        case {"intValue": int() | str() as number}:
            return int(number)
        case {"doubleValue": float() | int() as number}:
            return float(number)
        case {"arrayValue": {"values": list(values)}}:
            return [_value(one) for one in values]
    message = f"no attribute value known to these tests: {value!r}"
    raise ValueError(message)
