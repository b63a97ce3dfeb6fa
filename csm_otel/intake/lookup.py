"""Lookups of senders in a separate thread: peers in, their processes and the ends of these out (`Lookup`).

A lookup costs milliseconds, more than the loop may spend on it. The two threads share nothing but the queues: requests
one way, results the other, none of which changes once it is in a queue.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.csm.events import Ended
from csm_otel.intake.departures import Departures
from csm_otel.intake.process_ends import ProcessEnds
from csm_otel.intake.search import Pace, Search
from csm_otel.process.waker import SelectableQueue

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from csm_otel.csm.events import Origin, Peer, ProcessEnd
    from csm_otel.intake.search import LookupRequest

# A check of the likely processes takes half a millisecond, and hands the interpreter over a hundred times: where ever
# new ports send, one serves all that have come within some 50 ms. Meanwhile a request does not even wake the thread.
_CHECK_STEP_SECONDS = 0.003


class Resolution(NamedTuple):
    """The answer to a request."""

    peer: Peer
    origin: Origin | None
    """None if no process was found."""


class Lookup:
    """Answers each request with a `Resolution`, and reports with `Ended` when a process that was found has ended."""

    def __init__(self, *, capacity: int) -> None:
        """Prepare the thread; beyond ``capacity`` requests at once the oldest are dropped, and never answered."""
        self._requests: SelectableQueue[LookupRequest] = SelectableQueue(capacity=capacity)
        self._results: SelectableQueue[Resolution | Ended] = SelectableQueue()
        self.results: Collection[Resolution | Ended] = self._results.items
        """Those that `pop_results` will return, to look at."""
        self._is_stopped = False
        # What follows belongs to the thread.
        self._checks = Pace(step_seconds=_CHECK_STEP_SECONDS)
        self._ends = ProcessEnds(self._requests)
        self._departures = Departures()
        self._search = Search(self._found, lambda peer: self._results.put(Resolution(peer, None)))
        self._thread = threading.Thread(target=self._run, name="origin", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def fileno(self) -> int:
        """Return a descriptor that is readable when there are results."""
        return self._results.fileno()

    @property
    def is_alive(self) -> bool:
        """Whether there may be further results."""
        return self._thread.is_alive()

    def request(self, *requests: LookupRequest) -> None:
        """Request the lookups of peers."""
        self._requests.put(*requests)

    def pop_results(self) -> list[Resolution | Ended]:
        """Return the results since the last time, in order."""
        return self._results.pop_all()

    def stop(self, *, deadline: float | None = None) -> None:
        """Stop the thread; its last result has the processes that have ended until now.

        A scan that takes longer than to ``deadline``, in monotonic seconds, is not waited for.
        """
        self._is_stopped = True
        self._requests.wake()
        if self._thread.is_alive():
            self._thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Close the descriptors, after `stop`; a thread that is still scanning keeps them."""
        if not self._thread.is_alive():
            self._ends.close()
            self._requests.close()
            self._results.close()

    def _run(self) -> None:
        while True:
            now = time.monotonic()
            may_check = self._checks.is_due(now=now)
            requests = self._requests.pop_all() if may_check else []
            if self._is_stopped:  # checked after the wake has been cleared
                break
            if requests:
                self._checks.add(now=now)
                self._search.check_likely(requests)
                may_check = False
            self._search.scan_if_due(now=now)
            deadlines = (
                None if may_check else self._checks.next_due(),
                self._search.next_scan(),
                self._departures.next_check(),
            )
            due = min((deadline for deadline in deadlines if deadline is not None), default=None)
            seconds = None if due is None else max(0.0, due - time.monotonic())
            self._report(self._ends.wait(seconds, may_wake=may_check))
        self._results.put(Ended(self._ends.wait(0), []))

    def _report(self, ended: Sequence[ProcessEnd]) -> None:
        self._departures.end(ended)
        due, now = self._departures.next_check(), time.monotonic()
        if due is not None and due <= now:
            self._results.put(Ended(ended, self._departures.check(now=now)))

    def _found(self, peer: Peer, inode: int, origin: Origin) -> None:
        self._ends.watch(origin)
        self._departures.add(origin, peer, inode)
        self._results.put(Resolution(peer, origin))
