"""The span that `csm-otel doctor --canary` sends."""

from __future__ import annotations

from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME

from csm_otel.delivery.encoding import encode
from csm_otel.delivery.limits import SpanLimits
from csm_otel.spans.data import Resource, Shape, SpanData, SpanKind, SpanRole, TraceContext

SERVICE = "csm-otel-doctor"


def canary_request(context: TraceContext, *, now_ns: int) -> bytes:
    """Return a request with one span, of no length, which starts a trace of its own."""
    shape = Shape(
        role=SpanRole.CALL,
        name="canary",
        kind=SpanKind.INTERNAL,
        resource=Resource(((SERVICE_NAME, SERVICE),)),
        attributes={},
    )
    span = SpanData(shape=shape, context=context, parent=None, start_ns=now_ns, end_ns=now_ns)
    return encode([span], limits=SpanLimits())
