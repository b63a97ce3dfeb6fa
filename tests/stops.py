"""The signals that stop a command, set by tests."""

from __future__ import annotations

from csm_otel.process.waker import Waker


class Stop:
    """Replaces the signals that stop a command; set by the test."""

    def __init__(self) -> None:
        self.number = 0

    def is_set(self) -> bool:
        """Return whether it is set."""
        return bool(self.number)


class NeverStopped(Stop):
    """A stop for waiting reads that no signal sets."""

    def __init__(self) -> None:
        super().__init__()
        self._waker = Waker()
        self.fileno, self.close = self._waker.fileno, self._waker.close
