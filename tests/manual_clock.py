"""A clock that stands still until a test moves it, `ManualClock`, or somebody waits on it, `PassingCondition`."""

from __future__ import annotations

import threading


class ManualClock:
    """Monotonic seconds as a number; what is given as a clock calls it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def advance(self, seconds: float, changed: threading.Condition | None = None) -> None:
        """Let time pass, and wake those that wait for a condition, so that they look at the clock again."""
        if changed is None:
            self.now += seconds
            return
        with changed:
            self.now += seconds
            changed.notify_all()


class PassingCondition(threading.Condition):
    """A condition for a single thread: each wait for it takes its whole time, on the clock alone."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time pass."""
        assert timeout is not None
        self._clock.advance(timeout)
        return False
