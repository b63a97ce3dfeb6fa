"""A queue to a file: bytes in, each written in order or counted as dropped, by a separate thread: `WriteQueue`.

A disk may take any time and a pipe's reader may stall, so the loop that receives datagrams only hands over what is
encoded already. What waits, and for how long, is `csm_otel.files.backlog`; here are the thread and the waiting.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol

from csm_otel.files.backlog import LIMIT_BYTES, Backlog
from csm_otel.files.line_file import REOPEN
from csm_otel.files.states import QueueState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_THREAD_END_SECONDS = 0.2
_CHECK_SECONDS = 0.05


class Writable(Protocol):
    """What the thread writes to; only the thread uses it, but for ``is_failing``."""

    @property
    def is_failing(self) -> bool:
        """Whether the last write failed."""

    def append(self, batch: Sequence[bytes], /) -> int:
        """Write a batch and return how many of its entries are in the file: those before the one that failed.

        At a `REOPEN` it opens its file anew.
        """

    def close(self) -> None:
        """Close it."""


class WriteQueue:
    """A first-in first-out queue of bytes with the thread that writes them.

    Args:
        target: Belongs to the queue from now on, which closes it.
        name: Of the thread.
        on_dropped: Called with the count of entries not written, with a lock held, in any thread.
        on_written: The same for entries written.
        limit_bytes: Bound on queued bytes, including those being written.
        batch_bytes: How much is written at once, unless a single entry is longer.
        gather_seconds: How long an entry may wait for more, so that the thread does not wake for each.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        target: Writable,
        *,
        name: str,
        on_dropped: Callable[[int], None],
        on_written: Callable[[int], None] = lambda _counts: None,
        limit_bytes: int = LIMIT_BYTES,
        batch_bytes: int = 0,
        gather_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._clock = clock
        self._changed = threading.Condition()
        """Guards the backlog; notified when it has changed."""
        self._backlog = Backlog(
            limit_bytes=limit_bytes,
            batch_bytes=batch_bytes,
            gather_seconds=gather_seconds,
            on_written=on_written,
            on_dropped=on_dropped,
        )
        self._thread = threading.Thread(target=self._write_all, name=name, daemon=True)
        self._thread.start()

    @property
    def is_failing(self) -> bool:
        """Whether the last entry could not be written, or did not fit."""
        return self._backlog.is_overflowing or self._target.is_failing

    def mark(self) -> int:
        """Return the position after the last entry so far, for `is_flushed`."""
        with self._changed:
            return self._backlog.mark()

    def is_flushed(self, mark: int) -> bool:
        """Return whether nothing that was put before the mark waits any more."""
        with self._changed:
            return self._backlog.is_flushed(mark)

    def block_when_full(self, *, until: float, stall_seconds: float = float("inf")) -> None:
        """Let `put` block while the queue is full, until ``until`` in monotonic seconds; nothing is received meanwhile.

        It blocks no longer after ``stall_seconds`` without progress.
        """
        with self._changed:
            self._backlog.block_when_full(until=until, stall_seconds=stall_seconds)

    def wait_until_written(self, *, unless: Callable[[], bool], most_bytes: int = 0) -> None:
        """Wait until no more than ``most_bytes`` are queued, or ``unless()`` is true, which is checked at intervals."""
        with self._changed:
            while self._backlog.queued_bytes > most_bytes and not unless():
                self._wait(_CHECK_SECONDS)

    def put(self, data: bytes, counts: int = 1) -> None:
        """Queue an entry with its count; one that does not fit is dropped. See `block_when_full`."""
        with self._changed:
            while wait_seconds := self._backlog.room_wait_seconds(data, now=self._clock()):
                self._wait(wait_seconds)
            if self._backlog.put(data, counts, now=self._clock()):
                self._changed.notify_all()

    def reopen(self, first: bytes = b"") -> None:
        """Open the target's file anew once all that was put is written, and begin it with ``first``, one entry."""
        with self._changed:
            self._backlog.put(REOPEN, 0, now=self._clock(), fits_always=True)
            if first:
                self._backlog.put(first, 1, now=self._clock(), fits_always=True)
            self._changed.notify_all()

    def close(self, *, deadline_seconds: float) -> int:
        """Write queued entries, drop the rest, close the target, and return the counts of the rest.

        The rest is given up after ``deadline_seconds``, and earlier after ``STALL_SECONDS`` without progress. A further
        call does nothing, and returns 0.
        """
        with self._changed:
            if self._backlog.state is not QueueState.OPEN:
                return 0
            self._backlog.close(deadline_seconds=deadline_seconds, now=self._clock())
            self._changed.notify_all()
            while wait_seconds := self._backlog.close_wait_seconds(now=self._clock()):
                self._wait(wait_seconds)
            given_up = self._backlog.finish()
            self._changed.notify_all()
        if not given_up:  # else the thread hangs in a write and is left behind; it is a daemon
            self._thread.join(_THREAD_END_SECONDS)
        return given_up

    def cancel(self) -> None:
        """Make a running or a later `close` end at once, but for `GRACE_SECONDS`."""
        with self._changed:
            self._backlog.cancel()
            self._changed.notify_all()

    def _write_all(self) -> None:
        while batch := self._next_batch():
            written = self._append(batch)
            with self._changed:
                goes_on = self._backlog.finish_batch(len(batch), written, now=self._clock())
                self._changed.notify_all()
            if not goes_on:
                break
        self._target.close()

    def _next_batch(self) -> list[bytes]:
        with self._changed:
            while wait_seconds := self._backlog.batch_wait_seconds(now=self._clock()):
                self._wait(wait_seconds)
            return self._backlog.next_batch()

    def _append(self, batch: Sequence[bytes]) -> int:
        try:
            return self._target.append(batch)
        except Exception:  # ruff: ignore[blind-except] - one entry that cannot be written must not end all writing
            return 0

    def _wait(self, seconds: float) -> None:
        """Wait, with the lock held, for a change or so long."""
        self._changed.wait(min(seconds, threading.TIMEOUT_MAX))
