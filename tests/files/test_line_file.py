"""Several lines appended at once; single ones are tested in `test_otlp_json`."""

from __future__ import annotations

import itertools
import math
import os
import select
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from otlp_backend import DEADLINE_SECONDS

from csm_otel.errors import SettingsError
from csm_otel.files.line_file import REOPEN, LineFile

_FILLS_UP = """
import resource, sys
from pathlib import Path
from csm_otel.files.line_file import LineFile
file = LineFile.open(Path(sys.argv[1]), flag="--file")
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
there = file.append([b"one\\n", b"two\\n", b"three\\n"])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(there, file.is_failing, file.append([b"four\\n", b"five\\n"]), file.is_failing)
"""


@pytest.mark.parametrize(
    ("room_bytes", "there", "content"),
    [
        pytest.param(0, 0, b"four\nfive\n", id="none"),
        pytest.param(2, 0, b"on\nfour\nfive\n", id="half-of-the-first"),
        pytest.param(4, 1, b"one\nfour\nfive\n", id="the-first"),
        pytest.param(10, 2, b"one\ntwo\nth\nfour\nfive\n", id="half-of-the-last"),
        pytest.param(14, 3, b"one\ntwo\nthree\nfour\nfive\n", id="all"),
    ],
)
def test_a_disk_that_fills_up(tmp_path: Path, room_bytes: int, there: int, content: bytes) -> None:
    """Lines before the failed one are written and counted, and the next begins on a new line."""
    fills_up = [sys.executable, "-c", _FILLS_UP, str(tmp_path / "file"), str(room_bytes)]
    ended = subprocess.run(fills_up, check=True, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert ended.stdout == f"{there} {there < 3} 2 False\n"
    assert (tmp_path / "file").read_bytes() == content


def test_stdout(capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash is this process's stdout, which stays open for others; no file of that name is created."""
    monkeypatch.chdir(tmp_path)
    file = LineFile.open(Path("-"), flag="--file")
    assert file.append([b"one\n", b"two\n"]) == 2
    file.close()
    print("three", flush=True)

    assert capfdbinary.readouterr().out == b"one\ntwo\nthree\n"
    assert not list(tmp_path.iterdir())


def test_stdout_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was started with stdout closed has a fault instead, under the flag."""
    monkeypatch.setattr(sys, "stdout", None)

    with pytest.raises(SettingsError, match=r"^--file: stdout is closed$"):
        LineFile.open(Path("-"), flag="--file")


def _on_a_passing_clock(path: Path, logged: list[str]) -> LineFile:
    """Open a file whose clock advances by a minute with each reading."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
    return LineFile(descriptor, "pipe", say=logged.append, clock=itertools.count(0.0, 60.0).__next__)


def test_a_pipe_accepts_a_batch_whole_or_not_at_all(tmp_path: Path) -> None:
    """If its reader has stalled no line is torn, and no unwritten one is counted."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    file = _on_a_passing_clock(tmp_path / "pipe", [])
    assert file.batch_bytes == select.PIPE_BUF
    batch = [b"%01023d\n" % number for number in range(file.batch_bytes // 1024)]
    there = 0
    while (now_there := file.append(batch)) == len(batch):
        there += now_there
    file.close()
    assert now_there == 0
    assert len(os.read(reader, 2**20).splitlines()) == there
    os.close(reader)


def test_a_reader_that_may_take_any_time(tmp_path: Path) -> None:
    """A writer without a limit to its patience waits for the reader, with no line lost, until nobody reads any more."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    descriptor = os.open(tmp_path / "pipe", os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
    passing = itertools.count(0.0, 60.0).__next__
    file = LineFile(descriptor, "pipe", patience_seconds=math.inf, clock=passing)
    assert file.waits_for_reader
    lines = [b"%0131071d\n" % number for number in range(8)]  # more than a pipe holds
    with ThreadPoolExecutor(1) as pool:
        appending = pool.submit(file.append, lines)
        there = b""
        while len(there) < sum(map(len, lines)):
            assert select.select([reader], [], [], DEADLINE_SECONDS)[0]
            there += os.read(reader, 65_536)
        assert appending.result(DEADLINE_SECONDS) == len(lines)
        assert there == b"".join(lines)

        appending = pool.submit(file.append, lines)
        assert select.select([reader], [], [], DEADLINE_SECONDS)[0]
        os.close(reader)
        assert appending.result(DEADLINE_SECONDS) < len(lines)
    file.close()


@pytest.mark.parametrize("patience_seconds", [1.0, math.inf])
def test_a_file_has_no_reader(tmp_path: Path, patience_seconds: float) -> None:
    """Only pipes and the like are waited for."""
    file = LineFile.open(tmp_path / "file", flag="--file", patience_seconds=patience_seconds)
    assert not file.waits_for_reader
    file.close()


def test_a_stalled_reader_is_reported_once(tmp_path: Path) -> None:
    """Writes fail while nothing is read, with one line; once it reads again they succeed."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    logged: list[str] = []
    file = _on_a_passing_clock(tmp_path / "pipe", logged)
    line = b"x" * (select.PIPE_BUF - 1) + b"\n"
    while file.append([line]):
        assert not file.is_failing
    assert file.append([line]) == 0
    assert logged == ["cannot write to pipe: its reader has stalled"]
    assert file.is_failing
    os.read(reader, 2**20)
    assert file.append([line]) == 1
    assert not file.is_failing
    file.close()
    os.close(reader)


@pytest.mark.parametrize("at", range(4))
def test_reopening_between_lines(tmp_path: Path, at: int) -> None:
    """Lines before it are in the file that was moved away, those behind it in a new one, and all count as written."""
    file = LineFile.open(tmp_path / "file", flag="--file")
    lines = [b"one\n", b"two\n", b"three\n"]
    (tmp_path / "file").rename(tmp_path / "file.1")
    assert file.append([*lines[:at], REOPEN, *lines[at:]]) == 4
    file.close()
    assert (tmp_path / "file.1").read_bytes() == b"".join(lines[:at])
    assert (tmp_path / "file").read_bytes() == b"".join(lines[at:])
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_reopening_more_often_than_calls_can_nest(tmp_path: Path) -> None:
    """A slow disk may have any number of them wait; no line is lost or written twice."""
    file = LineFile.open(tmp_path / "file", flag="--file")
    times = sys.getrecursionlimit()
    assert file.append([b"line\n", REOPEN] * times) == 2 * times
    file.close()
    assert (tmp_path / "file").read_bytes() == b"line\n" * times


def test_reopening_that_fails(tmp_path: Path) -> None:
    """A line has the reason, and the old file is written on."""
    logged: list[str] = []
    file = LineFile.open(tmp_path / "file", flag="--file", say=logged.append)
    (tmp_path / "file").rename(tmp_path / "file.1")
    (tmp_path / "file").mkdir()
    assert file.append([b"one\n", REOPEN, b"two\n"]) == 3
    file.close()
    assert (tmp_path / "file.1").read_bytes() == b"one\ntwo\n"
    assert logged == [f"cannot reopen {tmp_path}/file, still writing to the old one: is a directory"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")  # ruff: ignore[os-path-exists]
def test_reopening_after_a_line_that_fails(tmp_path: Path) -> None:
    """What could not be written before it is reported as such; a new file begins with a whole line."""
    (tmp_path / "file").symlink_to("/dev/full")
    file = LineFile.open(tmp_path / "file", flag="--file")
    (tmp_path / "file").unlink()
    assert file.append([b"one\n", REOPEN, b"two\n"]) == 0
    assert file.append([REOPEN, b"two\n"]) == 2
    assert not file.is_failing
    file.close()
    assert (tmp_path / "file").read_bytes() == b"two\n"


def test_stdout_is_not_reopened(capfd: pytest.CaptureFixture[str]) -> None:
    """It has no path; all lines go to it."""
    file = LineFile(os.dup(1), "stdout")
    assert not file.is_reopenable
    assert file.append([b"one\n", REOPEN, b"two\n"]) == 3
    file.close()
    assert capfd.readouterr().out == "one\ntwo\n"
