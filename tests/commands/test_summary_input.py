"""A summary that was written, read again; and files that are none."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, cast

import msgspec
import pytest
from commands.input_files import recording_of
from stops import NeverStopped
from traced import command, traced

from csm_otel.commands.input_lines import open_input
from csm_otel.commands.report_files import RunResult, write_reports
from csm_otel.commands.summary_input import read_summary
from csm_otel.config.settings import Settings
from csm_otel.errors import ReportInputError
from csm_otel.summary.builder import SummaryBuilder
from csm_otel.summary.calls import Calls

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

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


def read(path: Path, stop: StopSignal) -> Summary | None:
    """Return the summary in a file."""
    with open_input(path, stop) as stream:
        return read_summary(stream, path)


def test_written_and_read(tmp_path: Path, stop: StopSignal) -> None:
    """It is the same as before."""
    path = tmp_path / "summary.json"
    write_reports(Settings(summary_json=path), RunResult(summary(), Calls()), say=print)

    assert read(path, stop) == summary()


@pytest.mark.parametrize("content", [b"", b"{}", b'{"resourceSpans":[]}', recording_of(1)])
def test_something_else(content: bytes, tmp_path: Path, stop: StopSignal) -> None:
    """A file that does not begin like a summary is none, and nothing of it has been read."""
    path = tmp_path / "file"
    path.write_bytes(content)

    with open_input(path, stop) as stream:
        assert read_summary(stream, path) is None
        assert stream.read() == content


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
        read(path, stop)
    assert str(raised.value) == f"{path}: {reason}"
