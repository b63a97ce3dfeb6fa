"""The reading and pacing of a recording. Whole replays are in tests/e2e/test_replay.py."""

from __future__ import annotations

import io
import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from configured import configured
from conformance.recordings import recording
from datagrams import BASE_MS, call
from eventful import eventful

from csm_otel.commands.replay import _Pace, _Reader, replay
from csm_otel.config.configuration import configure
from csm_otel.config.environment import Given
from csm_otel.config.settings import Settings
from csm_otel.config.standard import StandardVariables
from csm_otel.csm.decoding import decode
from csm_otel.csm.events import Origin
from csm_otel.csm.times import NS_PER_MS
from csm_otel.engine.origin_hold import HOLD_SECONDS
from csm_otel.errors import RecordingError, SettingsError
from csm_otel.files.recording import (
    FORMAT,
    MAX_LINE_BYTES,
    Heading,
    RecordedDatagram,
    RecordedDrops,
    RecordedOrigin,
    encode_line,
)
from csm_otel.process.speaker import Speaker
from csm_otel.process.waker import Waker

if TYPE_CHECKING:
    from collections.abc import Generator

    from csm_otel.process.stop import StopSignal

PATH = Path("kept.ndjson")
WALL_NS = 1_795_458_108_269_000_000
HEADINGS = [Heading(format=FORMAT, seed=seed, host_name="build-7") for seed in (1, 2)]
DROPS = [RecordedDrops(at_ns=1, dropped=count) for count in (1, 2)]
FIRST, SECOND = map(encode_line, HEADINGS)
ONE, TWO = map(encode_line, DROPS)
NOT_FIRST = "it does not begin with a recording's first line"
NO_LINE = "not a line of a csm-otel recording"
TOO_LONG = "longer than any line of a recording"


class _Stop:
    """Replaces the signals that stop the replay; set by the test."""

    def __init__(self) -> None:
        self.number = 0

    def is_set(self) -> bool:
        return bool(self.number)


class _NeverStopped(_Stop):
    """A stop for waiting reads that no signal sets."""

    def __init__(self) -> None:
        super().__init__()
        self._waker = Waker()
        self.fileno, self.close = self._waker.fileno, self._waker.close


@pytest.fixture
def without_signals(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Leave the signal handlers of the test run unchanged."""
    with closing(_NeverStopped()) as stop:
        monkeypatch.setattr("csm_otel.commands.replay.StopSignal", lambda *_numbers: stop)
        yield


def reader_of(text: bytes, stop: _Stop | None = None) -> _Reader:
    """Return a reader of a recording."""
    return _Reader(io.BytesIO(text), PATH, cast("StopSignal", stop or _Stop()))


def read(reader: _Reader) -> list[tuple[Heading, list[object]]]:
    """Return the recordings of a file, each as its heading and its lines."""
    found: list[tuple[Heading, list[object]]] = []
    while (heading := reader.next_heading()) is not None:
        found.append((heading, list(reader.lines())))
    return found


@pytest.mark.parametrize(
    ("text", "expected", "unreadable", "fault"),
    [
        pytest.param(b"", [], 0, "", id="empty"),
        pytest.param(FIRST, [(HEADINGS[0], [])], 0, "", id="heading-alone"),
        pytest.param(FIRST + ONE + TWO, [(HEADINGS[0], DROPS)], 0, "", id="one"),
        pytest.param(FIRST + ONE + SECOND + TWO, [(HEADINGS[0], DROPS[:1]), (HEADINGS[1], DROPS[1:])], 0, "", id="two"),
        pytest.param(FIRST + b"\n" + ONE, [(HEADINGS[0], DROPS[:1])], 0, "", id="blank-line"),
        pytest.param(FIRST + b"{\n" + ONE, [(HEADINGS[0], DROPS[:1])], 1, NO_LINE, id="damaged"),
        pytest.param(FIRST + ONE[:-5], [(HEADINGS[0], [])], 1, NO_LINE, id="cut"),
        pytest.param(FIRST + ONE[:-1], [(HEADINGS[0], DROPS[:1])], 0, "", id="without-its-end"),
        pytest.param(ONE + TWO + FIRST, [(HEADINGS[0], [])], 2, NOT_FIRST, id="before-the-heading"),
        pytest.param(
            FIRST + b"x" * (2 * MAX_LINE_BYTES + 9) + b"\n" + ONE,
            [(HEADINGS[0], DROPS[:1])],
            1,
            TOO_LONG,
            id="endless-line",
        ),
    ],
)
def test_reader(text: bytes, expected: list[object], unreadable: int, fault: str) -> None:
    """A file may contain several recordings; unreadable lines are skipped and counted."""
    reader = reader_of(text)

    assert read(reader) == expected
    assert (reader.unreadable, reader.fault) == (unreadable, fault)


class _Pipe(io.RawIOBase):
    """A pipe from which each read gets the next piece; after the last one it ends."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def readable(self) -> bool:  # ruff: ignore[no-self-use] - the protocol asks
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self.pieces.pop(0) if self.pieces else b""
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("size", [1, 2, 7, 50, 1000])
def test_a_pipe_may_cut_lines_anywhere(size: int) -> None:
    """A line that comes in pieces is one line."""
    text = FIRST + ONE + b"\n{\n" + TWO + SECOND + TWO[:-1]
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    reader = _Reader(io.BufferedReader(_Pipe(pieces)), PATH, cast("StopSignal", _Stop()))

    assert read(reader) == [(HEADINGS[0], DROPS), (HEADINGS[1], DROPS[1:])]
    assert (reader.unreadable, reader.fault) == (1, NO_LINE)


def test_a_line_is_not_kept_waiting() -> None:
    """What has arrived is returned before more is waited for."""
    pipe = _Pipe([FIRST, ONE, TWO + ONE[:9], ONE[9:]])
    reader = _Reader(io.BufferedReader(pipe), PATH, cast("StopSignal", _Stop()))
    assert reader.next_heading() == HEADINGS[0]
    lines = reader.lines()
    left = []
    for _ in range(3):
        next(lines)
        left.append(len(pipe.pieces))

    assert left == [2, 1, 0]


def test_a_signal_ends_the_reading() -> None:
    """Nothing more is read, and the line that it may have cut is not counted."""
    stop = _Stop()
    reader = reader_of(FIRST + ONE + TWO, stop)
    assert reader.next_heading() == HEADINGS[0]
    lines = reader.lines()
    assert next(lines) == DROPS[0]

    stop.number = 15

    assert list(lines) == []
    assert reader.unreadable == 0


class _Broken(io.BytesIO):
    """A failing disk."""

    def read1(self, _size: int | None = -1, /) -> bytes:  # ruff: ignore[no-self-use] - a seam of the standard library
        raise OSError(5, "Input/output error")


def test_a_disk_that_fails() -> None:
    """It is an error with the path and the system's reason."""
    reader = _Reader(_Broken(), PATH, cast("StopSignal", _Stop()))

    with pytest.raises(RecordingError, match=r"^kept\.ndjson: input/output error$"):
        reader.next_heading()


@pytest.mark.parametrize("second", [0.0, 1e9])
def test_as_fast_as_possible(second: float) -> None:
    """Without a speed it waits for nothing, and notices a signal."""
    stop = _Stop()
    pace = _Pace(None, cast("StopSignal", stop))

    assert pace.wait_until(second)
    stop.number = 15
    assert not pace.wait_until(second)


@pytest.mark.usefixtures("without_signals")
@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        pytest.param("missing", None, "no such file or directory", id="missing"),
        pytest.param("empty", b"", "is no recording: it is empty", id="empty"),
        pytest.param("other", b"hello\n", f"is no recording: {NO_LINE}", id="something-else"),
    ],
)
def test_no_recording(name: str, text: bytes | None, why: str, tmp_path: Path) -> None:
    """A file that is not a recording is an error that names it."""
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text)

    with pytest.raises(RecordingError) as caught:
        replay(path, configured(), Speaker(io.StringIO()))
    assert str(path) in str(caught.value)
    assert why in str(caught.value)


@pytest.mark.usefixtures("without_signals")
def test_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each recording is shown with its own tally, and skipped lines are counted."""
    line = RecordedDatagram(
        at_ns=1, received_ns=WALL_NS, host="127.0.0.1", port=40_000, events=tuple(decode(call()).events)
    )
    path, stderr = tmp_path / "kept.ndjson", io.StringIO()
    path.write_bytes((FIRST + encode_line(line) + b"{\n") + SECOND + encode_line(line))

    assert replay(path, configured(), Speaker(stderr)) == 0
    assert len(re.findall(r"^S3\.GetObject .* trace ", capsys.readouterr().out, re.MULTILINE)) == 2
    assert stderr.getvalue().count("1 datagram received in") == 2
    assert stderr.getvalue().endswith(f"csm-otel: 1 line of {path} skipped: {NO_LINE}\n")


@pytest.mark.usefixtures("without_signals")
@pytest.mark.parametrize("group", ["call", "process"])
def test_xray_ids_are_those_of_the_recording(tmp_path: Path, group: str) -> None:
    """They have the time of the recorded call, not of the replay, and are the same each time, also for a process."""
    events = tuple(decode(call()).events)
    line = RecordedDatagram(at_ns=1, received_ns=BASE_MS * NS_PER_MS, host="127.0.0.1", port=40_000, events=events)
    path = tmp_path / "kept.ndjson"
    nightly = Origin(pid=7, start_ticks=70, start_ns=WALL_NS, name="nightly.py", executable="python3.11")
    origin = RecordedOrigin(at_ns=1, host="127.0.0.1", port=40_000, origin=nightly)
    path.write_bytes(FIRST + encode_line(origin) + encode_line(line))
    written = []
    for name in ("first", "second"):
        settings = Settings(file=tmp_path / name, group=group)  # type: ignore[arg-type]
        configuration, _ = configure("replay", Given(settings, StandardVariables(python_id_generator="xray")))
        replay(path, configuration, Speaker(io.StringIO()))
        written.append((tmp_path / name).read_bytes())

    assert written[0] == written[1]
    (trace_id,) = set(re.findall(rb'"traceId":"([0-9a-f]{32})"', written[0]))
    assert (b'"name":"nightly.py"' in written[0]) is (group == "process")
    assert int(trace_id[:8], 16) == BASE_MS // 1000


@pytest.mark.usefixtures("without_signals")
def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """A destination that cannot be written ends the replay before anything is shown."""
    path = tmp_path / "kept.ndjson"
    path.write_bytes(FIRST)

    with pytest.raises(SettingsError, match=r"^--file: "):
        replay(path, configured(file=tmp_path / "no" / "file"), Speaker(io.StringIO()))


@pytest.mark.usefixtures("without_signals")
@pytest.mark.parametrize(
    ("name", "is_exec", "settings", "variables"),
    [
        pytest.param("boto3_errors", False, {}, {}, id="defaults"),
        pytest.param("gt_t8", False, {"group": "process"}, {"bsp_max_export_batch_size": 7}, id="processes"),
        pytest.param("ruby_mt8_client", False, {}, {"bsp_schedule_delay": 20}, id="short-delay"),
        pytest.param("js_conc8", False, {"grace_seconds": 2.0}, {"bsp_schedule_delay": 0}, id="no-delay"),
        pytest.param("java_mt8", False, {"grace_seconds": 0.0}, {}, id="no-grace"),
        pytest.param("go_errors", False, {"pending_events": 5}, {}, id="few-pending"),
        pytest.param("cpp_mt8", True, {}, {"bsp_schedule_delay": 100}, id="exec"),
    ],
)
def test_the_pipeline_is_advanced_where_it_has_to_be(
    tmp_path: Path, name: str, *, is_exec: bool, settings: dict[str, Any], variables: dict[str, Any]
) -> None:
    """The requests are, to the byte, those of a pipeline that is advanced at each line."""
    path = tmp_path / "kept.ndjson"
    path.write_bytes(b"".join(map(encode_line, eventful(recording(name), seed=1, is_exec=is_exec))))
    written = []
    for hold_seconds in (HOLD_SECONDS, 0.0):  # if something may be due at once, it is asked for at each line
        to = tmp_path / f"spans-{hold_seconds}"
        given = Given(Settings(file=to, **settings), StandardVariables(traces_exporter=("none",), **variables))
        configuration, _ = configure("replay", given)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("csm_otel.commands.replay.HOLD_SECONDS", hold_seconds)
            assert replay(path, configuration, Speaker(io.StringIO())) == 0
        written.append(to.read_bytes())

    assert written[0] == written[1]
    assert written[0].count(b"\n") > 1
