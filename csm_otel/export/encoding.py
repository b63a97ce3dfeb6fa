"""Span data in, one OTLP request out (a serialized ExportTraceServiceRequest).

Spans are built directly rather than by a tracer: they have ids, times and outcome already, and each has the resource
of its own application. The SDK's limits are applied here, sampling is `csm_otel.export.sampling`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from csm_otel import __version__
from csm_otel.spans.data import SpanKind as Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opentelemetry.sdk.trace import SpanLimits

    from csm_otel.spans.data import Attributes, AttributeValue, Resource, SpanData, SpanEvent, TraceContext

SCOPE = InstrumentationScope("csm_otel", __version__, schema_url=list(Schemas)[-1].value)
"""The package lists its schemas oldest first."""

_KINDS = {Kind.INTERNAL: SpanKind.INTERNAL, Kind.CLIENT: SpanKind.CLIENT}
_UNSET = Status(StatusCode.UNSET)
_APPLICATIONS = 1024  # each a few hundred bytes; more at once than one machine runs


def encode(spans: Sequence[SpanData], *, limits: SpanLimits) -> bytes:
    """Return one OTLP request with the spans grouped by application.

    Attribute counts and lengths and event counts are cut to ``limits``; what was cut is in the dropped counts.
    """
    return encode_spans([_readable(span, limits) for span in spans]).SerializeToString()


def span_context(context: TraceContext) -> SpanContext:
    """Return a trace context as the SDK has it; a tracestate that is not valid is left out, as W3C asks."""
    return SpanContext(
        trace_id=context.trace_id,
        span_id=context.span_id,
        is_remote=context.is_remote,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT),
        trace_state=TraceState.from_header([context.trace_state]) if context.trace_state else None,
    )


def _readable(span: SpanData, limits: SpanLimits) -> ReadableSpan:
    return ReadableSpan(
        name=_text(span.name),
        context=span_context(span.context),
        parent=span_context(span.parent) if span.parent else None,
        resource=_sdk_resource(span.resource),
        attributes=BoundedAttributes(
            limits.max_span_attributes,
            _attributes(span.attributes.items()),
            max_value_len=limits.max_span_attribute_length,
        ),
        events=BoundedList.from_seq(limits.max_events, [_event(event, limits) for event in span.events]),
        kind=_KINDS[span.kind],
        status=Status(StatusCode.ERROR, _text(span.status_message) or None) if span.is_error else _UNSET,
        start_time=span.start_ns,
        end_time=span.end_ns,
        instrumentation_scope=SCOPE,
    )


def _event(event: SpanEvent, limits: SpanLimits) -> Event:
    attributes = BoundedAttributes(
        limits.max_event_attributes,
        _attributes(event.attributes.items()),
        max_value_len=limits.max_attribute_length,
    )
    return Event(_text(event.name), attributes, timestamp=event.time_ns)


@lru_cache(maxsize=_APPLICATIONS)
def _sdk_resource(resource: Resource) -> SdkResource:
    return SdkResource(_attributes(resource.attributes))


def _attributes(items: Iterable[tuple[str, AttributeValue]]) -> Attributes:
    return {_text(key): _value(value) for key, value in items}


def _value(value: AttributeValue) -> AttributeValue:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (tuple, list)):  # lists come from samplers
        return tuple(_text(item) if isinstance(item, str) else item for item in value)
    return value


def _text(text: str) -> str:
    """Return text that UTF-8 can hold: file names and variables that are not UTF-8 reach Python as lone surrogates."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
