"""The processes behind the peers of a recording, as far as it has been replayed: `ReplayedOrigins`."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from csm_otel.csm.events import Ended, Event, Origin, Peer

_MAX_PEERS = 4096  # a recording is untrusted


class ReplayedOrigins:
    """Knows each origin and each end from the line on that recorded it."""

    def __init__(self) -> None:
        """Begin without any."""
        self._found: OrderedDict[Peer, Origin] = OrderedDict()
        self._ended: list[Ended] = []
        self._is_over = False

    def add_origin(self, peer: Peer, origin: Origin) -> None:
        """Add the process behind a peer; beyond the bound the peer that has been silent longest is forgotten."""
        self._found[peer] = origin
        self._found.move_to_end(peer)
        if len(self._found) > _MAX_PEERS:
            self._found.popitem(last=False)

    def add_end(self, ended: Ended) -> None:
        """Add an ended process."""
        self._ended.append(ended)

    def finish(self) -> None:
        """Note that the recording ends here."""
        self._is_over = True

    def note(self, _event: Event, peer: Peer, *, received_ns: int, now: float) -> Peer:  # ruff: ignore[unused-method-argument]
        """Return the peer, whose generation was recorded with it; it counts as heard from."""
        if peer in self._found:
            self._found.move_to_end(peer)
        return peer

    def origin_of(self, peer: Peer) -> Origin | None:
        """Return the process behind a peer, or None if it is not known (yet)."""
        return self._found.get(peer)

    def is_resolving(self, peer: Peer) -> bool:
        """Return whether its origin may still come; only a peer whose process was looked up has a generation."""
        return bool(peer.generation) and not self._is_over

    def ended(self) -> list[Ended]:
        """Return the processes that have ended since the last call."""
        ended, self._ended = self._ended, []
        return ended
