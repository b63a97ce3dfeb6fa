"""Bodies of answers, by their content type."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from csm_otel.delivery.answer import JSON, PROTOBUF, media_type, partial_success
from csm_otel.delivery.destination import Destination
from csm_otel.delivery.outcome import Delivered

if TYPE_CHECKING:
    from csm_otel.delivery.destination import Signal

_PARTIAL = ExportTracePartialSuccess(rejected_spans=2, error_message="too\nold")
_TRACES = ExportTraceServiceResponse(partial_success=_PARTIAL).SerializeToString()
_METRICS = ExportMetricsServiceResponse(
    partial_success=ExportMetricsPartialSuccess(rejected_data_points=2, error_message="too old")
).SerializeToString()
_DESTINATION = Destination(url="http://c.test", headers=(("x-key", "hunter2"),))
_SHALLOW, _DEEP = b"[" * 100, b"[" * 50_000


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("application/json", JSON),
        ("Application/JSON; charset=utf-8", JSON),
        (" application/x-protobuf ;x", PROTOBUF),
        ("text/html;", "text/html"),
        ("", "missing"),
        (" ; charset=utf-8", "missing"),
    ],
)
def test_the_type_of_a_header(header: str, expected: str) -> None:
    """Neither case nor parameters count."""
    assert media_type(header, default="missing") == expected


@pytest.mark.parametrize(
    ("partial", "expected"),
    [
        pytest.param({"rejectedSpans": "2", "errorMessage": "too\nold"}, Delivered(2, "too old"), id="as-specified"),
        pytest.param({"rejectedSpans": 2}, Delivered(2), id="number"),
        pytest.param({"rejectedSpans": 2.0}, Delivered(2), id="number-with-fraction"),
        pytest.param({"rejected_spans": "2", "error_message": "old"}, Delivered(2, "old"), id="names-of-protobuf"),
        pytest.param({"errorMessage": "slow down"}, Delivered(0, "slow down"), id="warning"),
        pytest.param({"errorMessage": "x" * 5_000}, Delivered(0, "x" * 197 + "..."), id="long-message"),
        pytest.param({"rejectedSpans": None, "errorMessage": None}, Delivered(), id="null"),
        pytest.param({"rejectedSpans": "2", "errorMessage": 7, "more": []}, Delivered(2), id="odd-message"),
        pytest.param({"rejectedSpans": "many", "errorMessage": "old"}, Delivered(0, "old"), id="odd-count"),
        pytest.param({"rejectedSpans": "9" * 5_000}, Delivered(), id="endless-count"),
        pytest.param({"rejectedSpans": 1e300}, Delivered(), id="beyond-64-bits"),
        pytest.param({"rejectedSpans": "٣"}, Delivered(), id="other-digits"),
        pytest.param({"rejectedSpans": True}, Delivered(), id="boolean"),
        pytest.param({"rejectedSpans": 2.5}, Delivered(), id="fraction"),
        pytest.param({"rejectedSpans": "-3"}, Delivered(), id="negative"),
        pytest.param({"rejectedDataPoints": "2"}, Delivered(), id="of-metrics"),
        pytest.param([], Delivered(), id="list"),
        pytest.param("2", Delivered(), id="text"),
    ],
)
@pytest.mark.parametrize("name", ["partialSuccess", "partial_success"])
def test_partial_success_in_json(name: str, partial: Any, expected: Delivered) -> None:
    """Counts are strings or numbers; a field that is not as specified spoils no other."""
    assert partial_success(json.dumps({name: partial}).encode(), JSON, _DESTINATION) == expected


@pytest.mark.parametrize(
    ("body", "media", "signal", "expected"),
    [
        pytest.param(_TRACES, PROTOBUF, "traces", Delivered(2, "too old"), id="protobuf"),
        pytest.param(_TRACES, "application/protobuf", "traces", Delivered(2, "too old"), id="other-name"),
        pytest.param(_METRICS, PROTOBUF, "metrics", Delivered(2, "too old"), id="metrics"),
        pytest.param(
            b'{"partialSuccess": {"rejectedDataPoints": "2"}}', JSON, "metrics", Delivered(2), id="metrics-in-json"
        ),
        pytest.param(b'{"partialSuccess": {"rejectedSpans": 2}}', JSON, "metrics", Delivered(), id="spans-of-metrics"),
        pytest.param(_TRACES, JSON, "traces", Delivered(), id="protobuf-as-json"),
        pytest.param(
            b'{"partialSuccess": {"rejectedSpans": 2}}', PROTOBUF, "traces", Delivered(), id="json-as-protobuf"
        ),
        pytest.param(_TRACES, "text/plain", "traces", Delivered(), id="neither"),
        pytest.param(_TRACES, "application/octet-stream", "traces", Delivered(), id="bytes"),
        pytest.param(b"", JSON, "traces", Delivered(), id="empty-json"),
        pytest.param(b"{}", JSON, "traces", Delivered(), id="full-success"),
        pytest.param(b'{"partialSuccess": {"rejectedSpans": 1e400}}', JSON, "traces", Delivered(), id="infinite"),
        pytest.param(b"ok", JSON, "traces", Delivered(), id="no-json"),
        pytest.param(b'"\xff"', JSON, "traces", Delivered(), id="no-utf-8"),
        pytest.param(_SHALLOW, JSON, "traces", Delivered(), id="unfinished"),
        pytest.param(_DEEP, JSON, "traces", Delivered(), id="deep"),
        pytest.param(b"\xff", PROTOBUF, "traces", Delivered(), id="no-protobuf"),
    ],
)
def test_partial_success_by_type(body: bytes, media: str, signal: Signal, expected: Delivered) -> None:
    """The body is read as what its type says, and a body that is something else is a success without more."""
    assert partial_success(body, media, replace(_DESTINATION, signal=signal)) == expected


@pytest.mark.parametrize("blanks", [0, 800])
@pytest.mark.parametrize("before", range(188, 200))
def test_a_secret_is_hidden_before_the_message_is_cut(before: int, blanks: int) -> None:
    """No beginning of it is left at the end of the line."""
    text = " " * blanks + "x" * (before - 1) + "-hunter2 is unknown"
    body = ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=1, error_message=text)
    ).SerializeToString()
    assert "h" not in partial_success(body, PROTOBUF, _DESTINATION).message


def test_a_message_without_end_is_not_shown() -> None:
    """Its count is."""
    body = json.dumps({"partialSuccess": {"rejectedSpans": 1, "errorMessage": "x" * 10_000}}).encode()
    assert partial_success(body, JSON, _DESTINATION) == Delivered(1)


@given(
    body=st.binary()
    | st.recursive(st.none() | st.floats() | st.integers() | st.text(), st.lists).map(
        lambda value: json.dumps({"partialSuccess": value}).encode()
    ),
    media=st.sampled_from([JSON, PROTOBUF, ""]),
)
def test_no_body_is_an_error(body: bytes, media: str) -> None:
    """Whatever a back end sends, the outcome is a count from 0 and a line."""
    delivered = partial_success(body, media, _DESTINATION)
    assert delivered.rejected_spans >= 0
    assert delivered.message.isprintable()
