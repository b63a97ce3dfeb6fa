"""The queue to the back end: order, tries, bounds, states and the count of every span."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from delivery.queue_runs import Run, Scripted, outcomes
from delivery.samples import CALL, changed
from hypothesis import given, settings
from hypothesis import strategies as st
from manual_clock import ManualClock
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_value
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import SpanLimits
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS, Answer, GrpcBackend, HttpBackend, wait_until

from csm_otel.delivery.backoff import Backoff
from csm_otel.delivery.deliverer import open_deliverer
from csm_otel.delivery.destination import Destination, Protocol
from csm_otel.delivery.encoding import encode
from csm_otel.delivery.outcome import Delivered, Outcome, Refused, Unavailable
from csm_otel.files.states import QueueState

if TYPE_CHECKING:
    from csm_otel.delivery.deliverer import Deliverer

NOBODY = Unavailable("connection refused", is_nobody_there=True)


@settings(max_examples=60, deadline=None)
@given(
    puts=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4)), max_size=20),
    results=st.lists(outcomes, max_size=20),
    limit_bytes=st.integers(10, 60),
    limit_spans=st.none() | st.integers(1, 8),
    is_cancelled=st.booleans(),
)
def test_every_span_put_is_counted_once(
    puts: list[tuple[int, int]],
    results: list[Outcome | Exception],
    limit_bytes: int,
    limit_spans: int | None,
    *,
    is_cancelled: bool,
) -> None:
    """With any outcomes and bounds: delivered, rejected and dropped add up, and order is kept."""
    deliverer = Scripted(results)
    run = Run(deliverer, limit_bytes=limit_bytes, limit_spans=limit_spans)
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
    assert set(run.dropped) <= {"queue_full", "refused", "failed", "shutdown"}
    assert deliverer.delivered == sorted(deliverer.delivered)
    assert deliverer.closed == 1
    assert is_cancelled or not run.dropped.get("shutdown")


def test_putting_never_waits_and_drops_the_oldest_that_waits() -> None:
    """While a delivery hangs the newest are kept; the one under way is not dropped."""
    deliverer = Scripted(is_open=False)
    run = Run(deliverer, limit_bytes=3)
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
    deliverer = Scripted(is_open=False)
    run = Run(deliverer, limit_spans=10)
    run.put(b"1")
    wait_until(lambda: deliverer.tried)
    run.put(b"2", b"3", b"4", spans=4)
    assert run.dropped == {"queue_full": 4}
    deliverer.gate.set()
    run.close()
    assert deliverer.delivered == [b"1", b"3", b"4"]


def test_deliveries_are_no_spans() -> None:
    """While a request is delivered, instrumentations of HTTP and gRPC clients are told to make no span of it."""
    suppressed: list[object] = []
    deliverer = Scripted(before_each=lambda: suppressed.append(get_value(_SUPPRESS_INSTRUMENTATION_KEY)))
    run = Run(deliverer)
    run.put(b"1", b"2")
    run.close()
    assert suppressed == [True, True]
    assert get_value(_SUPPRESS_INSTRUMENTATION_KEY) is None


@pytest.mark.parametrize(
    ("request_bytes", "spans"), [pytest.param(101, 1, id="bytes"), pytest.param(1, 11, id="spans")]
)
def test_a_request_beyond_the_bound_evicts_nothing(request_bytes: int, spans: int) -> None:
    """A request beyond the limits is dropped itself; waiting ones stay."""
    deliverer = Scripted(is_open=False)
    run = Run(deliverer, limit_bytes=100, limit_spans=10)
    run.put(b"1", b"2")
    run.put(bytes(request_bytes), spans=spans)
    assert run.dropped == {"queue_full": spans}
    deliverer.gate.set()
    run.close()
    assert deliverer.delivered == [b"1", b"2"]


def test_a_request_that_waits_to_be_tried_again_may_be_dropped() -> None:
    """Between two tries it is the oldest of those that wait."""
    deliverer = Scripted([Unavailable("away", FOREVER_SECONDS)])
    run = Run(deliverer, limit_bytes=1, clock=ManualClock())
    run.put(b"1")
    wait_until(lambda: run.logged)
    run.put(b"2")
    assert run.dropped == {"queue_full": 1}
    run.close(0)
    assert run.dropped == {"queue_full": 1, "shutdown": 1}


def test_an_unavailable_back_end_is_retried_until_it_accepts_the_request() -> None:
    """Order is kept through any number of tries; the outage and its end are one line each."""
    deliverer = Scripted([Delivered(), *[Unavailable("connection refused: x")] * 5])
    run = Run(deliverer)
    run.put(b"1", b"2", b"3")
    run.close()
    assert deliverer.tried == [b"1", *[b"2"] * 6, b"3"]
    assert run.tally.spans_delivered == 3
    assert run.logged == ["back end unavailable, trying again: connection refused: x", "back end available again"]


def test_tries_are_spaced_by_a_doubling_jittered_backoff() -> None:
    """With the least jitter each try comes half a doubled backoff after the one before, and not earlier."""
    clock = ManualClock(0.0)
    tried_at: list[float] = []
    deliverer = Scripted([Unavailable("away")] * 3, before_each=lambda: tried_at.append(clock()))
    run = Run(deliverer, clock=clock, backoff=Backoff(first_seconds=2.0, jitter=lambda: 0.0))
    run.put(b"1")
    for tries, backoff_seconds in enumerate((1.0, 2.0, 4.0), start=1):
        wait_until(lambda: run.queue._backoff.failures == tries)  # ruff: ignore[function-uses-loop-variable]
        run.pass_time(backoff_seconds - 0.5)
        run.pass_time(0.5)
    wait_until(lambda: run.tally.spans_delivered)
    assert tried_at == [0.0, 1.0, 3.0, 7.0]
    run.close()


def test_the_backoff_is_capped() -> None:
    """However long the outage, four seconds later there is another try."""
    outage = [Unavailable("away")] * 20
    deliverer = Scripted([*outage])
    run = Run(deliverer, clock=ManualClock(), backoff=Backoff(first_seconds=1.0, jitter=lambda: 1.0))
    run.put(b"1")
    for tries in range(1, len(outage) + 1):
        wait_until(lambda: run.queue._backoff.failures == tries)  # ruff: ignore[function-uses-loop-variable]
        run.pass_time(4.0)
    wait_until(lambda: run.tally.spans_delivered)
    run.close()


def test_retry_after_is_honoured() -> None:
    """The back end is left alone for as long as it asked, also while closing."""
    clock = ManualClock(0.0)
    tried_at: list[float] = []
    deliverer = Scripted([Unavailable("busy", 30.0)], before_each=lambda: tried_at.append(clock()))
    run = Run(deliverer, clock=clock)
    run.put(b"1")
    wait_until(lambda: run.logged)
    closing = run.begin_to_close(31.0)
    run.pass_time(29.0)
    run.put(b"2")
    run.pass_time(1.0)
    closing.result(DEADLINE_SECONDS)
    assert deliverer.delivered == [b"1", b"2"]
    assert tried_at == [0.0, 30.0, 30.0]


def test_refused_requests_are_dropped_and_reported() -> None:
    """One refusal drops its own spans only; the reason is reported once for many of them."""
    deliverer = Scripted([Refused("HTTP 400 from x")] * 2)
    run = Run(deliverer)
    run.put(b"1", b"2", b"3", spans=2)
    run.close()
    assert (run.dropped, run.tally.spans_delivered) == ({"refused": 4}, 2)
    assert run.logged == ["back end refused spans: HTTP 400 from x"]


def test_the_same_line_is_reported_once_a_minute() -> None:
    """A lasting refusal is reported again after a minute; another one in between is a separate line."""
    deliverer = Scripted([Refused("no"), Refused("no"), Refused("other"), Refused("no"), Refused("end")])
    clock = ManualClock()
    run = Run(deliverer, clock=clock)
    steps_seconds = iter((0, 59, 0, 2, 0))
    deliverer.before_each = lambda: clock.advance(next(steps_seconds))
    run.put(b"1", b"2", b"3", b"4", b"5")
    wait_until(lambda: len(run.logged) >= 4)
    run.close()
    assert [line.rpartition(" ")[2] for line in run.logged] == ["no", "other", "no", "end"]


def test_any_number_of_different_lines_is_reported() -> None:
    """The memory for repeated lines is bounded, the number of reported lines is not."""
    run = Run(Scripted([Refused(str(number)) for number in range(150)]))
    run.put(*[b"1"] * 150)
    wait_until(lambda: len(run.logged) >= 150)
    run.close()
    assert run.logged == [f"back end refused spans: {number}" for number in range(150)]


def test_a_partial_success_is_counted_and_reported() -> None:
    """Rejected spans are neither delivered nor dropped; the back end's message is passed on."""
    run = Run(Scripted([Delivered(2, "too old"), Delivered(0, "slow down"), Delivered(99)]))
    run.put(b"1", b"2", b"3", spans=5)
    run.close()
    assert (run.tally.spans_delivered, run.tally.spans_rejected, run.dropped) == (8, 7, {})
    assert run.logged == [
        "back end rejected 2 of 5 spans: too old",
        "back end says: slow down",
        "back end rejected 5 of 5 spans: no reason given",
    ]


def test_a_defect_in_delivery_costs_one_request() -> None:
    """An unexpected exception is our own failure, reported by its type alone, and the thread continues."""
    run = Run(Scripted([RuntimeError("hunter2")]))
    run.put(b"1", b"2")
    run.close()
    assert (run.dropped, run.tally.spans_delivered) == ({"failed": 1}, 1)
    assert run.logged == ["delivery failed: RuntimeError"]


def test_a_failure_of_ours_that_may_pass_is_tried_again() -> None:
    """It is reported as such, and not as the back end's."""
    run = Run(Scripted([Unavailable("no thread can be started", is_ours=True)]))
    run.put(b"1")
    run.close()
    assert run.tally.spans_delivered == 1
    assert run.logged[0] == "delivery failed, trying again: no thread can be started"


def test_closing_ends_our_own_backoff() -> None:
    """The next try is at once, though the backoff would outlast the deadline."""
    deliverer = Scripted([Unavailable("away")])
    run = Run(deliverer, clock=ManualClock(), backoff=Backoff(jitter=lambda: FOREVER_SECONDS))
    run.put(b"1")
    wait_until(lambda: run.logged)
    run.close()
    assert (run.tally.spans_delivered, run.dropped) == (1, {})


def test_closing_gives_up_if_the_back_end_asks_for_a_longer_delay() -> None:
    """Waiting for the deadline would be in vain, so closing ends though no time passes."""
    run = Run(Scripted([Unavailable("busy", 100.0)]), clock=ManualClock())
    run.put(b"1", b"2")
    wait_until(lambda: run.logged)
    run.close(100.0)
    assert run.dropped == {"shutdown": 2}


@pytest.mark.parametrize(
    ("outcomes", "dropped"),
    [
        pytest.param([NOBODY] * 50, {"shutdown": 1}, id="never-reached"),
        pytest.param([NOBODY, NOBODY, Delivered()], {}, id="reached-in-time"),
    ],
)
def test_closing_gives_up_where_nobody_listens(outcomes: list[Outcome | Exception], dropped: dict[str, int]) -> None:
    """Where nothing has ever listened, closing ends long before its deadline; until then it is tried."""
    run = Run(Scripted(outcomes))
    run.put(b"1")
    run.queue.close(deadline_seconds=FOREVER_SECONDS, nobody_seconds=0.5 if dropped else FOREVER_SECONDS)
    assert run.dropped == dropped


@pytest.mark.parametrize("outcome", [Delivered(), Unavailable("busy"), Refused("no")])
def test_closing_waits_for_a_back_end_that_was_there(outcome: Outcome) -> None:
    """One that has answered before may be restarting."""
    run = Run(Scripted([outcome, NOBODY, NOBODY, NOBODY, Delivered()]))
    run.put(b"1")
    wait_until(lambda: run.tally.spans_delivered or run.dropped or run.logged)
    run.put(b"2")
    run.queue.close(deadline_seconds=FOREVER_SECONDS, nobody_seconds=0)
    assert run.dropped.get("shutdown", 0) == 0


def test_closing_twice() -> None:
    """Only the first close waits and counts; a further one returns at once, meanwhile and afterwards."""
    deliverer = Scripted(is_open=False)
    run = Run(deliverer, clock=ManualClock())
    run.put(b"1")
    wait_until(lambda: deliverer.tried)
    closing = run.begin_to_close(100.0)
    try:
        run.close(0.0)
        assert (run.state, run.dropped) == (QueueState.CLOSING, {})
    finally:
        deliverer.gate.set()
    closing.result(DEADLINE_SECONDS)
    run.close()
    assert (run.state, run.tally.spans_delivered, run.dropped) == (QueueState.CLOSED, 1, {})
    assert deliverer.closed == 1


def test_requests_after_closing_are_dropped() -> None:
    """It will not be delivered any more, but it is counted."""
    run = Run(Scripted())
    run.close()
    run.put(b"1", spans=3)
    assert run.dropped == {"shutdown": 3}


def test_a_delivery_gets_no_more_time_than_is_left() -> None:
    """While closing, the deadline bounds each try; before, the configured timeout does."""
    deliverer = Scripted([Unavailable("away")])
    run = Run(deliverer, timeout_seconds=50.0, clock=ManualClock())
    run.put(b"1")
    wait_until(lambda: run.logged)
    run.close(20.0)
    assert deliverer.timeouts == pytest.approx([50.0, 20.0])


@pytest.mark.parametrize("backend_type", [HttpBackend, GrpcBackend])
def test_closing_ends_at_its_deadline_though_the_back_end_hangs(backend_type: type[HttpBackend | GrpcBackend]) -> None:
    """A back end that never answers costs the deadline, not the timeout; each span is counted, also afterwards."""
    request = encode([CALL], limits=SpanLimits())
    with backend_type() as backend:
        backend.script(Answer(delay_seconds=FOREVER_SECONDS))
        run = Run(_deliverer_to(backend), timeout_seconds=FOREVER_SECONDS)
        run.put(request, request, spans=3)
        backend.wait_for_requests(1)
        run.close(0.1)
        assert (run.dropped, run.tally.spans_delivered) == ({"shutdown": 6}, 0)
    # The back end has ended the request by now, and the thread that was left behind must not count it again.
    wait_until(lambda: not _is_alive(run))
    assert (run.dropped, run.tally.spans_delivered, run.logged) == ({"shutdown": 6}, 0, [])


@pytest.mark.parametrize("backend_type", [HttpBackend, GrpcBackend])
def test_an_outage_loses_nothing(backend_type: type[HttpBackend | GrpcBackend]) -> None:
    """Requests put during an outage arrive in order, each once, after it."""
    with backend_type() as gone:
        port = int(gone.endpoint.rpartition(":")[2])
        deliverer = _deliverer_to(gone)
    run = Run(deliverer)
    requests = [encode([changed(CALL, name=f"S3.Call{number}")], limits=SpanLimits()) for number in range(20)]
    run.put(*requests)
    wait_until(lambda: run.logged)
    with backend_type(port=port) as backend:
        run.close()
        assert [ExportTraceServiceRequest.FromString(request) for request in requests] == backend.accepted
    assert (run.tally.spans_delivered, run.dropped) == (20, {})
    assert run.logged[1:] == ["back end available again"]


def test_cancelling_from_a_signal_handler_ends_closing() -> None:
    """The second signal: a close that waits for a hung back end returns, with the waiting spans counted."""
    deliverer = Scripted(is_open=False)
    run = Run(deliverer, clock=ManualClock())
    run.put(b"1", b"2")
    wait_until(lambda: deliverer.tried)
    previous = signal.signal(signal.SIGUSR1, lambda *_: run.queue.cancel())
    try:
        threading.Thread(target=_signal_once_closing, args=(run,)).start()
        run.close(FOREVER_SECONDS)
    finally:
        signal.signal(signal.SIGUSR1, previous)
        deliverer.gate.set()
    assert run.dropped == {"shutdown": 2}


def test_closing_an_empty_queue_waits_for_nothing() -> None:
    """It ends though no time passes, and closes the deliverer."""
    deliverer = Scripted()
    run = Run(deliverer, clock=ManualClock())
    run.close(FOREVER_SECONDS)
    assert deliverer.closed == 1
    assert not _is_alive(run)


def _deliverer_to(backend: HttpBackend | GrpcBackend) -> Deliverer:
    protocol: Protocol = "grpc" if isinstance(backend, GrpcBackend) else "http/protobuf"
    return open_deliverer(Destination(url=backend.url, protocol=protocol))


def _signal_once_closing(run: Run) -> None:
    wait_until(lambda: run.state is QueueState.CLOSING)
    os.kill(os.getpid(), signal.SIGUSR1)


def _is_alive(run: Run) -> bool:
    return run.queue._threads[0].is_alive()
