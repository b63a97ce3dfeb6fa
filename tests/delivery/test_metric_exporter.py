"""What exports metrics: as often as there is time, in words, and never later than told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult, MetricsData

from csm_otel.config.standard import _HISTOGRAMS, _TEMPORALITIES
from csm_otel.delivery.metric_exporter import TEMPORALITIES, OtlpMetricExporter
from csm_otel.delivery.outcome import Delivered, Outcome, Refused, TooLarge, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

AWAY = Unavailable("connection refused: http://h/")
OK = MetricExportResult.SUCCESS


class Deliverer:
    """Answers as told, the last answer again and again."""

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


def some() -> MetricsData:
    """Return a measurement."""
    reader = InMemoryMetricReader()
    MeterProvider([reader], shutdown_on_exit=False).get_meter("x").create_counter("c").add(1)
    data = reader.get_metrics_data()
    assert data is not None
    return data


def test_it_tries_again_while_there_is_time() -> None:
    """A back end that is away for a moment costs nothing, and nobody is told."""
    said: list[str] = []
    deliverer = Deliverer(AWAY, AWAY, Delivered())
    exporter = OtlpMetricExporter(deliverer, timeout_seconds=20, say=said.append)
    assert exporter.export(some()) is OK
    assert (len(deliverer.timeouts), said) == (3, [])
    assert deliverer.timeouts == sorted(deliverer.timeouts, reverse=True)
    exporter.shutdown()
    assert deliverer.is_closed


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        pytest.param(AWAY, "connection refused: http://h/", id="away"),
        pytest.param(Refused("HTTP 404 from http://h/"), "HTTP 404 from http://h/", id="refused"),
        pytest.param(TooLarge("of a span"), "too large for it", id="too-large"),
        pytest.param(ValueError("with a secret"), "ValueError", id="a defect of ours"),
    ],
)
def test_it_tells_why_and_when_it_is_over(outcome: Outcome | Exception, why: str) -> None:
    """Of many failures in a row the first is told with its cause, and then that they are taken again."""
    said: list[str] = []
    exporter = OtlpMetricExporter(Deliverer(outcome, outcome, Delivered()), timeout_seconds=0.1, say=said.append)
    assert [exporter.export(some()) is OK for _ in range(3)] == [False, False, True]
    assert said == [f"metrics are not taken by the back end: {why}", "metrics are taken again"]


def test_what_the_back_end_says() -> None:
    """Points that it rejects are told in its words."""
    said: list[str] = []
    exporter = OtlpMetricExporter(Deliverer(Delivered(3, "too old")), timeout_seconds=1, say=said.append)
    assert exporter.export(some()) is OK
    assert said == ["back end on metrics, 3 rejected: too old"]


def test_the_end_comes_in_time() -> None:
    """At the end what is tried in vain is given up for the last export, which has the time until the deadline."""
    began = time.monotonic()
    exporter = OtlpMetricExporter(
        deliverer := Deliverer(AWAY, after=lambda: exporter.hurry(deadline=began + 1)), timeout_seconds=60, say=print
    )
    assert exporter.export(some()) is not OK
    assert len(deliverer.timeouts) == 1
    assert exporter.export(some()) is not OK
    assert len(deliverer.timeouts) > 2
    assert max(deliverer.timeouts[1:]) < 1
    assert time.monotonic() - began < 20


def test_a_last_export_that_was_not_made_is_told() -> None:
    """Where an export hangs until the end, the last counts were delivered by none; where the last one was, by it."""
    said: list[str] = []
    deliverer = Deliverer(Delivered(0, ""))
    exporter = OtlpMetricExporter(deliverer, timeout_seconds=60, say=said.append)
    assert exporter.export(some()) is OK
    exporter.hurry(deadline=time.monotonic() + 1)

    exporter.end()
    assert said == ["metrics are not taken by the back end: the last were not delivered in time"]

    assert exporter.export(some()) is OK
    exporter.end()
    assert said[1:] == ["metrics are taken again"]


def test_the_choices_agree() -> None:
    """What the variables allow is what there is."""
    assert tuple(TEMPORALITIES) == _TEMPORALITIES
    for temporality in _TEMPORALITIES:
        for histograms in _HISTOGRAMS:
            OtlpMetricExporter(
                Deliverer(AWAY), timeout_seconds=1, say=print, temporality=temporality, histograms=histograms
            )
