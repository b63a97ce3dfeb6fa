"""What is printed and written of files, and with what exit code. Whole runs are in tests/e2e/test_report.py."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from commands.input_files import lines_of, recording_of, write_spool
from configured import configured
from platforms import on_linux
from stops import NeverStopped

from csm_otel.commands.report import report
from csm_otel.process.speaker import Speaker

if TYPE_CHECKING:
    from collections.abc import Generator

    from csm_otel.config.configuration import Configuration


pytestmark = pytest.mark.usefixtures("stop")


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> Generator[NeverStopped]:
    """Leave the signal handlers of the test run unchanged."""
    with closing(NeverStopped()) as stop:
        monkeypatch.setattr("csm_otel.commands.report.StopSignal", lambda *_numbers: stop)
        yield stop


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Return a recording of two calls."""
    path = tmp_path / "good.ndjson"
    path.write_bytes(recording_of(2))
    return path


def reported(*paths: Path, configuration: Configuration | None = None) -> tuple[int, str]:
    """Report on files, and return the exit code and what was said."""
    said = io.StringIO()
    code = report(paths, configuration or configured(), Speaker(said))
    return code, said.getvalue()


def test_a_run_of_several_files(good: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Files of any kind are one run, on stdout; nothing else is printed."""
    (tmp_path / "spans.jsonl").write_bytes(lines_of(3))
    write_spool(tmp_path / "spool", 4)
    summary = tmp_path / "summary.json"
    code, said = reported(
        good, tmp_path / "spans.jsonl", tmp_path / "spool", configuration=configured(summary_json=summary)
    )

    assert (code, said) == (0, "")
    assert json.loads(summary.read_text("utf-8"))["totals"]["calls"] == 9
    assert capfd.readouterr().out.count("S3.GetObject") >= 9


def test_a_file_of_several_that_is_bad(good: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The report is on the others; the bad one has its line, and the exit code is 1."""
    code, said = reported(tmp_path / "missing", good)

    assert (code, said) == (1, f"csm-otel: {tmp_path}/missing: no such file or directory\n")
    assert "S3.GetObject" in capfd.readouterr().out


def test_bad_files_only(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed, no file is replaced."""
    page = tmp_path / "page.html"
    code, _ = reported(tmp_path, tmp_path / "missing", configuration=configured(report=page, output=tmp_path / "out"))

    assert (code, capfd.readouterr().out, list(tmp_path.iterdir())) == (1, "", [])


def test_a_recording_of_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """That there are no calls is said where calls would be."""
    path = tmp_path / "recording"
    path.write_bytes(recording_of(0))

    assert reported(path) == (0, "")
    assert capfd.readouterr().out == "no AWS calls seen\n"


def test_output(good: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It may go to a file."""
    code, said = reported(good, configuration=configured(output=tmp_path / "out"))

    assert (code, said, capfd.readouterr().out) == (0, "", "")
    assert "S3.GetObject" in (tmp_path / "out").read_text("utf-8")


@pytest.mark.parametrize("flag", ["output", "summary_json", "report"])
def test_a_file_that_cannot_be_written(flag: str, good: Path, tmp_path: Path) -> None:
    """It is one line, and the exit code is 1."""
    path = tmp_path / "no" / "file"
    given: dict[str, Any] = {flag: path}
    code, said = reported(good, configuration=configured(**given))

    assert (code, said) == (1, f"csm-otel: --{flag.replace('_', '-')}: {path}: no such file or directory\n")


def test_a_reader_that_has_gone(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That a pipe is closed, as by `head`, is no failure."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)

        assert reported(good) == (0, "")


class _Full(io.StringIO):
    """A file on a full disk."""

    def write(self, text: str) -> int:  # ruff: ignore[no-self-use] - a seam of the standard library
        raise OSError(28, f"No space left on device for {len(text)} characters")


def test_a_full_disk(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one line, and the exit code is 1."""
    monkeypatch.setattr("csm_otel.commands.report.open_output", lambda *_, **__: _Full())
    code, said = reported(good)

    assert (code, said.partition(" for ")[0]) == (1, "csm-otel: --output: stdout: no space left on device")


def test_no_stdout(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where stdout is closed from the start, that is said."""
    monkeypatch.setattr(sys, "stdout", None)

    assert reported(good) == (1, "csm-otel: --output: stdout is closed\n")


def test_signal(good: Path, stop: NeverStopped, capfd: pytest.CaptureFixture[str]) -> None:
    """It ends without a report, by the signal's exit code."""
    stop.number = 2

    assert reported(good) == (130, "")
    assert not capfd.readouterr().out


def test_comparison(good: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The other run may be a summary, or a file of any other kind."""
    (tmp_path / "spans.jsonl").write_bytes(lines_of(3))
    summary = tmp_path / "summary.json"
    reported(tmp_path / "spans.jsonl", configuration=configured(summary_json=summary))
    capfd.readouterr()
    shown = []
    for other in (summary, tmp_path / "spans.jsonl"):
        page = tmp_path / "page.html"
        assert reported(good, configuration=configured(compare=other, report=page)) == (0, "")
        shown.append(capfd.readouterr().out)
        assert "What differs" in page.read_text("utf-8")

    assert "before: 3 calls, 0 failed" in shown[0]
    assert "now: 2 calls, " in shown[0]
    assert shown[0] == shown[1]


@on_linux  # the system of `make test-portable` has no /dev/fd
@pytest.mark.parametrize("content", [lines_of(3), recording_of(3)], ids=["spans", "recording"])
def test_comparison_with_a_pipe(content: bytes, good: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The other run is opened once: the beginning of a pipe cannot be read again."""
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)

    assert reported(good, configuration=configured(compare=Path(f"/dev/fd/{reader}"))) == (0, "")
    os.close(reader)
    assert "before: 3 calls, 0 failed" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b'{"schema": 9}', "--compare: {}: a summary with schema 9; this version reads 1", id="summary"),
        pytest.param(b"", "--compare: {} is empty", id="empty"),
        pytest.param(None, "--compare: {}: no such file or directory", id="missing"),
    ],
)
def test_bad_comparison(
    content: bytes | None, expected: str, good: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without the other run the report is printed all the same; the exit code is 1."""
    other = tmp_path / "other"
    if content is not None:
        other.write_bytes(content)

    assert reported(good, configuration=configured(compare=other)) == (1, f"csm-otel: {expected.format(other)}\n")
    shown = capfd.readouterr().out
    assert ("S3.GetObject" in shown, "before: " in shown) == (True, False)
