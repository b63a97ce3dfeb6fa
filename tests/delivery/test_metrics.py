"""The metrics of a run: read from the tally, recorded from calls, exported a last time when closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from manual_clock import ManualClock
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS

from csm_otel import __version__
from csm_otel.delivery.disk import SpoolUse
from csm_otel.delivery.metric_exporter import OtlpMetricExporter
from csm_otel.delivery.metrics import SERIES, Gauges, Metrics
from csm_otel.delivery.outcome import Delivered, Outcome, Unavailable
from csm_otel.spans.data import TraceContext
from csm_otel.spans.measures import ATTEMPT_DURATION, CALL_ATTEMPTS, CALL_DURATION, Measurement
from csm_otel.tally import SocketCounters, Tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

    from csm_otel.spans.data import AttributeValue

SPAN = TraceContext(trace_id=0xA1, span_id=0xB2)
Series = dict[tuple[tuple[str, str], ...], int]


class _Deliverer:
    """Keeps the requests it receives."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.requests: list[ExportMetricsServiceRequest] = []

    def deliver(self, request: bytes, *, timeout_seconds: float) -> Outcome:
        del timeout_seconds
        self.requests.append(ExportMetricsServiceRequest.FromString(request))
        return self.outcome

    def close(self) -> None:
        pass


class Counted:
    """Metrics of a tally, with the exported ones."""

    def __init__(
        self,
        tally: Tally,
        *,
        outcome: Outcome | None = None,
        resource: Mapping[str, AttributeValue] | None = None,
        exemplars: str = "trace_based",
        spool: SpoolUse | None = None,
    ) -> None:
        self.logged: list[str] = []
        self.deliverer = _Deliverer(outcome or Delivered())
        clock = ManualClock()
        self.metrics = Metrics(
            OtlpMetricExporter(self.deliverer, timeout_seconds=1.0, say=self.logged.append, clock=clock),
            tally=tally,
            gauges=Gauges(lambda: 7, lambda: 8, lambda: spool),
            resource=resource or {},
            interval_seconds=FOREVER_SECONDS,
            exemplars=exemplars,
            clock=clock,
        )

    def exported(self) -> dict[str, Metric]:
        """Close the metrics and return the exported ones, by name."""
        self.metrics.close(deadline_seconds=DEADLINE_SECONDS)
        (request,) = self.deliverer.requests
        return {metric.name: metric for metric in request.resource_metrics[0].scope_metrics[0].metrics}


def series(metric: Metric) -> Series:
    """Return the numbers of a counter or a gauge by their attributes."""
    data = metric.sum if metric.WhichOneof("data") == "sum" else metric.gauge
    return {
        tuple((pair.key, pair.value.string_value or str(pair.value.int_value)) for pair in point.attributes): int(
            point.as_int
        )
        for point in data.data_points
    }


def test_counters_are_those_of_the_tally() -> None:
    """Each count has its instrument, with the reason or the outcome as an attribute; zeros are left out."""
    tally = Tally(
        datagrams_not_allowed=2,
        datagrams_late=0,
        datagrams_undecoded=4,
        sockets=(SocketCounters(("127.0.0.1", 31000), 100, 5, 212_992), SocketCounters(("::1", 31000), 3, None, 4_096)),
        calls=11,
        attempts=22,
        spans_delivered=33,
        spans_rejected=1,
        spans_spooled=6,
        events_forwarded=30,
    )
    tally.events_not_forwarded["not_listening"] = 3
    tally.malformed["not_json"] = 9
    tally.orphans["expired"] = 8
    tally.spans_dropped["queue_full"] = 7
    exported = Counted(tally).exported()

    first = (("network.local.address", "127.0.0.1"), ("network.local.port", "31000"))
    second = (("network.local.address", "::1"), ("network.local.port", "31000"))
    assert {name: series(metric) for name, metric in exported.items()} == {
        "csm_otel.datagrams.received": {first: 100, second: 3},
        "csm_otel.datagrams.invalid": {(("reason", "not_json"),): 9},
        "csm_otel.datagrams.dropped": {
            (*first, ("reason", "receive_buffer_full")): 5,
            (("reason", "not_allowed"),): 2,
            (("reason", "undecoded"),): 4,
        },
        "csm_otel.calls": {(): 11},
        "csm_otel.attempts": {(): 22},
        "csm_otel.orphans": {(("reason", "expired"),): 8},
        "csm_otel.events.forwarded": {
            (("outcome", "sent"),): 30,
            (("outcome", "dropped"), ("error.type", "not_listening")): 3,
        },
        "csm_otel.spans.exported": {
            (("outcome", "delivered"),): 33,
            (("outcome", "rejected"),): 1,
            (("outcome", "spooled"),): 6,
            (("outcome", "dropped"), ("error.type", "queue_full")): 7,
        },
        "csm_otel.events.pending": {(): 7},
        "csm_otel.spans.waiting": {(): 8},
        "csm_otel.receive_buffer.size": {first: 212_992, second: 4_096},
    }


@pytest.mark.parametrize(
    ("spool", "expected"),
    [
        pytest.param(SpoolUse(100, 4_000), {"csm_otel.spool.size": 100, "csm_otel.spool.limit": 4_000}, id="spool"),
        pytest.param(None, {}, id="no-spool"),
    ],
)
def test_how_full_the_spool_is(spool: SpoolUse | None, expected: dict[str, int]) -> None:
    """Where there is one, its size and its limit are exported, in the same unit."""
    exported = Counted(Tally(), spool=spool).exported()

    assert {name: series(metric)[()] for name, metric in exported.items() if ".spool." in name} == expected
    assert {metric.unit for name, metric in exported.items() if ".spool." in name} <= {"By"}


@pytest.mark.parametrize(
    ("name", "unit", "value"),
    [
        pytest.param(CALL_DURATION, "s", 0.3, id="calls"),
        pytest.param(ATTEMPT_DURATION, "s", 0.1, id="attempts"),
        pytest.param(CALL_ATTEMPTS, "{attempt}", 3, id="attempts-of-a-call"),
    ],
)
def test_measurements_are_histograms(name: str, unit: str, value: float) -> None:
    """The measurements of a released call are in the histograms of their names, with its attributes."""
    counted = Counted(Tally())
    counted.metrics.record([Measurement(name, value, {"rpc.method": "ListBuckets"})] * 2)
    metric = counted.exported()[name]
    (point,) = metric.histogram.data_points
    assert (metric.unit, point.count) == (unit, 2)
    assert point.sum == pytest.approx(2 * value)
    assert [(pair.key, pair.value.string_value) for pair in point.attributes] == [("rpc.method", "ListBuckets")]


@pytest.mark.parametrize(
    ("exemplars", "context", "expected"),
    [
        pytest.param("trace_based", SPAN, [(0.3, 0xA1, 0xB2)], id="sampled"),
        pytest.param("trace_based", None, [], id="not-sampled"),
        pytest.param("always_off", SPAN, [], id="off"),
        pytest.param("always_on", None, [(0.3, None, None)], id="on-without-a-span"),
    ],
)
def test_an_exemplar_is_a_call(
    exemplars: str, context: TraceContext | None, expected: list[tuple[float, int | None, int | None]]
) -> None:
    """A value is exported with the ids of its own span, whatever span the program itself may be in."""
    counted = Counted(Tally(), exemplars=exemplars)
    with use_span(NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1)))):
        counted.metrics.record([Measurement(CALL_DURATION, 0.3, {"rpc.method": "S3/ListBuckets"}, context)])
    (point,) = counted.exported()[CALL_DURATION].histogram.data_points

    assert expected == [
        (one.as_double, int.from_bytes(one.trace_id) or None, int.from_bytes(one.span_id) or None)
        for one in point.exemplars
    ]


def test_the_series_of_an_instrument_are_bounded() -> None:
    """Beyond that many sets of attributes all others are one series, marked as such."""
    counted = Counted(Tally())
    counted.metrics.record(Measurement(CALL_ATTEMPTS, 1, {"rpc.method": str(number)}) for number in range(SERIES + 10))
    points = counted.exported()[CALL_ATTEMPTS].histogram.data_points
    overflow = [point for point in points if any(pair.key == "otel.metric.overflow" for pair in point.attributes)]
    assert sum(point.count for point in points) == SERIES + 10
    assert len(points) <= SERIES + 1
    assert len(overflow) == 1


def test_the_resource_is_the_daemon() -> None:
    """With any service configured for spans, the resource is the daemon's; its other attributes stay."""
    counted = Counted(Tally(), resource={"service.name": "app", "service.namespace": "x", "deployment": "blue"})
    counted.exported()
    attributes = counted.deliverer.requests[0].resource_metrics[0].resource.attributes
    values = {pair.key: pair.value.string_value for pair in attributes}
    assert values.pop("service.instance.id")
    assert values == {"service.name": "csm-otel", "service.version": __version__, "deployment": "blue"}


def test_an_unavailable_back_end() -> None:
    """Closing returns, and a line says why the last counts are lost."""
    counted = Counted(Tally(), outcome=Unavailable("connection refused: http://h/", retry_after_seconds=60.0))
    counted.metrics.close(deadline_seconds=1.0)
    assert counted.logged == ["back end does not accept metrics: connection refused: http://h/"]


def test_cancelling() -> None:
    """A close after it has no time, however much it is given."""
    counted = Counted(Tally(), outcome=Unavailable("connection refused: http://h/", retry_after_seconds=0.0))
    counted.metrics.cancel()
    counted.metrics.close(deadline_seconds=3600.0)
    assert counted.logged[-1] in (
        "back end does not accept metrics: connection refused: http://h/",
        "back end does not accept metrics: the last were not delivered in time",
    )
