"""A clock that stands still until a test moves it: `ManualClock`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
