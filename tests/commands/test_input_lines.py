"""The lines of files and pipes, however they come."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from stops import Stop

from csm_otel.commands.input_lines import InputLines, open_input
from csm_otel.errors import InputError

if TYPE_CHECKING:
    from csm_otel.process.stop import StopSignal

PATH = Path("kept.ndjson")
MAX_LINE_BYTES = 2**21


def lines_of(stream: io.BufferedIOBase, stop: Stop | None = None) -> InputLines:
    """Return the lines of a stream."""
    return InputLines(stream, PATH, cast("StopSignal", stop or Stop()), max_line_bytes=MAX_LINE_BYTES)


@pytest.mark.parametrize(
    ("text", "expected", "skipped", "fault"),
    [
        pytest.param(b"", [], 0, "", id="empty"),
        pytest.param(b"a\nb\n", [b"a", b"b"], 0, "", id="lines"),
        pytest.param(b"a\nb", [b"a", b"b"], 0, "", id="without-its-end"),
        pytest.param(b"\na\n \n\nb\n", [b"a", b"b"], 0, "", id="blank-lines"),
        pytest.param(
            b"a\n" + b"x" * (2 * MAX_LINE_BYTES + 9) + b"\nb\n", [b"a", b"b"], 1, "longer than 2 MiB", id="endless-line"
        ),
    ],
)
def test_lines(text: bytes, expected: list[bytes], skipped: int, fault: str) -> None:
    """Lines are whole, blank ones are left out, too long ones are skipped and counted."""
    lines = lines_of(io.BytesIO(text))

    assert list(lines) == expected
    assert (lines.skipped, lines.fault) == (skipped, fault)


def test_skipped_text() -> None:
    """What was skipped is said in one line."""
    lines = lines_of(io.BytesIO())
    lines.skip("not JSON")
    lines.skip("too long")

    assert lines.skipped_text == "2 lines of kept.ndjson skipped: too long"


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


@pytest.mark.parametrize("size", [1, 2, 7, 50])
def test_a_pipe_may_cut_lines_anywhere(size: int) -> None:
    """A line that comes in pieces is one line."""
    text = b'{"line": 1}\n{"line": 2}\n\n{"li\n{"line": 3}'
    pieces = [text[start : start + size] for start in range(0, len(text), size)]

    assert list(lines_of(io.BufferedReader(_Pipe(pieces)))) == text.replace(b"\n\n", b"\n").split(b"\n")


def test_a_line_is_not_kept_waiting() -> None:
    """What has arrived is returned before more is waited for."""
    pipe = _Pipe([b"one\n", b"two\n", b"three\nfo", b"ur\n"])
    lines = iter(lines_of(io.BufferedReader(pipe)))
    left = []
    for _ in range(3):
        next(lines)
        left.append(len(pipe.pieces))

    assert left == [3, 2, 1]


def test_a_signal_ends_the_reading() -> None:
    """Nothing more is read, and the line that it may have cut is not counted."""
    stop = Stop()
    of_file = lines_of(io.BytesIO(b"one\ntwo\nthree\n"), stop)
    lines = iter(of_file)
    assert next(lines) == b"one"

    stop.number = 15

    assert list(lines) == []
    assert of_file.skipped == 0


class _Broken(io.BytesIO):
    """A failing disk."""

    def read1(self, _size: int | None = -1, /) -> bytes:  # ruff: ignore[no-self-use] - a seam of the standard library
        raise OSError(5, "Input/output error")


def test_a_disk_that_fails() -> None:
    """It is an error with the path and the system's reason."""
    with pytest.raises(InputError, match=r"^kept\.ndjson: input/output error$"):
        list(lines_of(_Broken()))


def test_a_missing_file(tmp_path: Path) -> None:
    """It is an error with the path and the system's reason."""
    with pytest.raises(InputError, match=r"/missing: no such file or directory$"):
        open_input(tmp_path / "missing", cast("StopSignal", Stop()))
