"""What waits for the back end: encoded requests, in order, bounded, each accounted for.

One thread delivers, so that a slow back end never slows the receiving of datagrams down. Without a spool all waits in
memory. With one, a second thread moves what was put to disk within moments (`csm_otel.delivery.disk`), and what is
delivered comes from there; while the disk refuses, memory is what there is, and is delivered after what the disk still
has: the order stays, unless the disk cannot even be read.

A request is gone only when the back end has taken it. Every span put, and every span found in the spool, ends in
exactly one count of the tally: delivered, rejected, spooled (waits on disk for the next process), or dropped with a
reason (``queue_full``, ``refused``, ``too_large``, ``spool_damaged``, ``shutdown``).

One lock guards all that the threads share, the tally included. It is never held while the back end or, but for the end,
the disk is asked for something.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from csm_otel.delivery.backoff import Backoff
from csm_otel.delivery.disk import DISK_PATIENCE_SECONDS, Disk
from csm_otel.delivery.ledger import Ledger
from csm_otel.delivery.memory import Memory, Waiting
from csm_otel.delivery.outcome import Delivered, Outcome, Refused, TooLarge, Unavailable
from csm_otel.delivery.splitting import split
from csm_otel.errors import SpoolError
from csm_otel.process.speaker import Repeats

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.delivery.deliverer import Deliverer
    from csm_otel.delivery.spool import Spool
    from csm_otel.tally import Tally

_LOOK_SECONDS = 0.1
# a thread inside a hung delivery is left behind; it is a daemon and touches no count any more
_THREAD_END_SECONDS = 0.2


class DeliveryQueue:
    """A first-in first-out queue of encoded requests with the threads that keep and deliver them.

    Args:
        deliverer: Belongs to the queue from now on, which closes it.
        tally: Its span counts past encoding are the queue's to change until `close` has returned.
        limit_bytes: Bound on the encoded bytes kept in memory, the request under way included.
        limit_spans: Bound on the spans kept in memory, or None.
        timeout_seconds: For one delivery.
        say: Takes a line for the operator, the same one once a minute at most; called from the queue's threads.
        spool: Where requests are kept on disk; belongs to the queue from now on.
        backoff: When the next try may be.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        deliverer: Deliverer,
        *,
        tally: Tally,
        limit_bytes: int,
        limit_spans: int | None,
        timeout_seconds: float,
        say: Callable[[str], None],
        spool: Spool | None = None,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deliverer = deliverer
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._say = say
        self._repeats = Repeats()
        # Guards all below. Its lock is re-entrant, so that a signal handler may call `cancel` wherever the thread it
        # interrupts is.
        self._changed = threading.Condition()
        self._backoff = backoff or Backoff()
        self._memory = Memory(limit_bytes=limit_bytes, limit_spans=limit_spans)
        self._ledger = Ledger(tally)
        self._under_way: Waiting | None = None
        """Being delivered; one that is in memory is taken there meanwhile."""
        self._is_settling = False
        """Whether an outcome is being accounted for, on disk and in the tally."""
        self._deadline: float | None = None
        """Set when closing."""
        self._is_cancelled = False
        self._is_stopped = False
        self._disk: Disk | None = None
        self._threads = [threading.Thread(target=self._deliver_all, name="csm-otel-delivery", daemon=True)]
        if spool is not None:
            self._disk = Disk(spool, memory=self._memory, ledger=self._ledger, changed=self._changed, say=self._tell)
            self._threads.append(self._disk.thread)
        for thread in self._threads:
            thread.start()

    @property
    def spans_waiting(self) -> int:
        """How many spans wait, on disk and in memory."""
        with self._changed:
            return self._ledger.put - self._ledger.settled

    @property
    def keeps_on_disk(self) -> bool:
        """Whether what is put gets to disk."""
        return self._disk is not None and not self._disk.is_failing

    def mark(self) -> int:
        """Return where what was put up to now ends, for `is_flushed`."""
        with self._changed:
            return self._ledger.put

    def is_flushed(self, mark: int) -> bool:
        """Return whether nothing that was put before the mark waits any more."""
        with self._changed:
            return self._ledger.settled >= mark

    def put(self, request: bytes, spans: int) -> None:
        """Take in an encoded request of ``spans`` spans; never blocks. Where it does not fit the oldest are dropped."""
        with self._changed:
            self._ledger.put += spans
            if self._is_stopped or not self._memory.fits(request, spans):
                self._ledger.drop(spans, "shutdown" if self._is_stopped else "queue_full")
                return
            for pushed_out in self._memory.put(Waiting(request, spans)):
                self._ledger.drop(pushed_out.spans, "queue_full")
            self._changed.notify_all()

    def wait_for_room(self, *, unless: Callable[[], bool]) -> None:
        """Wait while the queue is more than half full, for who can wait; ``unless`` is looked at all the time."""
        with self._changed:
            while not (self._has_room() or self._is_stopped or unless()):
                self._changed.wait(_LOOK_SECONDS)

    def close(self, *, deadline_seconds: float) -> None:
        """Deliver what waits, for at most ``deadline_seconds``, then keep the rest on disk, or drop it, and end.

        Ends early where trying on is pointless: the back end wants to be left alone for longer than there is time.
        """
        with self._changed:
            self._deadline = self._clock() + deadline_seconds
            self._backoff.hurry()
            self._changed.notify_all()
            while self._has_work() and not self._is_hopeless():
                self._changed.wait(min(max(self._deadline - self._clock(), 0), _LOOK_SECONDS))
            self._is_stopped = True
            if self._disk is not None:
                self._disk.stop()
            self._changed.notify_all()
            # what is being put on the disk, or taken off, is neither spooled nor counted yet
            self._changed.wait_for(self._is_disk_still, DISK_PATIENCE_SECONDS)
        self._deliverer.close()
        for thread in self._threads:
            thread.join(_THREAD_END_SECONDS)
        with self._changed:
            if self._disk is not None:
                # with the lock let go: who comes back from a slow disk needs it to say so
                self._changed.wait_for(self._is_disk_still, DISK_PATIENCE_SECONDS)
                self._disk.keep_the_rest(is_still=self._is_disk_still())
            self._ledger.drop(sum(one.spans for one in self._memory.first(len(self._memory))), "shutdown")

    def cancel(self) -> None:
        """Make a running or a later `close` end at once. May be called from a signal handler."""
        with self._changed:
            self._is_cancelled = True
            self._changed.notify_all()

    # The delivering thread.

    def _deliver_all(self) -> None:
        while waiting := self._next():
            for line in self._settle(waiting, self._deliver(waiting)):
                self._tell(line)

    def _next(self) -> Waiting | None:
        """Wait for a request whose turn it is and mark it as under way; None at the end."""
        while True:
            with self._changed:
                while not self._is_stopped:
                    wait_seconds = self._backoff.until - self._clock()
                    if self._has_work() and wait_seconds <= 0:
                        break
                    self._changed.wait(wait_seconds if self._has_work() else None)
                if self._is_stopped:
                    return None
                moves = self._disk.moves if self._disk is not None else 0
            spooled = self._disk.first() if self._disk is not None else None
            with self._changed:
                if self._is_stopped:  # given up and counted already
                    return None
                if spooled:
                    self._under_way = spooled
                    return spooled
                # What has moved since we looked is older than what is in memory now.
                is_memory_next = self._disk is None or (self._disk.is_failing and moves == self._disk.moves)
                if self._memory and not self._memory.taken and is_memory_next:
                    (self._under_way,) = self._memory.take(1)
                    return self._under_way
                self._changed.wait(_LOOK_SECONDS)

    def _deliver(self, waiting: Waiting) -> Outcome:
        """Try once, and tell what came of it."""
        if waiting.tries:
            with self._changed:
                if not self._is_stopped:
                    self._ledger.tally.spans_repeated += waiting.spans
        # Before it is tried: should this process end meanwhile, the next one knows.
        self._note_tries(waiting, waiting.tries + 1)
        try:
            outcome = self._deliverer.deliver(waiting.request, timeout_seconds=self._timeout())
        except Exception as error:  # ruff: ignore[blind-except] - one request must not end the delivery of all others
            return Refused(f"delivery failed: {type(error).__name__}")
        if isinstance(outcome, TooLarge) or (isinstance(outcome, Unavailable) and not outcome.may_have_arrived):
            self._note_tries(waiting, waiting.tries - 1)
        return outcome

    def _timeout(self) -> float:
        if self._deadline is None:
            return self._timeout_seconds
        # Not zero, which requests and gRPC take for a mistake; `close` does not wait for it anyway.
        return min(self._timeout_seconds, max(self._deadline - self._clock(), 0.1))

    def _settle(self, waiting: Waiting, outcome: Outcome) -> list[str]:
        """Account for an outcome and return the lines that it is worth."""
        if isinstance(outcome, Unavailable):
            return self._wait(outcome)
        halves = split(waiting.request) if isinstance(outcome, TooLarge) and waiting.spans > 1 else []
        with self._changed:
            if self._is_stopped:  # given up and counted already
                return []
            self._is_settling = True
        try:
            # One that was lost to damage meanwhile is counted already.
            is_known = self._disk is None or waiting.key is None or self._disk.replace_first(waiting.key, halves)
        except SpoolError as error:
            if halves:  # they are nowhere: the whole is tried again, and split again once the disk does as it is told
                return self._wait(Unavailable(f"too large, and the spool cannot be written: {error}"))
            is_known = True
            self._tell(f"spool cannot be written, some spans may be delivered again: {error}")
        with self._changed:
            if self._disk is not None and self._disk.is_over:  # the disk hung, and it is counted as spooled
                return []
            lines = ["back end available again"] if self._backoff.failures else []
            self._backoff.succeed()
            self._let_go()
            self._is_settling = False
            if waiting.key is None:
                self._memory.replace_first(halves)
            if not halves and is_known:
                lines += self._account(waiting, outcome)
            self._changed.notify_all()
            return lines

    def _wait(self, outcome: Unavailable) -> list[str]:
        with self._changed:
            self._is_settling = False
            self._changed.notify_all()
            if self._is_stopped:
                return []
            is_first = self._backoff.failures == 0
            self._backoff.fail(self._clock(), outcome.retry_after_seconds)
            self._let_go()
        return [f"back end unavailable, trying again: {outcome.reason}"] if is_first else []

    def _account(self, waiting: Waiting, outcome: Delivered | Refused | TooLarge) -> list[str]:
        if not isinstance(outcome, Delivered):
            self._ledger.drop(waiting.spans, "refused" if isinstance(outcome, Refused) else "too_large")
            return [f"back end refused spans: {outcome.reason}"]
        rejected = min(outcome.rejected_spans, waiting.spans)
        self._ledger.deliver(waiting.spans, rejected=rejected)
        if rejected:
            return [f"back end rejected {rejected} of {waiting.spans} spans: {outcome.message or 'no reason given'}"]
        return [f"back end says: {outcome.message}"] if outcome.message else []

    def _note_tries(self, waiting: Waiting, tries: int) -> None:
        waiting.tries = tries
        if self._disk is not None and waiting.key is not None:
            self._disk.note_tries(waiting.key, tries)

    def _tell(self, line: str) -> None:
        if self._repeats.is_news(line, now=self._clock()):
            self._say(line)

    # All of these with the lock held.

    def _let_go(self) -> None:
        """Have nothing under way any more."""
        if self._under_way is not None and self._under_way.key is None:
            self._memory.give_back()
        self._under_way = None

    def _has_work(self) -> bool:
        return bool(self._memory) or (self._disk is not None and self._disk.holds_some)

    def _has_room(self) -> bool:
        return self._memory.is_half_empty and (self._disk is None or self._disk.is_half_empty)

    def _is_disk_still(self) -> bool:
        return not self._is_settling and (self._disk is None or not self._disk.is_moving)

    def _is_hopeless(self) -> bool:
        """Tell whether nothing more will be delivered before the deadline."""
        assert self._deadline is not None
        is_over = self._clock() >= self._deadline
        comes_too_late = self._under_way is None and self._backoff.until >= self._deadline
        return self._is_cancelled or is_over or comes_too_late or not self._threads[0].is_alive()
