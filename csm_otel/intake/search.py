"""Sockets of senders to their processes, by way of /proc: `Search`. Requests in, a callback for each answer.

First the likely processes are checked, which takes a quarter of a millisecond: those that were found last, which may
have opened another socket (Go does with every session), and the latest, which may end soon. Only then all processes are
scanned, which takes milliseconds; one scan serves every socket that waits for it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.intake.procfs.holders import find_holders, oldest_holder
from csm_otel.intake.procfs.sockets import inode_of_sender, latest_pids, newest_first, udp_sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from csm_otel.csm.events import Origin, Peer
    from csm_otel.intake.glances import Holder

# The pause before a scan grows with the number of scans within the last second: several scripts that start at once
# are found at once, and eleven scans take at least (1 + 2 + ... + 10) * 0.02 = 1.1 s.
_SCAN_PAUSE_SECONDS = 0.02
_SCAN_WINDOW_SECONDS = 1.0
_LIKELY_PROCESSES = 16
_LATEST_PIDS = 32


class LookupRequest(NamedTuple):
    """A generation of a peer whose process is to be found."""

    peer: Peer
    holder: Holder | None
    """What `Glances` has found already; it may share the socket with an older process."""


class ScanPace:
    """Spaces out scans of all processes: at most ten a second, in a row that gets slower. Time is an argument."""

    def __init__(self) -> None:
        """Let the first scan be due at once."""
        self._scans: deque[float] = deque()

    def next_scan(self) -> float:
        """Return the monotonic second from which a scan is due."""
        return self._scans[-1] + _SCAN_PAUSE_SECONDS * len(self._scans) if self._scans else 0.0

    def is_due(self, *, now: float) -> bool:
        """Return whether a scan is due."""
        while self._scans and now - self._scans[0] >= _SCAN_WINDOW_SECONDS:
            self._scans.popleft()
        return now >= self.next_scan()

    def add(self, *, now: float) -> None:
        """Record a scan."""
        self._scans.append(now)


class Search:
    """Finds the processes of senders; for one thread."""

    def __init__(self, found: Callable[[Peer, int, Origin], None], failed: Callable[[Peer], None]) -> None:
        """Call ``found`` with each peer that was requested, its socket's inode and its process, or else ``failed``."""
        self._found = found
        self._failed = failed
        self._pace = ScanPace()
        self._likely: deque[int] = deque(maxlen=_LIKELY_PROCESSES)
        self._peers: dict[int, list[Peer]] = {}
        """Those that wait for a scan, by the inodes of their sockets."""

    def check_likely(self, requests: Iterable[LookupRequest]) -> None:
        """Check the likely processes for the requested peers; those of other processes wait for a scan."""
        unknown = []
        for peer, holder in requests:
            if holder is None:
                unknown.append(peer)
            else:
                self._peers.setdefault(holder.inode, []).append(peer)
                self._resolve(holder.inode, oldest_holder(holder.origin, holder.inode))
        sockets = udp_sockets({peer.port for peer in unknown})
        for peer in unknown:
            if inode := inode_of_sender(peer.host, peer.port, sockets):
                self._peers.setdefault(inode, []).append(peer)
            else:
                self._failed(peer)
        find_holders(list(self._peers), [*latest_pids(_LATEST_PIDS), *self._likely], self._resolve)

    def next_scan(self) -> float | None:
        """Return the monotonic second from which a scan is due, or None while nothing waits for one."""
        return self._pace.next_scan() if self._peers else None

    def scan_if_due(self, *, now: float) -> None:
        """Scan all processes for the peers that wait for it; each is answered then."""
        if not self._peers or not self._pace.is_due(now=now):
            return
        self._pace.add(now=now)
        find_holders(list(self._peers), newest_first(), self._resolve)
        for peers in self._peers.values():
            for peer in peers:
                self._failed(peer)
        self._peers.clear()

    def _resolve(self, inode: int, origin: Origin) -> None:
        if origin.pid not in self._likely:
            self._likely.appendleft(origin.pid)
        for peer in self._peers.pop(inode):
            self._found(peer, inode, origin)
