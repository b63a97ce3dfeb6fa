"""Peers whose processes have ended, until no process can send from their sockets any more: `Departures`.

A child that was forked shares its parent's socket, and may send from it when the parent has ended: such a peer has
departed when its socket is closed.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.intake.procfs.sockets import udp_sockets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csm_otel.csm.events import Origin, Peer, ProcessEnd

_CHECK_SECONDS = 1.0  # a check reads two files
_MAX_PEERS = 4096


class _Found(NamedTuple):
    process: tuple[int, int]
    peer: Peer
    inode: int


class Departures:
    """Keeps the peers of processes, and checks whether their sockets are open when the process has ended."""

    def __init__(self, *, capacity: int = _MAX_PEERS) -> None:
        """Start empty; beyond ``capacity`` peers those that were found longest ago are forgotten."""
        self._found: deque[_Found] = deque(maxlen=capacity)
        self._ended: set[tuple[int, int]] = set()
        self._next_check = 0.0

    def add(self, origin: Origin, peer: Peer, inode: int) -> None:
        """Add a peer whose process, and socket, was found."""
        self._found.append(_Found(origin.process, peer, inode))

    def end(self, ended: Sequence[ProcessEnd]) -> None:
        """Record that these processes have ended; the next check is due at once."""
        if processes := {end.origin.process for end in ended}:
            self._ended |= processes
            self._next_check = 0.0

    def next_check(self) -> float | None:
        """Return the monotonic second from which a check is due, or None if no peer is left."""
        return self._next_check if self._ended else None

    def check(self, *, now: float) -> list[Peer]:
        """Return the peers that have departed since the last check; ``now`` is monotonic seconds."""
        self._next_check = now + _CHECK_SECONDS
        leaving = [found for found in self._found if found.process in self._ended]
        still_open = {socket.inode for socket in udp_sockets({found.peer.port for found in leaving})}
        departed = {found.peer for found in leaving if found.inode not in still_open}
        self._ended = {found.process for found in leaving if found.peer not in departed}
        self._found = deque((found for found in self._found if found.peer not in departed), self._found.maxlen)
        return sorted(departed)
