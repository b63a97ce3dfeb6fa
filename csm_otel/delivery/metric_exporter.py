"""What the SDK's metrics are exported by: encoded by the official encoder, brought to the back end as spans are.

So a failure has the same words, with its cause and an address that holds no secret, and a time limit that holds.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

from csm_otel.delivery.backoff import Backoff
from csm_otel.delivery.outcome import Delivered, Outcome, TooLarge, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.delivery.deliverer import Deliverer

# What is counted since the export before, rather than since the start. Source: OpenTelemetry specification, "OTLP
# Metrics Exporter", for the instruments that there are here.
TEMPORALITIES: dict[str, dict[type, AggregationTemporality]] = {
    "cumulative": {},
    "delta": dict.fromkeys((Histogram, ObservableCounter), AggregationTemporality.DELTA),
    "lowmemory": {Histogram: AggregationTemporality.DELTA},
}
_AGGREGATIONS = {"base2_exponential_bucket_histogram": ExponentialBucketHistogramAggregation}
_LEAST_SECONDS = 0.05  # for a delivery; requests and gRPC take 0 for a mistake
_TELLING_SECONDS = 0.1  # kept of the time at the end, so that a last failure is told


class OtlpMetricExporter(MetricExporter):
    """Delivers, trying again while there is time; raises nothing, and tells when metrics are not taken."""

    def __init__(
        self,
        deliverer: Deliverer,
        *,
        timeout_seconds: float,
        say: Callable[[str], None],
        temporality: str = "cumulative",
        histograms: str = "explicit_bucket_histogram",
    ) -> None:
        """Export by ``deliverer``, which belongs to this from now on, within ``timeout_seconds`` each time.

        ``temporality`` is one of `TEMPORALITIES`. ``say`` takes a line for the operator, from the SDK's thread.
        """
        aggregation = _AGGREGATIONS.get(histograms)
        super().__init__(
            preferred_temporality=TEMPORALITIES[temporality],
            preferred_aggregation={Histogram: aggregation()} if aggregation else {},
        )
        self._deliverer = deliverer
        self._timeout_seconds = timeout_seconds
        self._say = say
        self._is_failing = False
        self._deadline = float("inf")
        self._is_closing = threading.Event()
        self._has_ended = False
        """Whether the last export, which follows `hurry`, was made, whatever came of it."""

    def hurry(self, *, deadline: float) -> None:
        """Give up what is tried again and again, and end the export that follows by ``deadline``, monotonic seconds."""
        self._deadline = deadline
        self._is_closing.set()

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_more: Any) -> MetricExportResult:  # ruff: ignore[unused-method-argument]
        """Export once."""
        is_last = self._is_closing.is_set()
        try:
            return self._export(metrics_data)
        finally:
            self._has_ended = is_last

    def end(self) -> None:
        """Tell when the last export was not made, as one before it was still under way, or has not come to an end."""
        if not self._has_ended:
            self._tell("the last were not delivered in time")

    def _export(self, metrics_data: MetricsData) -> MetricExportResult:
        try:
            outcome = self._deliver(encode_metrics(metrics_data).SerializeToString())
        except Exception as error:  # ruff: ignore[blind-except] - whatever it is, the next time comes
            self._tell(type(error).__name__)
            return MetricExportResult.FAILURE
        if not isinstance(outcome, Delivered):
            self._tell("too large for it" if isinstance(outcome, TooLarge) else outcome.reason)
            return MetricExportResult.FAILURE
        if outcome.message or outcome.rejected_spans:
            self._say(f"back end on metrics, {outcome.rejected_spans} rejected: {outcome.message or 'no reason given'}")
        self._tell("")
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:  # ruff: ignore[unused-method-argument, no-self-use]
        """Return that nothing waits here."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_more: Any) -> None:  # ruff: ignore[unused-method-argument]
        """End an export under way."""
        self._deliverer.close()

    def _deliver(self, request: bytes) -> Outcome:
        is_last = self._is_closing.is_set()
        end = time.monotonic() + self._timeout_seconds
        if is_last:
            end = min(end, self._deadline - _TELLING_SECONDS)
        backoff = Backoff()
        while True:
            outcome = self._deliverer.deliver(request, timeout_seconds=max(end - time.monotonic(), _LEAST_SECONDS))
            if not isinstance(outcome, Unavailable):
                return outcome
            backoff.fail(time.monotonic(), outcome.retry_after_seconds)
            if backoff.until >= end or not self._may_go_on(backoff.until, is_last=is_last):
                return outcome

    def _may_go_on(self, then: float, *, is_last: bool) -> bool:
        """Wait until it is time for another try, and tell whether there is to be one."""
        if is_last:
            time.sleep(max(then - time.monotonic(), 0.0))
            return True
        return not self._is_closing.wait(max(then - time.monotonic(), 0.0))

    def _tell(self, why: str) -> None:
        """Tell what has changed; an empty reason: they are taken."""
        if why and not self._is_failing:
            self._say(f"metrics are not taken by the back end: {why}")
        elif self._is_failing and not why:
            self._say("metrics are taken again")
        self._is_failing = bool(why)
