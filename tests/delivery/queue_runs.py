"""Shared by the tests of the delivery queue: a scripted back end, `Scripted`, and a queue in front of it, `Run`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from manual_clock import ManualClock
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS, wait_until

from csm_otel.delivery.backoff import Backoff
from csm_otel.delivery.disk import DISK_GRACE_SECONDS
from csm_otel.delivery.outcome import Delivered, Outcome, Refused, Unavailable
from csm_otel.delivery.queue import DeliveryQueue
from csm_otel.files.states import QueueState
from csm_otel.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from csm_otel.delivery.deliverer import Deliverer
    from csm_otel.delivery.states import RequestState

_BACKOFF_SECONDS = 0.001
_PLENTY = 1_000_000


@dataclass
class Scripted:
    """Returns prepared outcomes, then success; a delivery hangs while ``gate`` is closed."""

    outcomes: list[Outcome | Exception] = field(default_factory=list)
    is_open: bool = True
    tried: list[bytes] = field(default_factory=list)
    delivered: list[bytes] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    before_each: Callable[[], None] = field(default=lambda: None)
    closed: int = 0

    def __post_init__(self) -> None:
        self.gate = threading.Event()
        if self.is_open:
            self.gate.set()

    def deliver(self, request: bytes, *, timeout_seconds: float) -> Outcome:
        """Return the next outcome, or raise it."""
        self.before_each()
        self.timeouts.append(timeout_seconds)
        self.tried.append(request)
        self.gate.wait(FOREVER_SECONDS)
        outcome = self.outcomes.pop(0) if self.outcomes else Delivered()
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, Delivered):
            self.delivered.append(request)
        return outcome

    def close(self) -> None:
        """Count it."""
        self.closed += 1


class Run:
    """A queue over a deliverer, with its tally and the lines that it reported.

    With a `ManualClock` no time passes but by `pass_time`; else a millisecond is its first backoff.
    """

    def __init__(self, deliverer: Deliverer, **settings: Any) -> None:
        self.tally = Tally()
        self.logged: list[str] = []
        self._pool = ThreadPoolExecutor(1)
        self.queue = DeliveryQueue(
            deliverer,
            tally=self.tally,
            say=self.logged.append,
            **{
                "limit_bytes": _PLENTY,
                "limit_spans": None,
                "timeout_seconds": 10.0,
                "backoff": Backoff(first_seconds=_BACKOFF_SECONDS),
                **settings,
            },
        )

    @property
    def dropped(self) -> dict[str, int]:
        """Spans dropped, by reason."""
        return dict(self.tally.spans_dropped)

    def put(self, *requests: bytes, spans: int = 1) -> None:
        """Put requests with that many spans each."""
        for request in requests:
            self.queue.put(request, spans)

    def close(self, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        """Close the queue."""
        self.queue.close(deadline_seconds=deadline_seconds)

    def begin_to_close(self, deadline_seconds: float, *, until: QueueState = QueueState.CLOSING) -> Future[None]:
        """Close the queue in another thread, and return once it is in a state."""
        closing = self._pool.submit(self.close, deadline_seconds)
        wait_until(lambda: self.state is until)
        return closing

    def close_beside_a_hung_disk(self) -> None:
        """Close the queue without a deadline, and advance the time until it has given the disk up."""
        closing = self.begin_to_close(0.0, until=QueueState.STOPPED)

        def is_done() -> bool:
            self.pass_time(DISK_GRACE_SECONDS)
            return closing.done()

        wait_until(is_done)
        closing.result()

    @property
    def state(self) -> QueueState:
        """The queue's."""
        return self.queue._lifecycle.state

    @property
    def request_state(self) -> RequestState:
        """That of the oldest request."""
        return self.queue._request.state

    def pass_time(self, seconds: float) -> None:
        """Advance the clock of the queue's threads."""
        clock = self.queue._clock
        assert isinstance(clock, ManualClock)
        clock.advance(seconds, self.queue._changed)


outcomes = st.one_of(
    st.builds(Delivered, st.integers(0, 5), st.sampled_from(["", "too old"])),
    st.builds(Unavailable, st.just("away"), st.none() | st.just(0.0)),
    st.just(Refused("no")),
    st.just(RuntimeError("a defect")),
)
