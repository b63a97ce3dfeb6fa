"""The half of the queue that is on disk: what was put moves there from memory, and is delivered from there: `Disk`.

The lock is the queue's. It guards the memory, the ledger and what says so below; who moves requests has taken them in
the memory meanwhile. The spool has a lock of its own, and is asked without the queue's, since a disk may take its time;
only at the end, when nothing else goes on, with it.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from csm_otel.delivery.memory import Waiting
from csm_otel.errors import SpoolError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csm_otel.delivery.ledger import Ledger
    from csm_otel.delivery.memory import Memory
    from csm_otel.delivery.spool import Spool

DISK_PATIENCE_SECONDS = 1.0
"""For what the disk is at when the queue ends; a disk that hangs is left alone."""

_RETRY_SECONDS = 1.0  # a full disk is often a log that is about to be rotated
_AT_A_TIME = 64  # requests written to disk in one go, which is what a put costs most


class Disk:
    """A spool with the thread that fills it from the memory."""

    def __init__(
        self, spool: Spool, *, memory: Memory, ledger: Ledger, changed: threading.Condition, say: Callable[[str], None]
    ) -> None:
        """Take over the spool; ``changed`` is the queue's lock, ``say`` takes a line for the operator without it.

        The thread is the queue's to start.
        """
        self._spool = spool
        self._memory = memory
        self._ledger = ledger
        self._changed = changed
        self._say = say
        # Guarded by the lock.
        self.is_failing = False
        """Whether the disk refused what was to be moved there last."""
        self.is_moving = False
        self.moves = 0
        """How often requests were moved."""
        self.is_over = False
        """Whether the end has been accounted for: who comes back from a disk that hung changes no count any more."""
        self._damages = 0
        self._is_stopped = False
        self.thread = threading.Thread(target=self._move_all, name="csm-otel-spool", daemon=True)
        with changed:
            ledger.recover(spool.spans_found)
        self._account_for_damage()

    # With the lock held.

    @property
    def holds_some(self) -> bool:
        """Whether a request waits on disk."""
        return self._spool.bytes > 0

    @property
    def is_half_empty(self) -> bool:
        """Whether twice as much would be within the bound."""
        return 2 * self._spool.bytes <= self._spool.limit_bytes

    def stop(self) -> None:
        """Let the thread end; it is to be told that something has changed."""
        self._is_stopped = True

    def keep_the_rest(self, *, is_still: bool) -> None:
        """Put to disk what is in memory, as far as it can be, and close the spool: the end.

        ``is_still``: nothing is being put on the disk, or taken off. Otherwise, or where the disk hangs, it would hold
        us up as well, and what it is at may come to pass or not: what was to be put there is in memory still and not
        spooled, what was to be taken off is.
        """
        if is_still and not self._spool.hangs(DISK_PATIENCE_SECONDS):
            rest = self._memory.first(len(self._memory))
            with contextlib.suppress(SpoolError):
                self._ledger.drop(self._put(rest), "queue_full")
                self._memory.forget(rest)
            self._account_for_damage()
            self._spool.close()
            spooled = self._spool.spans
        else:
            in_memory = sum(one.spans for one in self._memory.first(len(self._memory)))
            spooled = self._ledger.put - self._ledger.settled - in_memory
        self._ledger.tally.spans_spooled += spooled
        self.is_over = True

    # Without it.

    def first(self) -> Waiting | None:
        """Return the request that has waited longest; None where there is none, or it cannot be read, which is told."""
        try:
            spooled = self._spool.first()
        except SpoolError as error:
            self._say(f"spool cannot be read: {error}")
            return None
        self._account_for_damage()
        return spooled and Waiting(spooled.request, spooled.spans, spooled.key, spooled.tries)

    def note_tries(self, key: int, tries: int) -> None:
        """Keep how many deliveries of a request may have reached the back end."""
        with contextlib.suppress(SpoolError):  # at worst a repeat is not counted
            self._spool.note_tries(key, tries)

    def replace_first(self, key: int, halves: Sequence[tuple[bytes, int]]) -> bool:
        """Forget the request that `first` returned, or put its halves there: see `Spool.replace_first`.

        Raises:
            SpoolError: the disk refuses.
        """
        return self._spool.replace_first(key, halves)

    def _move_all(self) -> None:
        """Move what was put from memory to disk, as it comes: the thread."""
        while True:
            with self._changed:
                while not (self._is_stopped or (self._memory and not self._memory.taken)):
                    self._changed.wait()
                if self._is_stopped:
                    return
                batch = self._memory.take(_AT_A_TIME)
                self.is_moving = True
            self._move(batch)

    def _move(self, batch: Sequence[Waiting]) -> None:
        dropped, fault = 0, ""
        try:
            dropped = self._put(batch)
        except SpoolError as error:
            fault = str(error)
        with self._changed:
            if self.is_over:
                return
            self._memory.give_back()
            self.is_moving = False
            self.is_failing = bool(fault)
            if not fault:
                self.moves += 1
                self._memory.forget(batch)
                self._ledger.drop(dropped, "queue_full")
            self._changed.notify_all()
            if fault and not self._is_stopped:
                self._changed.wait_for(lambda: self._is_stopped, _RETRY_SECONDS)
        if fault:
            self._say(f"spool cannot be written, keeping spans in memory: {fault}")
        self._account_for_damage()

    def _put(self, requests: Sequence[Waiting]) -> int:
        """Write requests and return how many spans they pushed out."""
        return self._spool.put([(one.request, one.spans) for one in requests], tries=[one.tries for one in requests])

    def _account_for_damage(self) -> None:
        with self._changed:
            if self.is_over:
                return
            lost = self._spool.spans_lost - self._ledger.tally.spans_dropped["spool_damaged"]
            is_news = self._spool.damages > self._damages
            self._damages = self._spool.damages
            self._ledger.drop(lost, "spool_damaged")
        if is_news:
            self._say("spool was damaged; what could be read of it is kept")
