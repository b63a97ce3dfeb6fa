"""The loop that feeds the pipeline from sockets: `Agent`. It has the pipeline's only clock."""

from __future__ import annotations

import math
import selectors
import time
from typing import TYPE_CHECKING, Protocol

from csm_otel.csm.decoding import Decoded, decode
from csm_otel.engine.drain import Drain
from csm_otel.errors import MalformedDatagramError
from csm_otel.intake.binding import DEFAULT_BUFFER_BYTES
from csm_otel.intake.nested import reported_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from csm_otel.csm.events import Peer
    from csm_otel.engine.counting import Counting
    from csm_otel.engine.pipeline import Pipeline
    from csm_otel.intake.finder import OriginFinder
    from csm_otel.intake.receiver import Datagram, Receiver
    from csm_otel.process.speaker import Speaker

_MAX_READ_SECONDS = 1.0  # of the sockets at shutdown
# Shares of the time for shutdown, in which to decode and to release. Spans are delivered meanwhile, and in the rest.
_DECODE_SHARE, _RELEASE_SHARE = 0.5, 0.75
_MIN_DRAIN_SECONDS = 0.25  # for both, whatever the deadline: what a few scripts have sent takes a tenth of it
_LATE_SECONDS = 0.25  # to count later arrivals; to read a full default buffer takes a tenth of it
_MAX_WAIT_SECONDS = 86_400.0  # epoll accepts 2**31 - 1 ms at most
_DATAGRAMS_PER_TURN = 256  # read from a socket before other sockets, and deadlines, have their turn
# At least this long from one turn that receives to the next. To be woken for each datagram, its caches cold, would cost
# as much as the datagram. Meanwhile a flood of 20,000 a second fills a third of the smallest usual buffer.
_TURN_SECONDS = 0.005


class Readable(Protocol):
    """An object with a descriptor that a selector can wait on."""

    def fileno(self) -> int:
        """Return the descriptor."""


class Service(Protocol):
    """What the loop runs beside the pipeline, in its thread; it must not block."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when there is something to do, or -1."""

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which there is something to do in any case, or None."""

    def poll(self, *, now: float) -> None:
        """Do what there is to do; called each turn of the loop, with monotonic seconds."""


class Agent:
    """Receives datagrams, decodes them and advances the pipeline, until stopped."""

    def __init__(
        self,
        *,
        receivers: Sequence[Receiver],
        pipeline: Pipeline,
        counting: Counting,
        speaker: Speaker,
        origins: OriginFinder | None = None,
        buffer_bytes: int = DEFAULT_BUFFER_BYTES,
        is_allowed: Callable[[Peer], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Receive from ``receivers`` into ``pipeline``.

        ``origins`` are the pipeline's, where they have to be polled; ``buffer_bytes`` is the receive buffer that was
        requested for each socket. Datagrams of peers that ``is_allowed`` rejects are counted and not decoded.
        """
        self._receivers = receivers
        self._pipeline = pipeline
        self._counting = counting
        self._speaker = speaker
        self._origins = origins
        self._received_until_ns = [-math.inf] * len(receivers)
        """Per socket, the wall time of the last receipt read; infinite if the socket was then empty."""
        self._buffer_bytes = buffer_bytes
        self._is_allowed = is_allowed
        self._clock = clock
        self._is_cancelled = False

    def run(self, *, until: Callable[[], bool], wake: Readable, services: Sequence[Service] = ()) -> None:
        """Run until ``until()``; ``wake`` becomes readable when that may have changed."""
        self._check_sockets()
        selectable = [service for service in services if service.fileno() >= 0]
        with selectors.DefaultSelector() as all_readable, selectors.DefaultSelector() as all_but_datagrams:
            for receiver in self._receivers:
                all_readable.register(receiver, selectors.EVENT_READ)
            for readable in (wake, *selectable, *([self._origins] if self._origins else [])):
                all_readable.register(readable, selectors.EVENT_READ)
                all_but_datagrams.register(readable, selectors.EVENT_READ)
            next_turn = -math.inf
            while not until():
                all_readable.select(self._seconds_to(self._next_deadline(services)))
                if (pause_seconds := next_turn - self._clock()) > 0:
                    all_but_datagrams.select(pause_seconds)
                next_turn = self._clock() + _TURN_SECONDS
                is_drained = self._receive() < _DATAGRAMS_PER_TURN
                now = self._clock()
                if self._origins is not None:
                    self._origins.poll(now=now, is_drained=is_drained)
                self._pipeline.advance(now=now)
                for service in services:
                    service.poll(now=now)

    def has_received_until(self, until_ns: int) -> bool:
        """Return whether every datagram that had arrived by then, wall time in epoch nanoseconds, has been received."""
        return all(received_ns > until_ns for received_ns in self._received_until_ns)

    def drain(self, *, deadline: float, until_ns: int | None = None) -> None:
        """Receive all arrived datagrams, release everything pending and send it, in time to be delivered.

        Those in a socket that was handed over are left there, for the next process.
        ``deadline``, in monotonic seconds, is that of the delivery; what cannot be decoded or released in time is
        counted. Datagrams that arrived after ``until_ns``, wall time in epoch nanoseconds, are counted as late. The
        sockets are read to their end before any of it is decoded: to go on sending must not pay.
        """
        now = self._clock()
        seconds = max(deadline - now, _MIN_DRAIN_SECONDS)
        read_deadline = now + min(seconds * _DECODE_SHARE, _MAX_READ_SECONDS)
        backlog = [datagram for receiver in self._own() for datagram in self._read_all(receiver, read_deadline)]
        for number, datagram in enumerate(backlog):
            if until_ns is not None and datagram.received_ns > until_ns:
                self._counting.count_late(1)
            elif (processed_at := self._clock()) < now + seconds * _DECODE_SHARE and not self._is_cancelled:
                self._process([datagram], processed_at)
            else:
                self._counting.count_undecoded(len(backlog) - number)
                break
        self._check_sockets()
        self._release(now + seconds * _RELEASE_SHARE)
        if self._origins is not None:
            self._origins.stop(deadline=now + seconds)
        self._pipeline.finish(now=self._clock())

    def cancel(self) -> None:
        """Make a running or a later `drain` end at once, with the rest counted. May be called from a signal handler."""
        self._is_cancelled = True

    def close(self) -> None:
        """Count the datagrams that have arrived since `drain`, and close the sockets."""
        deadline = self._clock() + _LATE_SECONDS
        late = sum(1 for receiver in self._own() for _ in self._read_all(receiver, deadline))
        self._counting.count_late(late)
        self._counting.record_sockets([receiver.counters for receiver in self._receivers])
        for receiver in self._receivers:
            receiver.close()

    def _own(self) -> Iterator[Receiver]:
        """Yield the receivers whose sockets end with this process."""
        return (receiver for receiver in self._receivers if not receiver.is_handed_over)

    def _receive(self) -> int:
        """Process arrived datagrams, and return how many."""
        total = 0
        for number, receiver in enumerate(self._receivers):
            burst = receiver.receive(_DATAGRAMS_PER_TURN)
            self._process(burst, self._clock())
            if len(burst) < _DATAGRAMS_PER_TURN:
                self._received_until_ns[number] = math.inf
            elif receiver.has_kernel_times:
                self._received_until_ns[number] = burst[-1].received_ns
            else:
                self._received_until_ns[number] = -math.inf  # the time is that of the reading
            total += len(burst)
        if total:
            self._check_sockets()
        return total

    def _process(self, burst: Iterable[Datagram], now: float) -> None:
        for payload, peer, received_ns in burst:
            if self._is_allowed is not None and not self._is_allowed(peer):
                self._counting.count_not_allowed()
                continue
            try:
                decoded = decode(payload)
            except MalformedDatagramError as error:
                if (calls := reported_calls(payload)) is not None:
                    self._counting.count_reported(calls)
                    continue
                decoded = Decoded([], (error.reason,))
            self._pipeline.receive(decoded, peer=peer, received_ns=received_ns, now=now)

    def _release(self, deadline: float) -> None:
        """Export everything pending, after the short time that calls may wait for their origin."""
        drain = Drain(self._pipeline, deadline=deadline)
        with selectors.DefaultSelector() as selector:
            if self._origins is not None:
                selector.register(self._origins, selectors.EVENT_READ)
            while True:
                if self._is_cancelled:
                    drain.cancel()
                # Before the first step: at the deadline it exports what waits, without an origin that was not polled.
                if self._origins is not None:
                    self._origins.poll(now=self._clock(), is_drained=True)
                if drain.advance(now=self._clock()):
                    break
                selector.select(self._seconds_to(drain.next_deadline()))

    def _next_deadline(self, services: Sequence[Service]) -> float | None:
        deadlines = [self._pipeline.next_deadline(), self._origins.next_deadline() if self._origins else None]
        deadlines += [service.next_deadline() for service in services]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _check_sockets(self) -> None:
        sockets = [receiver.counters for receiver in self._receivers]
        dropping = self._counting.record_sockets(sockets)
        known = [counters.dropped_by_kernel for counters in sockets if counters.dropped_by_kernel is not None]
        if len(known) == len(sockets):
            self._pipeline.record_kernel_drops(sum(known), now=self._clock())
        for receiver in self._receivers:
            if receiver.address in dropping:
                self._warn_of_drops(receiver)

    def _warn_of_drops(self, receiver: Receiver) -> None:
        granted = receiver.buffer_bytes
        if receiver.is_handed_over:
            remedy = f"raise ReceiveBuffer= of the socket unit; the kernel's count for it is {granted:,} bytes"
        elif receiver.is_capped(self._buffer_bytes):
            remedy = f"raise net.core.rmem_max, which capped it at {granted:,} bytes"
        else:
            remedy = f"raise --receive-buffer-bytes, which is {self._buffer_bytes:,}"
        self._speaker.warn(f"the kernel drops datagrams, the receive buffer is full: {remedy}", kind="kernel_drops")

    def _read_all(self, receiver: Receiver, deadline: float) -> Iterator[Datagram]:
        """Yield a socket's datagrams until it is empty, or more than its buffer holds has been read."""
        left_bytes = receiver.buffer_bytes
        while left_bytes > 0 and self._clock() < deadline:
            some = receiver.receive(_DATAGRAMS_PER_TURN)
            yield from some
            left_bytes -= sum(len(datagram.payload) for datagram in some)
            if len(some) < _DATAGRAMS_PER_TURN:
                return

    def _seconds_to(self, deadline: float | None) -> float | None:
        return None if deadline is None else min(max(0.0, deadline - self._clock()), _MAX_WAIT_SECONDS)
