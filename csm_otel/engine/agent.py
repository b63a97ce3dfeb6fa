"""The loop: receive, decode, hand on to the pipeline, wait. The only clock of the pipeline is here."""

from __future__ import annotations

import math
import selectors
import time
from typing import TYPE_CHECKING, Protocol

from csm_otel.csm.decoding import Decoded, decode
from csm_otel.errors import MalformedDatagramError
from csm_otel.intake.binding import DEFAULT_BUFFER_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from csm_otel.csm.events import Peer
    from csm_otel.engine.pipeline import Pipeline
    from csm_otel.intake.finder import OriginFinder
    from csm_otel.intake.receiver import Datagram, Receiver
    from csm_otel.process.speaker import Speaker

_LONGEST_DRAIN_SECONDS = 1.0
# Of the time that there is for stopping. What is released is delivered meanwhile; the rest of it is for its end.
_DRAIN_SHARE, _RELEASE_SHARE = 0.5, 0.75
_LEAST_SECONDS = 0.25  # for both, whatever the deadline: what a few scripts left behind is released in a tenth of it
_LAST_LOOK_SECONDS = 0.25  # to read a full default buffer takes a tenth of it
_LONGEST_WAIT_SECONDS = 86_400.0  # then deadlines are looked at anew; epoll takes 2**31 - 1 ms, and no more
_AT_A_TIME = 256  # datagrams taken from a socket before deadlines are looked at again


class Readable(Protocol):
    """Something with a descriptor that becomes readable when the loop has to look up."""

    def fileno(self) -> int:
        """Return the descriptor."""


class Service(Protocol):
    """Who has something to do beside the pipeline, in the loop's thread, and never takes long."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when there is something to do, or -1."""

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which there is something to do in any case, or None."""

    def poll(self, *, now: float) -> None:
        """Do it; called each turn of the loop."""


class Agent:
    """Runs the pipeline over its sockets until told to stop."""

    def __init__(
        self,
        *,
        receivers: Sequence[Receiver],
        pipeline: Pipeline,
        speaker: Speaker,
        origins: OriginFinder | None = None,
        buffer_bytes: int = DEFAULT_BUFFER_BYTES,
        is_allowed: Callable[[Peer], bool] | None = None,
    ) -> None:
        """Take the sockets and the pipeline, and ``origins`` where it matters who sends.

        ``buffer_bytes`` is what was asked of the kernel for each socket. Where ``is_allowed`` says no, nobody looks
        into a datagram.
        """
        self._receivers = receivers
        self._pipeline = pipeline
        self._speaker = speaker
        self._origins = origins
        self._taken_to_ns = [-math.inf] * len(receivers)
        """Of each socket, when the last datagram that was taken had been received; infinite where none was left."""
        self._buffer_bytes = buffer_bytes
        self._is_allowed = is_allowed

    def run(self, *, until: Callable[[], bool], wake: Readable, services: Sequence[Service] = ()) -> None:
        """Work until ``until()``; ``wake`` becomes readable when that may have changed."""
        self._look_for_drops()
        awaited = [service for service in services if service.fileno() >= 0]
        with selectors.DefaultSelector() as selector:
            for readable in (*self._receivers, wake, *awaited, *([self._origins] if self._origins else [])):
                selector.register(readable, selectors.EVENT_READ)
            while not until():
                selector.select(_seconds_to(self._next_deadline(services)))
                is_drained = self._receive_all() < _AT_A_TIME
                if self._origins is not None:
                    self._origins.poll(now=time.monotonic(), is_drained=is_drained)
                self._pipeline.advance(now=time.monotonic())
                for service in services:
                    service.poll(now=time.monotonic())

    def has_received_until(self, until_ns: int) -> bool:
        """Return whether all that was received until then, wall time in epoch nanoseconds, has been taken.

        Of each socket the last turn has taken something later, or left nothing.
        """
        return all(taken_ns > until_ns for taken_ns in self._taken_to_ns)

    def drain(self, *, deadline: float, until_ns: int | None = None) -> None:
        """Take what has arrived, release what waits and send it all off, in time to be delivered by ``deadline``.

        That is in monotonic seconds. What was received after ``until_ns``, wall time in epoch nanoseconds, is only
        counted, as late. All that waits in the sockets is read before any of it is decoded, so that who goes on sending
        gains nothing by our being slow. What cannot be decoded or released in time is counted.
        """
        now = time.monotonic()
        left_seconds = max(deadline - now, _LEAST_SECONDS)
        read_deadline = now + min(left_seconds * _DRAIN_SHARE, _LONGEST_DRAIN_SECONDS)
        backlog = [one for receiver in self._receivers for one in _backlog(receiver, read_deadline)]
        for number, datagram in enumerate(backlog):
            if until_ns is not None and datagram.received_ns > until_ns:
                self._pipeline.count_late(1)
            elif time.monotonic() < now + left_seconds * _DRAIN_SHARE:
                self._take(datagram)
            else:
                self._pipeline.count_undecoded(len(backlog) - number)
                break
        self._look_for_drops()
        self._pipeline.start_release()
        self._release(now + left_seconds * _RELEASE_SHARE)
        if self._origins is not None:
            self._origins.stop(deadline=now + left_seconds)
        self._pipeline.flush(now=time.monotonic())

    def close(self) -> None:
        """Count what has come since `drain`, and close the sockets."""
        deadline = time.monotonic() + _LAST_LOOK_SECONDS
        self._pipeline.count_late(sum(1 for receiver in self._receivers for _ in _backlog(receiver, deadline)))
        self._pipeline.record_socket_counters([receiver.counters for receiver in self._receivers])
        for receiver in self._receivers:
            receiver.close()

    def _receive_all(self) -> int:
        taken = 0
        for number, receiver in enumerate(self._receivers):
            before, taken_to_ns = taken, -math.inf
            for datagram in receiver.drain(_AT_A_TIME):
                taken += 1
                self._take(datagram)
                taken_to_ns = datagram.received_ns
            if taken - before < _AT_A_TIME:
                taken_to_ns = math.inf
            elif not receiver.has_kernel_times:
                taken_to_ns = -math.inf  # that is when it was read
            self._taken_to_ns[number] = taken_to_ns
        if taken:
            self._look_for_drops()
        return taken

    def _take(self, datagram: Datagram) -> None:
        if self._is_allowed is not None and not self._is_allowed(datagram.peer):
            self._pipeline.turn_away()
            return
        self._pipeline.receive(
            _decoded(datagram), peer=datagram.peer, received_ns=datagram.received_ns, now=time.monotonic()
        )

    def _release(self, deadline: float) -> None:
        """Export what has been let go, after the short time that it may wait for its origin."""
        pipeline = self._pipeline
        with selectors.DefaultSelector() as selector:
            if self._origins is not None:
                selector.register(self._origins, selectors.EVENT_READ)
            while pipeline.is_releasing or pipeline.origin_deadline() is not None:
                if time.monotonic() >= deadline:
                    pipeline.drop_unreleased()
                    pipeline.stop_waiting_for_origins()
                elif not pipeline.is_releasing:
                    selector.select(_seconds_to(min(deadline, pipeline.origin_deadline() or deadline)))
                if self._origins is not None:
                    self._origins.poll(now=time.monotonic(), is_drained=True)
                pipeline.advance(now=time.monotonic())

    def _next_deadline(self, services: Sequence[Service]) -> float | None:
        deadlines = [self._pipeline.next_deadline(), self._origins.next_deadline() if self._origins else None]
        deadlines += [service.next_deadline() for service in services]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _look_for_drops(self) -> None:
        sockets = [receiver.counters for receiver in self._receivers]
        dropping = self._pipeline.record_socket_counters(sockets)
        known = [counters.dropped_by_kernel for counters in sockets if counters.dropped_by_kernel is not None]
        if len(known) == len(sockets):
            self._pipeline.record_drops(sum(known), now=time.monotonic())
        for receiver in self._receivers:
            if receiver.address in dropping:
                self._warn_of_drops(receiver)

    def _warn_of_drops(self, receiver: Receiver) -> None:
        given = receiver.buffer_bytes
        if receiver.is_capped(self._buffer_bytes):
            remedy = f"raise net.core.rmem_max, which capped it at {given:,} bytes"
        else:
            remedy = f"raise --receive-buffer-bytes, which is {self._buffer_bytes:,}"
        self._speaker.warn(f"the kernel drops datagrams, the receive buffer is full: {remedy}", kind="kernel_drops")


def _backlog(receiver: Receiver, deadline: float) -> Iterator[Datagram]:
    """Yield what waits in a socket: until it is empty, or so much has been read that all of it was sent meanwhile."""
    most_bytes = receiver.buffer_bytes
    while most_bytes > 0 and time.monotonic() < deadline:
        some = list(receiver.drain(_AT_A_TIME))
        yield from some
        most_bytes -= sum(len(datagram.payload) for datagram in some)
        if len(some) < _AT_A_TIME:
            return


def _decoded(datagram: Datagram) -> Decoded:
    try:
        return decode(datagram.payload)
    except MalformedDatagramError as error:
        return Decoded([], (error.reason,))


def _seconds_to(deadline: float | None) -> float | None:
    return None if deadline is None else min(max(0.0, deadline - time.monotonic()), _LONGEST_WAIT_SECONDS)
