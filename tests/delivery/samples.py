"""Span data for the tests of this folder: one to start from, and any at all."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from csm_otel.spans.data import Resource, SpanData, SpanEvent, SpanKind, SpanRole, TraceContext

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C
CALL_ID = 0x00F067AA0BA902B7
START_NS = 1_700_000_000_123_000_000

CALL = SpanData(
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
ATTEMPT = msgspec.structs.replace(
    CALL,
    role=SpanRole.ATTEMPT,
    name="S3.ListBuckets attempt",
    context=TraceContext(trace_id=TRACE_ID, span_id=CALL_ID + 1),
    parent=CALL.context,
    end_ns=START_NS + 878_000_000,
)


def changed(span: SpanData, **changes: Any) -> SpanData:
    """Return span data that differs in the fields given."""
    return msgspec.structs.replace(span, **changes)


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
spans = st.builds(
    SpanData,
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
"""Any span data that the mapping could make."""
