"""The half of the queue that is on disk: requests move there from memory, and are delivered from there: `Disk`.

The lock is the queue's. It guards the memory, the ledger and what says so below; requests that are being moved are
pinned in memory meanwhile. The spool has a lock of its own and is used without the queue's, since a disk may take its
time; only `flush`, when nothing else goes on, holds both. `csm_otel.delivery.states` has the states.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.delivery.memory import QueuedRequest
from csm_otel.delivery.states import DISK_TRANSITIONS, DiskState
from csm_otel.errors import SpoolError
from csm_otel.files.states import QueueState, StateMachine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csm_otel.delivery.ledger import Ledger
    from csm_otel.delivery.memory import Memory
    from csm_otel.delivery.spool import Spool

DISK_GRACE_SECONDS = 1.0
"""How long the disk may take to finish its work when the queue is closed; a hanging one is abandoned."""

_RETRY_SECONDS = 1.0  # a full disk is often a log that is about to be rotated
_BATCH_REQUESTS = 64  # a put spends most of its time on the transaction, so one holds many requests


class SpoolUse(NamedTuple):
    """How full a spool is."""

    bytes: int
    """The size of what waits in it, with overhead."""
    limit_bytes: int


class Disk:
    """A spool with the thread that fills it from memory."""

    def __init__(
        self,
        spool: Spool,
        *,
        memory: Memory,
        ledger: Ledger,
        lifecycle: StateMachine[QueueState],
        changed: threading.Condition,
        say: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        """Own the spool from now on; ``changed`` is the queue's lock, ``say`` is called without it.

        The thread is the queue's to start.
        """
        self._spool = spool
        self._memory = memory
        self._ledger = ledger
        self._lifecycle = lifecycle
        self._changed = changed
        self._say = say
        self._clock = clock
        # Guarded by the lock.
        self._machine = StateMachine(DISK_TRANSITIONS, DiskState.READY)
        self.moves = 0
        """The number of moves of requests so far."""
        self._retry_at = float("-inf")
        self._damages = 0
        self.thread = threading.Thread(target=self._move_all, name="csm-otel-spool", daemon=True)
        with changed:
            ledger.recover(spool.spans_found)
        self._count_damage()

    # With the lock held.

    @property
    def is_failing(self) -> bool:
        """Whether the disk refused the last requests."""
        return self._machine.state in {DiskState.REFUSED, DiskState.RETRYING}

    @property
    def is_moving(self) -> bool:
        """Whether requests are being written to disk."""
        return self._machine.state in {DiskState.MOVING, DiskState.RETRYING}

    @property
    def has_requests(self) -> bool:
        """Whether a request waits on disk."""
        return self._spool.bytes > 0

    @property
    def use(self) -> SpoolUse:
        """How full the spool is."""
        return SpoolUse(self._spool.bytes, self._spool.limit_bytes)

    @property
    def is_half_empty(self) -> bool:
        """Whether twice its content would be within the bound."""
        return 2 * self._spool.bytes <= self._spool.limit_bytes

    def flush(self, *, is_still: bool) -> None:
        """Write requests in memory to disk, as far as possible, close the spool and count spooled spans.

        ``is_still``: nothing is being written to the disk, or removed from it. Otherwise, or where the disk hangs, it
        would hang this call as well, and nobody knows how its work will end: what was to be written is in memory still
        and does not count as spooled, what was to be removed does.
        """
        if is_still and not self._spool.hangs(DISK_GRACE_SECONDS):
            rest = self._memory.first(len(self._memory))
            with contextlib.suppress(SpoolError):
                self._ledger.drop(self._put(rest), "queue_full")
                self._memory.remove(rest)
            self._count_damage()
            self._spool.close()
            spooled = self._spool.spans
        else:
            spooled = self._ledger.entered - self._ledger.left - self._memory.spans
        self._ledger.tally.spans_spooled += spooled

    # Without it.

    def first(self) -> QueuedRequest | None:
        """Return the oldest request; None if there is none, or it cannot be read, which is reported."""
        try:
            spooled = self._spool.first()
        except SpoolError as error:
            self._say(f"spool cannot be read: {error}")
            return None
        self._count_damage()
        return spooled and QueuedRequest(spooled.request, spooled.spans, spooled.key, spooled.tries)

    def record_tries(self, key: int, tries: int) -> None:
        """Store how many deliveries of a request may have reached the back end."""
        with contextlib.suppress(SpoolError):  # at worst a repeat is not counted
            self._spool.record_tries(key, tries)

    def replace_first(self, key: int, halves: Sequence[tuple[bytes, int]]) -> bool:
        """Remove the request that `first` returned, or put its halves in its place: see `Spool.replace_first`.

        Raises:
            SpoolError: the disk refuses.
        """
        return self._spool.replace_first(key, halves)

    def _move_all(self) -> None:
        """Move requests from memory to disk as they are put: the thread."""
        while batch := self._next_batch():
            self._move(batch)

    def _next_batch(self) -> list[QueuedRequest]:
        """Wait for requests to move; none at the end."""
        with self._changed:
            while self._lifecycle.state.is_running and (wait_seconds := self._wait_seconds()) > 0:
                self._changed.wait(min(wait_seconds, threading.TIMEOUT_MAX))
            if not self._lifecycle.state.is_running:
                return []
            self._machine.to(DiskState.RETRYING if self.is_failing else DiskState.MOVING)
            return self._memory.pin(_BATCH_REQUESTS)

    def _move(self, batch: Sequence[QueuedRequest]) -> None:
        evicted_spans, fault = 0, ""
        try:
            evicted_spans = self._put(batch)
        except SpoolError as error:
            fault = str(error)
        with self._changed:
            if self._lifecycle.state is QueueState.CLOSED:
                return
            self._memory.unpin()
            if fault:
                self._machine.to(DiskState.REFUSED)
                self._retry_at = self._clock() + _RETRY_SECONDS
            else:
                self._machine.to(DiskState.READY)
                self.moves += 1
                self._memory.remove(batch)
                self._ledger.drop(evicted_spans, "queue_full")
            self._changed.notify_all()
        if fault:
            self._say(f"spool cannot be written, keeping spans in memory: {fault}")
        self._count_damage()

    def _wait_seconds(self) -> float:
        """Return how long to wait before the next move; infinite while there is nothing to move."""
        if not self._memory or self._memory.pinned:
            return float("inf")
        return self._retry_at - self._clock()

    def _put(self, requests: Sequence[QueuedRequest]) -> int:
        """Write requests and return how many spans they evicted."""
        return self._spool.put([(one.request, one.spans) for one in requests], tries=[one.tries for one in requests])

    def _count_damage(self) -> None:
        with self._changed:
            if self._lifecycle.state is QueueState.CLOSED:
                return
            lost = self._spool.spans_lost - self._ledger.tally.spans_dropped["spool_damaged"]
            is_news = self._spool.damages > self._damages
            self._damages = self._spool.damages
            self._ledger.drop(lost, "spool_damaged")
        if is_news:
            self._say("spool was damaged; what could be read of it is kept")
