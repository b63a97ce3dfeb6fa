"""The recorded lines, with the time since the heading; no disk or pipe stops the loop."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from datagrams import call
from manual_clock import ManualClock
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS, wait_until

from csm_otel.csm.decoding import decode
from csm_otel.csm.events import Ended, Origin, Peer, ProcessEnd
from csm_otel.errors import SettingsError
from csm_otel.files.line_file import LineFile
from csm_otel.files.recorder import _GATHER_SECONDS, Recorder
from csm_otel.files.recording import (
    FORMAT,
    Heading,
    Line,
    RecordedDatagram,
    RecordedDeparture,
    RecordedDrops,
    RecordedEnd,
    RecordedOrigin,
    decode_line,
)
from csm_otel.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HEADING = Heading(format=FORMAT, seed=1, host_name="build-7")
PEER = Peer("127.0.0.1", 40_000, 2)
ORIGIN = Origin(pid=7, start_ticks=1, start_ns=0, name="seven.py")
WALL_NS = 1_795_458_108_269_000_000


def recorded(path: Path, *record: Callable[[Recorder], None]) -> list[Line]:
    """Return the lines of a recording that began at the second 1000."""
    recorder = Recorder(LineFile.open(path, flag="--record"), HEADING, Tally(), clock=ManualClock(1000.0))
    for one in record:
        one(recorder)
    recorder.close(deadline_seconds=DEADLINE_SECONDS)
    return [decode_line(line) for line in path.read_bytes().splitlines()]


def test_a_datagram(tmp_path: Path) -> None:
    """Events, peer and both times are recorded, in a file that only its owner can read."""
    decoded = decode(call())
    path = tmp_path / "rec"
    heading, line = recorded(
        path, lambda recorder: recorder.datagram(decoded, peer=PEER, received_ns=WALL_NS, now=1005.0)
    )
    assert heading == HEADING
    assert isinstance(line, RecordedDatagram)
    assert (line.events, line.peer, line.received_ns) == (tuple(decoded.events), PEER, WALL_NS)
    assert line.at_ns == 5_000_000_000
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_origin_is_recorded_once(tmp_path: Path) -> None:
    """The process behind a peer is recorded once, and again when it is another."""
    other = Origin(pid=8, start_ticks=1, start_ns=0, name="eight.py")
    lines = recorded(
        tmp_path / "rec",
        *([lambda recorder: recorder.origin(ORIGIN, peer=PEER, now=0.0)] * 3),
        lambda recorder: recorder.origin(other, peer=PEER, now=0.0),
    )
    assert [line.origin for line in lines if isinstance(line, RecordedOrigin)] == [ORIGIN, other]


def test_ends(tmp_path: Path) -> None:
    """Peers that will send no more come before the ended processes; without any there is no line for them."""
    end = ProcessEnd(ORIGIN, WALL_NS, is_exact=True)
    _, departure, first, second = recorded(
        tmp_path / "rec",
        lambda recorder: recorder.ended(Ended([end], [PEER]), now=0.0),
        lambda recorder: recorder.ended(Ended([end], []), now=0.0),
    )
    assert isinstance(departure, RecordedDeparture)
    assert [Peer(peer.host, peer.port, peer.generation) for peer in departure.peers] == [PEER]
    assert first == second == RecordedEnd(at_ns=0, origin=ORIGIN, noticed_ns=WALL_NS, is_exact=True)


def test_a_file_goes_on(tmp_path: Path) -> None:
    """The file's content stays: another recording begins after it."""
    recorded(tmp_path / "rec")
    assert recorded(tmp_path / "rec") == [HEADING, HEADING]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_counted() -> None:
    """Each unwritten line is counted, one line reports it, and nothing is raised."""
    tally = Tally()
    logged: list[str] = []
    recorder = Recorder.open(Path("/dev/full"), HEADING, tally, say=logged.append, clock=ManualClock())
    recorder.drops(1, now=0.0)
    recorder.close(deadline_seconds=DEADLINE_SECONDS)
    assert tally.lines_unrecorded == 2
    assert logged == ["cannot write to /dev/full: no space left on device"]
    assert recorder.is_failing


class _Hanging(LineFile):
    """A file on a disk that hangs until released."""

    def __init__(self, path: Path) -> None:
        super().__init__(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), str(path))
        self.is_writing = threading.Event()
        self.goes_on = threading.Event()

    def append(self, lines: Sequence[bytes]) -> int:
        self.is_writing.set()
        self.goes_on.wait(FOREVER_SECONDS)
        return super().append(lines)


def test_a_disk_that_hangs_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    """Recording does not wait; lines that do not fit are counted, others written in order when the disk continues."""
    tally = Tally()
    file = _Hanging(tmp_path / "rec")
    clock = ManualClock()
    recorder = Recorder(file, HEADING, tally, limit_bytes=10_000, clock=clock)
    clock.advance(_GATHER_SECONDS, recorder._lines._changed)
    assert file.is_writing.wait(DEADLINE_SECONDS)
    for dropped in range(1, 1001):
        recorder.drops(dropped, now=0.0)
    assert recorder.is_failing
    file.goes_on.set()
    recorder.close(deadline_seconds=DEADLINE_SECONDS)
    heading, *lines = map(decode_line, (tmp_path / "rec").read_bytes().splitlines())
    assert heading == HEADING
    assert [line.dropped for line in lines if isinstance(line, RecordedDrops)] == list(range(1, len(lines) + 1))
    assert 0 < len(lines) == 1000 - tally.lines_unrecorded < 1000


def test_a_disk_that_hangs_for_good(tmp_path: Path) -> None:
    """Closing gives up lines not known to be written, and counts them once."""
    tally = Tally()
    file = _Hanging(tmp_path / "rec")
    recorder = Recorder(file, HEADING, tally)
    recorder.drops(1, now=0.0)
    assert [recorder.close(deadline_seconds=0.0) for _ in range(2)] == [2, 0]
    assert tally.lines_unrecorded == 2
    file.goes_on.set()


def test_a_reader_that_has_stalled_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    """What a pipe has no room for is counted, and all lines in it are whole."""
    tally = Tally()
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    recorder = Recorder.open(path, HEADING, tally, say=print, clock=ManualClock())
    for dropped in range(1, 5001):
        recorder.drops(dropped, now=0.0)
    recorder.close(deadline_seconds=FOREVER_SECONDS)
    assert recorder.is_failing
    heading, *lines = map(decode_line, os.read(reader, 2**20).splitlines())
    os.close(reader)
    assert heading == HEADING
    assert [line.dropped for line in lines if isinstance(line, RecordedDrops)] == list(range(1, len(lines) + 1))
    assert 0 < len(lines) == 5000 - tally.lines_unrecorded


def test_a_live_reader_sees_each_line(tmp_path: Path) -> None:
    """A line is written after the time for gathering, though nothing comes behind it."""
    path = tmp_path / "rec"
    recorder = Recorder.open(path, HEADING, Tally(), say=print)
    wait_until(lambda: len(path.read_bytes().splitlines()) == 1)
    recorder.drops(1, now=0.0)
    wait_until(lambda: len(path.read_bytes().splitlines()) == 2)
    recorder.close(deadline_seconds=DEADLINE_SECONDS)


def test_it_cannot_be_opened(tmp_path: Path) -> None:
    """A missing folder is a SettingsError."""
    with pytest.raises(SettingsError, match=r"--record: .*: no such file or directory"):
        Recorder.open(tmp_path / "no" / "rec", HEADING, Tally(), say=print)


def test_stdout(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """A dash is this process's stdout."""
    recorder = Recorder.open(Path("-"), HEADING, Tally(), say=print, clock=ManualClock())
    recorder.drops(3, now=0.0)
    recorder.close(deadline_seconds=DEADLINE_SECONDS)
    print("more", flush=True)
    heading, drops, more = capfdbinary.readouterr().out.splitlines()
    assert decode_line(heading) == HEADING
    assert isinstance(decode_line(drops), RecordedDrops)
    assert more == b"more"


def test_another_file_is_another_recording(tmp_path: Path) -> None:
    """After reopening it has a heading, other ids, times from its own beginning, and what it needs of the peers."""
    path, clock = tmp_path / "rec", ManualClock(1000.0)
    recorder = Recorder(LineFile.open(path, flag="--record"), HEADING, Tally(), clock=clock)
    for number in (1, 2):
        recorder.origin(ORIGIN, peer=PEER, now=clock())
        recorder.drops(5 * number, now=clock() + 3.0)
        if number == 1:
            path.rename(tmp_path / "rec.1")
            clock.advance(100.0, recorder._lines._changed)
            recorder.reopen()
    recorder.close(deadline_seconds=DEADLINE_SECONDS)
    first, second = (
        [decode_line(line) for line in file.read_bytes().splitlines()] for file in (path, tmp_path / "rec.1")
    )
    known = first.pop(1)
    assert known == RecordedDrops(at_ns=0, dropped=0)
    for lines in (first, second):
        heading, origin, drops = lines
        assert isinstance(heading, Heading)
        assert isinstance(origin, RecordedOrigin)
        assert drops == RecordedDrops(at_ns=3_000_000_000, dropped=5)
    assert first[0] != second[0]


def test_another_file_without_a_count_of_drops(tmp_path: Path) -> None:
    """Where the kernel's drops are unknown, they are so in each recording."""
    path = tmp_path / "rec"
    assert [type(line) for line in recorded(path, Recorder.reopen)] == [Heading, Heading]


def test_stdout_is_one_recording(capfd: pytest.CaptureFixture[str]) -> None:
    """It cannot be reopened, so no other heading is written."""
    recorder = Recorder(LineFile(os.dup(1), "stdout"), HEADING, Tally(), clock=ManualClock())
    recorder.reopen()
    recorder.drops(1, now=0.0)
    recorder.close(deadline_seconds=DEADLINE_SECONDS)
    assert [type(decode_line(line.encode())) for line in capfd.readouterr().out.splitlines()] == [
        Heading,
        RecordedDrops,
    ]
