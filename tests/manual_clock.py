"""Clocks that move only when a test says so: `ManualClock`, and `PassingCondition`, whose waits take no real time."""

from __future__ import annotations

import threading


class ManualClock:
    """Monotonic seconds as a number; an instance is passed as a clock."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def advance(self, seconds: float, changed: threading.Condition | None = None) -> None:
        """Advance the time, and wake threads that wait for a condition, so that they read the clock again."""
        if changed is None:
            self.now += seconds
            return
        with changed:
            self.now += seconds
            changed.notify_all()


class PassingCondition(threading.Condition):
    """A condition for a single thread: each wait advances the clock by its whole timeout."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        """Advance the clock."""
        assert timeout is not None
        self._clock.advance(timeout)
        return False
