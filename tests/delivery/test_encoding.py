"""Span data to OTLP bytes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from conformance.recordings import EVERYTHING, play, recording, trees_of
from delivery.official import officially_encoded
from delivery.samples import ATTEMPT, CALL, CALL_ID, TRACE_ID, changed, spans
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.semconv.schemas import Schemas

from csm_otel import __version__
from csm_otel.delivery.encoding import encode
from csm_otel.spans.data import Resource, SpanEvent, TraceContext

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from csm_otel.spans.data import SpanData

_ENOUGH_DATAGRAMS = 1_100  # long recordings repeat themselves
_NO_LIMITS = SpanLimits(
    max_events=SpanLimits.UNSET, max_span_attributes=SpanLimits.UNSET, max_event_attributes=SpanLimits.UNSET
)


def _decoded(spans: Sequence[SpanData], limits: SpanLimits = _NO_LIMITS) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(encode(spans, limits=limits))


def _only_span(span: SpanData, limits: SpanLimits = _NO_LIMITS) -> Span:
    return _decoded([span], limits).resource_spans[0].scope_spans[0].spans[0]


def _value(value: AnyValue) -> Any:
    if value.WhichOneof("value") == "array_value":
        return tuple(_value(item) for item in value.array_value.values)
    return getattr(value, value.WhichOneof("value") or "")


def _attributes(attributes: Iterable[KeyValue]) -> list[tuple[str, type, Any]]:
    return [(item.key, type(_value(item.value)), _value(item.value)) for item in attributes]


def _typed(attributes: Iterable[tuple[str, Any]]) -> list[tuple[str, type, Any]]:
    return [(key, type(value), value) for key, value in attributes]


def _as_data(span: Span, resource: tuple[tuple[str, type, Any], ...]) -> tuple[Any, ...]:
    return (
        span.name,
        span.kind,
        int.from_bytes(span.trace_id),
        int.from_bytes(span.span_id),
        span.trace_state,
        int.from_bytes(span.parent_span_id),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _attributes(span.attributes),
        [(event.name, event.time_unix_nano, _attributes(event.attributes)) for event in span.events],
        (span.status.code, span.status.message),
        resource,
    )


def _expected(span: SpanData) -> tuple[Any, ...]:
    return (
        span.name,
        {1: 1, 3: 3}[span.kind.value],
        span.context.trace_id,
        span.context.span_id,
        span.context.trace_state,
        span.parent.span_id if span.parent else 0,
        span.start_ns,
        span.end_ns,
        _typed(span.attributes.items()),
        [(event.name, event.time_ns, _typed(event.attributes.items())) for event in span.events],
        (2, span.status_message) if span.is_error else (0, ""),
        tuple(_typed(sorted(span.resource.attributes))),
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(spans, max_size=5))
def test_decoding_a_request_gives_the_span_data_back(given_spans: list[SpanData]) -> None:
    """Every id, parent, time, attribute with its type, event, status and resource arrives as it was."""
    request = _decoded(given_spans)
    arrived = [
        _as_data(span, tuple(sorted(_attributes(resource_spans.resource.attributes))))
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]
    assert sorted(map(_expected, given_spans), key=repr) == sorted(arrived, key=repr)


_any_value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.binary(max_size=4)
    | st.complex_numbers(allow_nan=False),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.sampled_from("abc"), values, max_size=2),
    max_leaves=5,
)
_limits = st.builds(
    SpanLimits,
    max_events=st.integers(0, 2),
    max_span_attributes=st.integers(0, 3),
    max_event_attributes=st.integers(0, 3),
    max_attribute_length=st.none() | st.integers(0, 5),
    max_span_attribute_length=st.none() | st.integers(0, 5),
)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=100, deadline=None)
@given(st.lists(spans, max_size=4), st.dictionaries(st.sampled_from(["", "a", "b", "c"]), _any_value), _limits)
def test_it_equals_the_official_encoding(
    given_spans: list[SpanData], attributes: dict[str, Any], limits: SpanLimits
) -> None:
    """To the byte: for any spans, limits, and attributes of a sampler."""
    logging.disable(logging.CRITICAL)  # it logs its drops
    for span in [*given_spans, changed(CALL, attributes=attributes)]:
        assert officially_encoded([span], limits).SerializeToString() == encode([span], limits=limits)
    logging.disable(logging.NOTSET)


def test_a_value_with_a_number_of_too_many_bits_is_left_out() -> None:
    """However deep in the value the number is, the attribute is left out as a whole, as the official encoder does."""
    span = changed(CALL, attributes={"a": {"b": [2**63]}, "c": 1})
    logging.disable(logging.CRITICAL)
    assert officially_encoded([span], SpanLimits()).SerializeToString() == encode([span], limits=SpanLimits())
    logging.disable(logging.NOTSET)
    assert [item.key for item in _only_span(span).attributes] == ["c"]


@pytest.mark.parametrize("name", EVERYTHING)
def test_real_recordings_equal_the_official_encoding(name: str) -> None:
    """To the byte, for the datagrams of each SDK: spans of each name, result and set of attributes."""
    some = play(recording(name)[:_ENOUGH_DATAGRAMS])
    given_spans = list({_shape(span): span for tree in trees_of(some) for span in tree}.values())
    assert given_spans
    expected = officially_encoded(given_spans, SpanLimits()).SerializeToString()
    assert expected == encode(given_spans, limits=SpanLimits())


def _shape(span: SpanData) -> tuple[object, ...]:
    return span.name, span.kind, span.status_message, tuple(span.attributes), len(span.events), span.resource


def test_ids_are_big_endian_and_of_full_length() -> None:
    """Leading zeros of an id are kept: 16 and 8 bytes, in the order in which they are written."""
    span = _only_span(ATTEMPT)
    assert TRACE_ID.to_bytes(16, "big") == span.trace_id
    assert (CALL_ID + 1).to_bytes(8, "big") == span.span_id
    assert CALL_ID.to_bytes(8, "big") == span.parent_span_id


def test_a_root_names_no_parent() -> None:
    """A span without parent has an empty parent id, not eight zero bytes."""
    assert _only_span(CALL).parent_span_id == b""


def test_each_application_is_one_resource_of_one_request() -> None:
    """Spans of two applications travel together, each under its own resource."""
    other = Resource((("service.name", "nightly"), ("process.pid", 7)))
    request = _decoded([CALL, changed(CALL, resource=other), ATTEMPT])
    assert [
        (
            {item.key: _value(item.value) for item in resource_spans.resource.attributes},
            [span.name for span in resource_spans.scope_spans[0].spans],
        )
        for resource_spans in request.resource_spans
    ] == [
        ({"service.name": "legacy-backup"}, ["S3.ListBuckets", "S3.ListBuckets attempt"]),
        ({"service.name": "nightly", "process.pid": 7}, ["S3.ListBuckets"]),
    ]


def test_the_scope_is_the_bridge_with_the_newest_schema() -> None:
    """The instrumentation scope has the package's version and the conventions' newest schema URL."""
    newest = max((schema.value for schema in Schemas), key=lambda url: [int(n) for n in url.rsplit("/")[-1].split(".")])
    scope_spans = _decoded([CALL]).resource_spans[0].scope_spans[0]
    assert (scope_spans.scope.name, scope_spans.scope.version) == ("csm_otel", __version__)
    assert scope_spans.schema_url == newest


@pytest.mark.parametrize(
    ("parent", "is_remote"),
    [
        pytest.param(None, False, id="root"),
        pytest.param(TraceContext(trace_id=1, span_id=2), False, id="local-parent"),
        pytest.param(TraceContext(trace_id=1, span_id=2, is_remote=True), True, id="remote-parent"),
    ],
)
def test_the_flags_of_a_remote_parent(parent: TraceContext | None, *, is_remote: bool) -> None:
    """Bit 8 says that bit 9 is known, bit 9 that the parent is of another process (trace.proto, SpanFlags)."""
    assert _only_span(changed(CALL, parent=parent)).flags & 0x300 == (0x300 if is_remote else 0x100)


def test_the_limits() -> None:
    """The SDK's limits apply to attributes of spans and events, to their lengths and to the number of events."""
    limits = SpanLimits(
        max_span_attributes=2,
        max_event_attributes=1,
        max_events=1,
        max_attribute_length=4,
        max_span_attribute_length=3,
    )
    event = SpanEvent(name="exception", time_ns=5, attributes={"a": "123456", "b": "123456"})
    span = _only_span(
        changed(CALL, attributes={"a": 1, "b": "abcdef", "c": ("abcdef",)}, events=(event, event)), limits
    )
    assert {item.key: _value(item.value) for item in span.attributes} == {"b": "abc", "c": ("abc",)}
    assert (span.dropped_attributes_count, span.dropped_events_count) == (1, 1)
    assert [_value(item.value) for item in span.events[0].attributes] == ["1234"]
    assert (len(span.events), span.events[0].dropped_attributes_count) == (1, 1)


def test_invalid_unicode_does_not_lose_the_batch() -> None:
    """A file name that is not UTF-8 becomes question marks in any field."""
    bad = "x\udcff"
    event = SpanEvent(name=bad, time_ns=1, attributes={bad: bad})
    span = changed(
        CALL,
        name=bad,
        attributes={bad: bad, "list": (bad,)},
        events=(event,),
        status_message=bad,
        resource=Resource(((bad, bad),)),
    )
    request = _decoded([span])
    sent = request.resource_spans[0].scope_spans[0].spans[0]
    assert [(i.key, _value(i.value)) for i in request.resource_spans[0].resource.attributes] == [("x?", "x?")]
    assert [_value(item.value) for item in sent.attributes] == ["x?", ("x?",)]
    assert (sent.name, sent.status.message, sent.events[0].name) == ("x?", "x?", "x?")


def test_an_invalid_tracestate_is_left_out() -> None:
    """W3C: a tracestate that cannot be parsed is discarded, the trace continues."""
    context = TraceContext(trace_id=1, span_id=2, trace_state="no equals sign")
    assert not _only_span(changed(CALL, context=context)).trace_state


def test_nothing_encodes_to_an_empty_request() -> None:
    """No spans are a valid request without content."""
    assert encode([], limits=_NO_LIMITS) == b""
