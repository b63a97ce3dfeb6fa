"""Span data for the tests of this folder: one to start from, and any at all."""

from __future__ import annotations

from conformance.recordings import play, recording, trees_of
from flat import changed, flat_span, shared
from hypothesis import strategies as st
from opentelemetry.sdk.trace import SpanLimits

from csm_otel.spans.data import Resource, SpanData, SpanEvent, SpanKind, SpanRole, TraceContext

__all__ = [
    "ATTEMPT",
    "CALL",
    "CALL_ID",
    "LIMITS",
    "START_NS",
    "TRACE_ID",
    "any_values",
    "changed",
    "shapes_of",
    "spans",
]

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C
CALL_ID = 0x00F067AA0BA902B7
_ENOUGH_DATAGRAMS = 1_100  # long recordings repeat themselves
START_NS = 1_700_000_000_123_000_000

CALL = flat_span(
    role=SpanRole.CALL,
    name="S3.ListBuckets",
    kind=SpanKind.CLIENT,
    context=TraceContext(trace_id=TRACE_ID, span_id=CALL_ID),
    parent=None,
    start_ns=START_NS,
    end_ns=START_NS + 880_000_000,
    attributes={"rpc.system": "aws-api", "http.response.status_code": 400, "error.type": "ExpiredToken"},
    events=(SpanEvent(name="exception", time_ns=START_NS, attributes={"exception.type": "ExpiredToken"}),),
    is_error=True,
    status_message="The provided token has expired.",
    resource=Resource((("service.name", "legacy-backup"),)),
)
ATTEMPT = changed(
    CALL,
    role=SpanRole.ATTEMPT,
    name="S3.ListBuckets attempt",
    context=TraceContext(trace_id=TRACE_ID, span_id=CALL_ID + 1),
    parent=CALL.context,
    end_ns=START_NS + 878_000_000,
)


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_values = st.one_of(
    _texts,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.lists(_texts, max_size=3).map(tuple),
)
_attributes = st.dictionaries(_texts.filter(bool), _values, max_size=5)
_ids = st.integers(1, 2**64 - 1)
_times = st.integers(0, 2**63 - 1)
_trace_states = st.sampled_from(["", "a=1", "vendor=x-y,other@t=0"])
_contexts = st.builds(
    TraceContext,
    trace_id=st.integers(1, 2**128 - 1),
    span_id=_ids,
    sampled=st.booleans(),
    trace_state=_trace_states,
    is_remote=st.booleans(),
)
_resources = st.dictionaries(_texts.filter(bool), _texts, max_size=3).map(lambda pairs: Resource(tuple(pairs.items())))
_flat_spans = st.builds(
    flat_span,
    role=st.sampled_from(SpanRole),
    name=_texts,
    kind=st.sampled_from(SpanKind),
    context=_contexts,
    parent=st.none() | _contexts,
    start_ns=_times,
    end_ns=_times,
    attributes=_attributes,
    events=st.lists(st.builds(SpanEvent, name=_texts, time_ns=_times, attributes=_attributes), max_size=2).map(tuple),
    is_error=st.booleans(),
    status_message=_texts,
    resource=_resources,
)


def _spread(span: SpanData, of_shape: int) -> SpanData:
    """Return a span of which so many attributes are those of a shape that it shares."""
    items = list(span.attributes.items())
    return shared(changed(span, attributes=dict(items[:of_shape])), own=dict(items[of_shape:]))


spans = _flat_spans | st.builds(_spread, _flat_spans, st.integers(0, 5))
"""Any span data that the mapping could make."""

any_values = st.recursive(
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
"""Any value that a sampler could add."""

LIMITS = st.builds(
    SpanLimits,
    max_events=st.integers(0, 2),
    max_span_attributes=st.integers(0, 3),
    max_event_attributes=st.integers(0, 3),
    max_attribute_length=st.none() | st.integers(0, 5),
    max_span_attribute_length=st.none() | st.integers(0, 5),
)
"""Limits that apply to `spans`."""


def shapes_of(name: str) -> list[SpanData]:
    """Return a span of each name, result and set of attributes in a recording."""
    some = play(recording(name)[:_ENOUGH_DATAGRAMS])
    return list({_key(span): span for tree in trees_of(some) for span in tree}.values())


def _key(span: SpanData) -> tuple[object, ...]:
    return span.name, span.kind, span.status_message, tuple(span.attributes), len(span.events), span.resource
