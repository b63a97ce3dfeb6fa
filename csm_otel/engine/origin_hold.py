"""Released calls on their way to the mapping, held until their origin is known: `OriginHold`.

Ended processes pass through the same queue, so that they come after their calls.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

from csm_otel.correlation.released import CorrelatedCall, OrphanAttempt, Released

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csm_otel.csm.events import Origin, Peer, ProcessEnd

HOLD_SECONDS = 0.25  # a lookup starts within 0.2 s and takes milliseconds; a batch waits for seconds anyway
_MAX_HELD = 10_000


class OriginLookup(Protocol):
    """Looks up the processes behind peers."""

    def origin_of(self, peer: Peer) -> Origin | None:
        """Return the process behind a peer, or None if it is not known (yet)."""

    def is_resolving(self, peer: Peer) -> bool:
        """Return whether the process may still become known."""


class _Held(NamedTuple):
    released: Released | ProcessEnd
    deadline: float


class OriginHold:
    """A queue of released calls and ended processes; a call waits until its origin is known, up to `HOLD_SECONDS`."""

    def __init__(self, origins: OriginLookup | None, *, max_held: int = _MAX_HELD) -> None:
        """Hold at most ``max_held``, beyond which the oldest leave early; without ``origins`` hold nothing."""
        self._origins = origins
        self._max_held = max_held
        self._held: deque[_Held] = deque()

    def add(self, released: Released | ProcessEnd, *, now: float) -> None:
        """Append a call, an orphan or the end of a process; ``now`` is monotonic seconds."""
        self._held.append(_Held(released, now + HOLD_SECONDS))

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which the first stops waiting, or None if nothing is held."""
        return self._held[0].deadline if self._held else None

    def expire_all(self) -> None:
        """Make the next `pop_ready` return everything that is held now."""
        self._held = deque(held._replace(deadline=-math.inf) for held in self._held)

    def pop_ready(self, *, now: float) -> Iterator[tuple[Released | ProcessEnd, Origin | None]]:
        """Remove and yield, in order, what need not wait any longer, with its origin where that is known."""
        while self._held:
            released, deadline = self._held[0]
            may_wait = now < deadline and len(self._held) <= self._max_held
            origin = None
            if self._origins is not None:
                for peer in peers_of(released):
                    if origin := self._origins.origin_of(peer):
                        break
                    if may_wait and self._origins.is_resolving(peer):
                        return
            self._held.popleft()
            yield released, origin


def peers_of(released: Released | ProcessEnd) -> list[Peer]:
    """Return where it came from, the call's own peer first: some SDKs change their port in the middle of a call."""
    if isinstance(released, CorrelatedCall):
        return [released.call.peer, *(attempt.peer for attempt in reversed(released.attempts))]
    return [released.attempt.peer] if isinstance(released, OrphanAttempt) else []
