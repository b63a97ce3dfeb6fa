"""Span data to OTLP by protobuf, which defines what the joined bytes are: to the byte what the SDK's encoder makes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from conformance.recordings import EVERYTHING
from delivery.official import officially_encoded
from delivery.samples import CALL, LIMITS, any_values, changed, shapes_of, spans
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import SpanLimits

from csm_otel.delivery.messages import encode_officially

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csm_otel.spans.data import SpanData


pytestmark = pytest.mark.usefixtures("silence")


@pytest.fixture
def silence() -> Iterator[None]:
    """Hide the log of the SDK, which reports each attribute that it drops."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=100, deadline=None)
@given(st.lists(spans, max_size=4), st.dictionaries(st.sampled_from(["", "a", "b", "c"]), any_values), LIMITS)
def test_it_equals_the_official_encoding(
    given_spans: list[SpanData], attributes: dict[str, Any], limits: SpanLimits
) -> None:
    """For any spans, limits, and attributes of a sampler."""
    for span in [*given_spans, changed(CALL, attributes=attributes)]:
        expected = officially_encoded([span], limits).SerializeToString()
        assert expected == encode_officially([span], limits=limits)


def test_a_value_with_a_number_of_too_many_bits_is_left_out() -> None:
    """However deep in the value the number is, the attribute is left out as a whole, as the official encoder does."""
    span = changed(CALL, attributes={"a": {"b": [2**63]}, "c": 1})
    expected = officially_encoded([span], SpanLimits()).SerializeToString()
    encoded = encode_officially([span], limits=SpanLimits())

    assert expected == encoded
    (resource_spans,) = ExportTraceServiceRequest.FromString(encoded).resource_spans
    assert [item.key for item in resource_spans.scope_spans[0].spans[0].attributes] == ["c"]


@pytest.mark.parametrize("name", EVERYTHING)
def test_real_recordings_equal_the_official_encoding(name: str) -> None:
    """For the datagrams of each SDK: spans of each name, result and set of attributes."""
    given_spans = shapes_of(name)
    assert given_spans
    expected = officially_encoded(given_spans, SpanLimits()).SerializeToString()
    assert expected == encode_officially(given_spans, limits=SpanLimits())
