"""The exporter of metrics: retries while there is time, and reports failures."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from manual_clock import ManualClock, PassingCondition
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult, MetricsData
from otlp_backend import DEADLINE_SECONDS, wait_until

from csm_otel.config.standard import HISTOGRAMS
from csm_otel.config.standard import TEMPORALITIES as ALLOWED
from csm_otel.delivery.backoff import Backoff
from csm_otel.delivery.metric_exporter import TEMPORALITIES, OtlpMetricExporter
from csm_otel.delivery.outcome import Delivered, Outcome, Refused, TooLarge, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

AWAY = Unavailable("connection refused: http://h/")
NOBODY = Unavailable("connection refused: http://h/", is_nobody_there=True)
OK = MetricExportResult.SUCCESS


class Deliverer:
    """Returns these outcomes, the last one again and again."""

    def __init__(self, *outcomes: Outcome | Exception, after: Callable[[], None] = lambda: None) -> None:
        self.outcomes = list(outcomes)
        self.after = after
        self.timeouts: list[float] = []
        self.is_closed = False

    def deliver(self, request: bytes, *, timeout_seconds: float) -> Outcome:
        """Deliver."""
        assert request
        self.timeouts.append(timeout_seconds)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        self.after()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def close(self) -> None:
        """Close."""
        self.is_closed = True


def exporter_on(clock: ManualClock, deliverer: Deliverer, **settings: Any) -> OtlpMetricExporter:
    """Return an exporter whose waits pass on a clock; they take 1, 2 and then 4 seconds."""
    exporter = OtlpMetricExporter(
        deliverer, clock=clock, new_backoff=lambda: Backoff(first_seconds=1.0, jitter=lambda: 1.0), **settings
    )
    exporter._changed = PassingCondition(clock)
    return exporter


def some() -> MetricsData:
    """Return a measurement."""
    reader = InMemoryMetricReader()
    MeterProvider([reader], shutdown_on_exit=False).get_meter("x").create_counter("c").add(1)
    data = reader.get_metrics_data()
    assert data is not None
    return data


def test_retries_while_there_is_time() -> None:
    """A short outage has no effect, not even a line; each try has the time that is left."""
    logged: list[str] = []
    deliverer = Deliverer(AWAY, AWAY, Delivered())
    exporter = exporter_on(ManualClock(), deliverer, timeout_seconds=20, say=logged.append)
    assert exporter.export(some()) is OK
    assert deliverer.timeouts == pytest.approx([20, 19, 17])
    assert logged == []
    exporter.shutdown()
    assert deliverer.is_closed


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        pytest.param(AWAY, "connection refused: http://h/", id="away"),
        pytest.param(Refused("HTTP 404 from http://h/"), "HTTP 404 from http://h/", id="refused"),
        pytest.param(TooLarge("of a span"), "too large", id="too-large"),
        pytest.param(ValueError("with a secret"), "ValueError", id="a defect of ours"),
    ],
)
def test_failures_are_reported_with_their_end(outcome: Outcome | Exception, why: str) -> None:
    """Of many failures in a row the first is reported with its cause, and then that metrics are accepted again."""
    logged: list[str] = []
    exporter = exporter_on(
        ManualClock(), Deliverer(outcome, outcome, Delivered()), timeout_seconds=0.5, say=logged.append
    )
    assert [exporter.export(some()) is OK for _ in range(3)] == [False, False, True]
    assert logged == [f"back end does not accept metrics: {why}", "back end accepts metrics again"]


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        pytest.param(Delivered(3, "too old"), "back end rejected 3 data points of metrics: too old", id="rejected"),
        pytest.param(Delivered(3), "back end rejected 3 data points of metrics: no reason given", id="without-reason"),
        pytest.param(Delivered(0, "slow down"), "back end says of metrics: slow down", id="warning"),
    ],
)
def test_a_partial_success_is_reported(outcome: Outcome, line: str) -> None:
    """Data points that the back end rejects, and its warnings, are reported in its words."""
    logged: list[str] = []
    exporter = OtlpMetricExporter(Deliverer(outcome), timeout_seconds=1, say=logged.append)
    assert exporter.export(some()) is OK
    assert logged == [line]


def test_closing_leaves_time_for_the_last_export() -> None:
    """Retries are given up at once; the last export has the time until the deadline, but for reporting its failure."""
    clock = ManualClock(0.0)
    exporter = exporter_on(
        clock,
        deliverer := Deliverer(AWAY, after=lambda: exporter.begin_closing(deadline=4.1)),
        timeout_seconds=60,
        say=print,
    )
    assert exporter.export(some()) is not OK
    assert (deliverer.timeouts, clock()) == ([60], 0.0)
    assert exporter.export(some()) is not OK
    assert deliverer.timeouts[1:] == pytest.approx([4.0, 3.0, 1.0])
    assert clock() == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("earlier", "nobody_deadline", "tries"),
    [
        pytest.param(None, math.inf, 4, id="without-such-a-deadline"),
        pytest.param(None, 2.0, 2, id="never-reached"),
        pytest.param(None, 0.0, 1, id="deadline-over"),
        pytest.param(Delivered(), 0.0, 4, id="has-accepted"),
        pytest.param(Refused("no"), 0.0, 4, id="has-refused"),
        pytest.param(AWAY, 0.0, 4, id="was-overloaded"),
    ],
)
def test_closing_gives_up_where_nothing_has_ever_listened(
    earlier: Outcome | None, nobody_deadline: float, tries: int
) -> None:
    """The last export is retried until its own deadline only where somebody has been before."""
    deliverer = Deliverer(*([earlier] if earlier else []), NOBODY)
    exporter = exporter_on(ManualClock(0.0), deliverer, timeout_seconds=0.5, say=lambda _: None)
    if earlier:
        exporter.export(some())
    deliverer.timeouts.clear()
    exporter._timeout_seconds = 60
    exporter.begin_closing(deadline=10.0, nobody_deadline=nobody_deadline)

    assert exporter.export(some()) is not OK
    assert len(deliverer.timeouts) == tries


def test_a_retry_that_waits_is_given_up_when_closing_begins() -> None:
    """Closing wakes the exporting thread, though no time has passed."""
    deliverer = Deliverer(AWAY)
    exporter = OtlpMetricExporter(deliverer, timeout_seconds=60, say=print, clock=ManualClock())
    with ThreadPoolExecutor(1) as pool:
        exporting = pool.submit(exporter.export, some())
        wait_until(lambda: deliverer.timeouts)
        exporter.begin_closing(deadline=DEADLINE_SECONDS)
        assert exporting.result(DEADLINE_SECONDS) is not OK
    assert len(deliverer.timeouts) == 1


def test_a_last_export_that_was_not_made_is_reported() -> None:
    """If an export hangs until the end the last counts are lost; if the last one was made they are not."""
    logged: list[str] = []
    deliverer = Deliverer(Delivered(0, ""))
    exporter = OtlpMetricExporter(deliverer, timeout_seconds=60, say=logged.append)
    assert exporter.export(some()) is OK
    exporter.begin_closing(deadline=math.inf)

    exporter.finish_closing()
    assert logged == ["back end does not accept metrics: the last were not delivered in time"]

    assert exporter.export(some()) is OK
    exporter.finish_closing()
    assert logged[1:] == ["back end accepts metrics again"]


def test_the_choices_agree() -> None:
    """The choices of the variables are those implemented."""
    assert tuple(TEMPORALITIES) == ALLOWED
    for temporality in ALLOWED:
        for histograms in HISTOGRAMS:
            OtlpMetricExporter(
                Deliverer(AWAY), timeout_seconds=1, say=print, temporality=temporality, histograms=histograms
            )
