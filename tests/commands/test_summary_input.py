"""A summary that was written, read again; and files that are none."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
import pytest
from commands.input_files import recording_of
from stops import NeverStopped
from traced import command, traced

from csm_otel.commands.report_files import write_reports
from csm_otel.commands.summary_input import read_summary
from csm_otel.config.settings import Settings
from csm_otel.errors import InputError, ReportInputError
from csm_otel.summary.builder import SummaryBuilder
from csm_otel.summary.calls import Calls

if TYPE_CHECKING:
    from collections.abc import Generator

    from csm_otel.process.stop import StopSignal
    from csm_otel.summary.model import Summary


@pytest.fixture
def stop() -> Generator[StopSignal]:
    """Yield what no signal sets."""
    with closing(NeverStopped()) as stop:
        yield cast("StopSignal", stop)


def summary() -> Summary:
    """Return the summary of a run."""
    builder = SummaryBuilder()
    builder.add([traced("S3.GetObject", 0, 5, error="AccessDenied"), command()])
    return builder.build()


def test_written_and_read(tmp_path: Path, stop: StopSignal) -> None:
    """It is the same as before."""
    path = tmp_path / "summary.json"
    write_reports(Settings(summary_json=path), summary(), Calls(), say=print)

    assert read_summary(path, stop) == summary()


@pytest.mark.parametrize("content", [b"", b"{}", b'{"resourceSpans":[]}', recording_of(1)])
def test_something_else(content: bytes, tmp_path: Path, stop: StopSignal) -> None:
    """A file that does not begin like a summary is none; nor is a folder, or stdin."""
    path = tmp_path / "file"
    path.write_bytes(content)

    assert [read_summary(one, stop) for one in (path, tmp_path, Path("-"))] == [None] * 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b'{"schema": 2}', "a summary with schema 2; this version reads 1", id="newer"),
        pytest.param(b'{"schema": 1}', "a damaged summary", id="keys-missing"),
        pytest.param(b'{"schema": "1"}', "a damaged summary", id="no-number"),
        pytest.param(msgspec.json.encode(summary())[:-40], "a damaged summary", id="cut"),
        pytest.param(b'{"schema": 1, "run": "\xff"}', "a damaged summary", id="no-text"),
        pytest.param(
            msgspec.json.encode(summary()).replace(b"Denied", b"\xff"), "a damaged summary", id="no-text-in-a-value"
        ),
        pytest.param(b'{"schema": 1, "later": ' + b"[" * 100_000, "a damaged summary", id="nested-too-deeply"),
    ],
)
def test_damaged(content: bytes, reason: str, tmp_path: Path, stop: StopSignal) -> None:
    """It is one line."""
    path = tmp_path / "file"
    path.write_bytes(content)

    with pytest.raises(ReportInputError) as raised:
        read_summary(path, stop)
    assert str(raised.value) == f"{path}: {reason}"


def test_missing(tmp_path: Path, stop: StopSignal) -> None:
    """A file that does not exist is one line, too."""
    with pytest.raises(InputError, match="no such file or directory"):
        read_summary(tmp_path / "missing", stop)
