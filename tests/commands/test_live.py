"""Lines of finished calls on a stream that may not be read. Whole runs are in tests/e2e/test_exec.py."""

from __future__ import annotations

import os
from threading import Event
from typing import TYPE_CHECKING

import pytest
from traced import T0, traced

from csm_otel.commands.live import Live, open_live
from csm_otel.report.live import LiveLines
from csm_otel.report.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

CALL = [traced("S3.GetObject", 5, 9, status=200)]


def live(write: Callable[[bytes], int], *, clock: Callable[[], float] | None = None) -> Live:
    """Return what prints lines, each in a second of its own without a ``clock``."""
    seconds = iter(range(10**6))
    lines = LiveLines(Terminal(80), stamp=lambda _: "now")
    return Live(lines, write=write, clock=clock or (lambda: next(seconds)))


def test_lines() -> None:
    """Each line is written whole, though the stream may take it in pieces."""
    written: list[bytes] = []
    said: list[str] = []

    def write(text: bytes) -> int:
        written.append(text[:7])
        return len(written[-1])

    lines = live(write)
    for _ in range(3):
        lines.add(CALL)
    lines.close(say=said.append)

    assert (b"".join(written), said) == (b"  now  S3.GetObject  4 ms  200\n" * 3, [])


def test_a_reader_that_stands_still() -> None:
    """Adding never waits; what was not written is counted, the line that is being written as well."""
    goes_on = Event()
    said: list[str] = []

    def write(text: bytes) -> int:
        goes_on.wait()
        return len(text)

    lines = live(write)
    for _ in range(1_000):
        lines.add(CALL)
    lines.close(say=said.append)
    goes_on.set()

    assert said == ["--live: 1,000 lines not written, as stderr was not read or is closed"]


def test_calls_without_a_line() -> None:
    """Their number is printed soon, not with the next call."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as shown, os.fdopen(writer, "wb", buffering=0) as stream:
        lines = live(lambda text: stream.write(text) or 0, clock=lambda: 5.0)
        for _ in range(30):
            lines.add(CALL)
        read = [shown.readline() for _ in range(21)]
        lines.close(say=print)

    assert read[20] == "... and 10 more calls, none of them failed\n"


def test_a_stream_that_was_closed() -> None:
    """Lines that cannot be written are counted."""
    said: list[str] = []

    def write(_: bytes) -> int:
        raise BrokenPipeError

    lines = live(write)
    lines.add(CALL)
    lines.close(say=said.append)

    assert said == ["--live: 1 line not written, as stderr was not read or is closed"]


def test_no_stream() -> None:
    """Without stderr there are no lines."""
    assert open_live(None, {}, start_ns=None) is None


@pytest.mark.parametrize(
    ("start_ns", "expected"),
    [
        pytest.param(T0, "  +5 ms  S3.GetObject", id="offset"),
        pytest.param(None, " legacy-etl  S3.GetObject", id="time"),
    ],
)
def test_stamp(start_ns: int | None, expected: str) -> None:
    """The lines of a command begin with offsets, those of a daemon with times and applications."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as lines, os.fdopen(writer, "w", encoding="utf-8") as stream:
        shown = open_live(stream, {}, start_ns=start_ns)
        assert shown is not None
        shown.add(CALL)
        shown.close(say=print)
        assert expected in lines.readline()
