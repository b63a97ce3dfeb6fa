"""From what datagrams held to exported spans: correlate, wait for the origin, map, export. Time is an argument.

`csm_otel.engine.agent` feeds it what the sockets receive, by the clock of this machine; `csm_otel.commands.replay`
what a recording holds, by the recording's.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from csm_otel.correlation.released import CorrelatedCall, OrphanAttempt, Released
from csm_otel.csm.events import ApiCall
from csm_otel.engine.origin_hold import KnownOrigins, OriginHold, peers_of
from csm_otel.spans.measures import measure

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Sequence

    from csm_otel.correlation.correlator import Correlator
    from csm_otel.csm.decoding import Decoded
    from csm_otel.csm.events import Ended, Event, Peer
    from csm_otel.engine.batches import Batcher
    from csm_otel.files.recorder import Recorder
    from csm_otel.process.speaker import Speaker
    from csm_otel.spans.mapper import SpanMapper
    from csm_otel.spans.measures import Measurement
    from csm_otel.spans.processes import ProcessTraces
    from csm_otel.tally import SocketCounters, Tally

_AT_A_TIME = 256  # released in one go, so that receiving goes on meanwhile: each has to be mapped and encoded
_AT_ONCE = 0.0  # a monotonic second that has long been


class Origins(KnownOrigins, Protocol):
    """Who finds the processes behind peers."""

    def note(self, event: Event, peer: Peer, *, received_ns: int, now: float) -> Peer:
        """Return the peer as it is known from now on: told from who had its port before."""

    def ended(self) -> list[Ended]:
        """Return what has ended since the last time, of what was found; all that it had sent has been received."""


class Pipeline:
    """The stages in their order. Every ``now`` is monotonic seconds, by the same clock."""

    def __init__(
        self,
        *,
        correlator: Correlator,
        mapper: SpanMapper,
        batcher: Batcher,
        tally: Tally,
        speaker: Speaker,
        origins: Origins | None = None,
        processes: ProcessTraces | None = None,
        recorder: Recorder | None = None,
        record: Callable[[Iterable[Measurement]], None] | None = None,
    ) -> None:
        """Take the stages, wired; ``origins`` where it matters who sends, ``processes`` where each is a trace.

        ``record`` takes what is measured of what is released, where metrics are wanted.
        """
        self._correlator = correlator
        self._mapper = mapper
        self._batcher = batcher
        self._tally = tally
        self._speaker = speaker
        self._origins = origins
        self._processes = processes
        self._recorder = recorder
        self._record = record
        self._hold = OriginHold(origins)
        self._leaving: deque[Released] = deque()
        """Left the correlator by `start_release`."""

    def receive(self, decoded: Decoded, *, peer: Peer, received_ns: int, now: float) -> None:
        """Take in what a datagram held; ``received_ns`` is the wall time of its receipt in epoch nanoseconds."""
        tally = self._tally
        tally.datagrams_received += 1
        tally.other_versions += decoded.other_versions
        if decoded.events:
            tally.datagrams_decoded += 1
            for reason in decoded.rejected:
                self._reject(reason, tally.objects_rejected)
        else:
            self._reject(decoded.rejected[0] if decoded.rejected else "empty", tally.malformed)
        events = [(event, self._note(event, peer, received_ns, now)) for event in decoded.events]
        if self._recorder is not None:
            generation = max((noted.generation for _, noted in events), default=0)
            self._recorder.datagram(
                decoded, peer=peer._replace(generation=generation), received_ns=received_ns, now=now
            )
        for event, noted in events:
            if isinstance(event, ApiCall):
                tally.calls += 1
            else:
                tally.attempts += 1
            self._release(self._correlator.receive(event, peer=noted, received_ns=received_ns, now=now), now)

    def turn_away(self) -> None:
        """Take in that a datagram came from where none may come from."""
        self._tally.datagrams_received += 1
        self._tally.datagrams_not_allowed += 1
        self._speaker.warn("datagrams arrive from outside the networks of --allow-from", kind="not_allowed")

    def record_socket_counters(self, sockets: Sequence[SocketCounters]) -> set[tuple[str, int]]:
        """Record the counters of all sockets and return the addresses of those that have dropped more than before."""
        before = {counters.address: counters.dropped_by_kernel or 0 for counters in self._tally.sockets}
        self._tally.sockets = tuple(sockets)
        return {one.address for one in sockets if (one.dropped_by_kernel or 0) > before.get(one.address, 0)}

    def record_drops(self, dropped: int, *, now: float) -> None:
        """Take in how many datagrams the kernel has dropped in all."""
        before = self._tally.datagrams_dropped_by_kernel
        self._tally.datagrams_dropped_by_kernel = dropped
        if before != dropped and self._recorder is not None:
            self._recorder.drops(dropped, now=now)

    def count_undecoded(self, count: int) -> None:
        """Take in that so many datagrams had arrived at the end, and that there was no time for them."""
        self._tally.datagrams_received += count
        self._tally.datagrams_undecoded += count

    def count_late(self, count: int) -> None:
        """Take in that so many datagrams came when nobody listened any more."""
        self._tally.datagrams_late += count

    def next_deadline(self) -> float | None:
        """Return when `advance` has something to do, or None."""
        if self._leaving:
            return _AT_ONCE
        deadlines = (self._correlator.next_deadline(), self._hold.next_deadline(), self._batcher.next_deadline())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def advance(self, *, now: float) -> None:
        """Do what is due, and what has become possible: origins are found and processes end at any time."""
        self._end_processes(now)
        self._release(self._correlator.expire(now=now), now)
        if self._leaving:
            self._release([self._leaving.popleft() for _ in range(min(_AT_A_TIME, len(self._leaving)))], now)
        self._batcher.flush_if_due(now=now)

    @property
    def events_pending(self) -> int:
        """How many events wait: for more datagrams, or for their turn to leave."""
        return self._correlator.pending_events + len(self._leaving)

    @property
    def is_releasing(self) -> bool:
        """Whether some of what `start_release` has let go has not had its turn yet."""
        return bool(self._leaving)

    def start_release(self) -> None:
        """Let nothing wait for more datagrams: all of it leaves, a part with each `advance`."""
        self._leaving.extend(self._correlator.flush())

    def release_all(self, *, now: float) -> None:
        """Let nothing wait for more datagrams; what waits for its origin waits on, until `origin_deadline`."""
        self.start_release()
        leaving, self._leaving = self._leaving, deque()
        self._release(leaving, now)

    def drop_unreleased(self) -> None:
        """Count as dropped what has not left in time."""
        spans = sum(1 + len(one.attempts) if isinstance(one, CorrelatedCall) else 1 for one in self._leaving)
        self._tally.spans_created += spans
        if spans:
            self._tally.spans_dropped["shutdown"] += spans
        for one in self._leaving:
            self._count(one)
        self._leaving.clear()

    def origin_deadline(self) -> float | None:
        """Return until when what was released first waits for its origin, or None where nothing does."""
        return self._hold.next_deadline()

    def stop_waiting_for_origins(self) -> None:
        """Let what waits for its origin go with the next `advance`."""
        self._hold.expire_all()

    def flush(self, *, now: float) -> None:
        """Send off what there is, the processes that still live included; after `release_all`."""
        self._end_processes(now)
        if self._processes is not None:
            self._processes.flush()
            self._export(now)
        self._batcher.flush()

    def _note(self, event: Event, peer: Peer, received_ns: int, now: float) -> Peer:
        if self._origins is None:
            return peer
        return self._origins.note(event, peer, received_ns=received_ns, now=now)

    def _reject(self, reason: str, counts: Counter[str]) -> None:
        counts[reason] += 1
        self._speaker.warn(f"datagrams that are no CSM events arrive: {reason}", kind=f"malformed:{reason}")

    def _release(self, released: Iterable[Released], now: float) -> None:
        for one in released:
            self._count(one)
            self._hold.add(one, now=now)
        self._export(now)

    def _count(self, one: Released) -> None:
        tally = self._tally
        if isinstance(one, CorrelatedCall):
            tally.released[one.reason] += 1
            tally.attempts_in_calls += len(one.attempts)
            tally.attempts_missing += one.missing
            tally.ambiguous += one.ambiguous
        else:
            tally.orphans[one.reason] += 1

    def _export(self, now: float) -> None:
        for one, origin in self._hold.pop_ready(now=now):
            if not isinstance(one, CorrelatedCall | OrphanAttempt):
                if self._processes is not None:
                    self._processes.end(one.origin, end_ns=one.noticed_ns if one.is_exact else None)
                continue
            peer = peers_of(one)[0]
            if origin is not None and self._recorder is not None:
                self._recorder.origin(origin, peer=peer, now=now)
            if self._origins is not None and origin is None and peer.is_loopback:
                self._tally.origins_unknown += 1
            tree = self._mapper.map(one, origin)
            if self._record is not None:
                self._record(measure(one, tree))
            self._batcher.add(tree, now=now)
        for root in self._processes.completed() if self._processes is not None else ():
            self._batcher.add_root(root, now=now)

    def _end_processes(self, now: float) -> None:
        """Let go what processes that have ended left behind, and then their ends."""
        for ended in self._origins.ended() if self._origins is not None else ():
            if self._recorder is not None:
                self._recorder.ended(ended, now=now)
            self._release(self._correlator.release_peers(ended.peers), now)
            for process in ended.processes:
                self._hold.add(process, now=now)
        self._export(now)
