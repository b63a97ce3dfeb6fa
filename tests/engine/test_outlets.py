"""The destinations: what is flushed, what works, and how they are closed, in time or given up."""

from __future__ import annotations

import math
import os
import threading
from typing import TYPE_CHECKING, cast

import pytest
from manual_clock import ManualClock
from otlp_backend import DEADLINE_SECONDS

from csm_otel.engine.outlets import Outlets
from csm_otel.files.backlog import STALL_SECONDS
from csm_otel.files.filewriter import FileWriter
from csm_otel.files.line_file import LineFile
from csm_otel.files.otlp_json import OtlpJsonFile
from csm_otel.files.recorder import Recorder
from csm_otel.files.recording import FORMAT, Heading
from csm_otel.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from csm_otel.delivery.queue import DeliveryQueue

HEADING = Heading(format=FORMAT, seed=1, host_name="build-7")


class Sink:
    """A destination that takes some seconds to close, by a clock, and does not get all of it done."""

    def __init__(self, clock: ManualClock | None = None, *, closes_in: float = 0.0, given_up: int = 0) -> None:
        self._clock = clock or ManualClock()
        self._closes_in = closes_in
        self._given_up = given_up
        self.deadlines: list[float] = []
        self.is_cancelled = False
        self.marks = 0
        self.flushed = 0
        self.is_failing = False
        self.is_spooling = True

    def mark(self) -> int:
        """Return the position of the last request."""
        return self.marks

    def is_flushed(self, mark: int) -> bool:
        """Return whether that position has been written."""
        return self.flushed >= mark

    def close(self, *, deadline_seconds: float, nobody_seconds: float = math.inf) -> int:
        """Take the time, but no more than there is."""
        del nobody_seconds
        self.deadlines.append(deadline_seconds)
        self._clock.advance(min(self._closes_in, deadline_seconds))
        return self._given_up

    def cancel(self) -> None:
        """Note it."""
        self.is_cancelled = True


def outlets_of(
    queue: Sink | None = None,
    file: Sink | None = None,
    recorder: Sink | None = None,
    *,
    clock: ManualClock | None = None,
    logged: list[str] | None = None,
    shows: bool = False,
    wants_spool: bool = False,
) -> Outlets:
    """Return outlets of these sinks."""
    return Outlets(
        queue=cast("DeliveryQueue | None", queue),
        file=cast("FileWriter | None", file),
        recorder=cast("Recorder | None", recorder),
        shows=shows,
        wants_spool=wants_spool,
        say=(list[str]() if logged is None else logged).append,
        clock=clock or ManualClock(),
    )


def test_the_deadline_is_for_all() -> None:
    """What the back end has used of the time is not there for recording and file."""
    clock = ManualClock(1000.0)
    queue, recorder, file = Sink(clock, closes_in=3.0), Sink(clock, closes_in=4.0), Sink(clock, closes_in=99.0)

    outlets_of(queue, file, recorder, clock=clock).close(deadline_seconds=8.0)

    assert (queue.deadlines, recorder.deadlines, file.deadlines) == ([8.0], [5.0], [1.0])
    assert clock() == pytest.approx(1008.0)


def test_what_is_given_up_is_reported() -> None:
    """A line names the recording or the file and how much was given up; without a loss there is none."""
    logged: list[str] = []

    outlets_of(Sink(), Sink(given_up=1), Sink(given_up=2000), logged=logged).close(deadline_seconds=1.0)
    outlets_of(Sink(), Sink(), Sink(), logged=logged).close(deadline_seconds=1.0)

    assert logged == [
        "recording: 2,000 lines not written in time at shutdown",
        "file: 1 span not written in time at shutdown",
    ]


def test_cancel_reaches_all() -> None:
    """A signal ends the delivery and both writers."""
    sinks = [Sink(), Sink(), Sink()]

    outlets_of(*sinks).cancel()
    outlets_of().cancel()

    assert all(sink.is_cancelled for sink in sinks)


def test_a_flush_is_over_when_both_sinks_are_beyond_its_mark() -> None:
    """What is sent off after the mark does not count; the recording is no part of a flush."""
    queue, file, recorder = Sink(), Sink(), Sink()
    outlets = outlets_of(queue, file, recorder)
    queue.marks, file.marks, recorder.marks = 3, 5, 7

    marks = outlets.mark()
    queue.marks = file.marks = 9

    assert not outlets.is_flushed(marks)
    queue.flushed, file.flushed = 3, 4
    assert not outlets.is_flushed(marks)
    file.flushed = 5
    assert outlets.is_flushed(marks)
    assert outlets_of().is_flushed(outlets_of().mark())


@pytest.mark.parametrize(
    ("failing", "troubles"),
    [
        pytest.param([], [], id="none"),
        pytest.param(["queue"], ["spool cannot be used"], id="spool"),
        pytest.param(["file"], ["file cannot be written"], id="file"),
        pytest.param(["recorder"], ["recording cannot be written"], id="recording"),
        pytest.param(
            ["queue", "file", "recorder"],
            ["spool cannot be used", "file cannot be written", "recording cannot be written"],
            id="all",
        ),
    ],
)
def test_troubles(failing: list[str], troubles: list[str]) -> None:
    """Each destination that does not work is named."""
    queue, file, recorder = Sink(), Sink(), Sink()
    queue.is_spooling = "queue" not in failing
    file.is_failing, recorder.is_failing = "file" in failing, "recorder" in failing

    assert outlets_of(queue, file, recorder, wants_spool=True).troubles == troubles


def test_a_spool_that_nobody_wants_is_no_trouble() -> None:
    """Without --spool requests wait in memory, as they should."""
    queue = Sink()
    queue.is_spooling = False

    assert outlets_of(queue).troubles == []


@pytest.mark.parametrize(
    ("queue", "file", "shows", "expected"),
    [
        pytest.param(True, None, False, True, id="back-end"),
        pytest.param(False, None, True, True, id="screen"),
        pytest.param(False, None, False, True, id="nowhere-on-purpose"),
        pytest.param(False, "works", False, True, id="file"),
        pytest.param(False, "fails", False, False, id="file-fails"),
        pytest.param(True, "fails", False, True, id="file-fails-beside-a-back-end"),
        pytest.param(False, "fails", True, True, id="file-fails-beside-a-screen"),
    ],
)
def test_whether_anything_accepts_spans(*, queue: bool, file: str | None, shows: bool, expected: bool) -> None:
    """Only a file that fails, where there is nothing else, loses every span."""
    sink = None if file is None else Sink()
    if sink is not None:
        sink.is_failing = file == "fails"

    assert outlets_of(Sink() if queue else None, sink, shows=shows).can_deliver is expected


class HangingLines(LineFile):
    """A recording on a disk that hangs until it is released."""

    def __init__(self, path: Path, goes_on: threading.Event) -> None:
        super().__init__(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), str(path))
        self._goes_on = goes_on

    def append(self, lines: Sequence[bytes]) -> int:
        """Hang, then append."""
        self._goes_on.wait(DEADLINE_SECONDS)
        return super().append(lines)


class HangingFile(OtlpJsonFile):
    """A file on the same disk."""

    def __init__(self, path: Path, goes_on: threading.Event) -> None:
        super().__init__(path)
        self._goes_on = goes_on

    def write(self, request: bytes) -> bool:
        """Hang, then write."""
        self._goes_on.wait(DEADLINE_SECONDS)
        return super().write(request)


@pytest.mark.parametrize("is_cancelled", [pytest.param(False, id="stalled"), pytest.param(True, id="cancelled")])
def test_a_disk_that_hangs_does_not_hold_up_the_end(tmp_path: Path, *, is_cancelled: bool) -> None:
    """Recording and file on it are given up once they have stalled, or at once when cancelled; the loss is counted."""
    goes_on, clock = threading.Event(), ManualClock()
    begin = clock.now
    tally, logged = Tally(), list[str]()
    recorder = Recorder(HangingLines(tmp_path / "rec", goes_on), HEADING, tally, clock=clock)
    file = FileWriter(HangingFile(tmp_path / "file", goes_on), tally=tally, clock=clock)
    outlets = Outlets(file=file, recorder=recorder, say=logged.append, clock=clock)
    recorder.drops(1, now=0.0)
    file.put(b"", 1)
    if is_cancelled:
        outlets.cancel()
    closing = threading.Thread(target=outlets.close, kwargs={"deadline_seconds": 3600.0})
    closing.start()
    while closing.is_alive():
        if not is_cancelled or clock.now < begin + STALL_SECONDS / 2:  # too little for a stall
            clock.advance(STALL_SECONDS / 8, recorder._lines._changed)
            clock.advance(0.0, file._changed)
        closing.join(0.01)
    goes_on.set()

    assert logged == [
        "recording: 2 lines not written in time at shutdown",
        "file: 1 span not written in time at shutdown",
    ]
    assert (tally.lines_unrecorded, dict(tally.spans_dropped)) == (2, {"file": 1})


def test_what_is_written_is_not_reported(tmp_path: Path) -> None:
    """A disk that works costs no line, neither to the operator nor of the recording."""
    tally, logged = Tally(), list[str]()
    recorder = Recorder.open(tmp_path / "rec", HEADING, tally, say=logged.append)
    Outlets(recorder=recorder, say=logged.append).close(deadline_seconds=DEADLINE_SECONDS)

    assert (logged, tally.lines_unrecorded) == ([], 0)
    assert len((tmp_path / "rec").read_bytes().splitlines()) == 1
