"""Whether a program kept up with what was sent to it: `Observed`, and its `fault`."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_DATAGRAM_BYTES = 1_000
"""About what a datagram of 300 to 500 bytes takes in the kernel's accounting."""
_QUEUED_SECONDS = 0.05
_QUEUED = 100
_LAST_SHARE = 0.75
_LATE_SHARE = 0.01
_LATE_SENDER_SECONDS = 0.1


class Observed(NamedTuple):
    """What was seen of a run; times are seconds since the start of the sending."""

    sent: int
    seconds: float
    """How long was sent."""
    late_seconds: float
    """How far the senders were behind their schedule."""
    dropped: int
    """By the kernel."""
    queued: Sequence[tuple[float, int]]
    """When the receive queue was looked at, and how many bytes it held."""
    arrived: Sequence[tuple[float, int]] | None
    """When spans arrived at the back end, and how many; None of a program that delivers none."""
    delay_seconds: float
    """How long a span may take to the back end."""

    @property
    def per_second(self) -> float:
        """The rate of the sending."""
        return self.sent / self.seconds

    def fault(self) -> str:
        """Return why the program did not sustain the rate; "" if it did."""
        faults = {
            "nothing sent": not self.sent,
            "senders late": self.late_seconds > _LATE_SENDER_SECONDS,
            "kernel drops": self.dropped > 0,
            "receive queue": self._is_queue_long(),
            "spans lost": self.arrived is not None and sum(count for _, count in self.arrived) < self.sent,
            "late delivery": self._late() > self.sent * _LATE_SHARE,
        }
        return next((name for name, is_so in faults.items() if is_so), "")

    def _is_queue_long(self) -> bool:
        last = [size for at, size in self.queued if self.seconds * _LAST_SHARE <= at <= self.seconds]
        most = max(self.per_second * _QUEUED_SECONDS, _QUEUED) * _DATAGRAM_BYTES
        return bool(last) and statistics.median(last) > most

    def _late(self) -> int:
        return sum(count for at, count in self.arrived or () if at > self.seconds + self.delay_seconds)
