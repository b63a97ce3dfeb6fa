"""OTLP/JSON in, span data out: `decode_request`. For what `--file` or the collector's file exporter has written.

Source: OTLP specification 1.x, "JSON Protobuf Encoding": ids in hex, 64-bit integers as strings or numbers, unknown
keys ignored. Spans that are not of csm-otel's making are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from opentelemetry.semconv._incubating.attributes.process_attributes import PROCESS_EXIT_CODE

from csm_otel.csm.times import MAX_WALL_NS
from csm_otel.errors import ReportInputError
from csm_otel.spans.attributes import CSM_ORPHAN, CSM_SYNTHETIC
from csm_otel.spans.data import AttributeValue, Resource, Shape, SpanData, SpanEvent, SpanKind, SpanRole, TraceContext

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SCOPE = "csm_otel"
_ERROR = 2  # of a status
_INT64 = 2**63


class _Value(msgspec.Struct, rename="camel", frozen=True):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    """A text for what JSON has no number for."""
    array_value: _Array | None = None


class _Array(msgspec.Struct, frozen=True):
    values: list[_Value] = []


class _KeyValue(msgspec.Struct, frozen=True):
    key: str
    value: _Value = _Value()


class _Event(msgspec.Struct, rename="camel", frozen=True):
    name: str = ""
    time_unix_nano: int | str = 0
    attributes: list[_KeyValue] = []


class _Status(msgspec.Struct, frozen=True):
    message: str = ""
    code: int | str = 0


class _Span(msgspec.Struct, rename="camel", frozen=True):
    trace_id: str
    span_id: str
    name: str = ""
    parent_span_id: str = ""
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: list[_KeyValue] = []
    events: list[_Event] = []
    status: _Status = _Status()


class _Scope(msgspec.Struct, frozen=True):
    name: str = ""


class _ScopeSpans(msgspec.Struct, frozen=True):
    scope: _Scope = _Scope()
    spans: list[_Span] = []


class _Resource(msgspec.Struct, frozen=True):
    attributes: list[_KeyValue] = []


class _ResourceSpans(msgspec.Struct, rename="camel", frozen=True):
    resource: _Resource = _Resource()
    scope_spans: list[_ScopeSpans] = []


_ABSENT = msgspec.Raw()


class _Request(msgspec.Struct, rename="camel", frozen=True):
    resource_spans: list[_ResourceSpans] | None = None
    resource_metrics: msgspec.Raw = _ABSENT
    resource_logs: msgspec.Raw = _ABSENT


_decoder = msgspec.json.Decoder(_Request)


class Request(NamedTuple):
    """The spans of a request."""

    spans: list[SpanData]
    """Those that csm-otel has made, in order."""
    foreign: int
    """How many there are of others."""


def decode_request(text: bytes | str) -> Request:
    """Decode a request.

    Raises:
        ReportInputError: it is no request with traces in OTLP/JSON.
    """
    try:
        decoded = _decoder.decode(text)
        if decoded.resource_spans is None:
            raise ReportInputError(_without_traces(decoded))
        scopes = [(scope, of.resource) for of in decoded.resource_spans for scope in of.scope_spans]
        spans = [span for scope, resource in scopes if scope.scope.name == _SCOPE for span in _spans(scope, resource)]
        return Request(spans, sum(len(scope.spans) for scope, _ in scopes if scope.scope.name != _SCOPE))
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        is_open = "truncated" in str(error)
        fault = "JSON that does not end on its line" if is_open else "no traces in OTLP/JSON"
        raise ReportInputError(fault) from error


def _without_traces(request: _Request) -> str:
    if request.resource_metrics:
        return "metrics in OTLP/JSON, no traces"
    return "logs in OTLP/JSON, no traces" if request.resource_logs else "no traces in OTLP/JSON"


def _spans(scope_spans: _ScopeSpans, of: _Resource) -> Iterator[SpanData]:
    resource = Resource(tuple(_attributes(of.attributes).items()))
    return (_span(span, resource) for span in scope_spans.spans)


def _span(span: _Span, resource: Resource) -> SpanData:
    attributes = _attributes(span.attributes)
    trace_id = _id(span.trace_id, 32)
    start_ns = _time_ns(span.start_time_unix_nano)
    is_error = span.status.code in {_ERROR, "STATUS_CODE_ERROR"}
    role = _role(span, attributes)
    shape = Shape(
        role=role,
        name=span.name,
        kind=SpanKind.INTERNAL if role is SpanRole.PROCESS else SpanKind.CLIENT,
        resource=resource,
        attributes=attributes,
        is_error=is_error,
    )
    return SpanData(
        shape=shape,
        context=TraceContext(trace_id=trace_id, span_id=_id(span.span_id, 16)),
        parent=TraceContext(trace_id=trace_id, span_id=_id(span.parent_span_id, 16)) if span.parent_span_id else None,
        start_ns=start_ns,
        end_ns=max(start_ns, _time_ns(span.end_time_unix_nano)),
        events=tuple(map(_event, span.events)),
        status_message=span.status.message,
    )


def _role(span: _Span, attributes: dict[str, AttributeValue]) -> SpanRole:
    """Return what a span stands for; see docs/spans.md for the attributes that tell."""
    if CSM_SYNTHETIC in attributes:
        return SpanRole.PROCESS
    if PROCESS_EXIT_CODE in attributes:
        return SpanRole.COMMAND
    if CSM_ORPHAN in attributes:
        return SpanRole.ORPHAN
    return SpanRole.ATTEMPT if span.name.endswith(" attempt") else SpanRole.CALL


def _event(event: _Event) -> SpanEvent:
    return SpanEvent(name=event.name, time_ns=_time_ns(event.time_unix_nano), attributes=_attributes(event.attributes))


def _attributes(attributes: Iterable[_KeyValue]) -> dict[str, AttributeValue]:
    return {one.key: value for one in attributes if (value := _value(one.value)) is not None}


def _value(value: _Value) -> AttributeValue | None:
    """Return a value; of kinds that are not in use, None."""
    if value.int_value is not None:
        return _int64(value.int_value)
    if value.array_value is not None:
        return tuple(one.string_value or "" for one in value.array_value.values)
    if value.double_value is not None:
        return float(value.double_value)
    return value.bool_value if value.string_value is None else value.string_value


def _int64(value: int | str) -> int:
    number = int(value)
    if not -_INT64 <= number < _INT64:
        raise ValueError("more than 64 bits")
    return number


def _id(text: str, digits: int) -> int:
    number = int(text, 16)
    if len(text) != digits or number <= 0:
        raise ValueError(text)
    return number


def _time_ns(value: int | str) -> int:
    """Return epoch nanoseconds, within the range that is handled anywhere else."""
    return min(max(int(value), 0), MAX_WALL_NS)
