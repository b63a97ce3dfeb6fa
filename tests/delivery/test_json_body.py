"""Bodies of OTLP/JSON."""

from __future__ import annotations

import json

from delivery.samples import ATTEMPT, CALL, CALL_ID, START_NS, TRACE_ID
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.trace import SpanLimits

from csm_otel.delivery.encoding import encode
from csm_otel.delivery.json_body import json_body


def test_traces() -> None:
    """Ids are hex, times strings, kinds numbers."""
    body = json.loads(json_body(encode([CALL, ATTEMPT], limits=SpanLimits()), "traces"))
    call, attempt = body["resourceSpans"][0]["scopeSpans"][0]["spans"]

    assert (call["traceId"], call["spanId"], call["kind"]) == (f"{TRACE_ID:032x}", f"{CALL_ID:016x}", 3)
    assert (attempt["parentSpanId"], attempt["startTimeUnixNano"]) == (call["spanId"], str(START_NS))


def test_metrics() -> None:
    """Times and counts are strings, temporalities numbers, and the message can be read back."""
    metric = Metric(name="csm_otel.calls")
    metric.sum.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    metric.sum.data_points.add(as_int=2**53 + 1, time_unix_nano=START_NS)
    metric.sum.data_points.add(as_double=float("inf"))
    request = ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=[metric])])]
    )
    body = json_body(request.SerializeToString(), "metrics")
    (shown,) = json.loads(body)["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]

    assert shown["sum"]["aggregationTemporality"] == 2
    assert shown["sum"]["dataPoints"] == [
        {"asInt": str(2**53 + 1), "timeUnixNano": str(START_NS)},
        {"asDouble": "Infinity"},
    ]
    assert Parse(body, ExportMetricsServiceRequest()) == request
