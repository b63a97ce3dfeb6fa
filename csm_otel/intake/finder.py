"""Who sent a datagram: peers in, origins out, beside the receive path (`OriginFinder`).

Linux, loopback senders. A peer's source port leads to its socket, the socket to the process that holds it, while that
process lives: so the first datagram of a port has it looked up at once, and the answer is kept for what follows.

- Looking costs milliseconds and is done in a thread of its own; `note` only glances, `origin_of` never waits. Processes
  that were found before may have opened another socket (Go with every session), and the latest may end soon, so these
  are looked at first, which is cheap. All processes are scanned at most ten times a second; one scan serves all ports
  that wait.
- Ports are used again. An answer holds while datagrams keep coming, at most as long as the process lives; after five
  seconds of silence the next datagram begins another *generation* of the port. An event keeps the peer that it was
  received with, generation included, so what waits in the correlator keeps its sender.
- Ruby and PHP are not looked for: they open a socket for every datagram, and it is closed by then.
- What cannot be found (another namespace, no right to look, ended too soon) is nobody's fault and unknown.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from csm_otel.csm.events import Dialect, Ended, Origin, Peer
from csm_otel.intake.departures import Departures
from csm_otel.intake.endings import Endings
from csm_otel.intake.glances import Glances
from csm_otel.intake.process_ends import ProcessEnds
from csm_otel.intake.procfs.holders import find_holders, oldest_holder
from csm_otel.intake.procfs.sockets import inode_of_sender, is_available, latest_pids, newest_first, udp_sockets
from csm_otel.process.waker import Waker

if TYPE_CHECKING:
    from csm_otel.csm.events import Event
    from csm_otel.intake.glances import Glimpse

_SILENCE_SECONDS = 5.0
# The pause before a scan grows with the number of scans within the last second: several scripts that start at once
# are found at once, and eleven scans take at least (1 + 2 + ... + 10) * 0.02 = 1.1 s.
_SCAN_PAUSE_SECONDS = 0.02
_LOOK_PAUSE_SECONDS = 0.005  # a look at likely processes takes a twentieth of it
_MAX_SENDERS = 4096  # ports may be a flood's; those that were silent longest are forgotten
_LIKELY_PROCESSES = 16  # those found last, which may have opened another socket
_LATEST_PIDS = 32  # a process that is about to end had better be met at once; looking costs a tenth of a millisecond
_SOCKET_A_DATAGRAM = frozenset({Dialect.RUBY, Dialect.PHP})


class _Sender:
    """What is known of a peer in one generation."""

    __slots__ = ("first_seen", "glimpse", "last_seen", "origin", "peer", "sought")

    def __init__(self, peer: Peer, now: float, glimpse: Glimpse | None) -> None:
        self.peer = peer
        self.glimpse = glimpse
        self.first_seen = self.last_seen = now
        self.origin: Origin | None = None
        self.sought = True


class OriginFinder:
    """Finds the processes behind peers and notices when they end. All but its own thread's work is for the loop."""

    def __init__(self) -> None:
        """Start the thread, where there is anything to be found."""
        self._senders: OrderedDict[Peer, _Sender] = OrderedDict()
        self._current: dict[tuple[str, int], _Sender] = {}
        self._generations = 0
        self._glances = Glances()
        self._ended_ns: OrderedDict[tuple[int, int], int] = OrderedDict()
        self._untold: list[Ended] = []
        self._endings = Endings()
        self._over: list[Ended] = []
        # Between the threads: deques, whose ends may be used by both.
        self._sought: deque[_Sender] = deque(maxlen=_MAX_SENDERS)
        self._ends: deque[Ended] = deque()
        self._news, self._work = Waker(), Waker()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="origin", daemon=True)
        self.is_available = is_available()
        if self.is_available:
            self._thread.start()

    def fileno(self) -> int:
        """Return a descriptor that is readable when there is an answer or an end."""
        return self._news.fileno()

    def note(self, event: Event, peer: Peer, *, received_ns: int, now: float) -> Peer:
        """Return the peer in its present generation, and have it looked for where that begins.

        ``received_ns`` is in epoch nanoseconds: what came after a process's end is another's. ``now`` is monotonic.
        """
        if not self.is_available or not peer.is_loopback or event.dialect in _SOCKET_A_DATAGRAM:
            return peer
        self._take_ends()
        sender = self._current.get(peer[:2])
        if sender is None or self._is_stale(sender, received_ns, now):
            sender = self._seek(peer, now)
        sender.last_seen = now
        self._senders.move_to_end(sender.peer)
        return sender.peer

    def origin_of(self, peer: Peer) -> Origin | None:
        """Return the process behind a peer as `note` returned it, or None where it is not known (yet)."""
        sender = self._senders.get(peer)
        return sender.origin if sender else None

    def is_sought(self, peer: Peer) -> bool:
        """Return whether the peer is still being looked for."""
        sender = self._senders.get(peer)
        return sender is not None and sender.sought and self._thread.is_alive()

    def look_for_ends(self, *, now: float, is_drained: bool) -> None:
        """Take in which processes have ended, to be told once all that they had sent has been received.

        ``is_drained`` tells whether the receive queue has just been empty.
        """
        self._over += self._endings.take(now=now, is_drained=is_drained)
        self._news.clear()
        self._take_ends()
        for ended in self._untold:
            self._endings.add(ended, now=now)
        self._untold.clear()

    def next_end(self) -> float | None:
        """Return the monotonic second at which an end that was taken in is due to be told, or None."""
        return self._endings.next_deadline()

    def ended(self) -> list[Ended]:
        """Return what has ended since the last time, of what was found."""
        over, self._over = self._over, []
        return over

    def stop(self, *, deadline: float | None = None) -> None:
        """End the thread; `ended` still tells of every process that has ended until now.

        A look that takes longer than to ``deadline``, in monotonic seconds, is not waited for.
        """
        self._is_stopped = True
        self._work.wake()
        if self._thread.is_alive():
            self._thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        self.look_for_ends(now=0.0, is_drained=True)
        self._over += self._endings.rest()

    def close(self) -> None:
        """Close the descriptors, after `stop`; a thread that is still looking keeps them."""
        if not self._thread.is_alive():
            self._news.close()
            self._work.close()

    def _is_stale(self, sender: _Sender, received_ns: int, now: float) -> bool:
        if now - sender.last_seen > _SILENCE_SECONDS:
            return True
        if sender.origin is None:
            return now - sender.first_seen > _SILENCE_SECONDS  # perhaps with more luck
        ended_ns = self._ended_ns.get(sender.origin.process)
        return ended_ns is not None and ended_ns < received_ns

    def _take_ends(self) -> None:
        while self._ends:
            ended = self._ends.popleft()
            self._untold.append(ended)
            for end in ended.processes:
                self._ended_ns[end.origin.process] = end.noticed_ns
            while len(self._ended_ns) > _MAX_SENDERS:
                self._ended_ns.popitem(last=False)

    def _seek(self, peer: Peer, now: float) -> _Sender:
        self._generations += 1
        sender = _Sender(peer._replace(generation=self._generations), now, self._glances.glance(peer, now=now))
        self._senders[sender.peer] = self._current[peer[:2]] = sender
        if len(self._senders) > _MAX_SENDERS:
            _, forgotten = self._senders.popitem(last=False)
            if self._current.get(forgotten.peer[:2]) is forgotten:
                del self._current[forgotten.peer[:2]]
        self._sought.append(sender)
        self._work.wake()
        return sender

    def _run(self) -> None:
        """Look, and wait for ends, until stopped: the thread."""
        ends, departures = ProcessEnds(self._work), Departures()
        search = _Search(ends, departures)
        next_look = 0.0
        while not self._is_stopped:
            now = time.monotonic()
            if self._sought and now >= next_look:
                next_look = now + _LOOK_PAUSE_SECONDS
                search.look([self._sought.popleft() for _ in range(len(self._sought))])
                self._news.wake()
            if search.scan_if_due(now):
                self._news.wake()
            due = [*([next_look] if self._sought else []), *([search.next_scan()] if search.waits else [])]
            if (departure := departures.next_look()) is not None:
                due.append(departure)
            ended = ends.wait(max(0.0, min(due) - time.monotonic()) if due else None)
            departures.end(ended)
            if (departure := departures.next_look()) is not None and departure <= time.monotonic():
                self._ends.append(Ended(ended, departures.look()))
                self._news.wake()
        self._ends.append(Ended(ends.wait(0), []))
        ends.close()


class _Search:
    """Finds the processes of senders, first among those found last, then among all."""

    def __init__(self, ends: ProcessEnds, departures: Departures) -> None:
        self._ends = ends
        self._departures = departures
        self._likely: deque[int] = deque(maxlen=_LIKELY_PROCESSES)
        self._scans: deque[float] = deque()
        self._senders: dict[int, list[_Sender]] = {}

    @property
    def waits(self) -> bool:
        """Whether a scan is needed."""
        return bool(self._senders)

    def look(self, senders: list[_Sender]) -> None:
        """Look for these among the likely processes; a scan is needed for sockets of others."""
        for sender in senders:
            if glimpse := sender.glimpse:
                self._senders.setdefault(glimpse.inode, []).append(sender)
                self._found(glimpse.inode, oldest_holder(glimpse.origin, glimpse.inode))
        senders = [sender for sender in senders if sender.origin is None]
        sockets = udp_sockets({sender.peer.port for sender in senders})
        for sender in senders:
            if inode := inode_of_sender(sender.peer.host, sender.peer.port, sockets):
                self._senders.setdefault(inode, []).append(sender)
            else:
                sender.sought = False
        find_holders(list(self._senders), [*latest_pids(_LATEST_PIDS), *self._likely], self._found)

    def next_scan(self) -> float:
        """Return the monotonic second from which a scan may be."""
        return self._scans[-1] + _SCAN_PAUSE_SECONDS * len(self._scans) if self._scans else 0.0

    def scan_if_due(self, now: float) -> bool:
        """Look among all processes for what is left, if there is anything and if it may be; return whether it was."""
        while self._scans and now - self._scans[0] >= 1:
            self._scans.popleft()
        if not self._senders or now < self.next_scan():
            return False
        self._scans.append(now)
        find_holders(list(self._senders), newest_first(), self._found)
        for senders in self._senders.values():
            for sender in senders:
                sender.sought = False
        self._senders.clear()
        return True

    def _found(self, inode: int, origin: Origin) -> None:
        self._ends.watch(origin)
        if origin.pid not in self._likely:
            self._likely.appendleft(origin.pid)
        for sender in self._senders.pop(inode):
            self._departures.add(origin, sender.peer, inode)
            sender.origin, sender.sought = origin, False
