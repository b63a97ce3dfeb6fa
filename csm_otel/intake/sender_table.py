"""Peers to generations and origins: `SenderTable`. Time is an argument.

Theory of operation
===================
A source port identifies its sender only as long as the socket is open; then another process may get the port.

- A *generation* is a use of a port by one sender. An event keeps the peer that it was received with, generation
  included, so pending events keep their sender when another process gets the port.
- A generation continues while datagrams keep arriving. The next datagram begins another one after five seconds of
  silence, if it was received after the generation's process ended, or, if no process was found, five seconds after the
  beginning: another lookup may find it.
- A generation is *resolving* from its beginning until its lookup ends, with an origin or without. What the lookup
  finds for a generation that is no longer in the table is ignored.
- Ports may be a flood's. Beyond the capacity the generation that has been silent longest is forgotten; of the ends of
  processes as many are remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from csm_otel.csm.events import Origin, Peer, ProcessEnd

SILENCE_SECONDS = 5.0
MAX_SENDERS = 4096
_NO_PROCESS = (0, 0)


class _Sender:
    """One generation of a peer."""

    __slots__ = ("first_seen", "is_resolving", "last_seen", "origin", "peer", "process")

    def __init__(self, peer: Peer, now: float) -> None:
        self.peer = peer
        self.first_seen = self.last_seen = now
        self.origin: Origin | None = None
        self.process = _NO_PROCESS
        self.is_resolving = True


class SenderTable:
    """Generations of peers and their processes. Every ``now`` is monotonic seconds."""

    def __init__(self, *, capacity: int = MAX_SENDERS) -> None:
        """Start empty; ``capacity`` bounds the generations, and the ends of processes."""
        self._capacity = capacity
        self._senders: OrderedDict[int, _Sender] = OrderedDict()
        """By the number of the generation; the one that has been silent longest first."""
        self._current: dict[Peer, _Sender] = {}
        """By the peer without a generation, as it is received."""
        self._ended_ns: OrderedDict[tuple[int, int], int] = OrderedDict()
        self._generations = 0

    def current(self, peer: Peer, *, received_ns: int, now: float) -> Peer | None:
        """Return a received peer in its current generation, or None where its datagram begins another one.

        ``received_ns`` is when the datagram was received, in epoch nanoseconds.
        """
        sender = self._current.get(peer)
        if (
            sender is None
            or now - sender.last_seen > SILENCE_SECONDS
            or (sender.origin is None and now - sender.first_seen > SILENCE_SECONDS)
            or self._ended_ns.get(sender.process, received_ns) < received_ns
        ):
            return None
        sender.last_seen = now
        self._senders.move_to_end(sender.peer.generation)
        return sender.peer

    def begin(self, peer: Peer, *, now: float) -> Peer:
        """Return a received peer in a new generation, which is resolving."""
        self._generations += 1
        sender = _Sender(peer._replace(generation=self._generations), now)
        self._senders[self._generations] = self._current[peer] = sender
        if len(self._senders) > self._capacity:
            _, forgotten = self._senders.popitem(last=False)
            received = forgotten.peer._replace(generation=0)
            if self._current.get(received) is forgotten:
                del self._current[received]
        return sender.peer

    def resolve(self, peer: Peer, origin: Origin | None) -> None:
        """Record the lookup result of a generation; None: nothing found."""
        if sender := self._senders.get(peer.generation):
            sender.origin, sender.is_resolving = origin, False
            sender.process = origin.process if origin is not None else _NO_PROCESS

    def end(self, end: ProcessEnd) -> None:
        """Record that a process has ended: later datagrams from its ports are another sender's."""
        self._ended_ns[end.origin.process] = end.noticed_ns
        if len(self._ended_ns) > self._capacity:
            self._ended_ns.popitem(last=False)

    def origin_of(self, peer: Peer) -> Origin | None:
        """Return the process behind a generation, or None if it is not known (yet)."""
        sender = self._senders.get(peer.generation)
        return sender.origin if sender else None

    def is_resolving(self, peer: Peer) -> bool:
        """Return whether the lookup of a generation has not ended yet."""
        sender = self._senders.get(peer.generation)
        return sender is not None and sender.is_resolving
