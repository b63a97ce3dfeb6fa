"""The canary span, as protobuf reads it."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from csm_otel.doctor.canary import SERVICE, canary_request
from csm_otel.spans.data import TraceContext


def test_one_span() -> None:
    """It has its service and the given ids and time."""
    request = ExportTraceServiceRequest.FromString(
        canary_request(TraceContext(trace_id=0xA1, span_id=0xB2), now_ns=1_700_000_000_000_000_000)
    )
    ((resource),) = request.resource_spans
    ((scope),) = resource.scope_spans
    ((span),) = scope.spans

    assert {one.key: one.value.string_value for one in resource.resource.attributes} == {"service.name": SERVICE}
    assert (span.name, span.trace_id[-1], span.span_id[-1]) == ("canary", 0xA1, 0xB2)
    assert (span.parent_span_id, span.start_time_unix_nano) == (b"", 1_700_000_000_000_000_000)
