"""A request that is too large for the back end, in halves: `split`."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans


def split(request: bytes) -> list[tuple[bytes, int]]:
    """Return an encoded request as two, each with its number of spans, in order; unchanged if it has one span."""
    parsed = ExportTraceServiceRequest.FromString(request)
    spans = sum(len(scope.spans) for resource in parsed.resource_spans for scope in resource.scope_spans)
    if spans <= 1:
        return [(request, spans)]
    half = spans // 2
    return [(_part(parsed, 0, half), half), (_part(parsed, half, spans), spans - half)]


def _part(parsed: ExportTraceServiceRequest, begin: int, end: int) -> bytes:
    """Return the spans from ``begin`` up to ``end``, with their resources and scopes."""
    part = ExportTraceServiceRequest()
    at = 0
    for resource in parsed.resource_spans:
        kept_resource = ResourceSpans(resource=resource.resource, schema_url=resource.schema_url)
        for scope in resource.scope_spans:
            kept = scope.spans[max(begin - at, 0) : max(end - at, 0)]
            at += len(scope.spans)
            if kept:
                kept_resource.scope_spans.append(ScopeSpans(scope=scope.scope, schema_url=scope.schema_url, spans=kept))
        if kept_resource.scope_spans:
            part.resource_spans.append(kept_resource)
    return part.SerializeToString()
