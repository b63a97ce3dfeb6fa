"""The exporter behind the SDK's metrics: encoded by the official encoder, delivered as spans are.

So failures are reported in the same words, with the cause and without secrets, and the time limit is kept.
"""

from __future__ import annotations

import math
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

# The instruments that count since the previous export rather than since the start. Source: OpenTelemetry
# specification, "OTLP Metrics Exporter", for the instruments used here.
TEMPORALITIES: dict[str, dict[type, AggregationTemporality]] = {
    "cumulative": {},
    "delta": dict.fromkeys((Histogram, ObservableCounter), AggregationTemporality.DELTA),
    "lowmemory": {Histogram: AggregationTemporality.DELTA},
}
_AGGREGATIONS = {"base2_exponential_bucket_histogram": ExponentialBucketHistogramAggregation}
_MIN_TIMEOUT_SECONDS = 0.05  # requests and gRPC reject a timeout of 0
_REPORT_SECONDS = 0.1  # reserved while closing, so that a last failure is reported


class OtlpMetricExporter(MetricExporter):
    """Delivers with retries while there is time; raises nothing, and reports when the back end accepts no metrics."""

    def __init__(
        self,
        deliverer: Deliverer,
        *,
        timeout_seconds: float,
        say: Callable[[str], None],
        temporality: str = "cumulative",
        histograms: str = "explicit_bucket_histogram",
        new_backoff: Callable[[], Backoff] = Backoff,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Export by ``deliverer``, which belongs to this from now on, within ``timeout_seconds`` each time.

        ``temporality`` is one of `TEMPORALITIES`. ``say`` is called with a line for the operator, in the SDK's thread.
        ``clock`` returns monotonic seconds.
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
        self._new_backoff = new_backoff
        self._clock = clock
        self._changed = threading.Condition()
        """Guards the three below; notified when closing begins."""
        self._is_closing = False
        self._deadline = math.inf
        self._nobody_deadline = math.inf
        self._has_reached_somebody = False
        self._has_made_last = False
        """Whether the last export, which follows `begin_closing`, was made, whatever its outcome."""

    def begin_closing(self, *, deadline: float, nobody_deadline: float = math.inf) -> None:
        """Give up retries, and make the next export the last, which ends by ``deadline``, in monotonic seconds.

        From ``nobody_deadline`` on it is not retried where nothing has ever listened at the back end's address.
        """
        with self._changed:
            self._deadline = deadline
            self._nobody_deadline = nobody_deadline
            self._is_closing = True
            self._changed.notify_all()

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_more: Any) -> MetricExportResult:  # ruff: ignore[unused-method-argument]
        """Export once."""
        is_last = self._is_closing
        try:
            return self._export(metrics_data)
        finally:
            self._has_made_last = is_last

    def finish_closing(self) -> None:
        """Report it if the last export was not made, as an earlier one was still under way, or has not ended yet."""
        if not self._has_made_last:
            self._report("the last were not delivered in time")

    def _export(self, metrics_data: MetricsData) -> MetricExportResult:
        try:
            outcome = self._deliver(encode_metrics(metrics_data).SerializeToString())
        except Exception as error:  # ruff: ignore[blind-except] - the next export must be made after any exception
            self._report(type(error).__name__)
            return MetricExportResult.FAILURE
        if not isinstance(outcome, Delivered):
            self._report("too large" if isinstance(outcome, TooLarge) else outcome.reason)
            return MetricExportResult.FAILURE
        if outcome.rejected_spans:
            reason = outcome.message or "no reason given"
            self._say(f"back end rejected {outcome.rejected_spans} data points of metrics: {reason}")
        elif outcome.message:
            self._say(f"back end says of metrics: {outcome.message}")
        self._report("")
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:  # ruff: ignore[unused-method-argument, no-self-use]
        """Return True: nothing waits here."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_more: Any) -> None:  # ruff: ignore[unused-method-argument]
        """End an export under way."""
        self._deliverer.close()

    def _deliver(self, request: bytes) -> Outcome:
        is_last = self._is_closing
        end = min(self._clock() + self._timeout_seconds, self._deadline - _REPORT_SECONDS)
        backoff = self._new_backoff()
        while True:
            outcome = self._deliverer.deliver(request, timeout_seconds=max(end - self._clock(), _MIN_TIMEOUT_SECONDS))
            if not isinstance(outcome, Unavailable):
                self._has_reached_somebody = True
                return outcome
            self._has_reached_somebody |= not outcome.is_nobody_there
            backoff.fail(self._clock(), outcome.retry_after_seconds)
            last = end if self._has_reached_somebody else min(end, self._nobody_deadline)
            if backoff.until >= last or not self._wait_until(backoff.until, is_last=is_last):
                return outcome

    def _wait_until(self, then: float, *, is_last: bool) -> bool:
        """Wait for the time of the next try, and return whether to make it."""
        with self._changed:
            while (is_last or not self._is_closing) and (wait_seconds := then - self._clock()) > 0:
                self._changed.wait(wait_seconds)
            return is_last or not self._is_closing

    def _report(self, why: str) -> None:
        """Report a change; an empty reason: they are accepted."""
        if why and not self._is_failing:
            self._say(f"back end does not accept metrics: {why}")
        elif self._is_failing and not why:
            self._say("back end accepts metrics again")
        self._is_failing = bool(why)
