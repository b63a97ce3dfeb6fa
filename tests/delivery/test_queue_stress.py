"""The queue under all faults at once: puts, a back end and a disk that fail at random, ends at any moment."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, TypeVar

import pytest
from delivery.queue_runs import Run
from delivery.samples import CALL, changed
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import SpanLimits
from otlp_backend import DEADLINE_SECONDS

from csm_otel.delivery import disk
from csm_otel.delivery.encoding import encode
from csm_otel.delivery.outcome import Delivered, Outcome, Refused, TooLarge, Unavailable
from csm_otel.delivery.spool import Spool, Spooled
from csm_otel.errors import SpoolError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

T = TypeVar("T")

RUNS = 4
PUTS = 120
MOST_SPANS = 3
"""The most that the back end accepts at once; larger requests are split."""


class _Moody:
    """A back end with random answers that remembers the arrived spans."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._is_closed = threading.Event()
        self.arrived: list[int] = []
        """The numbers of the spans, repeats included."""

    def deliver(self, request: bytes, *, timeout_seconds: float) -> Outcome:
        del timeout_seconds
        self._is_closed.wait(self._chance.choice([0, 0, 0, 0.001]))
        numbers = _numbers(request)
        if len(numbers) > MOST_SPANS:
            return TooLarge("too large")
        if numbers[0] % 20 == 0:
            return Refused("no")
        mood = self._chance.random()
        if mood < 0.2:
            return Unavailable("away")
        if mood < 0.3:
            return Unavailable("no answer", may_have_arrived=True)
        if mood < 0.4:
            self.arrived += numbers
            return Unavailable("no answer", may_have_arrived=True)
        self.arrived += numbers
        return Delivered(self._chance.choice([0, 0, 0, 1]))

    def close(self) -> None:
        self._is_closed.set()


class _Unsteady(Spool):
    """A spool whose disk refuses at random, but for what order and counting of repeats are known to need."""

    chance: random.Random | None = None
    _is_needed = False

    def first(self) -> Spooled | None:
        self._is_needed = True
        try:
            return super().first()
        finally:
            self._is_needed = False

    def record_tries(self, key: int, tries: int) -> None:
        self._is_needed = True
        try:
            super().record_tries(key, tries)
        finally:
            self._is_needed = False

    def _transact(self, change: Callable[[], T]) -> T:
        if self.chance is not None and not self._is_needed and self.chance.random() < 0.2:
            raise SpoolError("database or disk is full")
        return super()._transact(change)


def _numbers(request: bytes) -> list[int]:
    return [
        int(span.name)
        for resource_spans in ExportTraceServiceRequest.FromString(request).resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def _requests(chance: random.Random, first: int) -> list[tuple[bytes, int]]:
    requests = []
    for _ in range(PUTS):
        spans = chance.randint(1, 2 * MOST_SPANS)
        named = [changed(CALL, name=str(number)) for number in range(first, first + spans)]
        requests.append((encode(named, limits=SpanLimits()), spans))
        first += spans
    return requests


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("has_spool", [pytest.param(True, id="disk"), pytest.param(False, id="memory")])
def test_nothing_is_lost_uncounted_or_out_of_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, *, has_spool: bool
) -> None:
    """Over several runs: each span is in one count, spans arrive in order, and more than once only if counted.

    Counts do not change once `close` has returned.
    """
    monkeypatch.setattr(disk, "_RETRY_SECONDS", 0.001)
    chance = random.Random(seed)
    arrived: list[int] = []
    repeated = put = left = 0
    for _ in range(RUNS):
        spool = _Unsteady(tmp_path / "spool", limit_bytes=chance.choice([15_000, 10_000_000])) if has_spool else None
        deliverer = _Moody(chance)
        run = Run(deliverer, spool=spool, limit_bytes=chance.choice([10_000, 1_000_000]))
        if spool is not None:
            spool.chance = chance
            assert left <= run.tally.spans_recovered
        taken_in = run.tally.spans_recovered
        for request, spans in _requests(chance, put):
            run.put(request, spans=spans)
            put += spans
            taken_in += spans
            if chance.random() < 0.05:
                run.queue.wait_for_room(unless=lambda: False)
        if chance.random() < 0.3:
            threading.Timer(chance.random() / 50, run.queue.cancel).start()
        run.close(chance.choice([0.0, 0.02, DEADLINE_SECONDS]))
        tally = run.tally
        left = tally.spans_spooled
        counts = (tally.spans_delivered, tally.spans_rejected, left, dict(tally.spans_dropped), tally.spans_repeated)
        assert taken_in == tally.spans_delivered + tally.spans_rejected + left + tally.spans_dropped.total(), counts
        for thread in run.queue._threads:
            thread.join(DEADLINE_SECONDS)
        after = (tally.spans_delivered, tally.spans_rejected, tally.spans_spooled, dict(tally.spans_dropped))
        assert after == counts[:-1]
        arrived += deliverer.arrived
        repeated += tally.spans_repeated
    _check_order(arrived)
    assert len(arrived) - len(set(arrived)) <= repeated


def _check_order(arrived: Sequence[int]) -> None:
    firsts = list(dict.fromkeys(arrived))
    assert firsts == sorted(firsts)
