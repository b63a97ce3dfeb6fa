"""The half of the queue that is on disk, without its thread; with it and a queue it is tested in `test_queue_spool`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from manual_clock import ManualClock

from csm_otel.delivery.disk import _RETRY_SECONDS, Disk
from csm_otel.delivery.ledger import Ledger
from csm_otel.delivery.memory import Memory, QueuedRequest
from csm_otel.delivery.spool import Spool
from csm_otel.errors import SpoolError
from csm_otel.files.states import QUEUE_TRANSITIONS, QueueState, StateMachine
from csm_otel.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LIMIT_BYTES = 2_000


class _Refusing(Spool):
    """A spool whose disk refuses at times."""

    fault = ""

    def put(self, requests: Sequence[tuple[bytes, int]], *, tries: Sequence[int] = ()) -> int:
        if self.fault:
            raise SpoolError(self.fault)
        return super().put(requests, tries=tries)


class Setting:
    """A disk with its collaborators and reports."""

    def __init__(self, folder: Path) -> None:
        self.tally = Tally()
        self.logged: list[str] = []
        self.clock = ManualClock()
        self.spool = _Refusing(folder, limit_bytes=LIMIT_BYTES)
        self.memory = Memory(limit_bytes=10_000, limit_spans=None)
        self.ledger = Ledger(self.tally)
        self.lifecycle = StateMachine(QUEUE_TRANSITIONS, QueueState.OPEN)
        self.disk = Disk(
            self.spool,
            memory=self.memory,
            ledger=self.ledger,
            lifecycle=self.lifecycle,
            changed=threading.Condition(),
            say=self.logged.append,
            clock=self.clock,
        )

    def put(self, *requests: bytes, spans: int = 1) -> None:
        """Put requests into memory."""
        for request in requests:
            self.ledger.add(spans)
            self.memory.put(QueuedRequest(request, spans))

    def move(self) -> None:
        """Move requests in memory, as the thread does."""
        self.disk._move(self.disk._next_batch())

    def stop(self) -> None:
        """Bring the queue to the state in which only the rest is spooled."""
        self.lifecycle.to(QueueState.CLOSING)
        self.lifecycle.to(QueueState.STOPPED)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    """Return an empty disk."""
    return Setting(tmp_path / "spool")


def test_requests_move_to_disk_in_order(setting: Setting) -> None:
    """Moved requests are no longer in memory, and the first of them is the first on disk."""
    setting.put(b"one", b"two")
    assert not setting.disk.has_requests
    setting.move()
    assert (len(setting.memory), setting.memory.pinned, setting.disk.moves) == (0, 0, 1)
    assert setting.disk.has_requests
    first = setting.disk.first()
    assert first is not None
    assert first.key is not None
    assert (first.request, first.spans, first.tries) == (b"one", 1, 0)
    assert setting.disk.replace_first(first.key, [])
    second = setting.disk.first()
    assert second is not None
    assert second.request == b"two"


def test_requests_stay_in_memory_if_the_disk_refuses_them(setting: Setting) -> None:
    """It is reported; they may be evicted or delivered from memory, and are moved at the time of a retry."""
    setting.put(b"one")
    setting.spool.fault = "database or disk is full"
    setting.move()
    assert setting.logged == ["spool cannot be written, keeping spans in memory: database or disk is full"]
    assert (setting.disk.is_failing, setting.disk.is_moving) == (True, False)
    assert (len(setting.memory), setting.memory.pinned, setting.disk.moves) == (1, 0, 0)
    assert setting.disk._wait_seconds() == pytest.approx(_RETRY_SECONDS)
    setting.clock.advance(_RETRY_SECONDS)
    assert setting.disk._wait_seconds() == pytest.approx(0.0)
    setting.spool.fault = ""
    setting.move()
    assert not setting.disk.is_failing
    assert (len(setting.memory), setting.disk.moves) == (0, 1)


def test_nothing_is_moved_beside_a_delivery_from_memory(setting: Setting) -> None:
    """A pinned request stays where it is."""
    setting.put(b"one")
    setting.memory.pin(1)
    assert setting.disk._wait_seconds() == float("inf")
    setting.memory.unpin()
    assert setting.disk._wait_seconds() <= 0


def test_evictions_of_a_full_disk_are_counted(setting: Setting) -> None:
    """The oldest on disk are evicted, as those in memory would be."""
    setting.put(bytes(800), spans=3)
    setting.move()
    setting.put(bytes(800), bytes(800))
    setting.move()
    assert setting.tally.spans_dropped == {"queue_full": 3}
    assert not setting.disk.is_half_empty


def test_nothing_is_moved_any_more_when_the_queue_is_stopped(setting: Setting) -> None:
    """The thread gets no batch, and ends."""
    setting.put(b"one")
    setting.stop()
    assert setting.disk._next_batch() == []


def test_a_flush_writes_the_rest(setting: Setting) -> None:
    """Requests in memory go to disk and count as spooled with those there; the next process finds them."""
    setting.put(b"one", spans=2)
    setting.move()
    setting.put(b"two", spans=3)
    setting.stop()
    setting.disk.flush(is_still=True)
    assert len(setting.memory) == 0
    assert setting.tally.spans_spooled == 5
    found = Setting(setting.spool._folder)
    assert (found.tally.spans_recovered, found.ledger.entered) == (5, 5)


@pytest.mark.parametrize("is_still", [True, False], ids=["refuses", "hangs"])
def test_a_flush_that_the_disk_refuses(setting: Setting, *, is_still: bool) -> None:
    """Only requests on disk before count as spooled."""
    setting.put(b"one", spans=2)
    setting.move()
    setting.put(b"two", spans=3)
    setting.spool.fault = "database or disk is full"
    setting.stop()
    setting.disk.flush(is_still=is_still)
    assert (setting.memory.spans, setting.tally.spans_spooled) == (3, 2)


def test_a_move_that_ends_after_the_queue_changes_no_count(setting: Setting) -> None:
    """A disk that hung and continues too late finds the queue CLOSED."""
    setting.put(bytes(1_900))
    setting.move()
    setting.put(bytes(1_900))
    batch = setting.disk._next_batch()
    setting.stop()
    setting.disk.flush(is_still=False)
    setting.lifecycle.to(QueueState.CLOSED)
    setting.disk._move(batch)
    assert (setting.tally.spans_spooled, setting.tally.spans_dropped, setting.disk.moves) == (1, {}, 1)
