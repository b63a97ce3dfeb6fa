"""The queue to the back end: encoded requests in, each delivered in order or counted by reason: `DeliveryQueue`.

One thread delivers, so that a slow back end never slows the receiving of datagrams down. Without a spool all requests
wait in memory. With one, a second thread moves them to disk within moments (`csm_otel.delivery.disk`), and they are
delivered from there; while the disk refuses writes, they stay in memory, and are delivered after what the disk still
has: the order stays, unless the disk cannot even be read.

A request is gone only when the back end has accepted it. Every span put, and every span found in the spool, ends in
exactly one count of the tally: delivered, rejected, spooled (waits on disk for the next process), or dropped with a
reason (``queue_full``, ``refused``, ``failed``, ``too_large``, ``spool_damaged``, ``shutdown``).

One lock guards all that the threads share, the tally included. It is never held during a delivery or, except at the end
of `close`, while the disk is used. `csm_otel.delivery.states` has the theory of the states.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, set_value

from csm_otel.delivery.backoff import Backoff
from csm_otel.delivery.disk import DISK_GRACE_SECONDS, Disk
from csm_otel.delivery.ledger import Ledger
from csm_otel.delivery.memory import Memory, QueuedRequest
from csm_otel.delivery.outcome import Delivered, Failed, Outcome, Refused, TooLarge, Unavailable
from csm_otel.delivery.states import REQUEST_TRANSITIONS, RequestState
from csm_otel.errors import SpoolError
from csm_otel.files.states import QUEUE_TRANSITIONS, QueueState, StateMachine
from csm_otel.process.speaker import RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.delivery.deliverer import Deliverer
    from csm_otel.delivery.disk import SpoolUse
    from csm_otel.delivery.spool import Spool
    from csm_otel.tally import Tally

_POLL_SECONDS = 0.1
_MIN_TIMEOUT_SECONDS = 0.1  # requests and gRPC reject a timeout of 0; `close` does not wait for it anyway
# a thread inside a hung delivery is left behind; it is a daemon and touches no count any more
_THREAD_END_SECONDS = 0.2


class DeliveryQueue:
    """A first-in first-out queue of encoded requests with the threads that store and deliver them.

    Args:
        deliverer: Belongs to the queue from now on, which closes it.
        tally: Its span counts past encoding are the queue's to change until `close` has returned.
        limit_bytes: Bound on the encoded bytes kept in memory, the request under way included.
        limit_spans: Bound on the spans kept in memory, or None.
        timeout_seconds: For one delivery.
        say: Called from the queue's threads with a line for the operator, the same one once a minute at most.
        spool: Where requests are stored on disk; belongs to the queue from now on.
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
        self._has_reached_somebody = False
        self._nobody_deadline = math.inf
        """Of `close`, where nothing has ever listened."""
        self._clock = clock
        self._say = say
        self._rate_limit = RateLimit()
        # Guards all below. Its lock is re-entrant, so that a signal handler may call `cancel` wherever the thread it
        # interrupts is.
        self._changed = threading.Condition()
        self._lifecycle = StateMachine(QUEUE_TRANSITIONS, QueueState.OPEN)
        self._request = StateMachine(REQUEST_TRANSITIONS, RequestState.IDLE)
        self._backoff = backoff or Backoff()
        self._memory = Memory(limit_bytes=limit_bytes, limit_spans=limit_spans)
        """A request that is being delivered from here is pinned."""
        self._ledger = Ledger(tally)
        self._deadline = math.inf
        """Of `close`."""
        self._is_cancelled = False
        self._disk: Disk | None = None
        self._threads = [threading.Thread(target=self._deliver_all, name="csm-otel-delivery", daemon=True)]
        if spool is not None:
            self._disk = Disk(
                spool,
                memory=self._memory,
                ledger=self._ledger,
                lifecycle=self._lifecycle,
                changed=self._changed,
                say=self._report,
                clock=clock,
            )
            self._threads.append(self._disk.thread)
        for thread in self._threads:
            thread.start()

    @property
    def is_spooling(self) -> bool:
        """Whether queued requests get to disk."""
        return self._disk is not None and not self._disk.is_failing

    @property
    def spans_waiting(self) -> int:
        """Spans put, or found in the spool, that are neither delivered nor dropped."""
        with self._changed:
            return self._ledger.waiting

    @property
    def spool_use(self) -> SpoolUse | None:
        """How full the spool is; None without one."""
        return None if self._disk is None else self._disk.use

    def mark(self) -> int:
        """Return the position after the last request so far, for `is_flushed`."""
        with self._changed:
            return self._ledger.entered

    def is_flushed(self, mark: int) -> bool:
        """Return whether no request queued before the mark is waiting any more."""
        with self._changed:
            return self._ledger.left >= mark

    def put(self, request: bytes, spans: int) -> None:
        """Queue an encoded request of ``spans`` spans; never blocks. If it does not fit the oldest are dropped."""
        with self._changed:
            self._ledger.add(spans)
            if not self._lifecycle.state.is_running:
                self._ledger.drop(spans, "shutdown")
            elif not self._memory.fits(request, spans):
                self._ledger.drop(spans, "queue_full")
            else:
                for evicted in self._memory.put(QueuedRequest(request, spans)):
                    self._ledger.drop(evicted.spans, "queue_full")
                self._changed.notify_all()

    def wait_for_room(self, *, unless: Callable[[], bool]) -> None:
        """Wait while the queue is more than half full, for a caller that can wait; ``unless`` is polled."""
        with self._changed:
            while self._lifecycle.state.is_running and not (self._has_room() or unless()):
                self._changed.wait(_POLL_SECONDS)

    def close(self, *, deadline_seconds: float, nobody_seconds: float = math.inf) -> None:
        """Deliver queued requests, for at most ``deadline_seconds``, then spool the rest, or drop it, and end.

        Ends early where waiting is pointless: the back end has asked for no retry (Retry-After) in that time, or for
        ``nobody_seconds`` nothing has listened at its address, nor before. A further call does nothing.
        """
        with self._changed:
            if self._lifecycle.state is not QueueState.OPEN:
                return
            self._lifecycle.to(QueueState.CLOSING)
            self._deadline = self._clock() + deadline_seconds
            self._nobody_deadline = self._clock() + nobody_seconds
            self._backoff.shorten()
            self._changed.notify_all()
            while self._has_requests() and not self._is_hopeless():
                self._changed.wait(min(max(self._deadline - self._clock(), 0), _POLL_SECONDS))
            self._lifecycle.to(QueueState.STOPPED)
            self._changed.notify_all()
            # requests being written to the disk, or removed from it, are neither spooled nor counted yet
            self._wait_for_disk()
        self._deliverer.close()
        for thread in self._threads:
            thread.join(_THREAD_END_SECONDS)
        with self._changed:
            if self._disk is not None:
                # with the lock released: a thread that returns from a slow disk needs it to account for its work
                self._wait_for_disk()
                self._disk.flush(is_still=self._is_disk_still())
            self._ledger.drop(self._memory.spans, "shutdown")
            self._lifecycle.to(QueueState.CLOSED)

    def cancel(self) -> None:
        """Make a running or a later `close` end at once. May be called from a signal handler."""
        with self._changed:
            self._is_cancelled = True
            self._changed.notify_all()

    # The delivering thread.

    def _deliver_all(self) -> None:
        # as in the SDK's exporters: an instrumentation loaded into this process makes no spans of our own requests
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        while request := self._next():
            for line in self._account(request, self._deliver(request)):
                self._report(line)

    def _next(self) -> QueuedRequest | None:
        """Wait for a request whose turn it is and begin to send it; None at the end."""
        while True:
            with self._changed:
                while self._lifecycle.state.is_running:
                    wait_seconds = self._backoff.until - self._clock()
                    if self._has_requests() and wait_seconds <= 0:
                        break
                    self._changed.wait(wait_seconds if self._has_requests() else None)
                if not self._lifecycle.state.is_running:
                    return None
                moves = self._disk.moves if self._disk is not None else 0
            spooled = self._disk.first() if self._disk is not None else None
            with self._changed:
                if not self._lifecycle.state.is_running:
                    return None
                request = spooled or self._first_in_memory(moves)
                if request is not None:
                    self._request.to(RequestState.SENDING)
                    return request
                self._changed.wait(_POLL_SECONDS)

    def _first_in_memory(self, moves: int) -> QueuedRequest | None:
        """Return the oldest request in memory if the disk, empty after so many moves, has no older one."""
        is_next = self._disk is None or (self._disk.is_failing and moves == self._disk.moves)
        if not is_next or self._memory.pinned:
            return None
        return next(iter(self._memory.pin(1)), None)

    def _deliver(self, request: QueuedRequest) -> Outcome:
        """Deliver once."""
        if request.tries:
            with self._changed:
                if self._lifecycle.state.is_running:
                    self._ledger.tally.spans_repeated += request.spans
        # Before it is tried: should this process end meanwhile, the next one knows.
        self._record_tries(request, request.tries + 1)
        try:
            outcome = self._deliverer.deliver(request.request, timeout_seconds=self._timeout())
        except Exception as error:  # ruff: ignore[blind-except] - one request must not end the delivery of all others
            return Failed(type(error).__name__)
        self._has_reached_somebody |= not (isinstance(outcome, Unavailable) and outcome.is_nobody_there)
        if isinstance(outcome, TooLarge) or (isinstance(outcome, Unavailable) and not outcome.may_have_arrived):
            self._record_tries(request, request.tries - 1)
        return outcome

    def _timeout(self) -> float:
        return min(self._timeout_seconds, max(self._deadline - self._clock(), _MIN_TIMEOUT_SECONDS))

    def _account(self, request: QueuedRequest, outcome: Outcome) -> list[str]:
        """Account for an outcome and return the lines to report."""
        if isinstance(outcome, Unavailable):
            return self._back_off(request, outcome)
        halves: list[tuple[bytes, int]] = []
        if isinstance(outcome, TooLarge) and request.spans > 1:
            try:
                from csm_otel.delivery.splitting import split  # ruff: ignore[import-outside-top-level] - needs protobuf

                halves = split(request.request)
            except Exception as error:  # ruff: ignore[blind-except] - as in `_deliver`: memory, or a descriptor, may lack
                outcome = Failed(type(error).__name__)
        with self._changed:
            if not self._lifecycle.state.is_running:  # given up and counted already
                return []
            self._request.to(RequestState.ACCOUNTING)
        try:
            # One that was lost to damage meanwhile is counted already.
            is_known = self._disk is None or request.key is None or self._disk.replace_first(request.key, halves)
        except SpoolError as error:
            if halves:  # they are nowhere: the whole is tried again, and split again once the disk accepts them
                return self._back_off(request, Unavailable(f"too large, and the spool cannot be written: {error}"))
            is_known = True
            self._report(f"spool cannot be written, some spans may be delivered again: {error}")
        with self._changed:
            if self._lifecycle.state is QueueState.CLOSED:  # the disk hung, and it is counted as spooled
                return []
            lines = ["back end available again"] if self._backoff.failures else []
            self._backoff.succeed()
            self._finish_request(RequestState.IDLE, request)
            if request.key is None:
                self._memory.replace_first(halves)
            if not halves and is_known:
                lines += self._count(request, outcome)
            return lines

    def _back_off(self, request: QueuedRequest, outcome: Unavailable) -> list[str]:
        with self._changed:
            self._finish_request(RequestState.BACKING_OFF, request)
            if not self._lifecycle.state.is_running:
                return []
            is_first = self._backoff.failures == 0
            self._backoff.fail(self._clock(), outcome.retry_after_seconds)
        what = "delivery failed, trying again" if outcome.is_ours else "back end unavailable, trying again"
        return [f"{what}: {outcome.reason}"] if is_first else []

    def _record_tries(self, request: QueuedRequest, tries: int) -> None:
        request.tries = tries
        if self._disk is not None and request.key is not None:
            self._disk.record_tries(request.key, tries)

    def _report(self, line: str) -> None:
        if self._rate_limit.allows(line, now=self._clock()):
            self._say(line)

    # All of these with the lock held.

    def _finish_request(self, state: RequestState, request: QueuedRequest) -> None:
        """Mark the request as no longer under way."""
        self._request.to(state)
        if request.key is None:
            self._memory.unpin()
        self._changed.notify_all()

    def _count(self, request: QueuedRequest, outcome: Delivered | Refused | Failed | TooLarge) -> list[str]:
        """Count a request that has left the queue, and return the lines to report."""
        if isinstance(outcome, Failed):
            self._ledger.drop(request.spans, "failed")
            return [f"delivery failed: {outcome.reason}"]
        if not isinstance(outcome, Delivered):
            self._ledger.drop(request.spans, "refused" if isinstance(outcome, Refused) else "too_large")
            return [f"back end refused spans: {outcome.reason}"]
        rejected = min(outcome.rejected_spans, request.spans)
        self._ledger.deliver(request.spans, rejected=rejected)
        if rejected:
            return [f"back end rejected {rejected} of {request.spans} spans: {outcome.message or 'no reason given'}"]
        return [f"back end says: {outcome.message}"] if outcome.message else []

    def _has_requests(self) -> bool:
        return bool(self._memory) or (self._disk is not None and self._disk.has_requests)

    def _has_room(self) -> bool:
        return self._memory.is_half_empty and (self._disk is None or self._disk.is_half_empty)

    def _wait_for_disk(self) -> None:
        end = self._clock() + DISK_GRACE_SECONDS
        while not self._is_disk_still() and (wait_seconds := end - self._clock()) > 0:
            self._changed.wait(min(wait_seconds, _POLL_SECONDS))

    def _is_disk_still(self) -> bool:
        is_accounting = self._request.state is RequestState.ACCOUNTING
        return not is_accounting and (self._disk is None or not self._disk.is_moving)

    def _is_hopeless(self) -> bool:
        """Return whether nothing more will be delivered before the deadline."""
        is_over = self._clock() >= self._deadline
        is_backing_off = self._request.state is RequestState.BACKING_OFF
        is_too_late = is_backing_off and self._backoff.until >= self._deadline
        is_nobody_there = not self._has_reached_somebody and self._clock() >= self._nobody_deadline and is_backing_off
        return self._is_cancelled or is_over or is_too_late or is_nobody_there or not self._threads[0].is_alive()
