"""Span data converted to the SDK's spans: the reference for `csm_otel.delivery.encoding`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from csm_otel.delivery.scope import SCOPE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.sdk.trace import SpanLimits

    from csm_otel.spans.data import SpanData, SpanEvent, TraceContext


def officially_encoded(spans: Sequence[SpanData], limits: SpanLimits) -> ExportTraceServiceRequest:
    """Return the official encoder's request of spans."""
    return encode_spans([readable(span, limits) for span in spans])


def readable(span: SpanData, limits: SpanLimits) -> ReadableSpan:
    """Return a span as a tracer would hand it to an exporter."""
    return ReadableSpan(
        name=span.name,
        context=_context(span.context),
        parent=_context(span.parent) if span.parent else None,
        resource=Resource(dict(span.resource.attributes)),
        attributes=BoundedAttributes(
            limits.max_span_attributes, span.attributes, max_value_len=limits.max_span_attribute_length
        ),
        events=BoundedList.from_seq(limits.max_events, [_event(event, limits) for event in span.events]),
        kind=SpanKind[span.kind.name],
        status=Status(StatusCode.ERROR, span.status_message or None) if span.is_error else Status(StatusCode.UNSET),
        start_time=span.start_ns,
        end_time=span.end_ns,
        instrumentation_scope=InstrumentationScope(*SCOPE),
    )


def _context(context: TraceContext) -> SpanContext:
    return SpanContext(
        trace_id=context.trace_id,
        span_id=context.span_id,
        is_remote=context.is_remote,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT),
        trace_state=TraceState.from_header([context.trace_state]) if context.trace_state else None,
    )


def _event(event: SpanEvent, limits: SpanLimits) -> Event:
    attributes = BoundedAttributes(
        limits.max_event_attributes, event.attributes, max_value_len=limits.max_attribute_length
    )
    return Event(event.name, attributes, timestamp=event.time_ns)
