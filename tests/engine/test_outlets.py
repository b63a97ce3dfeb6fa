"""The end of what spans and lines go to: what hangs is given up, told and counted."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
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


class _HangingLines(LineFile):
    """A recording on a disk that hangs until told to go on."""

    def __init__(self, path: Path, goes_on: threading.Event) -> None:
        super().__init__(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), str(path))
        self._goes_on = goes_on

    def append(self, lines: Sequence[bytes]) -> int:
        self._goes_on.wait(DEADLINE_SECONDS)
        return super().append(lines)


class _HangingFile(OtlpJsonFile):
    """A file on the same disk."""

    def __init__(self, path: Path, goes_on: threading.Event) -> None:
        super().__init__(path)
        self._goes_on = goes_on

    def write(self, request: bytes) -> bool:
        self._goes_on.wait(DEADLINE_SECONDS)
        return super().write(request)


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_disk_that_hangs_does_not_hold_up_the_end(tmp_path: Path, *, is_cancelled: bool) -> None:
    """Recording and file on it cost the time of one, next to none when given up; what is lost is told and counted."""
    goes_on = threading.Event()
    tally, said = Tally(), list[str]()
    recorder = Recorder(
        _HangingLines(tmp_path / "rec", goes_on), Heading(format=FORMAT, seed=1, host_name="build-7"), tally
    )
    file = FileWriter(_HangingFile(tmp_path / "file", goes_on), tally=tally)
    outlets = Outlets(None, file, recorder, False, "", "file", False, said.append)
    recorder.drops(1, now=0.0)
    file.put(b"", 1)
    if is_cancelled:
        outlets.cancel()
    began = time.monotonic()
    outlets.close(deadline_seconds=DEADLINE_SECONDS)
    took_seconds = time.monotonic() - began
    goes_on.set()
    assert took_seconds < (0.0 if is_cancelled else STALL_SECONDS) + 1.0
    assert said == ["recording: 2 lines not written in time at the end", "file: 1 span not written in time at the end"]
    assert (tally.lines_unrecorded, dict(tally.spans_dropped)) == (2, {"file": 1})


def test_what_is_written_is_not_told(tmp_path: Path) -> None:
    """A disk that works costs no line, neither to the operator nor of the recording."""
    tally, said = Tally(), list[str]()
    heading = Heading(format=FORMAT, seed=1, host_name="build-7")
    recorder = Recorder.open(tmp_path / "rec", heading, tally, say=said.append)
    Outlets(None, None, recorder, False, "", "nowhere", False, said.append).close(deadline_seconds=DEADLINE_SECONDS)
    assert (said, tally.lines_unrecorded) == ([], 0)
    assert len((tmp_path / "rec").read_bytes().splitlines()) == 1
