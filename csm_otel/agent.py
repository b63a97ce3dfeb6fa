"""The loop: receive, decode, correlate, map, export, expire. The only clock of the pipeline is here."""

from __future__ import annotations

import selectors
import time
from typing import TYPE_CHECKING, Protocol

from csm_otel.correlator import CorrelatedCall, Correlator, Released
from csm_otel.decoding import decode
from csm_otel.errors import MalformedDatagramError
from csm_otel.events import ApiCall
from csm_otel.origin_hold import OriginHold, peers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from csm_otel.exporter import Exporter
    from csm_otel.origin import OriginFinder
    from csm_otel.receiver import Datagram, Receiver
    from csm_otel.spans.mapper import SpanMapper
    from csm_otel.spans.processes import ProcessTraces
    from csm_otel.speaker import Speaker
    from csm_otel.tally import Tally

_LONGEST_DRAIN_SECONDS = 1.0
_AT_A_TIME = 256  # datagrams taken from a socket before deadlines are looked at again


class Wakeable(Protocol):
    """Something with a descriptor that becomes readable when the loop has to look up."""

    def fileno(self) -> int:
        """Return the descriptor."""


class Agent:
    """Runs the pipeline over its sockets until told to stop."""

    def __init__(
        self,
        *,
        receivers: Sequence[Receiver],
        correlator: Correlator,
        mapper: SpanMapper,
        exporter: Exporter,
        tally: Tally,
        speaker: Speaker,
        origins: OriginFinder | None = None,
        processes: ProcessTraces | None = None,
    ) -> None:
        """Take the stages, wired; ``origins`` where it matters who sends, ``processes`` where each is a trace."""
        self._receivers = receivers
        self._correlator = correlator
        self._mapper = mapper
        self._exporter = exporter
        self._tally = tally
        self._speaker = speaker
        self._origins = origins
        self._processes = processes
        self._hold = OriginHold(origins)

    def run(self, *, until: Callable[[], bool], wake: Wakeable) -> None:
        """Work until ``until()``; ``wake`` becomes readable when that may have changed."""
        with selectors.DefaultSelector() as selector:
            for readable in (*self._receivers, wake, *([self._origins] if self._origins else [])):
                selector.register(readable, selectors.EVENT_READ)
            while not until():
                selector.select(self._seconds_to_deadline())
                self._receive_all()
                self._export_roots()
                self._release(self._correlator.expire(now=time.monotonic()))
                self._exporter.flush_if_due(now=time.monotonic())

    def finish(self, *, until_ns: int | None = None) -> None:
        """Take what has arrived, release what waits and send it all off.

        What was received after ``until_ns``, wall time in epoch nanoseconds, is only counted, as late. Whoever goes on
        sending is listened to for a second at most.
        """
        deadline = time.monotonic() + _LONGEST_DRAIN_SECONDS
        while self._receive_all(until_ns) and time.monotonic() < deadline:
            continue
        self._look_for_drops()
        self._release(self._correlator.flush())
        self._wait_for_origins()
        self._export_roots()
        if self._processes is not None:
            self._processes.flush()
            self._export_roots()
        self._exporter.flush()

    def count_late(self) -> None:
        """Count what has come since `finish`, from senders that outlived their command."""
        self._tally.datagrams_late += sum(1 for receiver in self._receivers for _ in receiver.drain(_AT_A_TIME))

    def _receive_all(self, until_ns: int | None = None) -> int:
        taken = 0
        for receiver in self._receivers:
            for datagram in receiver.drain(_AT_A_TIME):
                if until_ns is not None and datagram.received_ns > until_ns:
                    self._tally.datagrams_late += 1
                    break
                taken += 1
                self._take(datagram)
        if taken:
            self._look_for_drops()
        return taken

    def _take(self, datagram: Datagram) -> None:
        tally = self._tally
        tally.datagrams_received += 1
        try:
            decoded = decode(datagram.payload)
        except MalformedDatagramError as error:
            self._reject(error.reason)
            return
        tally.other_versions += decoded.other_versions
        for reason in decoded.rejected:
            self._reject(reason)
        now = time.monotonic()
        for event in decoded.events:
            if isinstance(event, ApiCall):
                tally.calls += 1
            else:
                tally.attempts += 1
            peer, received_ns = datagram.peer, datagram.received_ns
            if self._origins is not None:
                peer = self._origins.note(event, peer, received_ns=received_ns, now=now)
            self._release(self._correlator.receive(event, peer=peer, received_ns=received_ns, now=now))

    def _reject(self, reason: str) -> None:
        self._tally.malformed[reason] += 1
        self._speaker.warn(f"datagrams that are no CSM events arrive: {reason}", kind=f"malformed:{reason}")

    def _release(self, released: Iterable[Released]) -> None:
        tally, now = self._tally, time.monotonic()
        for one in released:
            if isinstance(one, CorrelatedCall):
                tally.released[one.reason] += 1
                tally.attempts_missing += one.missing
                tally.ambiguous += one.ambiguous
            else:
                tally.orphans[one.reason] += 1
            self._hold.add(one, now=now)
        self._export(now)

    def _export(self, now: float) -> None:
        for released, origin in self._hold.take(now=now):
            if self._origins is not None and origin is None and peers_of(released)[0].is_loopback:
                self._tally.origins_unknown += 1
            self._exporter.add(self._mapper.map(released, origin), now=now)

    def _export_roots(self) -> None:
        """Export the processes that have ended, where each is a trace."""
        if self._origins is None:
            return
        ended = self._origins.ended()
        if self._processes is None:
            return
        for end in ended:
            self._processes.end(end.origin, end_ns=end.noticed_ns if end.is_exact else None)
        for root in self._processes.completed():
            self._exporter.add_decided(root, now=time.monotonic())

    def _wait_for_origins(self) -> None:
        """Export what is held, after the short time that it may wait."""
        if self._origins is None:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(self._origins, selectors.EVENT_READ)
            while (deadline := self._hold.next_deadline()) is not None:
                selector.select(max(0.0, deadline - time.monotonic()))
                self._export_roots()
                self._export(time.monotonic())
        self._origins.stop()

    def _look_for_drops(self) -> None:
        known = [drops for receiver in self._receivers if (drops := receiver.kernel_drops) is not None]
        if len(known) < len(self._receivers):
            return
        if sum(known) > (self._tally.datagrams_dropped_by_kernel or 0):
            self._speaker.warn(
                "the kernel drops datagrams: raise --receive-buffer-bytes (and the system's net.core.rmem_max)",
                kind="kernel_drops",
            )
        self._tally.datagrams_dropped_by_kernel = sum(known)

    def _seconds_to_deadline(self) -> float | None:
        deadlines = [
            deadline
            for deadline in (
                self._correlator.next_deadline(),
                self._hold.next_deadline(),
                self._exporter.next_deadline(),
            )
            if deadline is not None
        ]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
