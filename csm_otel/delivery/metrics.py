"""Metrics, by the official SDK: `Metrics`.

The counters are read from the tally whenever the SDK collects, so that they cost a datagram nothing and agree with the
tally. The histograms record each released call.

Nothing here may disturb the tracing: failures are reported at a bounded rate, and closing keeps its deadline.
"""

from __future__ import annotations

import contextlib
import math
import time
import uuid
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import (
    AlwaysOffExemplarFilter,
    AlwaysOnExemplarFilter,
    Counter,
    ExemplarFilter,
    Histogram,
    MeterProvider,
    ObservableCounter,
    ObservableGauge,
    TraceBasedExemplarFilter,
)
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.semconv._incubating.attributes.service_attributes import SERVICE_INSTANCE_ID
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.network_attributes import NETWORK_LOCAL_ADDRESS, NETWORK_LOCAL_PORT
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME, SERVICE_VERSION
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from csm_otel import __version__
from csm_otel.delivery.scope import SCOPE
from csm_otel.spans.measures import ATTEMPT_DURATION, CALL_ATTEMPTS, CALL_DURATION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from csm_otel.delivery.disk import SpoolUse
    from csm_otel.delivery.metric_exporter import OtlpMetricExporter
    from csm_otel.spans.data import AttributeValue, TraceContext
    from csm_otel.spans.measures import Measurement
    from csm_otel.tally import SocketCounters, Tally

SERIES = 2000
"""The most sets of attributes that an instrument keeps; the rest goes to one with ``otel.metric.overflow``."""

LIMITS: dict[type, int] = dict.fromkeys((Counter, Histogram, ObservableCounter, ObservableGauge), SERIES)
"""By instrument, for the SDK's readers."""
# "Semantic conventions for RPC metrics" advise these, in seconds. Floats, as Prometheus' exporter writes each as it is,
# and OpenMetrics advises 1.0 rather than 1: the label is part of a series.
_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_ATTEMPTS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 25.0)
_NO_SPAN = set_span_in_context(INVALID_SPAN, Context())  # the SDK reads an empty context as that of the thread
_EXEMPLARS: dict[str, ExemplarFilter] = {
    "always_on": AlwaysOnExemplarFilter(),
    "always_off": AlwaysOffExemplarFilter(),
    "trace_based": TraceBasedExemplarFilter(),
}


class Gauges(NamedTuple):
    """Where the values come from that are not counts; called in other threads."""

    events_pending: Callable[[], int]
    """Returns how many events wait for their call."""
    spans_waiting: Callable[[], int]
    """Returns how many spans wait for the back end."""
    spool: Callable[[], SpoolUse | None]
    """Returns how much of the spool is in use; None without one."""


class Metrics:
    """The meter of one run, with the SDK's thread that exports."""

    def __init__(
        self,
        exporter: OtlpMetricExporter | None,
        *,
        tally: Tally,
        gauges: Gauges,
        resource: Mapping[str, AttributeValue],
        interval_seconds: float,
        scraped: MetricReader | None = None,
        exemplars: str = "trace_based",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Export each ``interval_seconds`` by ``exporter``, which belongs to this from now on, as ``scraped`` does.

        The tally is read by other threads. ``exemplars`` is a value of ``OTEL_METRICS_EXEMPLAR_FILTER``.
        ``clock`` returns monotonic seconds.
        """
        self._tally = tally
        self._gauges = gauges
        self._clock = clock
        self._is_cancelled = False
        self._exporter = exporter
        readers: list[MetricReader] = []
        if exporter is not None:
            milliseconds = interval_seconds * 1000
            readers.append(
                PeriodicExportingMetricReader(exporter, export_interval_millis=milliseconds, cardinality_limits=LIMITS)
            )
        if scraped is not None:
            readers.append(scraped)  # last, so that it has the final counts while the export before it takes its time
        self._provider = MeterProvider(
            readers,
            resource=_resource(resource),
            exemplar_filter=_EXEMPLARS[exemplars],
            shutdown_on_exit=False,
        )
        meter = self._provider.get_meter(*SCOPE)
        self._histograms = {
            name: meter.create_histogram(name, unit, text, explicit_bucket_boundaries_advisory=bounds)
            for name, unit, text, bounds in (
                (CALL_DURATION, "s", "Duration of AWS calls, all attempts and back-off included.", _DURATIONS),
                (ATTEMPT_DURATION, "s", "Duration of the HTTP attempts of AWS calls.", _DURATIONS),
                (CALL_ATTEMPTS, "{attempt}", "HTTP attempts of an AWS call.", _ATTEMPTS),
            )
        }
        for name, unit, text, observe in (
            ("csm_otel.datagrams.received", "{datagram}", "Read from a socket.", self._received),
            ("csm_otel.datagrams.invalid", "{datagram}", "Without an event in them.", self._invalid),
            ("csm_otel.datagrams.dropped", "{datagram}", "Not looked into.", self._dropped),
            ("csm_otel.calls", "{call}", "Calls decoded.", lambda: [Observation(tally.calls)]),
            ("csm_otel.attempts", "{attempt}", "Attempts decoded.", lambda: [Observation(tally.attempts)]),
            ("csm_otel.orphans", "{attempt}", "Attempts whose call never came.", self._orphans),
            ("csm_otel.events.forwarded", "{event}", "Events by what became of them at --tee.", self._forwarded),
            ("csm_otel.spans.exported", "{span}", "Spans by what became of them.", self._exported),
        ):
            meter.create_observable_counter(name, [_callback(observe)], unit, text)
        for name, unit, text, observe in (
            ("csm_otel.events.pending", "{event}", "Waiting for their call.", _only(gauges.events_pending)),
            ("csm_otel.spans.waiting", "{span}", "Waiting for the back end.", _only(gauges.spans_waiting)),
            ("csm_otel.spool.size", "By", "Waiting on disk for the back end.", lambda: self._spool("bytes")),
            ("csm_otel.spool.limit", "By", "Beyond it the oldest are dropped.", lambda: self._spool("limit_bytes")),
            ("csm_otel.receive_buffer.size", "By", "Given by the kernel, in its accounting.", self._buffers),
        ):
            meter.create_observable_gauge(name, [_callback(observe)], unit, text)

    def record(self, measurements: Iterable[Measurement]) -> None:
        """Record the measurements of a released call."""
        for name, value, attributes, context in measurements:
            self._histograms[name].record(value, attributes, _sdk_context(context))

    def cancel(self) -> None:
        """Give a later `close` no time."""
        self._is_cancelled = True

    def close(self, *, deadline_seconds: float, nobody_seconds: float = math.inf) -> None:
        """Export a last time and end, within the deadline.

        A back end at whose address nothing has ever listened is tried for ``nobody_seconds``, once at least.
        """
        if self._is_cancelled:
            deadline_seconds = 0.0
        if self._exporter is not None:
            now = self._clock()
            self._exporter.begin_closing(deadline=now + deadline_seconds, nobody_deadline=now + nobody_seconds)
        with contextlib.suppress(Exception):
            self._provider.shutdown(timeout_millis=deadline_seconds * 1000)
        if self._exporter is not None:
            self._exporter.finish_closing()

    # Called by other threads while the loop counts on; a dict is copied in one step.

    def _received(self) -> list[Observation]:
        return [Observation(counters.read, _where(counters)) for counters in self._tally.sockets]

    def _invalid(self) -> list[Observation]:
        return _by("reason", self._tally.malformed)

    def _dropped(self) -> list[Observation]:
        tally = self._tally
        others = {
            "not_allowed": tally.datagrams_not_allowed,
            "late": tally.datagrams_late,
            "undecoded": tally.datagrams_undecoded,
        }
        return [
            *(
                Observation(counters.dropped_by_kernel, {**_where(counters), "reason": "receive_buffer_full"})
                for counters in tally.sockets
                if counters.dropped_by_kernel is not None
            ),
            *_by("reason", {reason: count for reason, count in others.items() if count}),
        ]

    def _orphans(self) -> list[Observation]:
        return _by("reason", self._tally.orphans)

    def _forwarded(self) -> list[Observation]:
        sent = self._tally.events_forwarded
        dropped = dict(self._tally.events_not_forwarded)
        return [
            *([Observation(sent, {"outcome": "sent"})] if sent else []),
            *(Observation(count, {"outcome": "dropped", ERROR_TYPE: reason}) for reason, count in dropped.items()),
        ]

    def _exported(self) -> list[Observation]:
        tally = self._tally
        outcomes = {
            "delivered": tally.spans_delivered,
            "rejected": tally.spans_rejected,
            "not_sampled": tally.spans_unsampled,
            "shown": tally.spans_shown,
            "spooled": tally.spans_spooled,
        }
        dropped = [
            Observation(count, {"outcome": "dropped", ERROR_TYPE: reason})
            for reason, count in dict(tally.spans_dropped).items()
        ]
        return [*_by("outcome", {name: count for name, count in outcomes.items() if count}), *dropped]

    def _spool(self, which: str) -> list[Observation]:
        use = self._gauges.spool()
        return [] if use is None else [Observation(getattr(use, which))]

    def _buffers(self) -> list[Observation]:
        return [Observation(counters.buffer_bytes, _where(counters)) for counters in self._tally.sockets]


def _resource(given: Mapping[str, AttributeValue]) -> Resource:
    """Return the resource of this process: it is the daemon that counts, never an application."""
    others = {name: value for name, value in given.items() if not name.startswith("service.")}
    own = {SERVICE_NAME: "csm-otel", SERVICE_VERSION: __version__, SERVICE_INSTANCE_ID: str(uuid.uuid4())}
    return Resource({**others, **own})


def _sdk_context(context: TraceContext | None) -> Context:
    if context is None:
        return _NO_SPAN
    flags = TraceFlags(TraceFlags.SAMPLED)
    span = NonRecordingSpan(SpanContext(context.trace_id, context.span_id, is_remote=False, trace_flags=flags))
    return set_span_in_context(span, Context())


def _where(counters: SocketCounters) -> dict[str, AttributeValue]:
    host, port = counters.address
    return {NETWORK_LOCAL_ADDRESS: host, NETWORK_LOCAL_PORT: port}


def _by(name: str, counts: Mapping[str, int]) -> list[Observation]:
    return [Observation(count, {name: value}) for value, count in dict(counts).items()]


def _only(value: Callable[[], int]) -> Callable[[], list[Observation]]:
    return lambda: [Observation(value())]


def _callback(observe: Callable[[], list[Observation]]) -> Callable[[CallbackOptions], list[Observation]]:
    return lambda _options: observe()
