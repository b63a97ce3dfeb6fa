"""Bytes that wait to be written, and how long to wait for them: `Backlog`, the write queue without its thread.

Time is an argument, in monotonic seconds. Each method that ends in ``_seconds`` returns how long to wait for a change
before calling it again; 0: the wait is over. `csm_otel.files.states` has the theory of the states:

| State | what is put | the writer gets | `close` waits |
|---|---|---|---|
| OPEN | is kept if it fits | what was gathered long enough | |
| CLOSING | is kept if it fits | everything, without gathering | until it is empty, its deadline, a stall or a cancel |
| STOPPED | is dropped | nothing | |
| CLOSED | is dropped | nothing; what it still has in hand is counted as dropped already | |
"""

from __future__ import annotations

import math
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from csm_otel.files.states import QUEUE_TRANSITIONS, QueueState, StateMachine

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_BYTES = 16 * 1024 * 1024
"""Some 40,000 spans or 20,000 datagrams: a few seconds of writing, which is what there is time for at shutdown."""

STALL_SECONDS = 1.25
"""`close` gives up after this long without progress. A pipe's reader gets a second: `LineFile` reports it before."""

GRACE_SECONDS = 0.1
"""The least time that `close` waits, whatever the deadline: a disk that works needs a hundredth of a second."""

GATHERED_BYTES = 64 * 1024
"""So much is written without waiting for more."""


class Backlog:
    """A bounded first-in first-out queue of bytes, each entry with what it counts for. For one thread at a time."""

    def __init__(
        self,
        *,
        limit_bytes: int,
        batch_bytes: int,
        gather_seconds: float,
        on_written: Callable[[int], None],
        on_dropped: Callable[[int], None],
    ) -> None:
        """Begin empty and OPEN; see `WriteQueue` for the arguments."""
        self._limit_bytes = limit_bytes
        self._batch_bytes = batch_bytes
        self._gather_seconds = gather_seconds
        self._on_written = on_written
        self._on_dropped = on_dropped
        self._machine = StateMachine(QUEUE_TRANSITIONS, QueueState.OPEN)
        self._entries: deque[tuple[bytes, int]] = deque()
        """Data with its count; those of the batch that is being written come first."""
        self._due = 0
        """How many entries were gathered already."""
        self._bytes = 0
        self._added = self._removed = 0
        """Sums of counts."""
        self._gathers_since = 0.0
        self._moved_at = 0.0
        """When the writer last made progress, or first had something to write."""
        self._room_until = -math.inf
        self._room_stall_seconds = math.inf
        self._deadline = math.inf
        self._grace_until = math.inf
        self._is_cancelled = False
        self.is_overflowing = False
        """Whether the last entry that was put did not fit, or `close` gave up some."""

    @property
    def state(self) -> QueueState:
        """The state of the queue."""
        return self._machine.state

    @property
    def queued_bytes(self) -> int:
        """The bytes that wait, those being written included."""
        return self._bytes

    def mark(self) -> int:
        """Return the position after the last entry so far, for `is_flushed`."""
        return self._added

    def is_flushed(self, mark: int) -> bool:
        """Return whether nothing that was put before the mark waits any more."""
        return self._removed >= mark

    def block_when_full(self, *, until: float, stall_seconds: float) -> None:
        """Wait for room up to the monotonic second ``until``, while progress is made every ``stall_seconds``."""
        self._room_until, self._room_stall_seconds = until, stall_seconds

    def room_wait_seconds(self, data: bytes, *, now: float) -> float:
        """Return how long to wait for room for an entry: 0 if there is room, or it will be dropped."""
        if self._fits(data) or not self.state.is_running or self._is_cancelled:
            return 0.0
        return max(min(self._room_until, self._moved_at + self._room_stall_seconds) - now, 0.0)

    def put(self, data: bytes, counts: int, *, now: float, fits_always: bool = False) -> bool:
        """Keep or drop an entry, and return whether the writer may need a wake-up.

        One that ``fits_always`` is kept beyond the bound.
        """
        self._added += counts
        fits = self._fits(data)
        self.is_overflowing = not fits if not fits_always else self.is_overflowing
        if not (fits or fits_always) or not self.state.is_running:
            self._drop(counts)
            return False
        had_gathered = self._has_gathered
        if not self._entries:
            self._moved_at = now
        if len(self._entries) == self._due:
            self._gathers_since = now
        self._entries.append((data, counts))
        self._bytes += len(data)
        return len(self._entries) == 1 or self._has_gathered > had_gathered

    def batch_wait_seconds(self, *, now: float) -> float:
        """Return how long the writer is to wait before it asks for a batch; infinite while nothing waits."""
        if self._due or self._has_gathered or self.state is not QueueState.OPEN:
            return 0.0
        if not self._entries:
            return math.inf
        return max(self._gathers_since + self._gather_seconds - now, 0.0)

    def next_batch(self) -> list[bytes]:
        """Return the first entries, as many as are best written at once; none if the writer should end."""
        if not self._due:
            self._due = len(self._entries)
        batch: list[bytes] = []
        room = self._batch_bytes
        for data, _ in islice(self._entries, self._due):
            room -= len(data)
            if batch and room < 0:
                break
            batch.append(data)
        return batch

    def finish_batch(self, size: int, written: int, *, now: float) -> bool:
        """Account for a batch of ``size`` entries, of which the first ``written`` are in the file.

        The next one is dropped, as it failed; those behind it were not tried and stay. Returns False where the queue
        was closed meanwhile and has counted the batch as dropped: the writer is to end.
        """
        if self.state is QueueState.CLOSED:
            return False
        for number in range(min(written + 1, size)):
            data, counts = self._entries.popleft()
            self._due -= 1
            self._bytes -= len(data)
            if number < written:
                self._removed += counts
                self._on_written(counts)
            else:
                self._drop(counts)
        self._moved_at = now
        return True

    def close(self, *, deadline_seconds: float, now: float) -> None:
        """Begin closing, once: `close_wait_seconds` says for how long."""
        self._machine.to(QueueState.CLOSING)
        self._deadline = now + deadline_seconds
        self._grace_until = now + GRACE_SECONDS

    def close_wait_seconds(self, *, now: float) -> float:
        """Return how long to wait for the writer's progress: 0 if nothing is left, or the rest will be dropped."""
        if not self._entries:
            return 0.0
        end = -math.inf if self._is_cancelled else min(self._deadline, self._moved_at + STALL_SECONDS)
        return max(max(end, self._grace_until) - now, 0.0)

    def finish(self) -> int:
        """Drop the rest, end, and return the counts of the rest."""
        self._machine.to(QueueState.STOPPED)
        given_up = sum(counts for _, counts in self._entries)
        if self._entries:
            self.is_overflowing = True
            self._drop(given_up)
        self._entries.clear()
        self._machine.to(QueueState.CLOSED)
        return given_up

    def cancel(self) -> None:
        """Have no wait but the grace period from now on."""
        self._is_cancelled = True

    @property
    def _has_gathered(self) -> bool:
        return self._bytes >= GATHERED_BYTES

    def _fits(self, data: bytes) -> bool:
        return not self._entries or self._bytes + len(data) <= self._limit_bytes

    def _drop(self, counts: int) -> None:
        self._removed += counts
        self._on_dropped(counts)
