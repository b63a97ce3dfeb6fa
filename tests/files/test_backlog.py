"""Entries to be written, on numbers: batches, bounds, waits and states of a queue without its thread."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from csm_otel.files.backlog import GATHERED_BYTES, GRACE_SECONDS, STALL_SECONDS, Backlog
from csm_otel.files.states import QueueState

if TYPE_CHECKING:
    from collections.abc import Sequence

LINES = [b"%03d\n" % number for number in range(100)]
START = 1000.0


class Counted:
    """A backlog with the results of its entries."""

    def __init__(self, *, limit_bytes: int = 1000, batch_bytes: int = 8, gather_seconds: float = 0.0) -> None:
        self.written = self.dropped = 0
        self.backlog = Backlog(
            limit_bytes=limit_bytes,
            batch_bytes=batch_bytes,
            gather_seconds=gather_seconds,
            on_written=self._write,
            on_dropped=self._drop,
        )

    @property
    def counts(self) -> tuple[int, int]:
        """The numbers written and dropped."""
        return self.written, self.dropped

    def put(self, lines: Sequence[bytes], *, now: float = START) -> list[bool]:
        """Put lines, and return for each whether the writer needs a wake-up."""
        return [self.backlog.put(line, 1, now=now) for line in lines]

    def write(self, *, now: float, fails_at: int | None = None) -> list[bytes]:
        """Write one batch, up to a failing position, and return the batch."""
        batch = self.backlog.next_batch()
        self.backlog.finish_batch(len(batch), len(batch) if fails_at is None else fails_at, now=now)
        return batch

    def _write(self, counts: int) -> None:
        self.written += counts

    def _drop(self, counts: int) -> None:
        self.dropped += counts


# Batches


@pytest.mark.parametrize(
    ("batch_bytes", "lines", "sizes"),
    [
        pytest.param(0, LINES[:3], [1, 1, 1], id="one-at-a-time"),
        pytest.param(8, LINES[:5], [2, 2, 1], id="as-many-as-fit"),
        pytest.param(9, LINES[:5], [2, 2, 1], id="never-more"),
        pytest.param(8, [b"x" * 20, *LINES[:1]], [1, 1], id="a-longer-one-alone"),
    ],
)
def test_batches(batch_bytes: int, lines: list[bytes], sizes: list[int]) -> None:
    """Entries are written in order, in as few batches as their bound allows."""
    counted = Counted(batch_bytes=batch_bytes)
    counted.put(lines)
    batches = [counted.write(now=START) for _ in sizes]
    assert [len(batch) for batch in batches] == sizes
    assert [line for batch in batches for line in batch] == lines
    assert counted.counts == (len(lines), 0)


def test_the_writer_waits_for_more() -> None:
    """An entry waits for the time of gathering; those put meanwhile go with it, and later ones wait anew."""
    counted = Counted(gather_seconds=2.0, batch_bytes=1000)
    backlog = counted.backlog
    assert backlog.batch_wait_seconds(now=START) == math.inf
    counted.put(LINES[:1], now=START)
    assert backlog.batch_wait_seconds(now=START) == pytest.approx(2.0)
    counted.put(LINES[1:2], now=START + 1.5)
    assert backlog.batch_wait_seconds(now=START + 1.5) == pytest.approx(0.5)
    assert not backlog.batch_wait_seconds(now=START + 2.5)
    batch = backlog.next_batch()
    assert batch == LINES[:2]
    counted.put(LINES[2:3], now=START + 3)
    backlog.finish_batch(2, 2, now=START + 3)
    assert backlog.batch_wait_seconds(now=START + 3) == pytest.approx(2.0)


def test_gathered_entries_are_written_without_another_wait() -> None:
    """Several batches of one gathering follow each other at once."""
    counted = Counted(gather_seconds=2.0, batch_bytes=8)
    counted.put(LINES[:4])
    counted.write(now=START + 2)
    assert not counted.backlog.batch_wait_seconds(now=START + 2)
    counted.write(now=START + 2)
    assert counted.backlog.batch_wait_seconds(now=START + 2) == math.inf


def test_many_entries_end_the_gathering() -> None:
    """Entries for many batches are written at once, however long gathering may take."""
    counted = Counted(gather_seconds=1e6, batch_bytes=100_000, limit_bytes=1_000_000)
    wakes = counted.put([bytes(GATHERED_BYTES - 1), b"1", b"2"])
    assert wakes == [True, True, False]
    assert not counted.backlog.batch_wait_seconds(now=START)


def test_one_that_cannot_be_written_is_dropped_alone() -> None:
    """Of a batch those before it are written, those after it are in the next batch, and each is in one count."""
    counted = Counted(batch_bytes=16)
    counted.put(LINES[:5])
    assert counted.write(now=START, fails_at=1) == LINES[:4]
    assert counted.counts == (1, 1)
    assert counted.write(now=START) == LINES[2:5]
    assert counted.counts == (4, 1)


# Bounds


def test_entries_beyond_the_bound_are_dropped() -> None:
    """The queue is bounded, including the batch being written; there is room again once that is done."""
    counted = Counted(limit_bytes=8, batch_bytes=4)
    counted.put(LINES[:2])
    assert not counted.backlog.is_overflowing
    counted.put(LINES[2:5])
    assert counted.counts == (0, 3)
    assert counted.backlog.is_overflowing
    counted.write(now=START)
    counted.put(LINES[5:6])
    assert counted.counts == (1, 3)
    assert not counted.backlog.is_overflowing


def test_a_single_entry_always_fits() -> None:
    """A longer entry than the bound is kept if nothing else waits."""
    counted = Counted(limit_bytes=1)
    counted.put(LINES[:2])
    assert counted.dropped == 1
    assert counted.write(now=START) == LINES[:1]


def test_marks() -> None:
    """Entries before a mark are flushed once they are written or dropped, whatever is put after it."""
    counted = Counted(batch_bytes=4)
    backlog = counted.backlog
    assert backlog.is_flushed(backlog.mark())
    counted.put(LINES[:2])
    mark = backlog.mark()
    counted.put(LINES[2:3])
    counted.write(now=START)
    assert not backlog.is_flushed(mark)
    counted.write(now=START, fails_at=0)
    assert backlog.is_flushed(mark)


# Waiting for room


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        pytest.param(START, 3.0, id="until-a-stall"),
        pytest.param(START + 2.5, 0.5, id="near-a-stall"),
        pytest.param(START + 3, 0.0, id="stalled"),
    ],
)
def test_waiting_for_room_ends_with_a_stall(now: float, seconds: float) -> None:
    """A wait for room lasts while the writer makes progress."""
    counted = Counted(limit_bytes=4)
    counted.put(LINES[:1])
    counted.backlog.block_when_full(until=START + 100, stall_seconds=3.0)
    assert counted.backlog.room_wait_seconds(LINES[1], now=now) == seconds


def test_waiting_for_room_ends_at_its_time() -> None:
    """Progress prolongs the wait, up to the given time."""
    counted = Counted(limit_bytes=8, batch_bytes=4)
    counted.put(LINES[:2])
    counted.backlog.block_when_full(until=START + 5, stall_seconds=3.0)
    counted.write(now=START + 2)
    counted.put(LINES[2:3], now=START + 2)
    assert counted.backlog.room_wait_seconds(LINES[3], now=START + 2) == pytest.approx(3.0)
    assert not counted.backlog.room_wait_seconds(LINES[3], now=START + 5)


@pytest.mark.parametrize("reason", ["room", "not-asked-for", "cancelled", "closed"])
def test_no_useless_wait_for_room(reason: str) -> None:
    """If there is room, or the entry will be dropped, there is no wait."""
    counted = Counted(limit_bytes=4)
    backlog = counted.backlog
    if reason != "room":
        counted.put(LINES[:1])
    if reason != "not-asked-for":
        backlog.block_when_full(until=math.inf, stall_seconds=math.inf)
    if reason == "cancelled":
        backlog.cancel()
    if reason == "closed":
        backlog.close(deadline_seconds=0.0, now=START)
        backlog.finish()
        counted.put(LINES[:1])
    assert not backlog.room_wait_seconds(LINES[1], now=START)


# States


def test_open_to_closing() -> None:
    """While it is closing nothing is gathered any more, and new entries are still kept."""
    counted = Counted(gather_seconds=1e6)
    backlog = counted.backlog
    counted.put(LINES[:1])
    backlog.close(deadline_seconds=10.0, now=START)
    assert backlog.state is QueueState.CLOSING
    assert not backlog.batch_wait_seconds(now=START)
    counted.put(LINES[1:2])
    assert counted.write(now=START) == LINES[:2]
    assert not backlog.close_wait_seconds(now=START)


def test_closing_an_empty_one_ends_the_writer() -> None:
    """There is nothing to wait for, neither for the writer, which gets nothing, nor for `close`."""
    backlog = Counted().backlog
    backlog.close(deadline_seconds=10.0, now=START)
    assert (backlog.batch_wait_seconds(now=START), backlog.next_batch()) == (0.0, [])
    assert not backlog.close_wait_seconds(now=START)
    assert backlog.finish() == 0
    assert not backlog.is_overflowing


@pytest.mark.parametrize(
    ("deadline_seconds", "moved_after", "is_cancelled", "waits_seconds"),
    [
        pytest.param(60.0, None, False, STALL_SECONDS, id="a-disk-that-hangs-is-given-up"),
        pytest.param(60.0, 1.0, False, 1.0 + STALL_SECONDS, id="a-slow-disk-is-waited-for"),
        pytest.param(1.5, 1.0, False, 1.5, id="but-not-beyond-the-deadline"),
        pytest.param(0.0, None, False, GRACE_SECONDS, id="the-grace-period-holds-without-a-deadline"),
        pytest.param(60.0, None, True, GRACE_SECONDS, id="and-after-a-cancel"),
    ],
)
def test_how_long_closing_waits(
    deadline_seconds: float, moved_after: float | None, waits_seconds: float, *, is_cancelled: bool
) -> None:
    """Until the deadline, or a stall, but never less than the grace period."""
    counted = Counted(batch_bytes=4)
    backlog = counted.backlog
    counted.put(LINES[:3])
    backlog.close(deadline_seconds=deadline_seconds, now=START)
    if is_cancelled:
        backlog.cancel()
    if moved_after is not None:
        counted.write(now=START + moved_after)
    assert backlog.close_wait_seconds(now=START) == pytest.approx(waits_seconds)
    assert not backlog.close_wait_seconds(now=START + waits_seconds + 0.001)


def test_a_cancel_before_closing_is_remembered() -> None:
    """The queue continues meanwhile, and closing it does not wait."""
    counted = Counted(batch_bytes=4)
    counted.backlog.cancel()
    counted.put(LINES[:2])
    counted.write(now=START)
    counted.backlog.close(deadline_seconds=60.0, now=START)
    assert counted.backlog.close_wait_seconds(now=START) == pytest.approx(GRACE_SECONDS)


def test_closing_to_closed() -> None:
    """The rest is dropped, once: later writes change no count, and later puts only their own."""
    counted = Counted(batch_bytes=8)
    backlog = counted.backlog
    counted.put(LINES[:5])
    counted.write(now=START)
    batch = backlog.next_batch()
    backlog.close(deadline_seconds=0.0, now=START)
    assert backlog.finish() == 3
    assert backlog.state is QueueState.CLOSED
    assert backlog.is_overflowing
    assert counted.counts == (2, 3)
    assert not backlog.finish_batch(len(batch), len(batch), now=START)
    assert counted.counts == (2, 3)
    assert (backlog.batch_wait_seconds(now=START), backlog.next_batch()) == (0.0, [])
    counted.put(LINES[5:6])
    assert counted.counts == (2, 4)
    assert backlog.is_flushed(backlog.mark())


def test_it_is_closed_once_and_in_order() -> None:
    """Closing twice, or ending what was not closed, is a defect of the caller."""
    backlog = Counted().backlog
    with pytest.raises(RuntimeError, match="no transition from OPEN to STOPPED"):
        backlog.finish()
    backlog.close(deadline_seconds=0.0, now=START)
    with pytest.raises(RuntimeError, match="no transition from CLOSING to CLOSING"):
        backlog.close(deadline_seconds=0.0, now=START)


def test_an_entry_that_fits_always() -> None:
    """It is kept beyond the bound, in order, and does not count as overflow or as its end."""
    counted = Counted(limit_bytes=8)
    counted.put(LINES[:3])
    assert counted.backlog.is_overflowing
    counted.backlog.put(b"more than the bound\n", 1, now=START, fits_always=True)
    assert counted.backlog.is_overflowing
    assert counted.counts == (0, 1)
    assert [counted.write(now=START) for _ in range(2)] == [LINES[:2], [b"more than the bound\n"]]
