"""What waits for the back end: encoded requests, in order, bounded, each accounted for.

One thread delivers, so that a slow back end never slows the receiving of datagrams down. Every span put ends in exactly
one count of the tally: delivered, rejected, or dropped with a reason (``queue_full``, ``refused``, ``shutdown``).
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from csm_otel.export.outcome import Delivered, Outcome, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.export.deliverer import Deliverer
    from csm_otel.tally import Tally

FIRST_BACKOFF_SECONDS = 0.25
LONGEST_BACKOFF_SECONDS = 4.0  # a back end that restarts is found again soon, and one POST in 4 s hurts nobody
_LONGEST_RETRY_AFTER_SECONDS = 300.0  # a mistaken date must not silence the bridge for a day
_CLOSING_BACKOFF_SECONDS = 1.0  # at the end the time is short: rather one try more than a long wait for none
_REPEAT_SECONDS = 60.0
_LINES_REMEMBERED = 100
_LOOK_SECONDS = 0.1
_THREAD_END_SECONDS = (
    0.2  # a thread inside a hung delivery is left behind; it is a daemon and touches no count any more
)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    request: bytes
    spans: int


class DeliveryQueue:
    """A first-in first-out queue of encoded requests with the thread that delivers them.

    Args:
        deliverer: Belongs to the queue from now on, which closes it.
        tally: Its span counts past encoding are the queue's to change until `close` has returned.
        limit_bytes: Bound on the encoded bytes kept, the request under way included.
        limit_spans: Bound on the spans kept, or None.
        timeout_seconds: For one delivery.
        say: Takes a line for the operator; called from the delivery thread.
        clock: Monotonic seconds.
        jitter: A random number from 0 to 1.
        first_backoff_seconds: Before the first repeat; it doubles from there.
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
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,  # ruff: ignore[suspicious-non-cryptographic-random-usage]
        first_backoff_seconds: float = FIRST_BACKOFF_SECONDS,
    ) -> None:
        self._deliverer = deliverer
        self._tally = tally
        self._limit_bytes = limit_bytes
        self._limit_spans = limit_spans
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._jitter = jitter
        self._first_backoff_seconds = first_backoff_seconds
        self._said = _Said(say, clock)
        # Guards all below and the tally. Its lock is re-entrant, so that a signal handler may call `cancel` wherever
        # the thread it interrupts is.
        self._changed = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._under_way: _Waiting | None = None
        """Always the first of those waiting; it may be dropped only while it is not under way."""
        self._bytes = 0
        self._spans = 0
        self._failures = 0
        """How often in a row the back end was unavailable."""
        self._backoff_until = float("-inf")
        """Our own patience, which ends when closing begins."""
        self._alone_until = float("-inf")
        """What the back end asked for."""
        self._deadline: float | None = None
        """Set when closing."""
        self._is_cancelled = False
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="csm-otel-delivery", daemon=True)
        self._thread.start()

    def put(self, request: bytes, spans: int) -> None:
        """Take in an encoded request of ``spans`` spans; never blocks. Where it does not fit the oldest are dropped."""
        with self._changed:
            if self._is_stopped:
                self._tally.spans_dropped["shutdown"] += spans
                return
            if not self._fits(len(request), spans):  # not even alone: nothing is gained by dropping the others
                self._tally.spans_dropped["queue_full"] += spans
                return
            self._waiting.append(_Waiting(request, spans))
            self._bytes += len(request)
            self._spans += spans
            while not self._fits(self._bytes, self._spans):
                self._drop(self._waiting[0 if self._under_way is None else 1], "queue_full")
            self._changed.notify_all()

    def wait_for_room(self, *, unless: Callable[[], bool]) -> None:
        """Wait while the queue is more than half full, for who can wait; ``unless`` is looked at all the time."""
        with self._changed:
            while not (self._fits(2 * self._bytes, 2 * self._spans) or self._is_stopped or unless()):
                self._changed.wait(_LOOK_SECONDS)

    def close(self, *, deadline_seconds: float) -> None:
        """Deliver what waits, for at most ``deadline_seconds``, then drop the rest and end.

        Ends early where trying on is pointless: the back end wants to be left alone for longer than there is time.
        """
        with self._changed:
            self._deadline = self._clock() + deadline_seconds
            self._backoff_until = float("-inf")
            self._changed.notify_all()
            while self._waiting and not self._is_hopeless():
                self._changed.wait(max(self._deadline - self._clock(), 0))
            self._is_stopped = True
            for left in tuple(self._waiting):
                self._drop(left, "shutdown")
            self._changed.notify_all()
        self._deliverer.close()
        self._thread.join(_THREAD_END_SECONDS)

    def cancel(self) -> None:
        """Make a running or a later `close` end at once. May be called from a signal handler."""
        with self._changed:
            self._is_cancelled = True
            self._changed.notify_all()

    def _run(self) -> None:
        while waiting := self._next():
            try:
                outcome = self._deliverer.deliver(waiting.request, timeout_seconds=self._timeout())
            except Exception as error:  # ruff: ignore[blind-except] - one request must not end the delivery of all others
                outcome = Refused(f"delivery failed: {type(error).__name__}")
            for line in self._settle(waiting, outcome):
                self._said.say(line)

    def _next(self) -> _Waiting | None:
        """Wait for a request whose turn it is and mark it as under way; None at the end."""
        with self._changed:
            while not self._is_stopped:
                wait_seconds = self._not_before() - self._clock()
                if self._waiting and wait_seconds <= 0:
                    self._under_way = self._waiting[0]
                    return self._under_way
                self._changed.wait(wait_seconds if self._waiting else None)
            return None

    def _timeout(self) -> float:
        if self._deadline is None:
            return self._timeout_seconds
        # Not zero, which requests and gRPC take for a mistake; `close` does not wait for it anyway.
        return min(self._timeout_seconds, max(self._deadline - self._clock(), 0.1))

    def _settle(self, waiting: _Waiting, outcome: Outcome) -> list[str]:
        """Account for an outcome and return the lines that it is worth."""
        with self._changed:
            if self._is_stopped:  # given up and counted already
                return []
            self._under_way = None
            lines: list[str] = []
            if isinstance(outcome, Unavailable):
                if self._failures == 0:
                    lines.append(f"back end unavailable, trying again: {outcome.reason}")
                self._wait(outcome.retry_after_seconds)
            else:
                if self._failures:
                    lines.append("back end available again")
                self._failures = 0
                lines += self._finish(waiting, outcome)
            self._changed.notify_all()
            return lines

    def _finish(self, waiting: _Waiting, outcome: Delivered | Refused) -> list[str]:
        if isinstance(outcome, Refused):
            self._drop(waiting, "refused")
            return [f"back end refused spans: {outcome.reason}"]
        self._forget(waiting)
        rejected = min(outcome.rejected_spans, waiting.spans)
        self._tally.spans_rejected += rejected
        self._tally.spans_delivered += waiting.spans - rejected
        if rejected:
            return [f"back end rejected {rejected} of {waiting.spans} spans: {outcome.message or 'no reason given'}"]
        return [f"back end says: {outcome.message}"] if outcome.message else []

    def _wait(self, retry_after_seconds: float | None) -> None:
        """Set when the next try may be, after another failure."""
        if retry_after_seconds is not None:
            self._alone_until = self._clock() + min(retry_after_seconds, _LONGEST_RETRY_AFTER_SECONDS)
        else:
            longest = LONGEST_BACKOFF_SECONDS if self._deadline is None else _CLOSING_BACKOFF_SECONDS
            doublings = min(self._failures, 10)  # past the longest wait long ago
            backoff_seconds = min(self._first_backoff_seconds * 2**doublings, longest)
            self._backoff_until = self._clock() + backoff_seconds * (0.5 + self._jitter() / 2)
        self._failures += 1

    def _not_before(self) -> float:
        return max(self._backoff_until, self._alone_until)

    def _is_hopeless(self) -> bool:
        """Tell whether nothing more will be delivered before the deadline."""
        assert self._deadline is not None
        is_over = self._clock() >= self._deadline
        comes_too_late = self._under_way is None and self._not_before() >= self._deadline
        return self._is_cancelled or is_over or comes_too_late or not self._thread.is_alive()

    def _fits(self, size_bytes: int, spans: int) -> bool:
        return size_bytes <= self._limit_bytes and (self._limit_spans is None or spans <= self._limit_spans)

    def _drop(self, waiting: _Waiting, reason: str) -> None:
        self._forget(waiting)
        self._tally.spans_dropped[reason] += waiting.spans

    def _forget(self, waiting: _Waiting) -> None:
        self._waiting.remove(waiting)
        self._bytes -= len(waiting.request)
        self._spans -= waiting.spans


class _Said:
    """Passes lines on, the same one at most once a minute."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock
        self._at: dict[str, float] = {}

    def say(self, line: str) -> None:
        now = self._clock()
        if now - self._at.get(line, float("-inf")) < _REPEAT_SECONDS:
            return
        if len(self._at) >= _LINES_REMEMBERED:
            self._at.clear()
        self._at[line] = now
        self._say(line)
