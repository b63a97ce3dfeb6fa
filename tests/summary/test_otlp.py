"""OTLP/JSON back to span data: what was written is read, and anything else is one error."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from arrivals import Arrival
from datagrams import attempt, call
from hypothesis import given
from hypothesis import strategies as st
from mapped import mapped
from traced import command, traced

from csm_otel.delivery.encoding import encode
from csm_otel.delivery.limits import SpanLimits
from csm_otel.errors import ReportInputError
from csm_otel.files.otlp_json import otlp_json
from csm_otel.spans.data import SpanData, SpanRole
from csm_otel.summary.otlp import decode_request


def written(*spans: SpanData) -> bytes:
    """Return spans as a line of a file."""
    return msgspec.json.encode(otlp_json(encode(spans, limits=SpanLimits())))


def spans_of(text: bytes | str) -> list[SpanData]:
    """Return the spans of a request."""
    return decode_request(text).spans


def test_round_trip() -> None:
    """Names, times, attributes, roles, parents, statuses and events survive."""
    spans = [
        traced("S3.GetObject", 0, 5, status=403, error="AccessDenied", message="Access Denied"),
        traced("S3.GetObject attempt", 1, 4, role=SpanRole.ATTEMPT),
        traced("S3.PutObject", 6, 9, role=SpanRole.ORPHAN, attributes={"csm.orphan": True}),
        traced("python", 0, 9, role=SpanRole.PROCESS, attributes={"csm.synthetic": True, "x": ("a", "b"), "y": 1.5}),
        command(code=3),
    ]
    assert [(one.role, one.name, one.attributes) for one in spans_of(written(*spans))] == [
        (one.role, one.name, one.attributes) for one in spans
    ]
    found = spans_of(written(*spans))[0]
    assert (found.context, found.start_ns, found.end_ns) == (spans[0].context, spans[0].start_ns, spans[0].end_ns)
    assert (found.is_error, found.status_message, found.resource) == (True, "Access Denied", spans[0].resource)


def test_mapped_spans() -> None:
    """Calls with their attempts are read as they were mapped."""
    spans = mapped(Arrival(attempt(), 50), Arrival(call(), 51))
    read = spans_of(written(*spans))
    assert [one.role for one in read] == [SpanRole.CALL, SpanRole.ATTEMPT]
    assert read[1].parent is not None
    assert read[1].parent.span_id == read[0].context.span_id


def test_spans_of_others() -> None:
    """Spans of another scope are counted, whatever they have."""
    line = written(traced("S3.GetObject", 0, 5, attributes={"x": 1.5})).replace(b'"csm_otel"', b'"other"')
    line = line.replace(b'"spanId":"', b'"spanId":"zz').replace(b"1.5", b'"NaN"')
    assert decode_request(line) == ([], 1)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        pytest.param("", "JSON that does not end on its line", id="empty"),
        pytest.param("[]", "no traces in OTLP/JSON", id="a-list"),
        pytest.param("{}", "no traces in OTLP/JSON", id="no-traces"),
        pytest.param('{"resourceSpans": 1}', "no traces in OTLP/JSON", id="wrong-type"),
        pytest.param('{"resourceSpans": [', "JSON that does not end on its line", id="cut"),
        pytest.param("[" * 100_000, "no traces in OTLP/JSON", id="deep"),
        pytest.param('{"resourceMetrics": []}', "metrics in OTLP/JSON, no traces", id="metrics"),
        pytest.param('{"resourceLogs": [1]}', "logs in OTLP/JSON, no traces", id="logs"),
    ],
)
def test_anything_else(text: str, what: str) -> None:
    """What is no traces in OTLP/JSON is one error."""
    with pytest.raises(ReportInputError) as caught:
        spans_of(text)
    assert str(caught.value) == what


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b'"spanId":"', b'"spanId":"zz', id="id"),
        pytest.param(b'"startTimeUnixNano":"', b'"startTimeUnixNano":"x', id="time"),
        pytest.param(b'"spanId":"', b'"spanId":"ffffffffffffffffffff', id="long-id"),
        pytest.param(b'"traceId":"4bf9', b'"traceId":"-0x4', id="negative-id"),
        pytest.param(b'"9223372036854775807"', b'"9223372036854775808"', id="number-of-more-than-64-bits"),
        pytest.param(b'"9223372036854775807"', b'"-9223372036854775809"', id="negative-number-of-more-than-64-bits"),
    ],
)
def test_unusable_values(before: bytes, after: bytes) -> None:
    """So is a span without usable ids, times or numbers."""
    line = written(traced("S3.GetObject", 0, 5, attributes={"n": 2**63 - 1}))
    assert before in line

    with pytest.raises(ReportInputError):
        spans_of(line.replace(before, after))


@given(st.text())
def test_any_text(text: str) -> None:
    """Nothing else is raised."""
    with contextlib.suppress(ReportInputError):
        spans_of(text)
