"""The queue with a spool: requests outlive the process, the disk's faults keep the order, all is counted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from delivery.committing import SlowDisk
from delivery.queue_runs import Run, Scripted, outcomes
from delivery.samples import CALL, changed
from hypothesis import given, settings
from hypothesis import strategies as st
from manual_clock import ManualClock
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import SpanLimits
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS, wait_until

from csm_otel.delivery.disk import _RETRY_SECONDS, DISK_GRACE_SECONDS
from csm_otel.delivery.encoding import encode
from csm_otel.delivery.outcome import Outcome, TooLarge, Unavailable
from csm_otel.delivery.spool import Spool
from csm_otel.delivery.states import RequestState
from csm_otel.errors import SpoolError
from csm_otel.files.states import QueueState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

T = TypeVar("T")

AWAY = Unavailable("away", retry_after_seconds=300.0)
PLENTY = 10_000_000


def run_on(folder: Path, deliverer: Scripted, *, limit_bytes: int = PLENTY, **settings: Any) -> Run:
    """Return a queue with the spool of a folder."""
    return Run(deliverer, spool=Spool(folder, limit_bytes=limit_bytes), **settings)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of a spool."""
    return tmp_path / "spool"


@pytest.fixture(params=["memory", "disk"])
def spools(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    """Give the settings of a queue without a spool and of one with."""
    return {} if request.param == "memory" else {"spool": Spool(folder, limit_bytes=PLENTY)}


@settings(max_examples=50, deadline=None)
@given(
    runs=st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 300), st.integers(0, 4)), max_size=10),
            st.lists(outcomes, max_size=10),
            st.booleans(),
        ),
        min_size=1,
        max_size=3,
    ),
    limit_bytes=st.integers(300, 900),
)
def test_every_span_is_counted_once_over_all_runs(
    tmp_path_factory: pytest.TempPathFactory, runs: list[Any], limit_bytes: int
) -> None:
    """With any back end, each span that a run accepts or finds is in one count; the next run finds the spooled ones."""
    folder = tmp_path_factory.mktemp("spool")
    left = 0
    for puts, results, is_cancelled in runs:
        run = run_on(folder, Scripted(list(results)), limit_bytes=limit_bytes)
        assert run.tally.spans_recovered == left
        for size, spans in puts:
            run.put(bytes(size), spans=spans)
        if is_cancelled:
            run.queue.cancel()
        run.close()
        tally = run.tally
        left = tally.spans_spooled
        ended = tally.spans_delivered + tally.spans_rejected + tally.spans_dropped.total() + left
        assert tally.spans_recovered + sum(spans for _, spans in puts) == ended
        assert "spool_damaged" not in tally.spans_dropped
        assert is_cancelled or not left


def test_the_rest_is_delivered_by_the_next_process(folder: Path) -> None:
    """After an outage until the end all is spooled, and delivered in order by the next process."""
    run = run_on(folder, Scripted([AWAY]), clock=ManualClock())
    run.put(b"a", b"b", b"c", spans=2)
    wait_until(lambda: run.request_state is RequestState.BACKING_OFF)
    assert run.queue.spans_waiting == 6
    run.close(0.1)
    assert (run.tally.spans_spooled, run.dropped) == (6, {})
    assert run.queue.spans_waiting == 6

    deliverer = Scripted()
    run = run_on(folder, deliverer)
    run.put(b"d")
    run.close()
    assert deliverer.delivered == [b"a", b"b", b"c", b"d"]
    assert run.queue.spans_waiting == 0
    assert (run.tally.spans_recovered, run.tally.spans_delivered, run.tally.spans_repeated) == (6, 7, 0)


@pytest.mark.parametrize(
    ("outcome", "repeated"),
    [
        pytest.param(Unavailable("timed out", may_have_arrived=True), 5, id="no-answer"),
        pytest.param(Unavailable("refused"), 0, id="refused"),
    ],
)
def test_repeats_are_counted(spools: dict[str, Any], outcome: Outcome, repeated: int) -> None:
    """Spans that may have arrived already are counted when they are sent again, others are not."""
    run = Run(Scripted([outcome]), **spools)
    run.put(b"a", spans=5)
    run.close()
    assert (run.tally.spans_delivered, run.tally.spans_repeated) == (5, repeated)


def test_a_process_that_died_in_a_delivery_may_have_delivered(folder: Path) -> None:
    """The request under way when the process ended counts as repeated when the next one sends it."""
    deliverer = Scripted(is_open=False)
    run = run_on(folder, deliverer)
    run.put(b"a", b"b")
    wait_until(lambda: deliverer.tried == [b"a"])
    run.close(0.0)
    deliverer.gate.set()
    assert run.tally.spans_spooled == 2

    second = Scripted()
    run = run_on(folder, second)
    run.close()
    assert second.delivered == [b"a", b"b"]
    assert run.tally.spans_repeated == 1


def test_a_repeat_is_one_though_the_request_went_to_disk_meanwhile(folder: Path) -> None:
    """A try from memory while the disk refused is remembered when the request is sent from the disk."""
    deliverer = Scripted([Unavailable("no answer", retry_after_seconds=300.0, may_have_arrived=True)], is_open=False)
    spool = _Failing(folder, limit_bytes=PLENTY)
    spool.fault = "database or disk is full"
    run = Run(deliverer, spool=spool, clock=ManualClock())
    run.put(b"a", spans=2)
    wait_until(lambda: deliverer.tried)
    deliverer.gate.set()
    spool.fault = ""
    run.pass_time(_RETRY_SECONDS)
    wait_until(lambda: spool.spans == 2)
    run.close(0.1)
    run = run_on(folder, Scripted())
    run.close()
    assert (run.tally.spans_delivered, run.tally.spans_repeated) == (2, 2)


def test_a_full_spool_drops_the_oldest(folder: Path) -> None:
    """Its bound is kept; the oldest requests after the one being tried are evicted, and counted."""
    deliverer = Scripted([AWAY])
    run = run_on(folder, deliverer, limit_bytes=3_000)
    for number in range(10):
        run.put(b"%d" % number * 900)
        wait_until(lambda: deliverer.tried and not len(run.queue._memory))
    run.close(0.1)
    assert (run.dropped, run.tally.spans_spooled) == ({"queue_full": 7}, 3)
    second = Scripted()
    run_on(folder, second).close()
    assert [request[:1] for request in second.delivered] == [b"0", b"8", b"9"]


class _Failing(Spool):
    """A spool whose disk refuses at times."""

    fault = ""

    def put(self, requests: Sequence[tuple[bytes, int]], *, tries: Sequence[int] = ()) -> int:
        if self.fault:
            raise SpoolError(self.fault)
        return super().put(requests, tries=tries)


def test_while_the_disk_refuses_requests_stay_in_memory(folder: Path) -> None:
    """Requests that cannot be written wait in memory and are delivered from there, after those on disk."""
    deliverer = Scripted(is_open=False)
    spool = _Failing(folder, limit_bytes=PLENTY)
    run = Run(deliverer, spool=spool)
    run.put(b"on disk", b"too")
    wait_until(lambda: spool.spans == 2)
    spool.fault = "database or disk is full"
    run.put(b"in memory")
    wait_until(lambda: bool(run.logged))
    deliverer.gate.set()
    run.close()
    assert deliverer.delivered == [b"on disk", b"too", b"in memory"]
    assert run.logged == ["spool cannot be written, keeping spans in memory: database or disk is full"]
    assert (run.dropped, run.tally.spans_delivered) == ({}, 3)


def test_a_disk_that_recovers_is_used_again(folder: Path) -> None:
    """Requests in memory go to disk as soon as there is room."""
    spool = _Failing(folder, limit_bytes=PLENTY)
    spool.fault = "database or disk is full"
    run = Run(Scripted([AWAY]), spool=spool, clock=ManualClock())
    run.put(b"a", b"b")
    wait_until(lambda: any("spool" in line for line in run.logged))
    assert not run.queue.is_spooling
    spool.fault = ""
    run.pass_time(_RETRY_SECONDS)
    wait_until(lambda: spool.spans == 2)
    wait_until(lambda: run.queue.is_spooling)
    run.close(0.1)
    assert (run.dropped, run.tally.spans_spooled) == ({}, 2)


def test_requests_refused_by_the_disk_at_the_end_are_counted(folder: Path) -> None:
    """Neither delivered nor spooled is dropped, with its reason."""
    spool = _Failing(folder, limit_bytes=PLENTY)
    spool.fault = "database or disk is full"
    run = Run(Scripted([AWAY]), spool=spool)
    run.put(b"a", spans=3)
    run.close(0.1)
    assert (run.dropped, run.tally.spans_spooled) == ({"shutdown": 3}, 0)


class _Picky(Scripted):
    """A back end that accepts no request beyond a length."""

    longest = 0

    def deliver(self, request: bytes, *, timeout_seconds: float) -> Outcome:
        if len(request) > self.longest:
            return TooLarge("too large")
        return super().deliver(request, timeout_seconds=timeout_seconds)


def test_too_large_requests_are_split(spools: dict[str, Any]) -> None:
    """Halves are tried until they fit, in order; what a single span makes too large is dropped and reported."""
    small = [changed(CALL, name=f"call {number}") for number in range(7)]
    large = changed(CALL, name="x" * 3_000)
    request = encode([*small[:5], large, *small[5:]], limits=SpanLimits())
    deliverer = _Picky()
    deliverer.longest = len(encode(small[:3], limits=SpanLimits()))
    run = Run(deliverer, **spools)
    run.put(request, spans=8)
    run.put(encode([CALL], limits=SpanLimits()))
    run.close()
    names = [span.name for taken in deliverer.delivered for span in _spans(taken)]
    assert names == [*(f"call {number}" for number in range(7)), CALL.name]
    assert (run.tally.spans_delivered, run.dropped) == (8, {"too_large": 1})
    assert run.logged == ["back end refused spans: too large"]


def _spans(request: bytes) -> Iterator[Any]:
    for resource_spans in ExportTraceServiceRequest.FromString(request).resource_spans:
        for scope_spans in resource_spans.scope_spans:
            yield from scope_spans.spans


def test_marks(spools: dict[str, Any]) -> None:
    """Requests before a mark are flushed once they are delivered, whatever is put after it."""
    deliverer = Scripted(is_open=False)
    run = Run(deliverer, **spools)
    assert run.queue.is_flushed(run.queue.mark())
    run.put(b"a", b"b", spans=2)
    mark = run.queue.mark()
    run.put(b"c")
    assert not run.queue.is_flushed(mark)
    deliverer.gate.set()
    wait_until(lambda: run.queue.is_flushed(mark))
    run.close()
    assert run.tally.spans_delivered == 5


class _Stuck(Spool):
    """A spool whose disk hangs from some moment on."""

    def __init__(self, folder: Path) -> None:
        self.is_slow = False
        self.waits = threading.Event()
        self.goes_on = threading.Event()
        super().__init__(folder, limit_bytes=PLENTY)

    def _transact(self, change: Callable[[], T]) -> T:
        if self.is_slow:
            self.waits.set()
            self.goes_on.wait(FOREVER_SECONDS)
        return super()._transact(change)


@pytest.mark.parametrize("is_late", [False, True])
def test_closing_waits_for_accounting(folder: Path, *, is_late: bool) -> None:
    """A delivery that succeeded in the last moment is not counted as spooled, though the disk is slow to remove it."""
    deliverer = Scripted(is_open=False)
    spool = _Stuck(folder)
    run = Run(deliverer, spool=spool, clock=ManualClock())
    run.put(b"a")
    wait_until(lambda: deliverer.tried)
    spool.is_slow = True
    deliverer.gate.set()
    assert spool.waits.wait(DEADLINE_SECONDS)
    closing = run.begin_to_close(0.0, until=QueueState.STOPPED)
    assert run.request_state is RequestState.ACCOUNTING
    if is_late:  # the first grace period is over by then
        run.pass_time(DISK_GRACE_SECONDS)
        wait_until(lambda: deliverer.closed)
    spool.goes_on.set()
    closing.result(DEADLINE_SECONDS)
    assert (run.tally.spans_delivered, run.tally.spans_spooled, run.dropped) == (1, 0, {})


def test_a_disk_that_hangs_does_not_hold_up_the_end(folder: Path) -> None:
    """Closing returns after the grace period; requests in memory are counted as dropped."""
    spool = _Stuck(folder)
    run = Run(Scripted(), spool=spool, clock=ManualClock())
    spool.is_slow = True
    run.put(b"a", spans=2)
    assert spool.waits.wait(DEADLINE_SECONDS)
    run.close_beside_a_hung_disk()
    assert run.dropped == {"shutdown": 2}
    spool.goes_on.set()
    for thread in run.queue._threads:
        thread.join(DEADLINE_SECONDS)
    spool.close()


def _counts_of(run: Run) -> tuple[int, int, dict[str, int]]:
    return run.tally.spans_delivered, run.tally.spans_spooled, run.dropped


def _hung(folder: Path) -> tuple[Run, Spool, SlowDisk]:
    """Return a queue with 5 spans on its disk, which hangs as it commits 7 more."""
    spool = Spool(folder, limit_bytes=PLENTY)
    run = Run(Scripted([AWAY]), spool=spool, clock=ManualClock())
    run.put(b"a", spans=5)
    wait_until(lambda: not len(run.queue._memory) and run.queue._backoff.failures)
    disk = SlowDisk(spool)
    run.put(b"b", spans=7)
    assert disk.waits.wait(DEADLINE_SECONDS)
    return run, spool, disk


def _go_on(disk: SlowDisk, run: Run) -> None:
    """Release a disk that hung after the end, and wait for the threads that waited for it."""
    disk.goes_on.set()
    for thread in run.queue._threads:
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()


def test_requests_being_committed_to_a_hanging_disk_are_counted_once(folder: Path) -> None:
    """They are dropped, and those on disk before are spooled, now and when the disk continues."""
    run, spool, disk = _hung(folder)
    run.close_beside_a_hung_disk()
    assert _counts_of(run) == (0, 5, {"shutdown": 7})
    _go_on(disk, run)
    assert _counts_of(run) == (0, 5, {"shutdown": 7})
    spool.close()


def test_evictions_on_a_hanging_disk_are_counted_once(folder: Path) -> None:
    """Evicted requests are on disk until that is committed: spooled, now and when the disk continues."""
    spool = Spool(folder, limit_bytes=2_500)
    run = Run(Scripted([AWAY]), spool=spool, clock=ManualClock())
    run.put(bytes(900), bytes(900), spans=3)
    wait_until(lambda: not len(run.queue._memory) and run.queue._backoff.failures)
    disk = SlowDisk(spool)
    run.put(bytes(900), spans=7)
    assert disk.waits.wait(DEADLINE_SECONDS)
    run.close_beside_a_hung_disk()
    assert _counts_of(run) == (0, 6, {"shutdown": 7})
    _go_on(disk, run)
    assert _counts_of(run) == (0, 6, {"shutdown": 7})
    spool.close()


def test_removals_on_a_hanging_disk_are_counted_once(folder: Path) -> None:
    """Delivered requests that are still on disk are spooled, now and when the disk continues."""
    deliverer = Scripted(is_open=False)
    spool = Spool(folder, limit_bytes=PLENTY)
    run = Run(deliverer, spool=spool, clock=ManualClock())
    run.put(b"a", spans=5)
    wait_until(lambda: deliverer.tried)
    disk = SlowDisk(spool)
    deliverer.gate.set()
    assert disk.waits.wait(DEADLINE_SECONDS)
    run.put(b"b", spans=7)
    run.close_beside_a_hung_disk()
    assert _counts_of(run) == (0, 5, {"shutdown": 7})
    _go_on(disk, run)
    assert _counts_of(run) == (0, 5, {"shutdown": 7})
    spool.close()


def test_a_slow_commit_while_closing_is_made_once(folder: Path) -> None:
    """A commit that ends while closing waits for the disk is not repeated."""
    run, _, disk = _hung(folder)
    closing = run.begin_to_close(0.0, until=QueueState.STOPPED)
    run.pass_time(DISK_GRACE_SECONDS)
    wait_until(lambda: run.queue._deliverer.closed)  # type: ignore[attr-defined]
    _go_on(disk, run)
    closing.result(DEADLINE_SECONDS)
    assert _counts_of(run) == (0, 12, {})
    second = Scripted()
    run = run_on(folder, second)
    run.close()
    assert second.delivered == [b"a", b"b"]


class _Keeping(Spool):
    """A spool whose disk fails to remove delivered requests, for a number of times."""

    refusals = 0
    _is_replacing = False

    def replace_first(self, key: int, halves: Sequence[tuple[bytes, int]] = ()) -> bool:
        self._is_replacing = True
        try:
            return super().replace_first(key, halves)
        finally:
            self._is_replacing = False

    def _transact(self, change: Callable[[], T]) -> T:
        if self._is_replacing and self.refusals:
            self.refusals -= 1
            raise SpoolError("disk I/O error")
        return super()._transact(change)


def test_delivered_requests_that_stay_on_disk(folder: Path) -> None:
    """This process delivers them once, closing does not wait for them, and the next one counts them as repeats."""
    spool = _Keeping(folder, limit_bytes=PLENTY)
    spool.refusals = 1
    run = Run(Scripted(), spool=spool, clock=ManualClock())
    run.put(b"a", spans=2)
    wait_until(lambda: run.tally.spans_delivered)
    run.close(FOREVER_SECONDS)
    assert (run.tally.spans_delivered, run.tally.spans_spooled) == (2, 0)
    assert run.logged == ["spool cannot be written, some spans may be delivered again: disk I/O error"]

    second = Scripted()
    run = run_on(folder, second)
    run.close()
    assert second.delivered == [b"a"]
    assert (run.tally.spans_recovered, run.tally.spans_delivered, run.tally.spans_repeated) == (2, 2, 2)


@pytest.mark.parametrize("refusals", [0, 3])
def test_halves_come_in_place_of_the_whole_or_not_at_all(folder: Path, refusals: int) -> None:
    """If the disk refuses them the whole is tried again: nothing is lost between the two."""
    calls = [changed(CALL, name=f"call {number}") for number in range(4)]
    deliverer = _Picky()
    deliverer.longest = len(encode(calls[:1], limits=SpanLimits()))
    spool = _Keeping(folder, limit_bytes=PLENTY)
    spool.refusals = refusals
    run = Run(deliverer, spool=spool)
    run.put(encode(calls, limits=SpanLimits()), spans=4)
    wait_until(lambda: run.tally.spans_delivered >= 4)
    run.close()
    assert [span.name for taken in deliverer.delivered for span in _spans(taken)] == [call.name for call in calls]
    assert (run.tally.spans_delivered, run.dropped, run.tally.spans_spooled) == (4, {}, 0)
    assert run.tally.spans_repeated == 0


def test_halves_after_a_request_that_the_disk_did_not_remove(folder: Path) -> None:
    """Their keys may be like those of requests delivered before; they are delivered nevertheless."""
    calls = [changed(CALL, name=f"call {number}") for number in range(4)]
    deliverer = _Picky()
    deliverer.longest = len(encode(calls[:2], limits=SpanLimits()))
    spool = _Keeping(folder, limit_bytes=PLENTY)
    spool.refusals = 1
    run = Run(deliverer, spool=spool)
    run.put(encode([CALL], limits=SpanLimits()))
    run.put(encode(calls, limits=SpanLimits()), spans=4)
    run.close()
    names = [span.name for taken in deliverer.delivered for span in _spans(taken)]
    assert names == [CALL.name, *(call.name for call in calls)]
    assert (run.tally.spans_delivered, run.tally.spans_spooled) == (5, 0)
