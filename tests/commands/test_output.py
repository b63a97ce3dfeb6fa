"""The stream of `--output`: a file, or stdout."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.commands.output import open_output

if TYPE_CHECKING:
    import pytest


def test_output(tmp_path: Path) -> None:
    """The file is replaced, and a new one is readable by its owner only, whatever the umask."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("before", encoding="utf-8")
    umask = os.umask(0)
    try:
        for path in (old, new):
            stream = open_output(path, say=print)
            assert stream is not None
            with stream:
                stream.write("✗")
            assert path.read_text(encoding="utf-8") == "✗"
    finally:
        os.umask(umask)
    assert stat.S_IMODE(new.stat().st_mode) == 0o600


def test_output_to_stdout(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dash is this process's stdout, which stays open for others; no file of that name is created."""
    monkeypatch.chdir(tmp_path)
    stream = open_output(Path("-"), say=print)
    assert stream is not None
    with stream:
        stream.write("one\n")
    print("two", flush=True)

    assert capfdbinary.readouterr().out == b"one\ntwo\n"
    assert not list(tmp_path.iterdir())


def test_output_to_a_closed_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one line."""
    monkeypatch.setattr(sys, "stdout", None)
    said: list[str] = []

    assert open_output(Path("-"), say=said.append) is None
    assert said == ["--output: stdout is closed"]


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    """It is one line with the path and the system's reason."""
    said: list[str] = []
    path = tmp_path / "no" / "file"

    assert open_output(path, say=said.append) is None
    assert said == [f"--output: {path}: no such file or directory"]


def test_what_an_encoding_has_not(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A character that stdout's encoding does not have is a question mark."""
    with os.fdopen(os.dup(1), "w", encoding="ascii") as ascii_stdout:
        monkeypatch.setattr(sys, "stdout", ascii_stdout)
        stream = open_output(Path("-"), say=print)
        assert stream is not None
        with stream:
            stream.write("a✗b")

    assert capfdbinary.readouterr().out == b"a?b"


def test_a_pipe_that_nobody_reads(tmp_path: Path) -> None:
    """It is one line, and is not waited for."""
    said: list[str] = []
    os.mkfifo(tmp_path / "pipe")

    assert open_output(tmp_path / "pipe", say=said.append) is None
    assert said == [f"--output: {tmp_path}/pipe: no such device or address"]
