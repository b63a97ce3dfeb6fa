"""Who sent a datagram: peers in, origins and ends of processes out, beside the receive path (`OriginFinder`).

Linux, loopback senders. A peer's source port leads to its socket, the socket to the process that holds it, while that
process lives: so the first datagram of a port has it looked up at once, and the answer is kept for what follows.

- `SenderTable` maps ports to processes, and schedules lookups; `Lookup` does them in a separate thread.
  Nothing here waits for it: where it is not known yet who sent, `Glances` makes one quick attempt.
- Ruby and PHP are not looked up: they open a socket for every datagram, and it is closed by then.
- Some senders cannot be found: in another namespace, of another user, ended too soon. Their origin stays unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.csm.events import Dialect, Ended, Origin, Peer
from csm_otel.intake.endings import Endings
from csm_otel.intake.glances import Glances
from csm_otel.intake.lookup import Lookup
from csm_otel.intake.procfs.sockets import is_available
from csm_otel.intake.search import LookupRequest
from csm_otel.intake.sender_table import MAX_SENDERS, SenderTable

if TYPE_CHECKING:
    from csm_otel.csm.events import Event

_SOCKET_A_DATAGRAM = frozenset({Dialect.RUBY, Dialect.PHP})


class OriginFinder:
    """Finds the processes behind peers and notices when they end; for the loop's thread."""

    def __init__(self) -> None:
        """Start the lookups, if the system supports them."""
        self._table = SenderTable()
        self._glances = Glances()
        self._endings = Endings()
        self._ended: list[Ended] = []
        self._requests: list[LookupRequest] = []
        """Those of a burst; requested at once, since to wake the thread is to hand it the interpreter."""
        self._lookup = Lookup(capacity=MAX_SENDERS)
        self.is_available = is_available()
        if self.is_available:
            self._lookup.start()

    def fileno(self) -> int:
        """Return a descriptor that is readable when `poll` has something to do."""
        return self._lookup.fileno()

    def note(self, event: Event, peer: Peer, *, received_ns: int, now: float) -> Peer:
        """Return the peer in its current generation; the lookup of a new one begins with the next `poll`.

        ``received_ns`` is when the datagram was received, in epoch nanoseconds; ``now`` is monotonic seconds.
        """
        if event.dialect in _SOCKET_A_DATAGRAM:
            return peer
        if self._lookup.results:
            self._pop_results(now)
        current = self._table.current(peer, received_ns=received_ns, now=now)
        if current is None and self.is_available and peer.is_loopback:
            current = self._table.begin(peer, now=now)
            self._requests.append(LookupRequest(current, self._glances.glance(peer, now=now)))
        return peer if current is None else current

    def origin_of(self, peer: Peer) -> Origin | None:
        """Return the process behind a peer from `note`, or None if it is not known (yet)."""
        return self._table.origin_of(peer)

    def is_resolving(self, peer: Peer) -> bool:
        """Return whether the peer's process may still become known."""
        return self._table.is_resolving(peer) and self._lookup.is_alive

    def poll(self, *, now: float, is_drained: bool) -> None:
        """Request lookups, and record results and ended processes; `ended` returns the latter when they are due.

        ``now`` is monotonic seconds; ``is_drained`` means that the receive queue has just been empty.
        """
        if self._requests:
            self._lookup.request(*self._requests)
            self._requests.clear()
        self._ended += self._endings.pop_due(now=now, is_drained=is_drained)
        self._pop_results(now)

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which an end of a process is due, or None."""
        return self._endings.next_deadline()

    def last_deadline(self) -> float | None:
        """Return the monotonic second at which all ends that were noticed so far are due, or None."""
        return self._endings.last_deadline()

    def ended(self) -> list[Ended]:
        """Return the processes that have ended since the last call and are due, all their datagrams received."""
        ended, self._ended = self._ended, []
        return ended

    def stop(self, *, deadline: float | None = None) -> None:
        """Stop the lookups; `ended` then returns every process that has ended until now.

        A scan that takes longer than to ``deadline``, in monotonic seconds, is not waited for.
        """
        self._lookup.stop(deadline=deadline)
        self._pop_results(now=0.0)
        self._ended += self._endings.pop_all()

    def close(self) -> None:
        """Close the descriptors, after `stop`."""
        self._lookup.close()

    def _pop_results(self, now: float) -> None:
        for result in self._lookup.pop_results():
            if isinstance(result, Ended):
                for end in result.processes:
                    self._table.end(end)
                self._endings.add(result, now=now)
            else:
                self._table.resolve(result.peer, result.origin)
