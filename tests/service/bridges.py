"""Pipelines without sockets or a back end, for the service of a running daemon."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from configured import configured
from datagrams import attempt

from csm_otel.commands.wiring import build_bridge
from csm_otel.csm.decoding import decode
from csm_otel.csm.events import Peer
from csm_otel.engine.source import Source
from csm_otel.files.replayed_origins import ReplayedOrigins
from csm_otel.process.speaker import Speaker

if TYPE_CHECKING:
    from csm_otel.delivery.queue import DeliveryQueue
    from csm_otel.engine.bridge import Bridge
    from csm_otel.intake.finder import OriginFinder
    from csm_otel.intake.receiver import Receiver
    from csm_otel.spans.data import SpanData

PEER = Peer("127.0.0.1", 40_000)
HELD_PEER = PEER._replace(generation=1)
"""A peer whose process is being looked up, and never found."""


class HeldQueue:
    """Replaces the queue to a back end, which has everything once ``has_all`` is set."""

    def __init__(self) -> None:
        self.has_all = False
        self.marks = 0

    def mark(self) -> int:
        """Return the position after the last request."""
        self.marks += 1
        return self.marks

    def is_flushed(self, mark: int) -> bool:
        """Return whether everything before the mark has been delivered."""
        assert 0 < mark <= self.marks
        return self.has_all


class Ends:
    """Replaces the finder of origins: ends of processes that have been noticed, by when they are due."""

    def __init__(self, *deadlines: float) -> None:
        self.deadlines = list(deadlines)

    def next_deadline(self) -> float | None:
        """Return when the first is due."""
        return self.deadlines[0] if self.deadlines else None

    def last_deadline(self) -> float | None:
        """Return when the last is due."""
        return self.deadlines[-1] if self.deadlines else None


def bridge_to(shown: list[SpanData], *receivers: Receiver, **settings: Any) -> Bridge:
    """Return a pipeline that shows its spans."""
    return build_bridge(
        configured(**settings),
        source=Source(receivers=receivers, origins=ReplayedOrigins()),
        speaker=Speaker(io.StringIO()),
        show=shown.extend,
        faults=[],
    )


def with_queue(bridge: Bridge, queue: HeldQueue) -> Bridge:
    """Return the pipeline with a queue to a back end beside it."""
    return bridge._replace(outlets=replace(bridge.outlets, queue=cast("DeliveryQueue", queue)))


def with_ends(bridge: Bridge, ends: Ends) -> Bridge:
    """Return the pipeline with ends of processes that have been noticed."""
    return bridge._replace(origins=cast("OriginFinder", ends))


def receive_attempt(bridge: Bridge, *, now: float, peer: Peer = PEER) -> None:
    """Receive an attempt, which waits for its call."""
    decoded = decode(attempt())
    bridge.pipeline.receive(decoded, peer=peer, received_ns=1, now=now)
