"""Requests in halves: the same spans in the same order, each with its resource and scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from delivery.samples import CALL, changed, spans
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import SpanLimits

from csm_otel.delivery.encoding import encode
from csm_otel.delivery.splitting import split
from csm_otel.spans.data import Resource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csm_otel.spans.data import SpanData

Described = tuple[bytes, bytes, str, str, bytes]


def described(request: bytes) -> list[Described]:
    """Return the spans of a request, each with its resource, scope and both schemas."""
    return [
        (
            resource.resource.SerializeToString(),
            scope.scope.SerializeToString(),
            resource.schema_url,
            scope.schema_url,
            span.SerializeToString(),
        )
        for resource in ExportTraceServiceRequest.FromString(request).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def of_application(name: str, count: int) -> list[SpanData]:
    """Return spans of one application."""
    resource = Resource((("service.name", name),))
    return [changed(CALL, name=f"{name} {number}", resource=resource) for number in range(count)]


@pytest.mark.parametrize(
    ("given_spans", "counts", "applications"),
    [
        pytest.param(of_application("a", 2), [1, 1], [1, 1], id="two"),
        pytest.param(of_application("a", 5), [2, 3], [1, 1], id="odd"),
        pytest.param([*of_application("a", 2), *of_application("b", 2)], [2, 2], [1, 1], id="between-applications"),
        pytest.param([*of_application("a", 3), *of_application("b", 1)], [2, 2], [1, 2], id="within-an-application"),
    ],
)
def test_halves(given_spans: Sequence[SpanData], counts: list[int], applications: list[int]) -> None:
    """The second half has one span more, where the number is odd, and no half an application without spans."""
    request = encode(given_spans, limits=SpanLimits())
    halves = split(request)
    assert [count for _, count in halves] == counts
    parsed = [ExportTraceServiceRequest.FromString(half) for half, _ in halves]
    assert [len(half.resource_spans) for half in parsed] == applications
    assert [span for half, _ in halves for span in described(half)] == described(request)


@pytest.mark.parametrize("count", [0, 1])
def test_requests_that_cannot_be_split(count: int) -> None:
    """A single span, or none, is returned alone."""
    request = encode(of_application("a", count), limits=SpanLimits())
    assert split(request) == [(request, count)]


@given(st.lists(spans, min_size=2, max_size=6))
def test_no_span_is_lost_or_changed(given_spans: list[SpanData]) -> None:
    """For any spans, both halves together are the whole, in order."""
    request = encode(given_spans, limits=SpanLimits())
    halves = split(request)
    assert len(halves) == 2
    assert [len(described(half)) for half, _ in halves] == [count for _, count in halves]
    assert [span for half, _ in halves for span in described(half)] == described(request)
