"""The batcher: when a batch is sent, its destination, and each span in exactly one count."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING

import pytest
from delivery.samples import ATTEMPT, CALL, changed
from opentelemetry.sdk.trace import SpanLimits
from otlp_backend import DEADLINE_SECONDS, HttpBackend

from csm_otel.delivery.deliverer import open_deliverer
from csm_otel.delivery.destination import Destination
from csm_otel.delivery.encoding import encode
from csm_otel.delivery.queue import DeliveryQueue
from csm_otel.delivery.sampler_choice import choose_sampler
from csm_otel.delivery.sampling import HeadSampler, load_sampler
from csm_otel.engine.batches import Batcher
from csm_otel.files.filewriter import FileWriter
from csm_otel.files.otlp_json import OtlpJsonFile
from csm_otel.spans.data import SpanData, TraceContext
from csm_otel.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

TREE = [CALL, ATTEMPT]
DELAY_SECONDS = 5.0
TRACE_ID_IN_THE_UPPER_HALF = 2**64 - 1


class Rig:
    """A batcher with a tally, and the names of the spans it showed, batch by batch."""

    def __init__(
        self,
        *,
        sampler: str = "always_on",
        ratio: str | None = None,
        queue: Callable[[Tally], DeliveryQueue] | None = None,
        file: OtlpJsonFile | None = None,
        is_shown: bool = True,
        batch_spans: int = 4,
    ) -> None:
        self.tally = Tally()
        self.shown: list[list[str]] = []
        self.summarised: list[list[str]] = []
        self.queue = queue(self.tally) if queue else None
        self.writer = FileWriter(file, tally=None if queue else self.tally) if file else None
        self.batcher = Batcher(
            sampler=HeadSampler(load_sampler(choose_sampler(sampler, ratio or ""))),
            encode=partial(encode, limits=SpanLimits()),
            tally=self.tally,
            batch_spans=batch_spans,
            delay_seconds=DELAY_SECONDS,
            queue=self.queue,
            file=self.writer,
            show=self._show if is_shown else None,
            observers=[lambda spans: self.summarised.append([span.name for span in spans])],
        )

    def _show(self, spans: Sequence[SpanData]) -> None:
        self.shown.append([span.name for span in spans])

    def close_file(self) -> None:
        """Wait until the file has written its entries."""
        assert self.writer is not None
        self.writer.close(deadline_seconds=DEADLINE_SECONDS)

    def check_sum(self) -> None:
        """Check that each span created is in exactly one count."""
        tally = self.tally
        outcomes = tally.spans_unsampled + tally.spans_shown + tally.spans_delivered + tally.spans_rejected
        assert outcomes + tally.spans_dropped.total() == tally.spans_created


@pytest.fixture
def broken_file(tmp_path: Path) -> OtlpJsonFile:
    """Return a file that can be opened but not written: a pipe whose reader has closed it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    file = OtlpJsonFile(path)
    os.close(reader)
    return file


def names_in(path: Path) -> list[list[str]]:
    """Return the names of the spans in a file, line by line."""
    return [
        [
            span["name"]
            for resource_spans in json.loads(line)["resourceSpans"]
            for scope_spans in resource_spans["scopeSpans"]
            for span in scope_spans["spans"]
        ]
        for line in path.read_text("utf-8").splitlines()
    ]


# When a batch leaves


def test_a_full_batch_leaves() -> None:
    """A batch leaves as soon as it is full, with the spans of one call together."""
    rig = Rig(batch_spans=4)

    rig.batcher.add(TREE, now=0.0)
    assert not rig.shown
    rig.batcher.add(TREE, now=0.0)

    assert rig.shown == [[CALL.name, ATTEMPT.name] * 2]
    assert rig.batcher.next_deadline() is None


def test_a_decided_root_is_not_asked_about_again() -> None:
    """A root whose children came first is exported if its context is sampled, and is counted in any case."""
    rig = Rig(sampler="always_off", batch_spans=1)
    sampled, unsampled = (
        changed(CALL, context=TraceContext(trace_id=1, span_id=1, sampled=is_sampled)) for is_sampled in (True, False)
    )

    rig.batcher.add_root(unsampled, now=0.0)
    rig.batcher.add_root(sampled, now=0.0)

    assert rig.shown == [[CALL.name]]
    assert (rig.tally.spans_created, rig.tally.spans_unsampled) == (2, 1)
    rig.check_sum()


def test_an_old_batch_leaves() -> None:
    """A batch leaves when its first span has waited long enough, and no earlier."""
    rig = Rig()
    assert rig.batcher.next_deadline() is None

    rig.batcher.add([CALL], now=100.0)
    rig.batcher.add([ATTEMPT], now=104.0)
    assert rig.batcher.next_deadline() == pytest.approx(105.0)
    rig.batcher.flush_if_due(now=104.9)
    assert not rig.shown
    rig.batcher.flush_if_due(now=105.0)

    assert rig.shown == [[CALL.name, ATTEMPT.name]]
    assert rig.batcher.next_deadline() is None


def test_a_new_batch_has_its_own_deadline() -> None:
    """The deadline is that of the waiting batch, not of the one that has left."""
    rig = Rig()
    rig.batcher.add([CALL], now=100.0)
    rig.batcher.flush()

    rig.batcher.add([ATTEMPT], now=102.0)

    assert rig.batcher.next_deadline() == pytest.approx(107.0)


def test_nothing_to_flush() -> None:
    """An empty batch is not sent."""
    rig = Rig()

    rig.batcher.flush()
    rig.batcher.flush_if_due(now=1e9)
    rig.batcher.add([], now=0.0)

    assert not rig.shown
    assert rig.batcher.next_deadline() is None
    assert Tally() == rig.tally


# Sampling


def test_unsampled_spans_are_counted() -> None:
    """Unsampled spans are counted, go nowhere, and set no deadline."""
    rig = Rig(sampler="always_off")

    rig.batcher.add(TREE, now=0.0)

    assert (rig.tally.spans_created, rig.tally.spans_unsampled) == (2, 2)
    assert rig.batcher.next_deadline() is None
    rig.batcher.flush()
    assert not rig.shown
    rig.check_sum()


def test_some_are_sampled() -> None:
    """A tree is sampled as a whole, or not."""
    rig = Rig(sampler="traceidratio", ratio="0.5")
    unsampled = [
        changed(span, context=TraceContext(trace_id=TRACE_ID_IN_THE_UPPER_HALF, span_id=span.context.span_id))
        for span in TREE
    ]
    sampled = [changed(span, context=TraceContext(trace_id=1, span_id=span.context.span_id)) for span in TREE]

    for tree in (unsampled, sampled, unsampled):
        rig.batcher.add(tree, now=0.0)
    rig.batcher.flush()

    assert (rig.tally.spans_created, rig.tally.spans_unsampled, rig.tally.spans_shown) == (6, 4, 2)
    assert rig.shown == [[CALL.name, ATTEMPT.name]]
    rig.check_sum()


# Destinations


@pytest.mark.parametrize("is_shown", [pytest.param(True, id="screen"), pytest.param(False, id="nowhere")])
def test_shown(is_shown: bool) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
    """With neither back end nor file spans count as shown."""
    rig = Rig(is_shown=is_shown)

    rig.batcher.add(TREE, now=0.0)
    rig.batcher.flush()

    assert len(rig.shown) == is_shown
    assert rig.tally.spans_shown == 2
    rig.check_sum()


def test_file(tmp_path: Path) -> None:
    """Each batch is a line of the file, and its spans are delivered."""
    path = tmp_path / "out.jsonl"
    file = OtlpJsonFile(path)
    rig = Rig(file=file)

    for _ in range(2):
        rig.batcher.add(TREE, now=0.0)
        rig.batcher.flush()
    rig.close_file()

    assert names_in(path) == [[CALL.name, ATTEMPT.name]] * 2
    assert len(rig.shown) == 2
    assert rig.tally.spans_delivered == 4
    rig.check_sum()


def test_a_file_that_fails(broken_file: OtlpJsonFile) -> None:
    """Spans that could not be written are dropped for that reason."""
    rig = Rig(file=broken_file)

    for _ in range(3):
        rig.batcher.add(TREE, now=0.0)
        rig.batcher.flush()
    rig.close_file()

    assert dict(rig.tally.spans_dropped) == {"file": 6}
    assert rig.tally.spans_delivered == 0
    rig.check_sum()


def deliver_to(backend: HttpBackend) -> Callable[[Tally], DeliveryQueue]:
    """Return a factory of queues that deliver to the back end."""

    def make(tally: Tally) -> DeliveryQueue:
        return DeliveryQueue(
            open_deliverer(Destination(url=backend.url)),
            tally=tally,
            limit_bytes=1_000_000,
            limit_spans=None,
            timeout_seconds=10.0,
            say=lambda _: None,
        )

    return make


def test_back_end() -> None:
    """Each batch is a request to the back end, and its spans are delivered."""
    with HttpBackend() as backend:
        rig = Rig(queue=deliver_to(backend))
        rig.batcher.add([*TREE, CALL], now=0.0)
        rig.batcher.add(TREE, now=0.0)
        rig.batcher.add([CALL], now=0.0)
        rig.batcher.flush()
        backend.wait_for_accepted(2)
        assert rig.queue is not None
        rig.queue.close(deadline_seconds=10.0)

        calls_and_attempts = [CALL.name, ATTEMPT.name, CALL.name, CALL.name, ATTEMPT.name, CALL.name]
        assert [span.name for span in backend.spans] == calls_and_attempts
    assert rig.tally.spans_delivered == 6
    rig.check_sum()


def test_the_back_end_counts(broken_file: OtlpJsonFile) -> None:
    """With a back end, its outcome counts: a failing file drops no span, and none counts twice."""
    with HttpBackend() as backend:
        rig = Rig(queue=deliver_to(backend), file=broken_file)
        rig.batcher.add(TREE, now=0.0)
        rig.batcher.flush()
        backend.wait_for_accepted(1)
        assert rig.queue is not None
        rig.queue.close(deadline_seconds=10.0)
    rig.close_file()

    assert rig.tally.spans_delivered == 2
    assert not rig.tally.spans_dropped
    rig.check_sum()


@pytest.mark.parametrize("at", range(4))
def test_a_span_that_cannot_be_encoded_costs_itself(tmp_path: Path, at: int) -> None:
    """A span that cannot be encoded is dropped and counted; the others are exported."""
    path = tmp_path / "out.jsonl"
    rig = Rig(file=OtlpJsonFile(path), is_shown=False)
    for number in range(4):
        rig.batcher.add([changed(CALL, name=f"call {number}", start_ns=-1 if number == at else CALL.start_ns)], now=0.0)
    rig.close_file()

    assert rig.tally.spans_dropped == {"unencodable": 1}
    assert rig.tally.spans_delivered == 3
    names = [name for line in names_in(path) for name in line]
    assert names == [f"call {number}" for number in range(4) if number != at]


def test_summarised() -> None:
    """A summary is of all spans, sampled or not."""
    rig = Rig(sampler="always_off")
    rig.batcher.add([CALL, ATTEMPT], now=0.0)
    rig.batcher.add_root(CALL, now=0.0)
    rig.batcher.flush()

    assert (rig.summarised, rig.tally.spans_unsampled) == ([[CALL.name, ATTEMPT.name], [CALL.name]], 2)
