"""The time of the next try: `Backoff`, exponential with jitter, or as requested by the back end."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_BACKOFF_SECONDS = 0.25
MAX_BACKOFF_SECONDS = 4.0  # a restarted back end is found again soon, and one POST in 4 s costs little
_MAX_RETRY_AFTER_SECONDS = 300.0  # a mistaken date must not silence csm-otel for a day
_CLOSING_BACKOFF_SECONDS = 1.0  # time is short while closing: rather one try more than a long wait for none
_MAX_DOUBLINGS = 10  # far beyond the maximum


class Backoff:
    """Our own backoff, and the back end's; the later one counts. Times are monotonic seconds."""

    def __init__(
        self,
        *,
        first_seconds: float = FIRST_BACKOFF_SECONDS,
        jitter: Callable[[], float] = random.random,  # ruff: ignore[suspicious-non-cryptographic-random-usage]
    ) -> None:
        """Begin without a failure; ``jitter`` returns random numbers from 0 to 1."""
        self._first_seconds = first_seconds
        self._jitter = jitter
        self._max_seconds = MAX_BACKOFF_SECONDS
        self._own_until = float("-inf")
        self._asked_until = float("-inf")
        self.failures = 0
        """How often in a row the back end was unavailable."""

    @property
    def until(self) -> float:
        """The earliest time of the next try."""
        return max(self._own_until, self._asked_until)

    def fail(self, now: float, retry_after_seconds: float | None) -> None:
        """Record a failure, with the delay that the back end asked for, if any."""
        if retry_after_seconds is not None:
            self._asked_until = now + min(retry_after_seconds, _MAX_RETRY_AFTER_SECONDS)
        else:
            seconds = min(self._first_seconds * 2 ** min(self.failures, _MAX_DOUBLINGS), self._max_seconds)
            self._own_until = now + seconds * (0.5 + self._jitter() / 2)
        self.failures += 1

    def succeed(self) -> None:
        """Record that the back end answered."""
        self.failures = 0

    def shorten(self) -> None:
        """End our own backoff, and keep later ones short, as while the queue is closing."""
        self._max_seconds = _CLOSING_BACKOFF_SECONDS
        self._own_until = float("-inf")
