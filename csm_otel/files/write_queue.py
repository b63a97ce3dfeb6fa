"""What waits for a file: bytes, in order, bounded, each accounted for, with the thread that writes them: `WriteQueue`.

A disk may take any time and a pipe's reader may stall, so the loop that receives datagrams only hands over what is
encoded already. What does not fit is lost, as what cannot be written is.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LIMIT_BYTES = 16 * 1024 * 1024
"""Some 40,000 spans or 20,000 datagrams: a few seconds of writing, which is what there is time for at the end."""

STALL_SECONDS = 1.25
"""How long nothing may get any further at the end. A pipe's reader gets a second: `LineFile` tells of it before."""

_GATHERED_BYTES = 64 * 1024  # are not gathered any further
_LEAST_SECONDS = 0.1  # for the last of it at the end, whatever happens: a disk that works needs a hundredth
_THREAD_END_SECONDS = 0.2


class Writable(Protocol):
    """What the thread writes to; only the thread uses it, but for ``is_failing``."""

    @property
    def is_failing(self) -> bool:
        """Whether the last that was to be written could not be."""

    def append(self, batch: Sequence[bytes], /) -> int:
        """Write a batch and return how many of it are there; the first of the others is lost, the rest not tried."""

    def close(self) -> None:
        """Close it."""


class WriteQueue:
    """A first-in first-out queue of bytes with the thread that writes them.

    Args:
        target: Belongs to the queue from now on, which closes it.
        name: Of the thread.
        lost: Takes what each counted for that was not written, with a lock held, in whichever thread that is.
        written: The same for what was.
        limit_bytes: Bound on what waits, what is being written included.
        batch_bytes: How much is written in one go, unless one alone is longer.
        gather_seconds: How long what is put may wait for more, so that the thread does not wake for each.
    """

    def __init__(
        self,
        target: Writable,
        *,
        name: str,
        lost: Callable[[int], None],
        written: Callable[[int], None] | None = None,
        limit_bytes: int = LIMIT_BYTES,
        batch_bytes: int = 0,
        gather_seconds: float = 0.0,
    ) -> None:
        self._target = target
        self._lost = lost
        self._written = written
        self._limit_bytes = limit_bytes
        self._batch_bytes = batch_bytes
        self._gather_seconds = gather_seconds
        self._changed = threading.Condition()
        """Guards all below."""
        self._waiting: deque[tuple[bytes, int]] = deque()
        """With what each counts for; the first are being written."""
        self._due = 0
        """How many of them have been gathered, and are written without waiting for more."""
        self._bytes = 0
        self._put = self._settled = 0
        """What was taken in counts for, and what of it waits no more."""
        self._moved_at = 0.0
        """When it got any further, or began to have something to write, in monotonic seconds."""
        self._is_overflowing = False
        self._patient_until = -math.inf
        self._patient_stall_seconds = math.inf
        self._is_cancelled = False
        self._is_closing = False
        self._is_over = False
        self._thread = threading.Thread(target=self._write_all, name=name, daemon=True)
        self._thread.start()

    @property
    def is_failing(self) -> bool:
        """Whether the last could not be written, or did not fit."""
        return self._is_overflowing or self._target.is_failing

    def mark(self) -> int:
        """Return where what was put up to now ends, for `is_settled`."""
        with self._changed:
            return self._put

    def is_settled(self, mark: int) -> bool:
        """Return whether nothing that was put before the mark waits any more."""
        with self._changed:
            return self._settled >= mark

    def have_patience(self, *, until: float, stall_seconds: float = math.inf) -> None:
        """Let `put` wait for room from now on, up to a monotonic second: nothing is received meanwhile.

        It stops waiting when nothing has got any further for ``stall_seconds``.
        """
        with self._changed:
            self._patient_until, self._patient_stall_seconds = until, stall_seconds

    def put(self, data: bytes, counts: int = 1) -> None:
        """Take in what is to be written, and what it counts for; what does not fit is lost. Waits only if told to."""
        with self._changed:
            self._put += counts
            while not (self._fits(data) or self._is_over) and (left := self._patience_seconds()) > 0:
                self._changed.wait(min(left, threading.TIMEOUT_MAX))
            self._is_overflowing = not self._fits(data)
            if self._is_over or self._is_overflowing:
                self._settle(counts, is_written=False)
                return
            had_gathered = self._has_gathered()
            if not self._waiting:
                self._moved_at = time.monotonic()
            self._waiting.append((data, counts))
            self._bytes += len(data)
            if len(self._waiting) == 1 or self._has_gathered() > had_gathered:
                self._changed.notify_all()

    def close(self, *, deadline_seconds: float) -> int:
        """Write what waits, give the rest up, close the target, and return what the rest counts for.

        It is given up after ``deadline_seconds``, and before, when nothing has got any further for ``STALL_SECONDS``.
        """
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            began = time.monotonic()
            while self._waiting and (left := self._left_seconds(began, deadline_seconds)) > 0:
                self._changed.wait(left)
            self._is_over = True
            given_up = sum(counts for _, counts in self._waiting)
            if self._waiting:
                self._is_overflowing = True
                self._settle(given_up, is_written=False)
            self._waiting.clear()
            self._changed.notify_all()
        if not given_up:  # else the disk does not let the thread go, and it is left behind; it is a daemon
            self._thread.join(_THREAD_END_SECONDS)
        return given_up

    def cancel(self) -> None:
        """Make a running or a later `close` end at once, but for the moment that a disk needs that works."""
        with self._changed:
            self._is_cancelled = True
            self._changed.notify_all()

    def _write_all(self) -> None:
        while batch := self._next():
            there = self._append(batch)
            with self._changed:
                if self._is_over:  # given up and counted already
                    break
                for number in range(min(there + 1, len(batch))):
                    data, counts = self._waiting.popleft()
                    self._due -= 1
                    self._bytes -= len(data)
                    self._settle(counts, is_written=number < there)
                self._moved_at = time.monotonic()
                self._changed.notify_all()
        self._target.close()

    def _next(self) -> list[bytes]:
        """Wait for what is to be written in one go; nothing at the end."""
        with self._changed:
            if not self._due:
                self._changed.wait_for(lambda: self._waiting or self._is_closing)
                self._changed.wait_for(lambda: self._has_gathered() or self._is_closing, self._gather_seconds)
                self._due = len(self._waiting)
            batch: list[bytes] = []
            room = self._batch_bytes
            for data, _ in islice(self._waiting, self._due):
                room -= len(data)
                if batch and room < 0:
                    break
                batch.append(data)
            return batch

    def _append(self, batch: Sequence[bytes]) -> int:
        try:
            return self._target.append(batch)
        except Exception:  # ruff: ignore[blind-except] - what cannot be written must not end the writing of all others
            return 0

    # All with the lock held.

    def _has_gathered(self) -> bool:
        return self._bytes >= _GATHERED_BYTES

    def _fits(self, data: bytes) -> bool:
        return not self._waiting or self._bytes + len(data) <= self._limit_bytes

    def _patience_seconds(self) -> float:
        if self._is_cancelled:
            return 0.0
        return min(self._patient_until, self._moved_at + self._patient_stall_seconds) - time.monotonic()

    def _left_seconds(self, began: float, deadline_seconds: float) -> float:
        """Return how much longer closing may take, which has begun at a monotonic second."""
        end = -math.inf if self._is_cancelled else min(began + deadline_seconds, self._moved_at + STALL_SECONDS)
        return max(end, began + _LEAST_SECONDS) - time.monotonic()

    def _settle(self, counts: int, *, is_written: bool) -> None:
        self._settled += counts
        if not is_written:
            self._lost(counts)
        elif self._written is not None:
            self._written(counts)
