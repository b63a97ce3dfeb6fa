"""A first quick lookup of a sender's process from within the loop: `Glances`.

A command may end milliseconds after its first datagram, before another thread has even been woken. So the loop itself
checks the latest processes, for a small share of its time: that takes well under a millisecond.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.intake.procfs.holders import find_holder
from csm_otel.intake.procfs.sockets import LatestPids, inode_of_sender, udp_sockets

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.csm.events import Origin, Peer

_SHARE = 0.005  # of the loop's time; so some five to fifteen a second, however many ports a flood has
_LATEST_PIDS = 32


class Holder(NamedTuple):
    """A process that holds a socket, which it may share with older ones."""

    inode: int
    origin: Origin


class Glances:
    """Checks the latest processes for senders, within a share of the thread's time."""

    def __init__(self, *, thread_time: Callable[[], float] = time.thread_time) -> None:
        """Allow the first glance at once; ``thread_time`` is the clock for the cost of a glance, in seconds of CPU."""
        self._thread_time = thread_time
        self._latest = LatestPids(_LATEST_PIDS)
        self._next = 0.0

    def glance(self, peer: Peer, *, now: float) -> Holder | None:
        """Return the process behind a peer, or None if it is not one of the latest or the share is used up.

        ``now`` is monotonic seconds.
        """
        if now < self._next:
            return None
        began = self._thread_time()
        pids = self._latest.newest_first()
        inode = inode_of_sender(peer.host, peer.port, udp_sockets({peer.port})) if pids else None
        origin = find_holder(inode, pids) if inode else None
        self._next = now + (self._thread_time() - began) / _SHARE
        return Holder(inode, origin) if inode and origin else None
