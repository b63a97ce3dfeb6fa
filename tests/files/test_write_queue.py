"""What waits for a file that is slow, stalls or hangs, and its accounting; `FileWriter`'s tests have more of it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from otlp_backend import DEADLINE_SECONDS, wait_until

from csm_otel.files.write_queue import STALL_SECONDS, WriteQueue

if TYPE_CHECKING:
    from collections.abc import Sequence

LINES = [b"%03d\n" % number for number in range(200)]


class Disk:
    """A file on a disk that writes what it is told, or stands still until told to go on."""

    def __init__(self, *, stands_still: bool = False, fails_at: Sequence[bytes] = ()) -> None:
        self.batches: list[list[bytes]] = []
        self.is_writing = threading.Event()
        self.goes_on = threading.Event()
        self.is_closed = False
        self.is_failing = False
        self._fails_at = fails_at
        if not stands_still:
            self.goes_on.set()

    @property
    def lines(self) -> list[bytes]:
        """All that is there, in order."""
        return [line for batch in self.batches for line in batch]

    def append(self, batch: Sequence[bytes]) -> int:
        """Write up to the first line that fails, once it goes on."""
        self.is_writing.set()
        self.goes_on.wait(DEADLINE_SECONDS)
        there = next((number for number, line in enumerate(batch) if line in self._fails_at), len(batch))
        self.batches.append(list(batch[:there]))
        self.is_failing = there < len(batch)
        return there

    def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True


class SlowDisk(Disk):
    """A disk that takes its time for each batch, until told to hurry."""

    def __init__(self, *, batch_seconds: float) -> None:
        super().__init__()
        self.hurries = threading.Event()
        self._batch_seconds = batch_seconds

    def append(self, batch: Sequence[bytes]) -> int:
        """Write all, after a while."""
        self.is_writing.set()
        self.hurries.wait(self._batch_seconds)
        return super().append(batch)


class Writing:
    """A queue to a disk, with what came of what was put."""

    def __init__(self, disk: Disk, **options: float) -> None:
        self.written = self.lost = 0
        self.queue = WriteQueue(
            disk,
            name="test",
            lost=self._lose,
            written=self._write,
            limit_bytes=int(options.get("limit_bytes", 1000)),
            batch_bytes=int(options.get("batch_bytes", 0)),
            gather_seconds=options.get("gather_seconds", 0.0),
        )

    def put(self, lines: Sequence[bytes]) -> float:
        """Put lines, and return how many seconds that took."""
        began = time.monotonic()
        for line in lines:
            self.queue.put(line)
        return time.monotonic() - began

    def close(self, seconds: float = DEADLINE_SECONDS) -> tuple[int, int]:
        """Close the queue, and return how many were written and lost."""
        lost = self.lost
        given_up = self.queue.close(deadline_seconds=seconds)
        assert given_up == 0 or given_up == self.lost - lost
        return self.written, self.lost

    def _lose(self, count: int) -> None:
        self.lost += count

    def _write(self, count: int) -> None:
        self.written += count


def test_what_comes_together_is_written_in_one_go() -> None:
    """Lines are gathered for a moment, and written in as few batches as their bound allows, in order."""
    disk = Disk()
    writing = Writing(disk, batch_bytes=100, gather_seconds=DEADLINE_SECONDS)
    writing.put(LINES)
    assert writing.close() == (200, 0)
    assert [len(batch) for batch in disk.batches] == [25] * 8
    assert disk.lines == LINES
    assert disk.is_closed


def test_nothing_waits_for_others_that_do_not_come() -> None:
    """A line alone is written after the time for gathering, though nothing closes the queue."""
    disk = Disk()
    writing = Writing(disk, batch_bytes=100, gather_seconds=0.05)
    writing.put(LINES[:1])
    wait_until(lambda: disk.lines == LINES[:1])
    writing.close()


def test_much_is_not_gathered_any_further() -> None:
    """What fills a batch many times over is written at once, however long gathering may take."""
    disk = Disk()
    writing = Writing(disk, batch_bytes=100_000, limit_bytes=1_000_000, gather_seconds=DEADLINE_SECONDS)
    long_lines = [bytes([number]) * 1000 for number in range(66)]
    writing.put(long_lines)
    wait_until(lambda: disk.lines == long_lines)
    writing.close()


def test_one_that_cannot_be_written_is_lost_alone() -> None:
    """Of a batch those before it are there, those behind it are written next, and each is in one count."""
    disk = Disk(fails_at=[LINES[3], LINES[4], LINES[9]])
    writing = Writing(disk, batch_bytes=100, gather_seconds=DEADLINE_SECONDS)
    writing.put(LINES[:10])
    assert writing.close() == (7, 3)
    assert disk.lines == [line for line in LINES[:10] if line not in {LINES[3], LINES[4], LINES[9]}]
    assert writing.queue.is_failing


def test_a_disk_that_hangs_holds_nobody_up() -> None:
    """Putting does not wait; what does not fit is lost and told as failing, and what fits is written later."""
    disk = Disk(stands_still=True)
    writing = Writing(disk, limit_bytes=100, batch_bytes=20)
    writing.put(LINES[:1])
    disk.is_writing.wait(DEADLINE_SECONDS)
    assert not writing.queue.is_failing
    assert writing.put(LINES[1:]) < 1.0
    assert (writing.written, writing.lost) == (0, 175)
    assert writing.queue.is_failing
    disk.goes_on.set()
    wait_until(lambda: writing.written == 25)
    writing.put(LINES[100:101])
    assert not writing.queue.is_failing
    assert writing.close() == (26, 175)
    assert disk.lines == [*LINES[:25], LINES[100]]


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_closing_does_not_wait_for_a_disk_that_hangs(seconds: float) -> None:
    """It ends at its deadline, and what is not known to be there is lost, once, whatever comes later."""
    disk = Disk(stands_still=True)
    writing = Writing(disk, batch_bytes=20)
    writing.put(LINES[:10])
    disk.is_writing.wait(DEADLINE_SECONDS)
    began = time.monotonic()
    assert writing.close(seconds) == (0, 10)
    assert time.monotonic() - began < seconds + 2.0
    writing.put(LINES[10:12])
    disk.goes_on.set()
    wait_until(lambda: disk.is_closed)
    assert (writing.written, writing.lost) == (0, 12)


def test_the_last_is_written_though_there_is_no_time() -> None:
    """A deadline of nothing is enough for a disk that works."""
    disk = Disk()
    writing = Writing(disk, batch_bytes=20, gather_seconds=DEADLINE_SECONDS)
    writing.put(LINES[:10])
    assert writing.close(0.0) == (10, 0)


def test_a_disk_that_hangs_is_given_up_before_the_deadline() -> None:
    """Closing ends when nothing has got any further for a while, and each line is in one count."""
    disk = Disk(stands_still=True)
    writing = Writing(disk, batch_bytes=20)
    writing.put(LINES[:10])
    disk.is_writing.wait(DEADLINE_SECONDS)
    began = time.monotonic()
    assert writing.queue.close(deadline_seconds=DEADLINE_SECONDS) == 10
    assert time.monotonic() - began < STALL_SECONDS + 2.0
    assert (writing.written, writing.lost) == (0, 10)
    assert writing.queue.is_failing
    disk.goes_on.set()
    wait_until(lambda: disk.is_closed)
    assert (writing.written, writing.lost) == (0, 10)


def test_a_disk_that_is_slow_gets_the_deadline() -> None:
    """While it gets further it is waited for, though all of it takes longer than a disk that hangs would get."""
    disk = SlowDisk(batch_seconds=STALL_SECONDS / 4)
    writing = Writing(disk, batch_bytes=8)
    began = time.monotonic()
    writing.put(LINES[:12])
    assert writing.close() == (12, 0)
    assert time.monotonic() - began > STALL_SECONDS
    assert disk.lines == LINES[:12]


def test_a_disk_that_is_slow_gets_no_more_than_the_deadline() -> None:
    """What is written by then is there, and the rest is lost."""
    disk = SlowDisk(batch_seconds=STALL_SECONDS / 4)
    writing = Writing(disk, batch_bytes=4)
    writing.put(LINES)
    began = time.monotonic()
    written, lost = writing.close(STALL_SECONDS * 1.5)
    assert STALL_SECONDS * 1.5 <= time.monotonic() - began < STALL_SECONDS * 1.5 + 2.0
    assert 0 < written == 200 - lost < 200
    disk.hurries.set()


@pytest.mark.parametrize("is_closing", [True, False], ids=["while closing", "before"])
def test_giving_up_ends_the_wait(*, is_closing: bool) -> None:
    """A slow disk is not waited for any longer, and what is left is counted."""
    disk = SlowDisk(batch_seconds=STALL_SECONDS / 4)
    writing = Writing(disk, batch_bytes=4)
    writing.put(LINES)
    disk.is_writing.wait(DEADLINE_SECONDS)
    began = time.monotonic()
    if is_closing:
        threading.Timer(0.2, writing.queue.cancel).start()
    else:
        writing.queue.cancel()
    written, lost = writing.close()
    assert time.monotonic() - began < 2.0
    assert written + lost == 200
    assert lost > 0
    disk.hurries.set()


def test_giving_up_costs_nothing_of_a_disk_that_works() -> None:
    """What waits for more is written all the same."""
    disk = Disk()
    writing = Writing(disk, batch_bytes=20, gather_seconds=DEADLINE_SECONDS)
    writing.put(LINES[:10])
    writing.queue.cancel()
    assert writing.close() == (10, 0)


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_patience_ends_with_a_disk_that_hangs(*, is_cancelled: bool) -> None:
    """Putting that may wait for room does so only while it gets any further, and not once all is given up."""
    disk = Disk(stands_still=True)
    writing = Writing(disk, limit_bytes=4)
    writing.put(LINES[:1])
    writing.queue.have_patience(
        until=time.monotonic() + DEADLINE_SECONDS, stall_seconds=DEADLINE_SECONDS if is_cancelled else 0.2
    )
    if is_cancelled:
        threading.Timer(0.2, writing.queue.cancel).start()
    assert writing.put(LINES[1:10]) < 2.0
    assert writing.lost == 9
    disk.goes_on.set()
    assert writing.close() == (1, 9)
