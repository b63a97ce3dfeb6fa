"""What waits for the back end, and its accounting."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from delivery.samples import CALL, changed
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import SpanLimits
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS, Answer, GrpcBackend, HttpBackend, wait_until

from csm_otel.delivery.backoff import Backoff
from csm_otel.delivery.deliverer import open_deliverer
from csm_otel.delivery.destination import Destination, Protocol
from csm_otel.delivery.encoding import encode
from csm_otel.delivery.outcome import Delivered, Outcome, Refused, Unavailable
from csm_otel.delivery.queue import DeliveryQueue
from csm_otel.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.delivery.deliverer import Deliverer

_BACKOFF_SECONDS = 0.001
_PLENTY = 1_000_000


@dataclass
class _Scripted:
    """Gives prepared outcomes, then success; stands still while ``gate`` is closed."""

    outcomes: list[Outcome | Exception] = field(default_factory=list)
    is_open: bool = True
    tried: list[bytes] = field(default_factory=list)
    tried_at: list[float] = field(default_factory=list)
    delivered: list[bytes] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    before_each: Callable[[], None] = field(default=lambda: None)
    closed: int = 0

    def __post_init__(self) -> None:
        self.gate = threading.Event()
        if self.is_open:
            self.gate.set()

    def deliver(self, request: bytes, *, timeout_seconds: float) -> Outcome:
        self.before_each()
        self.tried_at.append(time.monotonic())
        self.timeouts.append(timeout_seconds)
        self.tried.append(request)
        self.gate.wait(DEADLINE_SECONDS)
        outcome = self.outcomes.pop(0) if self.outcomes else Delivered()
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, Delivered):
            self.delivered.append(request)
        return outcome

    def close(self) -> None:
        self.closed += 1


class _Run:
    """A queue over a deliverer, with its tally and what it says."""

    def __init__(self, deliverer: Deliverer, **settings: Any) -> None:
        self.tally = Tally()
        self.said: list[str] = []
        self.ahead_seconds = 0.0
        self.queue = DeliveryQueue(
            deliverer,
            tally=self.tally,
            say=self.said.append,
            clock=lambda: time.monotonic() + self.ahead_seconds,
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
        return dict(self.tally.spans_dropped)

    def put(self, *requests: bytes, spans: int = 1) -> None:
        for request in requests:
            self.queue.put(request, spans)

    def close(self, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self.queue.close(deadline_seconds=deadline_seconds)


_outcomes = st.one_of(
    st.builds(Delivered, st.integers(0, 5), st.sampled_from(["", "too old"])),
    st.builds(Unavailable, st.just("away"), st.none() | st.just(0.0)),
    st.just(Refused("no")),
    st.just(RuntimeError("a defect")),
)


@settings(max_examples=60, deadline=None)
@given(
    puts=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4)), max_size=20),
    outcomes=st.lists(_outcomes, max_size=20),
    limit_bytes=st.integers(10, 60),
    limit_spans=st.none() | st.integers(1, 8),
    is_cancelled=st.booleans(),
)
def test_every_span_put_is_counted_once(
    puts: list[tuple[int, int]],
    outcomes: list[Outcome | Exception],
    limit_bytes: int,
    limit_spans: int | None,
    *,
    is_cancelled: bool,
) -> None:
    """Whatever comes back and however little fits: delivered, rejected and dropped add up, and order is kept."""
    deliverer = _Scripted(list(outcomes))
    run = _Run(deliverer, limit_bytes=limit_bytes, limit_spans=limit_spans)
    requests = [index.to_bytes(2, "big") + bytes(size) for index, (size, _) in enumerate(puts)]
    for request, (_, spans) in zip(requests, puts, strict=True):
        run.queue.put(request, spans)
    if is_cancelled:
        run.queue.cancel()
    run.close()
    tally = run.tally
    outcome_counts = (tally.spans_delivered, tally.spans_rejected, *run.dropped.values())
    assert sum(spans for _, spans in puts) == sum(outcome_counts)
    assert all(count >= 0 for count in outcome_counts)
    assert set(run.dropped) <= {"queue_full", "refused", "shutdown"}
    assert deliverer.delivered == sorted(deliverer.delivered)
    assert deliverer.closed == 1
    assert is_cancelled or not run.dropped.get("shutdown")


def test_putting_never_waits_and_drops_the_oldest_that_waits() -> None:
    """While a delivery hangs the newest are kept; what is under way is not taken back."""
    deliverer = _Scripted(is_open=False)
    run = _Run(deliverer, limit_bytes=3)
    run.put(b"1")
    wait_until(lambda: deliverer.tried)
    run.put(b"2", b"3", b"4", b"5", spans=10)
    assert run.dropped == {"queue_full": 20}
    deliverer.gate.set()
    run.close()
    assert deliverer.delivered == [b"1", b"4", b"5"]
    assert run.tally.spans_delivered == 21


def test_the_queue_may_be_bounded_in_spans() -> None:
    """OTEL_BSP_MAX_QUEUE_SIZE: beyond that many spans the oldest leave, however small."""
    deliverer = _Scripted(is_open=False)
    run = _Run(deliverer, limit_spans=10)
    run.put(b"1")
    wait_until(lambda: deliverer.tried)
    run.put(b"2", b"3", b"4", spans=4)
    assert run.dropped == {"queue_full": 4}
    deliverer.gate.set()
    run.close()
    assert deliverer.delivered == [b"1", b"3", b"4"]


@pytest.mark.parametrize(
    ("request_bytes", "spans"), [pytest.param(101, 1, id="bytes"), pytest.param(1, 11, id="spans")]
)
def test_what_does_not_even_fit_alone_pushes_nothing_out(request_bytes: int, spans: int) -> None:
    """A request beyond the limits is dropped itself; those that wait stay."""
    deliverer = _Scripted(is_open=False)
    run = _Run(deliverer, limit_bytes=100, limit_spans=10)
    run.put(b"1", b"2")
    run.put(bytes(request_bytes), spans=spans)
    assert run.dropped == {"queue_full": spans}
    deliverer.gate.set()
    run.close()
    assert deliverer.delivered == [b"1", b"2"]


def test_a_request_that_waits_to_be_tried_again_may_be_dropped() -> None:
    """Between two tries the oldest is one of those that wait."""
    deliverer = _Scripted([Unavailable("away", FOREVER_SECONDS)])
    run = _Run(deliverer, limit_bytes=1)
    run.put(b"1")
    wait_until(lambda: run.said)
    run.put(b"2")
    assert run.dropped == {"queue_full": 1}
    run.close(0)
    assert run.dropped == {"queue_full": 1, "shutdown": 1}


def test_an_unavailable_back_end_is_tried_until_it_takes_the_request() -> None:
    """Order is kept through any number of tries; the outage and its end are one line each."""
    deliverer = _Scripted([Delivered(), *[Unavailable("connection refused: x")] * 5])
    run = _Run(deliverer)
    run.put(b"1", b"2", b"3")
    run.close()
    assert deliverer.tried == [b"1", *[b"2"] * 6, b"3"]
    assert run.tally.spans_delivered == 3
    assert run.said == ["back end unavailable, trying again: connection refused: x", "back end available again"]


def test_tries_are_spaced_by_a_doubling_jittered_backoff() -> None:
    """No wait is shorter than half the doubled one: 10, 20, 40 ms."""
    deliverer = _Scripted([Unavailable("away")] * 3)
    run = _Run(deliverer, backoff=Backoff(first_seconds=0.02, jitter=lambda: 0.0))
    run.put(b"1")
    wait_until(lambda: run.tally.spans_delivered)
    run.close()
    waits = [later - earlier for earlier, later in zip(deliverer.tried_at, deliverer.tried_at[1:], strict=False)]
    assert [wait >= least for wait, least in zip(waits, (0.01, 0.02, 0.04), strict=True)] == [True, True, True]


def test_the_backoff_is_capped() -> None:
    """However long the outage, four seconds on there is another try."""
    tries = 20
    deliverer = _Scripted([Unavailable("away")] * tries)
    run = _Run(deliverer, backoff=Backoff(first_seconds=1.0, jitter=lambda: 1.0))
    run.put(b"1")

    def is_tried_again_when_four_seconds_have_passed() -> bool:
        wait_until(lambda: _is_between_tries(run))
        before = len(deliverer.tried)
        run.ahead_seconds += 4.0
        run.put(b"", spans=0)  # wakes the thread, which cannot see that its clock was moved
        wait_until(lambda: len(deliverer.tried) > before)
        return run.tally.spans_delivered > 0

    wait_until(is_tried_again_when_four_seconds_have_passed)
    run.close()


def test_retry_after_is_honoured() -> None:
    """The back end is left alone for as long as it asked."""
    deliverer = _Scripted([Unavailable("busy", 0.1)])
    run = _Run(deliverer)
    run.put(b"1")
    run.close()
    assert deliverer.tried == [b"1", b"1"]
    assert deliverer.tried_at[1] - deliverer.tried_at[0] >= 0.1


def test_what_is_refused_is_dropped_and_told() -> None:
    """One refusal costs its own spans only; the reason is said once for many of them."""
    deliverer = _Scripted([Refused("HTTP 400 from x")] * 2)
    run = _Run(deliverer)
    run.put(b"1", b"2", b"3", spans=2)
    run.close()
    assert (run.dropped, run.tally.spans_delivered) == ({"refused": 4}, 2)
    assert run.said == ["back end refused spans: HTTP 400 from x"]


def test_the_same_line_is_said_once_a_minute() -> None:
    """A refusal that goes on is told again after a minute; another one in between is a line of its own."""
    deliverer = _Scripted([Refused("no"), Refused("no"), Refused("other"), Refused("no"), Refused("end")])
    run = _Run(deliverer)
    steps_seconds = iter((0, 59, 0, 2, 0))

    def pass_time() -> None:
        run.ahead_seconds += next(steps_seconds)

    deliverer.before_each = pass_time
    run.put(b"1", b"2", b"3", b"4", b"5")
    wait_until(lambda: len(run.said) >= 4)
    run.close()
    assert [line.rpartition(" ")[2] for line in run.said] == ["no", "other", "no", "end"]


def test_any_number_of_different_lines_is_said() -> None:
    """What is remembered of lines said is bounded, what is said is not."""
    run = _Run(_Scripted([Refused(str(number)) for number in range(150)]))
    run.put(*[b"1"] * 150)
    wait_until(lambda: len(run.said) >= 150)
    run.close()
    assert run.said == [f"back end refused spans: {number}" for number in range(150)]


def test_a_partial_success_is_counted_and_told() -> None:
    """Rejected spans are neither delivered nor dropped; the back end's words are passed on."""
    run = _Run(_Scripted([Delivered(2, "too old"), Delivered(0, "slow down"), Delivered(99)]))
    run.put(b"1", b"2", b"3", spans=5)
    run.close()
    assert (run.tally.spans_delivered, run.tally.spans_rejected, run.dropped) == (8, 7, {})
    assert run.said == [
        "back end rejected 2 of 5 spans: too old",
        "back end says: slow down",
        "back end rejected 5 of 5 spans: no reason given",
    ]


def test_a_defect_in_delivery_costs_one_request() -> None:
    """An unexpected exception is a refusal, told by its type alone, and the thread goes on."""
    run = _Run(_Scripted([RuntimeError("hunter2")]))
    run.put(b"1", b"2")
    run.close()
    assert (run.dropped, run.tally.spans_delivered) == ({"refused": 1}, 1)
    assert run.said == ["back end refused spans: delivery failed: RuntimeError"]


def test_closing_ends_our_own_backoff() -> None:
    """At the end there is no time for patience: the next try is at once, though the backoff outlasts the deadline."""
    deliverer = _Scripted([Unavailable("away")])
    run = _Run(
        deliverer, backoff=Backoff(first_seconds=_BACKOFF_SECONDS, jitter=lambda: FOREVER_SECONDS / _BACKOFF_SECONDS)
    )
    run.put(b"1")
    wait_until(lambda: run.said)
    run.close()
    assert (run.tally.spans_delivered, run.dropped) == (1, {})


def test_closing_gives_up_where_the_back_end_wants_to_be_left_alone_for_longer() -> None:
    """Nothing can come of waiting for the deadline, so it is not waited for."""
    run = _Run(_Scripted([Unavailable("busy", 100.0)]))
    run.put(b"1", b"2")
    wait_until(lambda: run.said)
    begin = time.monotonic()
    run.close(DEADLINE_SECONDS)
    assert time.monotonic() - begin < DEADLINE_SECONDS
    assert run.dropped == {"shutdown": 2}


def test_what_is_put_after_closing_is_dropped() -> None:
    """Nobody is there any more to deliver it, but it is counted."""
    run = _Run(_Scripted())
    run.close()
    run.put(b"1", spans=3)
    assert run.dropped == {"shutdown": 3}


def test_a_delivery_gets_no_more_time_than_is_left() -> None:
    """While closing, the deadline bounds each try; before, the configured timeout does."""
    deliverer = _Scripted([Unavailable("away")])
    run = _Run(deliverer, timeout_seconds=50.0, backoff=Backoff(first_seconds=FOREVER_SECONDS))
    run.put(b"1")
    wait_until(lambda: run.said)
    run.close(DEADLINE_SECONDS)
    first, second = deliverer.timeouts
    assert first == pytest.approx(50.0)
    assert second <= DEADLINE_SECONDS


@pytest.mark.parametrize("backend_type", [HttpBackend, GrpcBackend])
def test_closing_ends_at_its_deadline_though_the_back_end_hangs(backend_type: type[HttpBackend | GrpcBackend]) -> None:
    """A back end that never answers costs the deadline, not the timeout; each span is counted, also afterwards."""
    request = encode([CALL], limits=SpanLimits())
    with backend_type() as backend:
        backend.script(Answer(delay_seconds=FOREVER_SECONDS))
        run = _Run(_deliverer_to(backend), timeout_seconds=FOREVER_SECONDS)
        run.put(request, request, spans=3)
        backend.wait_for_requests(1)
        run.close(0.1)
        assert (run.dropped, run.tally.spans_delivered) == ({"shutdown": 6}, 0)
    # The back end has let go of the request by now, and the thread that was left behind must not count it again.
    wait_until(lambda: not _is_alive(run))
    assert (run.dropped, run.tally.spans_delivered, run.said) == ({"shutdown": 6}, 0, [])


@pytest.mark.parametrize("backend_type", [HttpBackend, GrpcBackend])
def test_an_outage_loses_nothing(backend_type: type[HttpBackend | GrpcBackend]) -> None:
    """Requests put while the back end is away arrive in order, each once, when it is back."""
    with backend_type() as gone:
        port = int(gone.endpoint.rpartition(":")[2])
        deliverer = _deliverer_to(gone)
    run = _Run(deliverer)
    requests = [encode([changed(CALL, name=f"S3.Call{number}")], limits=SpanLimits()) for number in range(20)]
    run.put(*requests)
    wait_until(lambda: run.said)
    with backend_type(port=port) as backend:
        run.close()
        assert [ExportTraceServiceRequest.FromString(request) for request in requests] == backend.accepted
    assert (run.tally.spans_delivered, run.dropped) == (20, {})
    assert run.said[1:] == ["back end available again"]


def test_cancelling_from_a_signal_handler_ends_closing() -> None:
    """The second signal: a close that waits for a hung back end returns, with what waited counted."""
    deliverer = _Scripted(is_open=False)
    run = _Run(deliverer)
    run.put(b"1", b"2")
    wait_until(lambda: deliverer.tried)
    previous = signal.signal(signal.SIGUSR1, lambda *_: run.queue.cancel())
    try:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        begin = time.monotonic()
        run.close(DEADLINE_SECONDS)
        assert time.monotonic() - begin < DEADLINE_SECONDS
    finally:
        signal.signal(signal.SIGUSR1, previous)
        deliverer.gate.set()
    assert run.dropped == {"shutdown": 2}


def test_closing_without_work_is_done_at_once() -> None:
    """An empty queue waits for nothing and gives the deliverer back."""
    deliverer = _Scripted()
    run = _Run(deliverer)
    run.close(FOREVER_SECONDS)
    assert deliverer.closed == 1
    assert not _is_alive(run)


def _deliverer_to(backend: HttpBackend | GrpcBackend) -> Deliverer:
    protocol: Protocol = "grpc" if isinstance(backend, GrpcBackend) else "http/protobuf"
    return open_deliverer(Destination(url=backend.url, protocol=protocol))


def _is_between_tries(run: _Run) -> bool:
    with run.queue._changed:
        return run.queue._under_way is None


def _is_alive(run: _Run) -> bool:
    return run.queue._threads[0].is_alive()
