"""The recordings of a file, and the lines between them that are none."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from stops import Stop

from csm_otel.commands.input_lines import InputLines
from csm_otel.commands.recording_reader import RecordingReader
from csm_otel.files.recording import FORMAT, MAX_LINE_BYTES, Heading, RecordedDrops, encode_line

if TYPE_CHECKING:
    from csm_otel.process.stop import StopSignal

PATH = Path("kept.ndjson")
HEADINGS = [Heading(format=FORMAT, seed=seed, host_name="build-7") for seed in (1, 2)]
DROPS = [RecordedDrops(at_ns=1, dropped=count) for count in (1, 2)]
FIRST, SECOND = map(encode_line, HEADINGS)
ONE, TWO = map(encode_line, DROPS)
NOT_FIRST = "it does not begin with a recording's first line"
NO_LINE = "not a line of a csm-otel recording"


def lines_of(text: bytes) -> InputLines:
    """Return the lines of a file."""
    return InputLines(io.BytesIO(text), PATH, cast("StopSignal", Stop()), max_line_bytes=MAX_LINE_BYTES)


def read(reader: RecordingReader) -> list[tuple[Heading, list[object]]]:
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
    ],
)
def test_reader(text: bytes, expected: list[object], unreadable: int, fault: str) -> None:
    """A file may contain several recordings; unreadable lines are skipped and counted."""
    lines = lines_of(text)

    assert read(RecordingReader(lines)) == expected
    assert (lines.skipped, lines.fault) == (unreadable, fault)


def test_the_rest_of_a_file() -> None:
    """What is left of the lines may be given, where some have been read; faults are counted with the others."""
    lines = lines_of(b"")
    reader = RecordingReader(lines, iter([FIRST, b"{", ONE]))

    assert read(reader) == [(HEADINGS[0], DROPS[:1])]
    assert (lines.skipped, lines.fault) == (1, NO_LINE)
