"""The thread of a write queue, with a disk that works, fails or hangs; its waits are tested in `test_backlog`.

Time is a number here: tests advance it, and a disk hangs until a test releases it.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from manual_clock import ManualClock
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS, wait_until

from csm_otel.files.backlog import GRACE_SECONDS, STALL_SECONDS
from csm_otel.files.line_file import REOPEN
from csm_otel.files.states import QueueState
from csm_otel.files.write_queue import WriteQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

LINES = [b"%03d\n" % number for number in range(200)]


class Disk:
    """A file on a disk that writes its lines, or hangs while its gate is shut."""

    def __init__(self, *, hangs: bool = False, fails_at: Sequence[bytes] = ()) -> None:
        self.batches: list[list[bytes]] = []
        self.is_writing = threading.Event()
        self.goes_on = threading.Event()
        self.is_closed = False
        self.is_failing = False
        self._fails_at = fails_at
        if not hangs:
            self.goes_on.set()

    @property
    def lines(self) -> list[bytes]:
        """All that was written, in order."""
        return [line for batch in self.batches for line in batch]

    def append(self, batch: Sequence[bytes]) -> int:
        """Write up to the first line that fails, once the gate is open."""
        self.is_writing.set()
        self.goes_on.wait(FOREVER_SECONDS)
        whole = next((number for number, line in enumerate(batch) if line in self._fails_at), len(batch))
        self.batches.append(list(batch[:whole]))
        self.is_failing = whole < len(batch)
        return whole

    def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True


class Writing:
    """A queue to a disk, with the results of its entries."""

    def __init__(
        self, disk: Disk, *, limit_bytes: int = 1000, batch_bytes: int = 20, gather_seconds: float = 0.0
    ) -> None:
        self.written = self.dropped = 0
        self.clock = ManualClock()
        self.queue = WriteQueue(
            disk,
            name="test",
            on_dropped=self._drop,
            on_written=self._write,
            limit_bytes=limit_bytes,
            batch_bytes=batch_bytes,
            gather_seconds=gather_seconds,
            clock=self.clock,
        )
        self._pool = ThreadPoolExecutor(1)

    @property
    def counts(self) -> tuple[int, int]:
        """The numbers written and dropped."""
        return self.written, self.dropped

    def put(self, lines: Sequence[bytes]) -> None:
        """Put lines."""
        for line in lines:
            self.queue.put(line)

    def close(self, deadline_seconds: float = FOREVER_SECONDS) -> int:
        """Close the queue and return what it gave up."""
        return self.queue.close(deadline_seconds=deadline_seconds)

    def begin(self, call: Callable[[], object]) -> Future[object]:
        """Call something that waits, in a separate thread."""
        return self._pool.submit(call)

    def begin_to_close(self, deadline_seconds: float = FOREVER_SECONDS) -> Future[object]:
        """Close the queue in another thread, and return once that waits."""
        closing = self.begin(lambda: self.close(deadline_seconds))
        wait_until(lambda: self.queue._backlog.state is QueueState.CLOSING)
        return closing

    def pass_time(self, seconds: float) -> None:
        """Advance the queue's clock."""
        self.clock.advance(seconds, self.queue._changed)

    def _drop(self, count: int) -> None:
        self.dropped += count

    def _write(self, count: int) -> None:
        self.written += count


@pytest.fixture
def hanging() -> Iterator[Disk]:
    """Return a disk that hangs, at most until the test is over."""
    disk = Disk(hangs=True)
    yield disk
    disk.goes_on.set()


def test_entries_put_together_are_written_at_once() -> None:
    """Lines are gathered, and written in as few batches as their bound allows, in order."""
    disk = Disk()
    writing = Writing(disk, batch_bytes=100, gather_seconds=1.0)
    writing.put(LINES)
    assert writing.close() == 0
    assert writing.counts == (200, 0)
    assert [len(batch) for batch in disk.batches] == [25] * 8
    assert disk.lines == LINES
    wait_until(lambda: disk.is_closed)


def test_a_line_does_not_wait_for_others_for_ever() -> None:
    """A single line is written after the time for gathering, though the queue is not closed."""
    disk = Disk()
    writing = Writing(disk, gather_seconds=FOREVER_SECONDS)
    writing.put(LINES[:1])
    writing.pass_time(FOREVER_SECONDS)
    wait_until(lambda: disk.lines == LINES[:1])
    writing.close()


def test_many_entries_end_the_gathering() -> None:
    """Entries for many batches are written without any time passing."""
    disk = Disk()
    writing = Writing(disk, batch_bytes=100_000, limit_bytes=1_000_000, gather_seconds=1.0)
    long_lines = [bytes([number]) * 1000 for number in range(66)]
    writing.put(long_lines)
    wait_until(lambda: disk.lines == long_lines)
    writing.close()


def test_one_that_cannot_be_written_is_dropped_alone() -> None:
    """Of a batch those before it are written, those behind it next, and each is in one count."""
    disk = Disk(fails_at=[LINES[3], LINES[4], LINES[9]])
    writing = Writing(disk, batch_bytes=100, gather_seconds=1.0)
    writing.put(LINES[:10])
    writing.close()
    assert writing.counts == (7, 3)
    assert disk.lines == [line for line in LINES[:10] if line not in {LINES[3], LINES[4], LINES[9]}]
    assert writing.queue.is_failing


def test_putting_does_not_wait_for_a_disk_that_hangs(hanging: Disk) -> None:
    """Entries that do not fit are dropped and reported, and the others are written once the disk continues."""
    writing = Writing(hanging, limit_bytes=100)
    writing.put(LINES[:1])
    assert hanging.is_writing.wait(DEADLINE_SECONDS)
    assert not writing.queue.is_failing
    writing.put(LINES[1:])
    assert writing.counts == (0, 175)
    assert writing.queue.is_failing
    hanging.goes_on.set()
    wait_until(lambda: writing.written == 25)
    writing.put(LINES[100:101])
    assert not writing.queue.is_failing
    assert writing.close() == 0
    assert writing.counts == (26, 175)
    assert hanging.lines == [*LINES[:25], LINES[100]]


@pytest.mark.parametrize(
    ("deadline_seconds", "passes_seconds"),
    [
        pytest.param(0.0, GRACE_SECONDS, id="no-time"),
        pytest.param(1.0, 1.0, id="deadline"),
        pytest.param(FOREVER_SECONDS, STALL_SECONDS, id="stall"),
    ],
)
def test_closing_gives_up_a_disk_that_hangs(hanging: Disk, deadline_seconds: float, passes_seconds: float) -> None:
    """At the deadline, or earlier without progress, entries not known to be written are dropped, once."""
    writing = Writing(hanging)
    writing.put(LINES[:10])
    assert hanging.is_writing.wait(DEADLINE_SECONDS)
    closing = writing.begin_to_close(deadline_seconds)
    writing.pass_time(passes_seconds)
    assert closing.result(DEADLINE_SECONDS) == 10
    assert writing.counts == (0, 10)
    assert writing.queue.is_failing
    writing.put(LINES[10:12])
    hanging.goes_on.set()
    wait_until(lambda: hanging.is_closed)
    assert writing.counts == (0, 12)


def test_closing_waits_for_a_disk_that_is_slow(hanging: Disk) -> None:
    """Nothing is given up before a stall: entries written by then count as written."""
    writing = Writing(hanging)
    writing.put(LINES[:10])
    assert hanging.is_writing.wait(DEADLINE_SECONDS)
    closing = writing.begin_to_close()
    writing.pass_time(STALL_SECONDS - 0.1)
    hanging.goes_on.set()
    assert closing.result(DEADLINE_SECONDS) == 0
    assert writing.counts == (10, 0)


def test_a_disk_that_works_needs_no_time() -> None:
    """A deadline of nothing is enough for it, though lines were still being gathered."""
    writing = Writing(Disk(), gather_seconds=1.0)
    writing.put(LINES[:10])
    assert writing.close(0.0) == 0
    assert writing.counts == (10, 0)


def test_closing_twice(hanging: Disk) -> None:
    """Only the first close waits and counts; a further one returns at once, meanwhile and afterwards."""
    writing = Writing(hanging)
    writing.put(LINES[:10])
    assert hanging.is_writing.wait(DEADLINE_SECONDS)
    closing = writing.begin_to_close()
    assert writing.close() == 0
    assert not closing.done()
    writing.pass_time(STALL_SECONDS)
    assert closing.result(DEADLINE_SECONDS) == 10
    assert writing.close() == 0
    assert writing.counts == (0, 10)


@pytest.mark.parametrize("is_closing", [True, False], ids=["while-closing", "before"])
def test_a_cancel_ends_closing(hanging: Disk, *, is_closing: bool) -> None:
    """A disk that hangs is waited for only for the grace period, and the rest is counted."""
    writing = Writing(hanging)
    writing.put(LINES)
    assert hanging.is_writing.wait(DEADLINE_SECONDS)
    if not is_closing:
        writing.queue.cancel()
    closing = writing.begin_to_close()
    if is_closing:
        writing.queue.cancel()
    writing.pass_time(GRACE_SECONDS)
    assert closing.result(DEADLINE_SECONDS) == 200
    assert writing.counts == (0, 200)


def test_a_cancel_with_a_working_disk() -> None:
    """Entries still being gathered are written nevertheless."""
    writing = Writing(Disk(), gather_seconds=1.0)
    writing.put(LINES[:10])
    writing.queue.cancel()
    assert writing.close() == 0
    assert writing.counts == (10, 0)


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_waiting_for_room_ends_with_a_disk_that_hangs(hanging: Disk, *, is_cancelled: bool) -> None:
    """Putting that may wait for room does so only while there is progress, and not after a cancel."""
    writing = Writing(hanging, limit_bytes=4)
    writing.put(LINES[:1])
    writing.queue.block_when_full(until=writing.clock() + FOREVER_SECONDS, stall_seconds=2.0)
    putting = writing.begin(lambda: writing.put(LINES[1:10]))
    if is_cancelled:
        writing.queue.cancel()
    else:
        writing.pass_time(2.0)
    putting.result(DEADLINE_SECONDS)
    assert writing.dropped == 9
    hanging.goes_on.set()
    assert writing.close() == 0
    assert writing.counts == (1, 9)


def test_waiting_for_room_loses_nothing(hanging: Disk) -> None:
    """Putting continues when the disk does."""
    writing = Writing(hanging, limit_bytes=4)
    writing.queue.block_when_full(until=float("inf"))
    putting = writing.begin(lambda: writing.put(LINES[:10]))
    assert hanging.is_writing.wait(DEADLINE_SECONDS)
    assert not putting.done()
    hanging.goes_on.set()
    putting.result(DEADLINE_SECONDS)
    writing.close()
    assert writing.counts == (10, 0)
    assert hanging.lines == LINES[:10]


def test_waiting_until_all_is_written(hanging: Disk) -> None:
    """It is waited for as long as it takes, or until the caller wants no more."""
    writing = Writing(hanging)
    writing.put(LINES[:10])
    writing.queue.wait_until_written(unless=lambda: True)
    writing.queue.wait_until_written(unless=lambda: False, most_bytes=sum(map(len, LINES[:10])))
    waiting = writing.begin(lambda: writing.queue.wait_until_written(unless=lambda: False))
    assert hanging.is_writing.wait(DEADLINE_SECONDS)
    assert not waiting.done()
    hanging.goes_on.set()
    waiting.result(DEADLINE_SECONDS)
    assert writing.counts == (10, 0)
    assert writing.close() == 0


class Defective(Disk):
    """A disk with a defect of ours."""

    def append(self, batch: Sequence[bytes]) -> int:
        """Write all but one line.

        Raises:
            ValueError: the line is that one.
        """
        if batch[0] == LINES[1]:
            raise ValueError("a defect")
        return super().append(batch)


def test_a_defect_in_writing_costs_one_line() -> None:
    """A line that raises is dropped and counted; those behind it are written."""
    disk = Defective()
    writing = Writing(disk, batch_bytes=0)
    writing.put(LINES[:3])
    writing.close()
    assert writing.counts == (2, 1)
    assert disk.lines == [LINES[0], LINES[2]]


def test_marks(hanging: Disk) -> None:
    """Entries before a mark are flushed once they have been written."""
    writing = Writing(hanging)
    assert writing.queue.is_flushed(writing.queue.mark())
    writing.put(LINES[:1])
    mark = writing.queue.mark()
    assert not writing.queue.is_flushed(mark)
    hanging.goes_on.set()
    wait_until(lambda: writing.queue.is_flushed(mark))
    assert hanging.lines == LINES[:1]
    writing.close()


def test_reopening_has_its_place_among_the_entries(hanging: Disk) -> None:
    """The target gets it once it has all that was put before, with the first entry of what comes next behind it."""
    writing = Writing(hanging, limit_bytes=12)
    writing.put(LINES[:3])
    writing.queue.reopen(b"first\n")
    hanging.goes_on.set()
    wait_until(lambda: writing.written == 4)
    writing.put(LINES[3:4])
    writing.close()
    assert hanging.lines == [*LINES[:3], REOPEN, b"first\n", LINES[3]]
    assert writing.counts == (5, 0)
