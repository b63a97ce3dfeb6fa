"""A descriptor by which one thread has another look up from its selector."""

from __future__ import annotations

import contextlib
import socket

_SEVERAL = 4096  # wakes that nobody has answered yet; one is enough to be awake


class Waker:
    """Readable from `wake` to `clear`. Any thread may wake, one waits."""

    def __init__(self) -> None:
        self._readable, self._writable = socket.socketpair()
        for end in (self._readable, self._writable):
            end.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._readable.fileno()

    def wake(self) -> None:
        """Make it readable."""
        with contextlib.suppress(OSError):  # full of wakes, or closed: nobody sleeps
            self._writable.send(b"\0")

    def clear(self) -> None:
        """Make it wait for the next wake; what it was woken for is to be looked at after this, not before."""
        with contextlib.suppress(OSError):
            while len(self._readable.recv(_SEVERAL)) == _SEVERAL:
                continue

    def close(self) -> None:
        """Close both ends."""
        self._readable.close()
        self._writable.close()
