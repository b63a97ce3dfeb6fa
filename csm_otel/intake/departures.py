"""Peers whose processes have ended, until nobody can send from their sockets any more: `Departures`.

A child that was forked shares its parent's socket, and may send from it when the parent has ended: such a peer has gone
when its socket is closed.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.intake.procfs.sockets import udp_sockets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csm_otel.csm.events import Origin, Peer, ProcessEnd

_LOOK_SECONDS = 1.0  # a look reads two files
_MOST = 4096  # peers; those that were found longest ago are forgotten


class _Found(NamedTuple):
    process: tuple[int, int]
    peer: Peer
    inode: int


class Departures:
    """Knows which peers a process has, and looks whether their sockets are open when it has ended."""

    def __init__(self, *, most: int = _MOST) -> None:
        """Know at most so many peers."""
        self._found: deque[_Found] = deque(maxlen=most)
        self._ended: set[tuple[int, int]] = set()
        self._next_look = 0.0

    def add(self, origin: Origin, peer: Peer, inode: int) -> None:
        """Take a peer whose process, and socket, was found."""
        self._found.append(_Found(origin.process, peer, inode))

    def end(self, ended: Sequence[ProcessEnd]) -> None:
        """Note that these processes have ended; the next look is due at once."""
        if processes := {end.origin.process for end in ended}:
            self._ended |= processes
            self._next_look = 0.0

    def next_look(self) -> float | None:
        """Return the monotonic second from which a look is due, or None while nobody is leaving."""
        return self._next_look if self._ended else None

    def look(self) -> list[Peer]:
        """Return those that have gone since the last look."""
        self._next_look = time.monotonic() + _LOOK_SECONDS
        leaving = [found for found in self._found if found.process in self._ended]
        still_open = {socket.inode for socket in udp_sockets({found.peer.port for found in leaving})}
        gone = {found.peer for found in leaving if found.inode not in still_open}
        self._ended = {found.process for found in leaving if found.peer not in gone}
        self._found = deque((found for found in self._found if found.peer not in gone), self._found.maxlen)
        return sorted(gone)
