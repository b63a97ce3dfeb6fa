"""Draining a pipeline: everything pending is released in steps, and origins are waited for, but not for long."""

from __future__ import annotations

import io
import math

import pytest
from configured import configured
from datagrams import BASE_MS, attempt

from csm_otel.commands.wiring import build_bridge
from csm_otel.csm.decoding import decode
from csm_otel.csm.events import Origin, Peer
from csm_otel.csm.times import NS_PER_MS
from csm_otel.engine.drain import Drain
from csm_otel.engine.origin_hold import HOLD_SECONDS
from csm_otel.engine.source import Source
from csm_otel.files.replayed_origins import ReplayedOrigins
from csm_otel.process.speaker import Speaker

UNRESOLVED = Peer("127.0.0.1", 40_000, generation=1)
"""A peer whose process is being looked up."""
KNOWN_AT_ONCE = UNRESOLVED._replace(generation=0)
ORIGIN = Origin(pid=7, start_ticks=1, start_ns=0, name="nightly.py")


class Rig:
    """A pipeline that keeps attempts until they are released."""

    def __init__(self) -> None:
        self.origins = ReplayedOrigins()
        self.bridge = build_bridge(
            configured(),
            source=Source(origins=self.origins),
            speaker=Speaker(io.StringIO()),
            show=lambda _spans: None,
            faults=[],
        )
        self.pipeline, self.tally = self.bridge.pipeline, self.bridge.tally

    def receive(self, count: int, *, peer: Peer = KNOWN_AT_ONCE, now: float = 100.0) -> None:
        """Receive attempts without their call."""
        for number in range(count):
            decoded = decode(attempt(ClientId=f"sender {number}"))
            self.pipeline.receive(decoded, peer=peer, received_ns=BASE_MS * NS_PER_MS, now=now)

    @property
    def exported(self) -> int:
        """How many orphans have become spans."""
        return self.tally.spans_created - self.tally.spans_dropped.total()


def test_nothing_is_pending() -> None:
    """An empty pipeline is drained with the first step."""
    rig = Rig()

    drain = Drain(rig.pipeline)

    assert drain.advance(now=100.0)
    assert (rig.tally.spans_created, rig.tally.spans_dropped) == (0, {})


def test_everything_is_released_in_steps() -> None:
    """Each step releases its part, and the next is due at once until all has been released."""
    rig = Rig()
    rig.receive(25)
    drain = Drain(rig.pipeline, releases_per_step=10)

    steps = []
    for _ in range(3):
        assert drain.next_deadline() == -math.inf
        steps.append((drain.advance(now=100.0), rig.exported))

    assert steps == [(False, 10), (False, 20), (True, 25)]
    assert rig.tally.orphans == {"flushed": 25}


def test_later_datagrams() -> None:
    """A drain of a running pipeline ends while datagrams keep arriving, and leaves those pending."""
    rig = Rig()
    rig.receive(5)
    drain = Drain(rig.pipeline, releases_per_step=10)
    rig.receive(3)

    assert drain.advance(now=100.0)
    assert (rig.exported, rig.pipeline.events_pending) == (5, 3)


def test_origins_are_waited_for() -> None:
    """A call whose sender is being looked up is exported when the origin is known."""
    rig = Rig()
    rig.receive(1, peer=UNRESOLVED)
    drain = Drain(rig.pipeline, deadline=200.0)

    assert not drain.advance(now=100.0)
    assert drain.next_deadline() == pytest.approx(100.0 + HOLD_SECONDS)
    assert rig.exported == 0
    rig.origins.add_origin(UNRESOLVED, ORIGIN)

    assert drain.advance(now=100.1)
    assert (rig.exported, rig.tally.origins_unknown) == (1, 0)


def test_origins_are_not_waited_for_long() -> None:
    """Without an answer the call is exported after the hold, without an origin."""
    rig = Rig()
    rig.receive(1, peer=UNRESOLVED)
    drain = Drain(rig.pipeline)

    assert not drain.advance(now=100.0)
    assert not drain.advance(now=100.0 + HOLD_SECONDS - 0.01)
    assert drain.advance(now=100.0 + HOLD_SECONDS)
    assert (rig.exported, rig.tally.origins_unknown) == (1, 1)


def test_the_wait_for_origins_ends_while_calls_arrive() -> None:
    """Later calls that wait for their origins do not prolong the drain."""
    rig = Rig()
    rig.receive(1, peer=UNRESOLVED)
    drain = Drain(rig.pipeline)
    rig.pipeline.advance(now=100.0)
    assert not drain.is_done(now=100.0)

    rig.receive(1, peer=UNRESOLVED, now=100.2)
    Drain(rig.pipeline)
    rig.pipeline.advance(now=100.2)

    assert not drain.is_done(now=100.2)
    assert drain.is_done(now=100.0 + HOLD_SECONDS)
    assert rig.pipeline.origin_deadline() is not None


def test_cancelling() -> None:
    """After it the next step is the last, whatever time is left."""
    rig = Rig()
    rig.receive(25, peer=UNRESOLVED)
    drain = Drain(rig.pipeline, releases_per_step=10)
    assert not drain.advance(now=100.0)

    drain.cancel()

    assert drain.advance(now=100.0)
    assert (rig.tally.spans_created, rig.tally.spans_dropped) == (25, {"shutdown": 15})


def test_the_deadline() -> None:
    """At the deadline nothing waits for its origin, and what has not been released is dropped and counted."""
    rig = Rig()
    rig.receive(25, peer=UNRESOLVED)
    drain = Drain(rig.pipeline, deadline=100.1, releases_per_step=10)

    assert not drain.advance(now=100.0)
    assert rig.exported == 0
    assert drain.advance(now=100.1)

    assert rig.exported == 10
    assert (rig.tally.spans_created, rig.tally.spans_dropped) == (25, {"shutdown": 15})
    assert rig.tally.orphans == {"flushed": 25}
