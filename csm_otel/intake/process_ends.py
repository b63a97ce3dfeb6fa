"""The ends of processes that are not our children: `ProcessEnds`.

A pidfd reports an end at once. Where there is none (an old kernel, a sandbox, too many of them) the process is checked
every second; its end is then known, but not when it was.
"""

from __future__ import annotations

import os
import selectors
import time
from typing import TYPE_CHECKING, Protocol

from csm_otel.csm.events import ProcessEnd
from csm_otel.intake.procfs.process import read_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.csm.events import Origin

_CHECK_SECONDS = 1.0
_MAX_PIDFDS = 256  # a quarter of the descriptors that a process may usually have


class _Readable(Protocol):
    def fileno(self) -> int: ...


class ProcessEnds:
    """Watches processes for their ends; for one thread."""

    def __init__(self, wake: _Readable, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Watch none yet; a `wait` may end early while ``wake`` is readable. ``clock`` returns monotonic seconds."""
        self._clock = clock
        self._pidfds = selectors.DefaultSelector()
        self._all = selectors.DefaultSelector()
        for readable in (wake, self._pidfds):
            self._all.register(readable, selectors.EVENT_READ)
        self._with_pidfd: dict[tuple[int, int], Origin] = {}
        self._polled: dict[tuple[int, int], Origin] = {}
        self._next_check = 0.0

    def watch(self, origin: Origin) -> None:
        """Watch a process until it ends; again is the same as once."""
        if origin.process in self._with_pidfd or origin.process in self._polled:
            return
        pidfd = _open_pidfd(origin) if len(self._with_pidfd) < _MAX_PIDFDS else None
        if pidfd is None:
            self._polled[origin.process] = origin
        else:
            self._with_pidfd[origin.process] = origin
            self._pidfds.register(pidfd, selectors.EVENT_READ, origin)

    def wait(self, seconds: float | None, *, may_wake: bool = True) -> list[ProcessEnd]:
        """Wait for an end, a wake-up or the timeout, whichever is first, and return the ended processes.

        Unless it ``may_wake``, a wake-up is left for a later wait.
        """
        if self._polled:
            to_check = max(0.0, self._next_check - self._clock())
            seconds = to_check if seconds is None else min(seconds, to_check)
        if may_wake:
            self._all.select(seconds)
            seconds = 0
        ended = []
        for key, _ in self._pidfds.select(seconds):
            ended.append(ProcessEnd(key.data, time.time_ns(), is_exact=True))
            self._forget(key)
        return ended + self._check()

    def close(self) -> None:
        """Close the descriptors."""
        for key in list(self._pidfds.get_map().values()):
            self._forget(key)
        self._all.close()
        self._pidfds.close()

    def _forget(self, key: selectors.SelectorKey) -> None:
        self._pidfds.unregister(key.fileobj)
        os.close(key.fd)
        del self._with_pidfd[key.data.process]

    def _check(self) -> list[ProcessEnd]:
        now = self._clock()
        if now < self._next_check:
            return []
        self._next_check = now + _CHECK_SECONDS
        ended = [origin for origin in self._polled.values() if not _is_alive(origin)]
        for origin in ended:
            del self._polled[origin.process]
        return [ProcessEnd(origin, time.time_ns(), is_exact=False) for origin in ended]


def _open_pidfd(origin: Origin) -> int | None:
    try:
        pidfd = os.pidfd_open(origin.pid)
    except (AttributeError, OSError):
        return None
    status = read_status(origin.pid)
    if status is not None and status.start_ticks == origin.start_ticks:
        return pidfd
    os.close(pidfd)  # another process has the pid already
    return None


def _is_alive(origin: Origin) -> bool:
    status = read_status(origin.pid)
    return status is not None and not status.has_ended and status.start_ticks == origin.start_ticks
