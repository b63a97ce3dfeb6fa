"""Sockets of senders to their processes, by way of /proc: `Search`. Requests in, a callback for each answer.

First the likely processes are checked, which takes a quarter of a millisecond: those that were found last, which may
have opened another socket (Go does with every session), and the latest, which may end soon. Only then all processes are
scanned, which takes milliseconds; one scan serves every socket that waits for it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.intake.procfs.holders import find_holders, oldest_holders
from csm_otel.intake.procfs.sockets import LatestPids, inode_of_sender, newest_first, udp_sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from csm_otel.csm.events import Origin, Peer
    from csm_otel.intake.glances import Holder

_PACE_WINDOW_SECONDS = 1.0
_SCAN_STEP_SECONDS = 0.02  # so at most ten scans a second
_LIKELY_PROCESSES = 16
_LATEST_PIDS = 32


class LookupRequest(NamedTuple):
    """A generation of a peer whose process is to be found."""

    peer: Peer
    holder: Holder | None
    """What `Glances` has found already; it may share the socket with an older process."""


class Pace:
    """Spaces out what is repeated: each pause is a step longer for each time within the last second.

    So what comes after a rest is done at once, and what comes all the time a few times a second: with a step of 0.02 s
    ten times, as (1 + 2 + ... + 10) * 0.02 s are 1.1 s. Time is an argument.
    """

    def __init__(self, *, step_seconds: float) -> None:
        """Let the first time be due at once."""
        self._step_seconds = step_seconds
        self._times: deque[float] = deque()

    def next_due(self) -> float:
        """Return the monotonic second from which the next time is due."""
        return self._times[-1] + self._step_seconds * len(self._times) if self._times else 0.0

    def is_due(self, *, now: float) -> bool:
        """Return whether the next time is due."""
        while self._times and now - self._times[0] >= _PACE_WINDOW_SECONDS:
            self._times.popleft()
        return now >= self.next_due()

    def add(self, *, now: float) -> None:
        """Record that it was done."""
        self._times.append(now)


class Search:
    """Finds the processes of senders; for one thread."""

    def __init__(self, found: Callable[[Peer, int, Origin], None], failed: Callable[[Peer], None]) -> None:
        """Call ``found`` with each peer that was requested, its socket's inode and its process, or else ``failed``."""
        self._found = found
        self._failed = failed
        self._scans = Pace(step_seconds=_SCAN_STEP_SECONDS)
        self._latest = LatestPids(_LATEST_PIDS)
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
                self._resolve(holder.inode, oldest_holders(holder.origin, [holder.inode])[holder.inode])
        sockets = udp_sockets({peer.port for peer in unknown})
        for peer in unknown:
            if inode := inode_of_sender(peer.host, peer.port, sockets):
                self._peers.setdefault(inode, []).append(peer)
            else:
                self._failed(peer)
        find_holders(list(self._peers), [*self._latest.newest_first(), *self._likely], self._resolve)

    def next_scan(self) -> float | None:
        """Return the monotonic second from which a scan is due, or None while nothing waits for one."""
        return self._scans.next_due() if self._peers else None

    def scan_if_due(self, *, now: float) -> None:
        """Scan all processes for the peers that wait for it; each is answered then."""
        if not self._peers or not self._scans.is_due(now=now):
            return
        self._scans.add(now=now)
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
