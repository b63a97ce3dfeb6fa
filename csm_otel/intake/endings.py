"""Processes that have ended, and their peers, until all that they sent has been received: `Endings`."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csm_otel.csm.events import Ended

# What was sent is in the receive queue by then. Calls that compete for attempts are held as long by default.
GRACE_SECONDS = 0.25
# Under a flood the queue is never empty: a second is more than it takes to get through the default receive buffer.
MAX_BACKLOG_SECONDS = 1.0


class _Waiting(NamedTuple):
    ended: Ended
    deadline: float


class Endings:
    """Delays the ends of processes, in order, by a grace period and until the receive queue has been empty."""

    def __init__(self) -> None:
        """Start empty."""
        self._waiting: deque[_Waiting] = deque()

    def add(self, ended: Ended, *, now: float) -> None:
        """Add a process that has just ended; ``now`` is monotonic seconds."""
        if ended.processes or ended.peers:
            self._waiting.append(_Waiting(ended, now + GRACE_SECONDS))

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which the first is due, or None while there is none."""
        return self._waiting[0].deadline if self._waiting else None

    def last_deadline(self) -> float | None:
        """Return the monotonic second at which the last is due, or None while there is none."""
        return self._waiting[-1].deadline if self._waiting else None

    def pop_due(self, *, now: float, is_drained: bool) -> Iterator[Ended]:
        """Yield the ends that are due; ``is_drained`` means that the receive queue has just been empty."""
        while self._waiting:
            ended, deadline = self._waiting[0]
            if now < deadline + (0.0 if is_drained else MAX_BACKLOG_SECONDS):
                return
            self._waiting.popleft()
            yield ended

    def pop_all(self) -> list[Ended]:
        """Return all that waits, due or not."""
        rest = [waiting.ended for waiting in self._waiting]
        self._waiting.clear()
        return rest
