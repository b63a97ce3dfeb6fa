"""Span data to OTLP bytes, joined or made by protobuf."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from conformance.recordings import EVERYTHING, trees
from delivery.samples import ATTEMPT, CALL, CALL_ID, LIMITS, TRACE_ID, any_values, changed, spans
from flat import shared
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import SpanLimits

from csm_otel.delivery.encoding import encode
from csm_otel.delivery.messages import encode_officially
from csm_otel.delivery.scope import SCOPE
from csm_otel.spans.data import Resource, SpanEvent, TraceContext

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from csm_otel.spans.data import SpanData

_WITH_STATE = TraceContext(trace_id=1, span_id=2, trace_state="a=1", is_remote=True)
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


@settings(max_examples=200, deadline=None)
@given(
    st.lists(spans, max_size=4),
    st.dictionaries(st.sampled_from(["", "a", "b", "c"]), any_values),
    LIMITS | st.just(SpanLimits()) | st.just(_NO_LIMITS),
)
def test_it_equals_what_protobuf_makes(
    given_spans: list[SpanData], attributes: dict[str, Any], limits: SpanLimits
) -> None:
    """To the byte: for any spans, limits, and attributes of a sampler, one by one and together."""
    every = [*given_spans, changed(CALL, attributes=attributes)]
    for some in [[span] for span in every] + [given_spans, every]:
        assert encode_officially(some, limits=limits) == encode(some, limits=limits)
        assert encode_officially(some, limits=limits) == encode(some, limits=limits, official=True)


@pytest.mark.parametrize("name", EVERYTHING)
def test_real_recordings_equal_what_protobuf_makes(name: str) -> None:
    """To the byte: each span of each recording, in the requests of a busy back end."""
    every = [span for tree in trees(name) for span in tree]
    for at in range(0, len(every), 512):
        batch = every[at : at + 512]
        assert encode_officially(batch, limits=SpanLimits()) == encode(batch, limits=SpanLimits())


@pytest.mark.parametrize(
    "span",
    [
        pytest.param(CALL, id="call"),
        pytest.param(changed(CALL, context=_WITH_STATE, parent=_WITH_STATE), id="trace-state"),
        pytest.param(changed(CALL, attributes={"a": 0.5, "b": ("x", "y"), "c": -1, "d": False}), id="types"),
        pytest.param(changed(CALL, name="x" * 200, attributes={"a": "x" * 20_000}), id="long-texts"),
        pytest.param(changed(CALL, name="", attributes={"a": "caf\udcff", "b": ""}), id="odd-texts"),
        pytest.param(shared(CALL, own={"a": "x" * 20_000, "b": 2**63 - 1, "c": 0.5, "d": ""}), id="own"),
    ],
)
def test_most_spans_do_without_protobuf(span: SpanData, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the mapping makes is joined."""
    expected = encode_officially([span], limits=SpanLimits())
    monkeypatch.delattr("csm_otel.delivery.messages.encode_officially")

    assert encode([span], limits=SpanLimits()) == expected


@pytest.mark.parametrize(
    "span",
    [
        pytest.param(changed(CALL, attributes={"a": {"b": 1}}), id="a-value-of-a-sampler"),
        pytest.param(changed(CALL, attributes={"a": 2**63}), id="too-many-bits"),
        pytest.param(changed(CALL, attributes={"": 1}), id="no-name"),
        pytest.param(changed(CALL, attributes={f"a{number}": 1 for number in range(200)}), id="many-attributes"),
        pytest.param(shared(CALL, own={f"a{number}": 1 for number in range(200)}), id="many-of-its-own"),
        pytest.param(changed(CALL, events=CALL.events * 200), id="many-events"),
        pytest.param(changed(CALL, start_ns=0), id="starts-in-1970"),
        pytest.param(replace(CALL, own={"error.type": "another"}), id="own-attributes-replace"),
    ],
)
def test_what_is_left_to_protobuf(span: SpanData) -> None:
    """The whole batch is encoded by it then."""
    expected = encode_officially([CALL, span], limits=SpanLimits())

    assert encode([CALL, span], limits=SpanLimits()) == expected


def test_protobuf_is_imported_when_it_is_needed() -> None:
    """Neither the encoder nor the mapping imports it, which takes time and memory."""
    code = "import sys, csm_otel.delivery.encoding, csm_otel.spans.mapper; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not [name for name in done.stdout.split() if name.startswith(("google", "opentelemetry.proto"))]


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


def test_the_scope() -> None:
    """Each application's spans are in one scope."""
    scope_spans = _decoded([CALL]).resource_spans[0].scope_spans[0]
    assert (scope_spans.scope.name, scope_spans.scope.version, scope_spans.schema_url) == SCOPE


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
