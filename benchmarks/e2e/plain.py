"""The plain bridge: what one writes in an afternoon with the official SDK, and with care.

    python -m benchmarks.e2e.plain http|grpc ENDPOINT BUFFER_BYTES

Each datagram is parsed by `json.loads` and becomes a span at once, with the times, the attributes of the semantic
conventions, the status and the kind that csm-otel would give it as well. Nothing is correlated: attempts and calls are
spans of their own. It neither redacts anything nor knows who sent it, and has no counts of its own.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

from benchmarks.e2e.listening import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Tracer

_QUEUE_SPANS = 65_536  # the SDK's 2,048 are a tenth of a second's here
_NS_PER_MS = 1_000_000
_ATTRIBUTES = (
    ("Region", "cloud.region"),
    ("Fqdn", "server.address"),
    ("AttemptCount", "csm.attempt_count"),
    ("MaxRetriesExceeded", "csm.max_retries_exceeded"),
)
_REQUEST_IDS = ("XAmznRequestId", "XAmzRequestId")


class _Keys(NamedTuple):
    """Where calls and attempts differ."""

    suffix: str
    latency: str
    status: str
    errors: tuple[str, ...]


_KEYS = {
    "ApiCall": _Keys("", "Latency", "FinalHttpStatusCode", ("FinalAwsException", "FinalSdkException")),
    "ApiCallAttempt": _Keys(" attempt", "AttemptLatency", "HttpStatusCode", ("AwsException", "SdkException")),
}


def main() -> None:
    """Run until SIGTERM."""
    protocol, endpoint, buffer_bytes = sys.argv[1:]
    provider = TracerProvider(resource=Resource.create({"service.name": "plain"}))
    provider.add_span_processor(BatchSpanProcessor(_exporter(protocol, endpoint), max_queue_size=_QUEUE_SPANS))
    serve(_receiver(provider.get_tracer("plain")), buffer_bytes=int(buffer_bytes))
    provider.shutdown()


def _exporter(protocol: str, endpoint: str) -> SpanExporter:
    if protocol == "http":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # ruff: ignore[import-outside-top-level]
            OTLPSpanExporter as HttpExporter,
        )

        return HttpExporter(endpoint=f"{endpoint}/v1/traces")
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # ruff: ignore[import-outside-top-level]
        OTLPSpanExporter as GrpcExporter,
    )

    return GrpcExporter(endpoint=endpoint, insecure=True)


def _receiver(tracer: Tracer) -> Callable[[bytes], None]:
    def receive(payload: bytes) -> None:
        try:
            event = json.loads(payload)
            keys = _KEYS[event["Type"]]
        except (ValueError, KeyError, TypeError):
            return
        _span(tracer, event, keys)

    return receive


def _span(tracer: Tracer, event: dict[str, Any], keys: _Keys) -> None:
    service, api = event.get("Service", ""), event.get("Api", "")
    attributes = {"rpc.system": "aws-api", "rpc.service": service, "rpc.method": api}
    for key, name in (*_ATTRIBUTES, (keys.status, "http.response.status_code")):
        value = event.get(key)
        if value is not None:
            attributes[name] = value
    for key in _REQUEST_IDS:
        if event.get(key):
            attributes["aws.request_id"] = event[key]
    start_ns = int(event.get("Timestamp") or 0) * _NS_PER_MS
    span = tracer.start_span(
        f"{service}.{api}{keys.suffix}", kind=SpanKind.CLIENT, attributes=attributes, start_time=start_ns
    )
    for key in keys.errors:
        if event.get(key):
            span.set_attribute("error.type", str(event[key]))
            span.set_status(Status(StatusCode.ERROR, event.get(f"{key}Message", "")))
    span.end(end_time=start_ns + int(event.get(keys.latency) or 0) * _NS_PER_MS)


if __name__ == "__main__":
    main()
