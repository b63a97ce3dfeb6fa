"""span-metrics.yaml: what Prometheus and Jaeger's Monitor tab show is what csm-otel sent, and so is the graph."""

from __future__ import annotations

import json
import math
import time
import urllib.parse
from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from datagrams import attempt, call
from e2e.programs import environment, serving
from interop.collector import running_collector, spans_in
from interop.collector_traffic import of_now
from interop.install_jaeger import find_binary
from interop.install_prometheus import prometheus
from interop.jaeger import answer_at, free_addresses, running_jaeger
from interop.prometheus import running_prometheus
from lossless import send
from otlp_backend import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from interop.jaeger import Jaeger, ShownSpan
    from interop.prometheus import Prometheus

SERVICE = "billing"
CALLS = 20  # of each API and wave
STATUS = {0: "STATUS_CODE_UNSET", 2: "STATUS_CODE_ERROR"}
DENIED = {"HttpStatusCode": 403, "AwsException": "AccessDenied", "AwsExceptionMessage": "no"}
FAILED = {"FinalHttpStatusCode": 403, "FinalAwsException": "AccessDenied", "FinalAwsExceptionMessage": "no"}
METRIC_BACKEND = "extensions.jaeger_storage.metric_backends.of_spans.prometheus"


class Shown(NamedTuple):
    """What csm-otel sent, and where it is shown."""

    sent: list[ShownSpan]
    prometheus: Prometheus
    jaeger: Jaeger


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Send two waves of calls; rates are of what comes after the first time that Prometheus scrapes."""
    binary = find_binary()
    if reason := prometheus().why_not() or ("" if binary else "Jaeger is not installed: make interop does it"):
        pytest.skip(reason)
    assert binary
    folder = tmp_path_factory.mktemp("metrics")
    (scraped,) = free_addresses(1)
    with (
        running_prometheus({"collector": scraped}, folder) as scraping,
        running_jaeger(binary, folder / "jaeger.log", *monitoring(scraping)) as jaeger,
        running_collector(
            "span-metrics.yaml",
            folder,
            {
                "JAEGER_OTLP_ENDPOINT": jaeger.otlp_http,
                "PROMETHEUS_LISTEN": scraped,
                "METRICS_FLUSH_INTERVAL": "200ms",
            },
        ) as collector,
        serving(
            *("--file", folder / "sent.jsonl", "--peer-service"),
            env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.http, OTEL_BSP_SCHEDULE_DELAY="50"),
        ) as daemon,
    ):
        for spans in (6 * CALLS, 12 * CALLS):
            send(daemon.address, wave())
            wait_until(partial(is_total, scraping, "traces_span_metrics_calls_total", spans))
        wait_until(partial(is_total, scraping, "traces_service_graph_request_total", 6 * CALLS))
        assert daemon.stop() == 0
        yield Shown(spans_in(folder / "sent.jsonl"), scraping, jaeger)


def monitoring(scraping: Prometheus) -> Sequence[str]:
    """Return the settings of Jaeger that the comment of the file asks for."""
    return (
        f"{METRIC_BACKEND}.endpoint={scraping.base}",
        f"{METRIC_BACKEND}.normalize_calls=true",
        f"{METRIC_BACKEND}.normalize_duration=true",
        "extensions.jaeger_query.storage.metrics=of_spans",
    )


def wave() -> Iterator[bytes]:
    """Yield calls of two services, of which one API is denied."""
    for number in range(CALLS):
        datagrams = (
            attempt(ClientId=SERVICE, AttemptLatency=10 + number),
            call(ClientId=SERVICE, Latency=15 + number),
            attempt(ClientId=SERVICE, Api="PutObject", **DENIED),
            call(ClientId=SERVICE, Api="PutObject", **FAILED),
            attempt(ClientId=SERVICE, Service="DynamoDB", Api="Query", AttemptLatency=100),
            call(ClientId=SERVICE, Service="DynamoDB", Api="Query", Latency=120),
        )
        yield from of_now(datagrams, ago_ms=200 * (number + 5))  # apart, so that each attempt has one call to belong to


def is_total(scraping: Prometheus, name: str, expected: int) -> bool:
    """Return whether this is the sum over all series of a metric."""
    return sum(value for _, value in scraping.query(name)) == expected


def test_rates_errors_and_durations(shown: Shown) -> None:
    """Prometheus has the number of spans of each name and status, and the sum of their durations."""
    counts = Counter((SERVICE, span.name, STATUS[span.status]) for span in shown.sent)
    took: dict[tuple[str, ...], float] = defaultdict(float)
    for span in shown.sent:
        took[SERVICE, span.name, STATUS[span.status]] += (span.end_ns - span.start_ns) / 1e6

    def by_name(metric: str) -> dict[tuple[str, ...], float]:
        return by_labels(shown.prometheus, metric, "service_name", "span_name", "status_code")

    assert by_name("traces_span_metrics_calls_total") == counts
    assert by_name("traces_span_metrics_duration_milliseconds_count") == counts
    assert by_name("traces_span_metrics_duration_milliseconds_sum") == pytest.approx(took)
    # Calls alone, as attempts have none of these labels.
    assert by_labels(
        shown.prometheus, 'traces_span_metrics_calls_total{rpc_method!=""}', "rpc_service", "rpc_method"
    ) == {
        ("S3", "GetObject"): 2 * CALLS,
        ("S3", "PutObject"): 2 * CALLS,
        ("DynamoDB", "Query"): 2 * CALLS,
    }


def test_the_graph(shown: Shown) -> None:
    """Each call is a request to the service that it names; attempts are none, so that nothing is `unknown`."""
    calls = Counter(span.attributes["peer.service"] for span in shown.sent if "peer.service" in span.attributes)
    assert len(calls) == 2
    edges = by_labels(shown.prometheus, "traces_service_graph_request_total", "client", "server")
    assert edges == {(SERVICE, server): number for server, number in calls.items()}
    failed = by_labels(shown.prometheus, "traces_service_graph_request_failed_total", "client", "server")
    assert sum(failed.values()) == 2 * CALLS


def test_the_monitor_tab(shown: Shown) -> None:
    """Jaeger's queries for its Monitor tab find each operation, with its share of errors and its duration."""
    names = {span.name for span in shown.sent}
    rates, errors = monitored(shown.jaeger, "calls"), monitored(shown.jaeger, "errors")
    durations = monitored(shown.jaeger, "latencies", quantile="0.95")
    assert rates.keys() == names
    assert all(rate > 0 for rate in rates.values())
    assert {name: errors[name] for name in errors if errors[name]} == {
        "S3.PutObject": 1,
        "S3.PutObject attempt": 1,
    }
    assert durations.keys() == names
    assert durations["DynamoDB.Query"] > durations["S3.GetObject"] > 0


def by_labels(scraping: Prometheus, expression: str, *labels: str) -> dict[tuple[str, ...], float]:
    """Return values summed by labels."""
    found: dict[tuple[str, ...], float] = defaultdict(float)
    for of_series, value in scraping.query(expression):
        found[tuple(of_series[label] for label in labels)] += value
    return dict(found)


def monitored(jaeger: Jaeger, kind: str, **more: str) -> Mapping[str, float]:
    """Return the greatest value by operation that the Monitor tab gets for the last minute."""
    query = {
        "service": SERVICE,
        "groupByOperation": "true",
        "spanKind": "client",
        "endTs": str(time.time_ns() // 10**6),
        "lookback": "60000",
        "step": "1000",
        "ratePer": "60000",
        **more,
    }
    answer: dict[str, Any] = json.loads(answer_at(f"{jaeger.query}/api/metrics/{kind}?{urllib.parse.urlencode(query)}"))
    return {
        next(label["value"] for label in metric["labels"] if label["name"] == "operation"): max(
            number
            for point in metric["metricPoints"]
            if not math.isnan(number := float(point["gaugeValue"]["doubleValue"]))  # of no calls
        )
        for metric in answer["metrics"]
    }
