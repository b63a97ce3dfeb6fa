"""Released calls on their way to the mapping, held until their origin is known: `OriginHold`.

Ended processes pass through the same queue, so that they come after their calls.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Protocol

from csm_otel.correlation.released import CorrelatedCall
from csm_otel.csm.events import ProcessEnd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from csm_otel.correlation.released import Released
    from csm_otel.csm.events import Origin, Peer

HOLD_SECONDS = 0.25  # a lookup starts within 0.2 s and takes milliseconds; a batch waits for seconds anyway
_MAX_HELD = 10_000


class OriginLookup(Protocol):
    """Looks up the processes behind peers."""

    def origin_of(self, peer: Peer) -> Origin | None:
        """Return the process behind a peer, or None if it is not known (yet)."""

    def is_resolving(self, peer: Peer) -> bool:
        """Return whether the process may still become known."""


class OriginHold:
    """A queue of released calls and ended processes; a call waits until its origin is known, up to `HOLD_SECONDS`."""

    def __init__(self, origins: OriginLookup | None, *, max_held: int = _MAX_HELD) -> None:
        """Hold at most ``max_held``, beyond which the oldest leave early; without ``origins`` hold nothing."""
        self._origins = origins
        self._max_held = max_held
        self._held: deque[tuple[Released | ProcessEnd, float]] = deque()
        """With the monotonic second until which it may wait."""

    def add(self, released: Iterable[Released | ProcessEnd], *, now: float) -> None:
        """Append calls, orphans or ends of processes, in order; ``now`` is monotonic seconds."""
        deadline = now + HOLD_SECONDS
        self._held.extend([(one, deadline) for one in released])

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which the first stops waiting, or None if nothing is held."""
        return self._held[0][1] if self._held else None

    def expire_all(self) -> None:
        """Make the next `pop_ready` return everything that is held now."""
        self._held = deque((released, -math.inf) for released, _ in self._held)

    def pop_ready(self, *, now: float) -> Iterator[tuple[Released | ProcessEnd, Origin | None]]:
        """Remove and yield, in order, what need not wait any longer, with its origin where that is known."""
        held, origins = self._held, self._origins
        while held:
            released, deadline = held[0]
            origin = None
            if origins is not None and not isinstance(released, ProcessEnd):
                peer = peer_of(released)
                origin = origins.origin_of(peer)  # known, as nearly always
                if origin is None:
                    may_wait = now < deadline and len(held) <= self._max_held
                    if may_wait and origins.is_resolving(peer):
                        return
                    for other in _other_peers(released, peer):
                        if origin := origins.origin_of(other):
                            break
                        if may_wait and origins.is_resolving(other):
                            return
            held.popleft()
            yield released, origin


def peer_of(released: Released) -> Peer:
    """Return the peer of a call, or of an orphan."""
    return released.call.peer if isinstance(released, CorrelatedCall) else released.attempt.peer


def _other_peers(released: Released, peer: Peer) -> list[Peer]:
    """Return where else its attempts came from, the last one first: some SDKs change their port within a call."""
    attempts = released.attempts if isinstance(released, CorrelatedCall) else ()
    return [attempt.peer for attempt in reversed(attempts) if attempt.peer != peer]
