"""Who sent what is replayed, as the recording tells it: `ReplayedOrigins`."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from csm_otel.csm.events import Ended, Event, Origin, Peer

_MOST = 4096  # peers; a recording may be anybody's


class ReplayedOrigins:
    """Knows what was found when the recording was made, from the line on that tells it."""

    def __init__(self) -> None:
        """Begin knowing nothing."""
        self._found: OrderedDict[Peer, Origin] = OrderedDict()
        self._ended: list[Ended] = []
        self._is_over = False

    def tell(self, peer: Peer, origin: Origin) -> None:
        """Take in what was found; where it is too much, who has been silent longest is forgotten."""
        self._found[peer] = origin
        self._found.move_to_end(peer)
        if len(self._found) > _MOST:
            self._found.popitem(last=False)

    def tell_end(self, ended: Ended) -> None:
        """Take in what had ended."""
        self._ended.append(ended)

    def tell_over(self) -> None:
        """Take in that the recording ends here."""
        self._is_over = True

    def note(self, _event: Event, peer: Peer, *, received_ns: int, now: float) -> Peer:  # ruff: ignore[unused-method-argument]
        """Return the peer, whose generation was recorded with it; who still sends is not forgotten."""
        if peer in self._found:
            self._found.move_to_end(peer)
        return peer

    def origin_of(self, peer: Peer) -> Origin | None:
        """Return the process behind a peer, or None where it is not known (yet)."""
        return self._found.get(peer)

    def is_resolving(self, peer: Peer) -> bool:
        """Return whether the recording may still tell; who was looked for has a generation."""
        return bool(peer.generation) and not self._is_over

    def ended(self) -> list[Ended]:
        """Return what has ended since the last time."""
        ended, self._ended = self._ended, []
        return ended
