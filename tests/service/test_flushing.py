"""One flush, step by step on numbers: released, held for its origin, exported, delivered, or failed."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from datagrams import attempt
from service.bridges import HELD_PEER, Ends, HeldQueue, bridge_to, receive_attempt, with_ends, with_queue

from csm_otel.engine.origin_hold import HOLD_SECONDS
from csm_otel.intake.receiver import Receiver
from csm_otel.process.waker import Waker
from csm_otel.service.flushing import Flushing

if TYPE_CHECKING:
    from csm_otel.engine.bridge import Bridge
    from csm_otel.spans.data import SpanData

DELIVERED = ""
MOST_TURNS = 20


@pytest.fixture
def shown() -> list[SpanData]:
    """Return the stream of the shown spans."""
    return []


@pytest.fixture
def bridge(shown: list[SpanData]) -> Bridge:
    """Return a pipeline without sockets."""
    return bridge_to(shown)


def turns(bridge: Bridge, flushing: Flushing, now: float) -> str | None:
    """Return the result of the flush after that many turns of the loop at one moment."""
    for _ in range(MOST_TURNS):
        bridge.pipeline.advance(now=now)
        if (why_not := flushing.advance(now=now)) is not None:
            return why_not
    return None


def test_everything_is_delivered(bridge: Bridge, shown: list[SpanData]) -> None:
    """An attempt that waits for its call is released and exported, and the flush has ended."""
    receive_attempt(bridge, now=0.0)
    assert bridge.snapshot().events_pending == 1
    flushing = Flushing(bridge, timeout_seconds=10.0, now=0.0, requested_ns=1)

    assert turns(bridge, flushing, 0.0) == DELIVERED
    assert bridge.snapshot().events_pending == 0
    assert [span.name for span in shown] == ["S3.GetObject attempt"]


def test_nothing_to_flush(bridge: Bridge) -> None:
    """If nothing is pending it ends at once, but only after a turn of the loop."""
    flushing = Flushing(bridge, timeout_seconds=10.0, now=0.0, requested_ns=1)
    assert flushing.advance(now=0.0) is None
    assert turns(bridge, flushing, 0.0) == DELIVERED


def test_the_loop_has_its_turn_first(bridge: Bridge) -> None:
    """Datagrams that arrived before the request are received before anything is released."""
    receive_attempt(bridge, now=0.0)
    flushing = Flushing(bridge, timeout_seconds=10.0, now=0.0, requested_ns=1)
    assert flushing.advance(now=0.0) is None
    assert not bridge.pipeline.is_releasing
    receive_attempt(bridge, now=0.0)
    assert flushing.advance(now=0.0) is None
    assert bridge.pipeline.is_releasing
    assert bridge.snapshot().events_pending == 2


def test_datagrams_in_a_socket(shown: list[SpanData]) -> None:
    """Datagrams waiting in a socket are received first; until then nothing is released."""
    with (
        closing(Receiver.bind("127.0.0.1", 0)) as receiver,
        closing(Waker()) as waker,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        bridge = bridge_to(shown, receiver)
        sender.sendto(attempt(), receiver.address)
        flushing = Flushing(bridge, timeout_seconds=10.0, now=0.0, requested_ns=time.time_ns())
        assert turns(bridge, flushing, 0.0) is None
        assert not flushing.is_waiting

        bridge.run(until=lambda: bridge.snapshot().attempts == 1, wake=waker)

        assert turns(bridge, flushing, 0.0) == DELIVERED
    assert len(shown) == 1


def test_a_back_end_that_is_slow(bridge: Bridge) -> None:
    """A flush lasts until the back end has everything; meanwhile it only waits."""
    queue = HeldQueue()
    bridge = with_queue(bridge, queue)
    receive_attempt(bridge, now=0.0)
    flushing = Flushing(bridge, timeout_seconds=10.0, now=0.0, requested_ns=1)
    assert not flushing.is_waiting

    assert turns(bridge, flushing, 9.9) is None
    assert flushing.is_waiting
    queue.has_all = True

    assert turns(bridge, flushing, 9.9) == DELIVERED


@pytest.mark.parametrize(
    ("timeout_seconds", "why_not"),
    [pytest.param(10.0, "not within 10 s", id="seconds"), pytest.param(0.5, "not within 0.5 s", id="fraction")],
)
def test_the_timeout(bridge: Bridge, timeout_seconds: float, why_not: str) -> None:
    """A flush that has not ended at its timeout has failed."""
    bridge = with_queue(bridge, HeldQueue())
    flushing = Flushing(bridge, timeout_seconds=timeout_seconds, now=100.0, requested_ns=1)
    assert turns(bridge, flushing, 100.0 + timeout_seconds - 0.1) is None

    assert turns(bridge, flushing, 100.0 + timeout_seconds) == why_not


def test_losses(bridge: Bridge) -> None:
    """A flush during which spans are dropped or rejected has failed; earlier losses do not count."""
    bridge.tally.spans_dropped["queue_full"] += 5
    queue = HeldQueue()
    bridge = with_queue(bridge, queue)
    flushing = Flushing(bridge, timeout_seconds=10.0, now=0.0, requested_ns=1)
    assert turns(bridge, flushing, 0.0) is None
    bridge.tally.spans_dropped["refused"] += 1
    bridge.tally.spans_rejected += 1
    queue.has_all = True

    assert turns(bridge, flushing, 0.0) == "2 spans dropped or rejected"


def test_an_attempt_whose_origin_is_looked_up(bridge: Bridge, shown: list[SpanData]) -> None:
    """A call that waits for its origin is held no longer than usual, and released without it then."""
    receive_attempt(bridge, now=0.0, peer=HELD_PEER)
    flushing = Flushing(bridge, timeout_seconds=10.0, now=0.0, requested_ns=1)

    assert turns(bridge, flushing, HOLD_SECONDS - 0.01) is None
    assert shown == []
    assert turns(bridge, flushing, 2 * HOLD_SECONDS) == DELIVERED
    assert len(shown) == 1


def test_processes_that_have_ended(shown: list[SpanData]) -> None:
    """Where each process is a trace, the ends that were noticed before are waited for, and later ones are not."""
    ends = Ends(1.0, 1.2)
    bridge = with_ends(bridge_to(shown, group="process"), ends)
    flushing = Flushing(bridge, timeout_seconds=10.0, now=0.0, requested_ns=1)
    assert turns(bridge, flushing, 0.0) is None
    assert flushing.is_waiting

    ends.deadlines = [1.2, 1.5]
    assert turns(bridge, flushing, 1.1) is None
    ends.deadlines = [1.5]
    assert turns(bridge, flushing, 1.2) == DELIVERED


def test_ends_that_complete_nothing(bridge: Bridge) -> None:
    """Where each call is a trace, no end of a process is waited for."""
    flushing = Flushing(with_ends(bridge, Ends(1.0)), timeout_seconds=10.0, now=0.0, requested_ns=1)
    assert turns(bridge, flushing, 0.0) == DELIVERED
