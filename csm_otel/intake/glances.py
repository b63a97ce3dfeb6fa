"""A first look for a sender's process from within the loop: `Glances`.

A command may end milliseconds after its first datagram, before another thread has even been woken. So the loop itself
looks among the latest processes, where it pays: that takes well under a millisecond.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.intake.procfs.holders import find_holder
from csm_otel.intake.procfs.sockets import inode_of_sender, latest_pids, udp_sockets

if TYPE_CHECKING:
    from csm_otel.csm.events import Origin, Peer

_SHARE = 0.01  # of the loop's time; so some ten to thirty a second, however many ports a flood has
_LATEST_PIDS = 32  # most are no process's any more, which is told in microseconds


class Glimpse(NamedTuple):
    """A process that holds a socket, which it may share with older ones."""

    inode: int
    origin: Origin


class Glances:
    """Looks for senders among the latest processes, as often as it may."""

    def __init__(self) -> None:
        """Begin with a glance at the first sender."""
        self._next = 0.0

    def glance(self, peer: Peer, *, now: float) -> Glimpse | None:
        """Return the process behind a peer, or None where it is none of the latest or it is too early to look again.

        ``now`` is monotonic seconds.
        """
        if now < self._next:
            return None
        began = time.thread_time()
        inode = inode_of_sender(peer.host, peer.port, udp_sockets({peer.port}))
        origin = find_holder(inode, latest_pids(_LATEST_PIDS)) if inode else None
        self._next = now + (time.thread_time() - began) / _SHARE
        return Glimpse(inode, origin) if inode and origin else None
