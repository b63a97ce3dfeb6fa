"""Metrics in the formats of Prometheus, by the official exporter and client: `Exposition`.

The exporter leaves out exemplars, which OpenMetrics has, so they are added here.
"""

from __future__ import annotations

import contextlib
import gzip
import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import Histogram, HistogramDataPoint, MetricsData
from opentelemetry.trace import format_span_id, format_trace_id
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.samples import Exemplar

from csm_otel.delivery.metrics import LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector

_COMPRESSION_LEVEL = 1  # a fiftieth of the size; the highest saves a third of that and takes five times as long
_CONTENT_TYPE = re.compile(r"[a-z/-]+; version=\d\.\d\.\d; charset=utf-8(?:; escaping=[a-z0-9-]+)?")
_NS_PER_SECOND = 1_000_000_000


class Exposed(NamedTuple):
    """What a scrape gets."""

    body: bytes
    content_type: str
    content_encoding: str
    """Empty if the body is not compressed."""


class Exposition:
    """A reader of metrics, and the text that Prometheus fetches; for one thread at a time."""

    def __init__(self) -> None:
        self.reader = _Reader()
        """For the SDK's meter provider."""

    def render(self, *, accept: str, accept_encoding: str) -> Exposed:
        """Return the current values, in the format and encoding that these headers ask for."""
        encode, content_type = _negotiate(accept)
        body = encode(self)
        if gzip_accepted(accept_encoding):
            return Exposed(gzip.compress(body, _COMPRESSION_LEVEL), content_type, "gzip")
        return Exposed(body, content_type, "")

    def collect(self) -> Iterator[Metric]:
        """Yield the families of the exporter, histograms with their exemplars; see `prometheus_client.registry`."""
        self.reader.histograms = []  # once shut down, it receives nothing any more
        families = list(self.reader.registry.collect())
        histograms = (family for family in families if family.type == "histogram")
        for family, points in zip(histograms, self.reader.histograms, strict=True):
            _add_exemplars(family, points)
        yield from families


def _negotiate(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    """Return the encoder that an ``Accept`` header asks for, with its content type; the oldest if it is odd.

    The client compares the parts of any version, and repeats the version in the content type.
    """
    with contextlib.suppress(TypeError):
        encode, content_type = choose_encoder(accept)
        if _CONTENT_TYPE.fullmatch(content_type):
            return encode, content_type
    return choose_encoder("")


class _Reader(PrometheusMetricReader):
    """The official reader, with a registry of its own, which keeps what it has received last."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.histograms: list[list[HistogramDataPoint]] = []
        """The points of each histogram, in order."""
        super().__init__(registry=self.registry, cardinality_limits=LIMITS)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **more: Any) -> None:
        self.histograms = [
            [point for point in metric.data.data_points if isinstance(point, HistogramDataPoint)]
            for resource in metrics_data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if isinstance(metric.data, Histogram)
        ]
        super()._receive_metrics(metrics_data, timeout_millis, **more)


def _add_exemplars(family: Metric, points: list[HistogramDataPoint]) -> None:
    """Add the exemplars of the points to the samples of their buckets."""
    buckets = [number for number, sample in enumerate(family.samples) if sample.name == f"{family.name}_bucket"]
    first = 0
    for point in points:
        for exemplar in point.exemplars:
            if exemplar.trace_id is None or exemplar.span_id is None:
                continue
            number = buckets[first + bisect_left(point.explicit_bounds, exemplar.value)]
            labels = {"trace_id": format_trace_id(exemplar.trace_id), "span_id": format_span_id(exemplar.span_id)}
            added = Exemplar(labels, exemplar.value, exemplar.time_unix_nano / _NS_PER_SECOND)
            family.samples[number] = family.samples[number]._replace(exemplar=added)
        first += len(point.bucket_counts)
