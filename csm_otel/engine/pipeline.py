"""From decoded datagrams to batches of spans: `Pipeline`, the stages in their order. Time is an argument.

`csm_otel.engine.agent` feeds it from sockets, by the clock of this machine; `csm_otel.commands.player` from a
recording, by the recording's.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from csm_otel.csm.events import ProcessEnd
from csm_otel.engine.origin_hold import OriginHold, OriginLookup, peer_of
from csm_otel.spans.measures import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from csm_otel.correlation.correlator import Correlator
    from csm_otel.correlation.released import Released
    from csm_otel.csm.decoding import Decoded
    from csm_otel.csm.events import Ended, Event, Origin, Peer
    from csm_otel.delivery.tee import Tee
    from csm_otel.engine.batches import Batcher
    from csm_otel.engine.counting import Counting
    from csm_otel.files.recorder import Recorder
    from csm_otel.spans.mapper import SpanMapper
    from csm_otel.spans.measures import Measurement
    from csm_otel.spans.processes import ProcessTraces

RELEASES_PER_STEP = 256  # so that the loop can receive meanwhile: each call is mapped and encoded
_AT_ONCE = 0.0  # a monotonic second that is long past


class Origins(OriginLookup, Protocol):
    """Identifies senders, and notices the end of their processes."""

    def note(self, event: Event, peer: Peer, *, received_ns: int, now: float) -> Peer:
        """Return the peer with its generation, which distinguishes it from earlier senders on its port."""

    def ended(self) -> list[Ended]:
        """Return the processes that have ended since the last call; all their datagrams have been received."""


class Pipeline:
    """Receive, correlate, wait for the origin, map, batch. Every ``now`` is monotonic seconds, by the same clock."""

    def __init__(
        self,
        *,
        correlator: Correlator,
        mapper: SpanMapper,
        batcher: Batcher,
        counting: Counting,
        origins: Origins | None = None,
        processes: ProcessTraces | None = None,
        recorder: Recorder | None = None,
        tee: Tee | None = None,
        record: Callable[[Iterable[Measurement]], None] | None = None,
    ) -> None:
        """Connect the stages.

        ``origins`` identifies the senders, if not known otherwise; ``processes`` has their root spans, if each process
        is a trace; ``record`` receives the measurements, if metrics are exported.
        """
        self._correlator = correlator
        self._mapper = mapper
        self._batcher = batcher
        self._counting = counting
        self._origins = origins
        self._processes = processes
        self._recorder = recorder
        self._tee = tee
        self._record = record
        self._hold = OriginHold(origins)
        self._released: list[Released] = []
        """Since the last `export`."""
        self._backlog: deque[Released] = deque()
        """Flushed from the correlator by `start_release`, not released yet."""

    def receive(self, decoded: Decoded, *, peer: Peer, received_ns: int, now: float) -> bool:
        """Correlate the events of a datagram, and return whether that has released anything.

        It is counted and exported with the next `advance`, once for all datagrams of a burst. ``received_ns`` is the
        wall time of the receipt in epoch nanoseconds.
        """
        self._counting.count_datagram(decoded)
        if self._tee is not None:
            self._tee.forward(decoded)
        origins, recorder, generation = self._origins, self._recorder, 0
        for event in decoded.events:
            sender = peer if origins is None else origins.note(event, peer, received_ns=received_ns, now=now)
            if recorder is not None:
                generation = max(generation, sender.generation)
            if released := self._correlator.receive(event, peer=sender, received_ns=received_ns, now=now):
                self._released += released
        if recorder is not None:
            sender = peer._replace(generation=generation)
            recorder.datagram(decoded, peer=sender, received_ns=received_ns, now=now)
        return bool(self._released)

    def record_kernel_drops(self, dropped: int, *, now: float) -> None:
        """Record how many datagrams the kernel has dropped since the start, over all sockets."""
        if self._counting.record_kernel_drops(dropped) and self._recorder is not None:
            self._recorder.drops(dropped, now=now)

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which `advance` is due, or None."""
        if self._backlog or self._released:
            return _AT_ONCE
        deadlines = (self._correlator.next_deadline(), self._hold.next_deadline(), self._batcher.next_deadline())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def advance(self, *, now: float, releases: int = RELEASES_PER_STEP) -> None:
        """Export what was released, and do what is due by ``now``, or newly known origins and ended processes allow.

        After `start_release` each step releases at most so many ``releases``.
        """
        self._end_processes(now)
        self._released += self._correlator.expire(now=now)
        self._released += [self._backlog.popleft() for _ in range(min(releases, len(self._backlog)))]
        self.export(now=now)
        self._batcher.flush_if_due(now=now)

    def export(self, *, now: float) -> None:
        """Export what was released and need not wait for its origin: of `advance` that which a release makes due."""
        self._hold_released(now)
        for one, origin in self._hold.pop_ready(now=now):
            if isinstance(one, ProcessEnd):
                if self._processes is not None:
                    self._processes.end(one.origin, end_ns=one.noticed_ns if one.is_exact else None)
                continue
            self._record_origin(one, origin, now)
            spans = self._mapper.map(one, origin)
            sampled = self._batcher.add(spans, now=now)
            if self._record is not None:
                self._record(measure(one, spans, sampled))
        if self._processes is not None:
            for root in self._processes.completed():
                self._batcher.add_root(root, now=now)

    @property
    def events_pending(self) -> int:
        """The number of events that wait for others in the correlator, or for a step to release them."""
        return self._correlator.pending_events + len(self._backlog)

    @property
    def is_releasing(self) -> bool:
        """Whether a later `advance` releases some of the events flushed by `start_release`."""
        return bool(self._backlog)

    @property
    def has_process_spans(self) -> bool:
        """Whether the end of a process completes a span."""
        return self._processes is not None

    def start_release(self) -> None:
        """Flush the correlator; each `advance` releases a part of it."""
        self._backlog.extend(self._correlator.flush())

    def abandon_backlog(self) -> None:
        """Drop everything not released since `start_release`, and count it as dropped."""
        self._counting.count_abandoned(self._backlog)
        self._backlog.clear()

    def origin_deadline(self) -> float | None:
        """Return the time until which the oldest released call waits for its origin, or None if none waits."""
        return self._hold.next_deadline()

    def stop_waiting_for_origins(self) -> None:
        """Make the next `advance` export the calls that wait for their origin."""
        self._hold.expire_all()

    def flush(self) -> None:
        """Send the current batch."""
        self._batcher.flush()

    def finish(self, *, now: float) -> None:
        """Send the last batch, with the root spans of running processes; at shutdown."""
        self._end_processes(now)
        self.export(now=now)
        if self._processes is not None:
            self._processes.flush()
            self.export(now=now)
        self._batcher.flush()

    def _hold_released(self, now: float) -> None:
        if self._released:
            released, self._released = self._released, []
            self._counting.count_released(released)
            self._hold.add(released, now=now)

    def _record_origin(self, released: Released, origin: Origin | None, now: float) -> None:
        if origin is not None:
            if self._recorder is not None:
                self._recorder.origin(origin, peer=peer_of(released), now=now)
        elif self._origins is not None and peer_of(released).is_loopback:
            self._counting.count_unknown_origin()

    def _end_processes(self, now: float) -> None:
        """Release the pending events of ended processes, and then end their root spans."""
        ends = self._origins.ended() if self._origins is not None else None
        if not ends:
            return
        for ended in ends:
            if self._recorder is not None:
                self._recorder.ended(ended, now=now)
            self._released += self._correlator.release_peers(ended.peers)
            self._hold_released(now)
            self._hold.add(ended.processes, now=now)
        self.export(now=now)
