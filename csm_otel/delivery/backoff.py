"""When the next try may be: `Backoff`."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_BACKOFF_SECONDS = 0.25
LONGEST_BACKOFF_SECONDS = 4.0  # a back end that restarts is found again soon, and one POST in 4 s hurts nobody
_LONGEST_RETRY_AFTER_SECONDS = 300.0  # a mistaken date must not silence the bridge for a day
_CLOSING_BACKOFF_SECONDS = 1.0  # at the end the time is short: rather one try more than a long wait for none


class Backoff:
    """Our own patience, doubling and jittered, and what the back end asks for. Times are monotonic seconds."""

    def __init__(
        self,
        *,
        first_seconds: float = FIRST_BACKOFF_SECONDS,
        jitter: Callable[[], float] = random.random,  # ruff: ignore[suspicious-non-cryptographic-random-usage]
    ) -> None:
        """Begin without a failure; ``jitter`` gives random numbers from 0 to 1."""
        self._first_seconds = first_seconds
        self._jitter = jitter
        self._longest_seconds = LONGEST_BACKOFF_SECONDS
        self._patient_until = float("-inf")
        self._alone_until = float("-inf")
        self.failures = 0
        """How often in a row the back end was unavailable."""

    @property
    def until(self) -> float:
        """When the next try may be."""
        return max(self._patient_until, self._alone_until)

    def fail(self, now: float, retry_after_seconds: float | None) -> None:
        """Take in another failure, and how long the back end wants to be left alone where it says so."""
        if retry_after_seconds is not None:
            self._alone_until = now + min(retry_after_seconds, _LONGEST_RETRY_AFTER_SECONDS)
        else:
            doublings = min(self.failures, 10)  # past the longest wait long ago
            seconds = min(self._first_seconds * 2**doublings, self._longest_seconds)
            self._patient_until = now + seconds * (0.5 + self._jitter() / 2)
        self.failures += 1

    def succeed(self) -> None:
        """Take in that the back end answered."""
        self.failures = 0

    def hurry(self) -> None:
        """Have no more patience than there is time at the end."""
        self._longest_seconds = _CLOSING_BACKOFF_SECONDS
        self._patient_until = float("-inf")
