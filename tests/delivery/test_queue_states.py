"""The transitions of the queue: the cause of each, on a manual clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from delivery.committing import SlowDisk
from delivery.queue_runs import Run, Scripted
from delivery.samples import CALL, changed
from manual_clock import ManualClock
from opentelemetry.sdk.trace import SpanLimits
from otlp_backend import DEADLINE_SECONDS, wait_until

from csm_otel.delivery.disk import _RETRY_SECONDS
from csm_otel.delivery.encoding import encode
from csm_otel.delivery.outcome import Delivered, Outcome, Refused, TooLarge, Unavailable
from csm_otel.delivery.spool import Spool
from csm_otel.delivery.states import DiskState, RequestState
from csm_otel.errors import SpoolError
from csm_otel.files.states import QueueState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PLENTY = 10_000_000
AWAY = Unavailable("away", retry_after_seconds=60.0)
TWO_SPANS = encode([changed(CALL, name="one"), changed(CALL, name="two")], limits=SpanLimits())


def sending(*outcomes: Outcome, spool: Spool | None = None) -> tuple[Run, Scripted]:
    """Return a queue whose first request is under way, and will have these outcomes."""
    deliverer = Scripted(list(outcomes), is_open=False)
    run = Run(deliverer, spool=spool, clock=ManualClock())
    assert (run.state, run.request_state) == (QueueState.OPEN, RequestState.IDLE)
    run.put(TWO_SPANS, spans=2)
    wait_until(lambda: deliverer.tried)
    assert run.request_state is RequestState.SENDING
    return run, deliverer


def disk_state(run: Run) -> DiskState:
    """Return the state of a queue's disk."""
    assert run.queue._disk is not None
    return run.queue._disk._machine.state


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        pytest.param(Delivered(), RequestState.IDLE, id="delivered"),
        pytest.param(Refused("no"), RequestState.IDLE, id="refused"),
        pytest.param(AWAY, RequestState.BACKING_OFF, id="unavailable"),
    ],
)
def test_the_transition_of_each_outcome(outcome: Outcome, expected: RequestState) -> None:
    """A final outcome ends in IDLE, any other in BACKING_OFF."""
    run, deliverer = sending(outcome)
    deliverer.gate.set()
    wait_until(lambda: run.request_state is expected)
    run.close(0.0)


def test_a_backoff_ends_in_another_try() -> None:
    """BACKING_OFF lasts until its time has come, even if requests are put meanwhile."""
    run, deliverer = sending(AWAY)
    deliverer.gate.set()
    wait_until(lambda: run.request_state is RequestState.BACKING_OFF)
    deliverer.gate.clear()
    run.put(b"more")
    run.pass_time(59.0)
    assert run.request_state is RequestState.BACKING_OFF
    run.pass_time(1.0)
    wait_until(lambda: run.request_state is RequestState.SENDING)
    deliverer.gate.set()
    wait_until(lambda: run.request_state is RequestState.IDLE)
    run.close(0.0)


def test_an_outcome_is_being_accounted_for_while_the_disk_works(tmp_path: Path) -> None:
    """ACCOUNTING lasts until the disk has removed the delivered request."""
    spool = Spool(tmp_path, limit_bytes=PLENTY)
    run, deliverer = sending(spool=spool)
    disk = SlowDisk(spool)
    deliverer.gate.set()
    assert disk.waits.wait(DEADLINE_SECONDS)
    assert run.request_state is RequestState.ACCOUNTING
    disk.goes_on.set()
    wait_until(lambda: run.request_state is RequestState.IDLE)
    run.close(0.0)


class _Refusing(Spool):
    """A spool whose disk refuses requests."""

    refuses = False

    def put(self, requests: Sequence[tuple[bytes, int]], *, tries: Sequence[int] = ()) -> int:
        if self.refuses:
            raise SpoolError("database or disk is full")
        return super().put(requests, tries=tries)

    def replace_first(self, key: int, halves: Sequence[tuple[bytes, int]] = ()) -> bool:
        if self.refuses:
            raise SpoolError("database or disk is full")
        return super().replace_first(key, halves)


def test_halves_that_the_disk_refuses_are_backed_off(tmp_path: Path) -> None:
    """From ACCOUNTING the way leads to BACKING_OFF then, and the whole request is tried again."""
    spool = _Refusing(tmp_path, limit_bytes=PLENTY)
    run, deliverer = sending(TooLarge("too large"), spool=spool)
    spool.refuses = True
    deliverer.gate.set()
    wait_until(lambda: run.request_state is RequestState.BACKING_OFF)
    spool.refuses = False
    run.pass_time(1.0)
    wait_until(lambda: run.tally.spans_delivered == 2)
    assert deliverer.tried == [TWO_SPANS, TWO_SPANS]
    run.close(0.0)


def test_a_request_that_cannot_be_split_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be no memory, or no descriptor to load a module, for that; the next requests are delivered."""

    def fail(_request: bytes) -> None:
        raise MemoryError

    monkeypatch.setattr("csm_otel.delivery.splitting.split", fail)
    run, deliverer = sending(TooLarge("too large"))
    run.put(b"next")
    deliverer.gate.set()
    wait_until(lambda: run.tally.spans_delivered == 1)
    run.close(0.0)
    assert sum(run.dropped.values()) == 2


def test_the_queue_is_closing_until_all_is_delivered() -> None:
    """Requests put while CLOSING are delivered as well; then the queue is CLOSED and later ones are dropped."""
    run, deliverer = sending()
    closing = run.begin_to_close(60.0)
    run.put(b"late")
    deliverer.gate.set()
    closing.result(DEADLINE_SECONDS)
    assert run.state is QueueState.CLOSED
    run.put(b"too late")
    assert (run.tally.spans_delivered, run.dropped) == (3, {"shutdown": 1})


@pytest.mark.parametrize("reason", ["deadline", "cancel", "cancel-before", "back-end-asks-for-more"])
def test_closing_ends_early(reason: str) -> None:
    """At the deadline, by a cancel before or during it, or where nothing can be delivered before the deadline."""
    run, deliverer = sending(AWAY)
    if reason == "cancel-before":
        run.queue.cancel()
    if reason == "back-end-asks-for-more":
        deliverer.gate.set()
        wait_until(lambda: run.request_state is RequestState.BACKING_OFF)
        run.close(60.0)
    elif reason == "cancel-before":
        run.close(60.0)
    else:
        closing = run.begin_to_close(60.0)
        if reason == "deadline":
            run.pass_time(60.0)
        else:
            run.queue.cancel()
        closing.result(DEADLINE_SECONDS)
    assert run.state is QueueState.CLOSED
    assert run.dropped == {"shutdown": 2}
    deliverer.gate.set()
    run.queue._threads[0].join(DEADLINE_SECONDS)
    assert (run.tally.spans_delivered, run.dropped) == (0, {"shutdown": 2})


def test_the_states_of_the_disk(tmp_path: Path) -> None:
    """Requests are moved as they are put; refused ones are retried later, and the disk fails until one succeeds."""
    spool = _Refusing(tmp_path, limit_bytes=PLENTY)
    run = Run(Scripted([AWAY], is_open=False), spool=spool, clock=ManualClock())
    slow = SlowDisk(spool)

    run.put(b"one")
    wait_until(lambda: disk_state(run) is DiskState.MOVING)
    slow.goes_on.set()
    wait_until(lambda: disk_state(run) is DiskState.READY)

    spool.refuses = True
    run.put(b"two")
    wait_until(lambda: disk_state(run) is DiskState.REFUSED)
    assert not run.queue.is_spooling

    spool.refuses = False
    slow.goes_on.clear()
    run.pass_time(_RETRY_SECONDS)
    wait_until(lambda: disk_state(run) is DiskState.RETRYING)
    assert not run.queue.is_spooling
    slow.goes_on.set()
    wait_until(lambda: disk_state(run) is DiskState.READY)
    assert run.queue.is_spooling
    run.close(0.0)
