"""The queue to the file: each span is counted as written or dropped; the queue itself is tested in `test_backlog`."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from delivery.samples import CALL, changed
from manual_clock import ManualClock
from opentelemetry.sdk.trace import SpanLimits
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS, wait_until

from csm_otel.delivery.encoding import encode
from csm_otel.files.filewriter import FileWriter
from csm_otel.files.otlp_json import OtlpJsonFile
from csm_otel.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path

REQUESTS = [encode([changed(CALL, name=str(number))], limits=SpanLimits()) for number in range(50)]
FOUR_REQUESTS_BYTES = 4 * len(REQUESTS[-1])


class _Gated(OtlpJsonFile):
    """A file on a disk that hangs until released."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.is_writing = threading.Event()
        self.goes_on = threading.Event()
        self.is_closed = False

    def write(self, request: bytes) -> bool:
        self.is_writing.set()
        self.goes_on.wait(FOREVER_SECONDS)
        return super().write(request)

    def close(self) -> None:
        super().close()
        self.is_closed = True


def names_in(path: Path) -> list[int]:
    """Return the names of the spans in a file."""
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [int(line["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"]) for line in lines]


def test_all_is_written_in_order_when_it_is_closed(tmp_path: Path) -> None:
    """All requests are in the file when closing returns, and delivered."""
    tally = Tally()
    writer = FileWriter(OtlpJsonFile(tmp_path / "file"), tally=tally, clock=ManualClock())
    for request in REQUESTS:
        writer.put(request, 1)
    writer.close(deadline_seconds=DEADLINE_SECONDS)
    assert names_in(tmp_path / "file") == list(range(50))
    assert (tally.spans_delivered, dict(tally.spans_dropped)) == (50, {})


def test_requests_beyond_the_bound_are_dropped(tmp_path: Path) -> None:
    """Putting never waits for a slow disk; the queue is bounded, and each span is in one count."""
    file, tally = _Gated(tmp_path / "file"), Tally()
    writer = FileWriter(file, tally=tally, limit_bytes=FOUR_REQUESTS_BYTES, clock=ManualClock())
    for request in REQUESTS[10:]:
        writer.put(request, 2)
    assert dict(tally.spans_dropped) == {"file": 72}
    file.goes_on.set()
    writer.close(deadline_seconds=DEADLINE_SECONDS)
    assert names_in(tmp_path / "file") == [10, 11, 12, 13]
    assert tally.spans_delivered == 8


def test_a_request_longer_than_the_bound_is_written_alone(tmp_path: Path) -> None:
    """The bound is for the queue: a single request is never too long."""
    tally = Tally()
    writer = FileWriter(OtlpJsonFile(tmp_path / "file"), tally=tally, limit_bytes=1, clock=ManualClock())
    writer.put(REQUESTS[0], 1)
    writer.close(deadline_seconds=DEADLINE_SECONDS)
    assert tally.spans_delivered == 1


def test_blocking_when_full_loses_nothing(tmp_path: Path) -> None:
    """A put waits until there is room: a file slower than the recording costs only time."""
    tally = Tally()
    writer = FileWriter(
        OtlpJsonFile(tmp_path / "file"), tally=tally, limit_bytes=FOUR_REQUESTS_BYTES, clock=ManualClock()
    )
    writer.block_when_full(until=float("inf"))
    for request in REQUESTS[10:]:
        writer.put(request, 1)
    writer.close(deadline_seconds=DEADLINE_SECONDS)
    assert names_in(tmp_path / "file") == list(range(10, 50))


def test_blocking_when_full_ends(tmp_path: Path) -> None:
    """A disk that hangs is waited for until the given time, and no longer."""
    file, tally = _Gated(tmp_path / "file"), Tally()
    clock = ManualClock()
    writer = FileWriter(file, tally=tally, limit_bytes=1, clock=clock)
    writer.put(REQUESTS[0], 1)
    writer.block_when_full(until=clock() + 60)
    with ThreadPoolExecutor(1) as pool:
        putting = pool.submit(writer.put, REQUESTS[1], 1)
        clock.advance(60, writer._changed)
        putting.result(DEADLINE_SECONDS)
    assert dict(tally.spans_dropped) == {"file": 1}
    file.goes_on.set()
    writer.close(deadline_seconds=DEADLINE_SECONDS)


def test_closing_ends_at_its_deadline_though_the_disk_hangs(tmp_path: Path) -> None:
    """Unwritten requests are dropped and counted, once, even if the disk continues later."""
    file, tally = _Gated(tmp_path / "file"), Tally()
    writer = FileWriter(file, tally=tally)
    for request in REQUESTS[:3]:
        writer.put(request, 1)
    file.is_writing.wait(DEADLINE_SECONDS)
    assert [writer.close(deadline_seconds=0.0) for _ in range(2)] == [3, 0]
    writer.put(REQUESTS[3], 1)
    assert (tally.spans_delivered, dict(tally.spans_dropped)) == (0, {"file": 4})
    file.goes_on.set()
    wait_until(lambda: file.is_closed)
    assert (tally.spans_delivered, dict(tally.spans_dropped)) == (0, {"file": 4})


@pytest.mark.parametrize("has_tally", [True, False])
def test_a_failing_file_beside_a_back_end(tmp_path: Path, *, has_tally: bool) -> None:
    """With a back end, whose answers are counted, a failing file drops no span."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    file = OtlpJsonFile(tmp_path / "pipe")
    os.close(reader)
    tally = Tally()
    writer = FileWriter(file, tally=tally if has_tally else None, clock=ManualClock())
    writer.put(REQUESTS[0], 3)
    writer.close(deadline_seconds=DEADLINE_SECONDS)
    assert tally.spans_dropped.total() == (3 if has_tally else 0)


def test_a_mark(tmp_path: Path) -> None:
    """It is flushed once the requests before it have been written, whatever is put after it."""
    file = _Gated(tmp_path / "file")
    writer = FileWriter(file, tally=None, clock=ManualClock())
    assert writer.is_flushed(writer.mark())
    writer.put(REQUESTS[0], 1)
    mark = writer.mark()
    assert not writer.is_flushed(mark)
    file.goes_on.set()
    wait_until(lambda: writer.is_flushed(mark))
    assert names_in(tmp_path / "file") == [0]
    writer.close(deadline_seconds=DEADLINE_SECONDS)


class _Defective(OtlpJsonFile):
    """A file that cannot encode one of the requests."""

    def write(self, request: bytes) -> bool:
        if request == REQUESTS[1]:
            raise ValueError("a defect")
        return super().write(request)


def test_a_defect_in_writing_costs_one_request(tmp_path: Path) -> None:
    """A request that raises is dropped and counted; the next ones are written."""
    tally = Tally()
    writer = FileWriter(_Defective(tmp_path / "file"), tally=tally, clock=ManualClock())
    for request in REQUESTS[:4]:
        writer.put(request, 1)
    writer.close(deadline_seconds=DEADLINE_SECONDS)
    assert names_in(tmp_path / "file") == [0, 2, 3]
    assert (tally.spans_delivered, tally.spans_dropped) == (3, {"file": 1})
