"""One thread wakes another that waits in a selector: `Waker`, and `SelectableQueue` to hand it something."""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from typing import Generic, TypeVar

_READ_BYTES = 4096  # wakes that are cleared in one go

Item = TypeVar("Item")


class Waker:
    """A descriptor that is readable from `wake` to `clear`. Any thread may wake, one waits."""

    def __init__(self) -> None:
        self._readable, self._writable = socket.socketpair()
        for end in (self._readable, self._writable):
            end.setblocking(False)
        self._is_awake = False

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._readable.fileno()

    def wakeup_fd(self) -> int:
        """Return the descriptor that wakes by a write, for `signal.set_wakeup_fd`."""
        return self._writable.fileno()

    def wake(self) -> None:
        """Make it readable."""
        if self._is_awake:  # the other thread has not cleared it yet, and checks the condition after that
            return
        self._is_awake = True
        with contextlib.suppress(OSError):  # full, so it is readable already, or closed
            self._writable.send(b"\0")

    def clear(self) -> None:
        """Make it unreadable until the next wake; check the condition after this, not before."""
        with contextlib.suppress(OSError):
            while len(self._readable.recv(_READ_BYTES)) == _READ_BYTES:
                continue
        self._is_awake = False  # last, so that it is never set while nothing can be read

    def close(self) -> None:
        """Close both ends."""
        self._readable.close()
        self._writable.close()


class SelectableQueue(Generic[Item]):
    """A queue that a selector can wait on. Any thread may put, one pops."""

    def __init__(self, *, capacity: int | None = None) -> None:
        """Start empty; beyond the ``capacity`` the oldest items are dropped."""
        self.items: deque[Item] = deque(maxlen=capacity)
        """What there is to pop; to look at, from any thread."""
        self._waker = Waker()

    def fileno(self) -> int:
        """Return a descriptor that is readable while there may be something to pop."""
        return self._waker.fileno()

    def put(self, *items: Item) -> None:
        """Append items."""
        self.items.extend(items)
        # `pop_all` pops until there is none: for any that were there before, the thread is awake, or about to be.
        if 0 < len(self.items) <= len(items):
            self._waker.wake()

    def wake(self) -> None:
        """Make it readable until the next `pop_all`, for something else than an item."""
        self._waker.wake()

    def pop_all(self) -> list[Item]:
        """Return the items put since the last call, the oldest first."""
        self._waker.clear()
        popped = []
        while self.items:
            popped.append(self.items.popleft())
        return popped

    def close(self) -> None:
        """Close the descriptors; later items are kept, but wake no thread."""
        self._waker.close()
