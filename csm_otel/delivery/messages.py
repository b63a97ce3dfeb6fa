"""Span data to OTLP by protobuf: `encode_officially`, the definition of what `csm_otel.delivery.encoding` joins.

The messages of the OTLP package are filled directly. Spans have ids, times and status already, and each has its
application's resource, so a tracer is of no use; and converting them to the SDK's spans for its encoder costs
seven times as much. The SDK's limits are applied here, as it applies them, but for what only a sampler may add: an
attribute without a name counts as dropped, and nested values are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.trace.v1.trace_pb2 import SpanFlags, Status
from opentelemetry.trace import TraceState

from csm_otel.delivery.scope import SCOPE
from csm_otel.spans.data import utf8_text

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

    from csm_otel.delivery.limits import Limits
    from csm_otel.spans.data import Resource, SpanData

    KeyValues = RepeatedCompositeFieldContainer[KeyValue]

T = TypeVar("T")

_OTLP_SCOPE = InstrumentationScope(name=SCOPE.name, version=SCOPE.version)
_LOCAL_PARENT = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE_PARENT = _LOCAL_PARENT | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK


def encode_officially(spans: Sequence[SpanData], *, limits: Limits) -> bytes:
    """Return what `csm_otel.delivery.encoding.encode` returns."""
    request = ExportTraceServiceRequest()
    applications: dict[Resource, ScopeSpans] = {}
    for span in spans:
        application = applications.get(span.resource)
        if application is None:
            application = applications[span.resource] = _add_application(request, span.resource)
        _add_span(application, span, limits)
    return request.SerializeToString()


def _add_application(request: ExportTraceServiceRequest, resource: Resource) -> ScopeSpans:
    of_resource = request.resource_spans.add()
    of_resource.resource.SetInParent()
    _add_attributes(of_resource.resource.attributes, dict(resource.attributes))
    return of_resource.scope_spans.add(scope=_OTLP_SCOPE, schema_url=SCOPE.schema_url)


def _add_span(application: ScopeSpans, span: SpanData, limits: Limits) -> None:
    context, parent = span.context, span.parent
    added = application.spans.add(
        trace_id=context.trace_id.to_bytes(16, "big"),
        span_id=context.span_id.to_bytes(8, "big"),
        name=utf8_text(span.name),
        kind=span.kind.value,
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        flags=_REMOTE_PARENT if parent and parent.is_remote else _LOCAL_PARENT,
    )
    if parent:
        added.parent_span_id = parent.span_id.to_bytes(8, "big")
    if context.trace_state:
        # an invalid one is left out, as W3C requires
        added.trace_state = TraceState.from_header([context.trace_state]).to_header()
    added.dropped_attributes_count = _add_attributes(
        added.attributes, span.attributes, limits.max_span_attributes, limits.max_span_attribute_length
    )
    events = _latest(span.events, limits.max_events)
    added.dropped_events_count = len(span.events) - len(events)
    for event in events:
        encoded = added.events.add(name=utf8_text(event.name), time_unix_nano=event.time_ns)
        encoded.dropped_attributes_count = _add_attributes(
            encoded.attributes, event.attributes, limits.max_event_attributes, limits.max_attribute_length
        )
    added.status.SetInParent()  # also if it is unset
    if span.is_error:
        added.status.code = Status.STATUS_CODE_ERROR
        added.status.message = utf8_text(span.status_message)


def _add_attributes(
    to: KeyValues, attributes: Mapping[str, object], most: int | None = None, longest: int | None = None
) -> int:
    """Add the last ``most`` attributes, their texts cut to ``longest`` characters, and return how many were dropped.

    One that OTLP cannot hold, which only a sampler can add, is left out.
    """
    items = _latest([item for item in attributes.items() if item[0]], most)
    for key, value in items:
        try:
            _set(to.add(key=utf8_text(key)).value, value, longest)
        except ValueError:  # a number of more than 64 bits
            del to[-1]
    return len(attributes) - len(items)


def _set(to: AnyValue, value: object, longest: int | None) -> None:
    if isinstance(value, str):
        to.string_value = utf8_text(value)[:longest]
    elif isinstance(value, bool):
        to.bool_value = value
    elif isinstance(value, int):
        to.int_value = value
    elif isinstance(value, float):
        to.double_value = value
    elif isinstance(value, bytes):
        to.bytes_value = value
    elif isinstance(value, Sequence):
        to.array_value.SetInParent()
        for item in value:
            _set(to.array_value.values.add(), item, longest)
    elif isinstance(value, Mapping):
        to.kvlist_value.SetInParent()
        _set_all(to.kvlist_value.values, value, longest)
    elif value is None:
        to.SetInParent()
    else:
        to.string_value = utf8_text(str(value))


def _set_all(to: KeyValues, items: Mapping[str, object], longest: int | None) -> None:
    for key, item in items.items():
        if key:
            _set(to.add(key=utf8_text(key)).value, item, longest)


def _latest(items: Sequence[T], most: int | None) -> Sequence[T]:
    return items if most is None or len(items) <= most else items[len(items) - most :]
