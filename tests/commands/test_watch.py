"""A command's output and span. Whole runs are in tests/e2e/test_exec.py."""

from __future__ import annotations

import io
import os
import signal
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from csm_otel.commands.launch import Launch
from csm_otel.commands.watch import _command, _open, _signal_name
from csm_otel.config.settings import Settings
from csm_otel.csm.traceparent import TraceParent
from csm_otel.process.speaker import Speaker

if TYPE_CHECKING:
    from csm_otel.process.child import Child

LAUNCH = Launch(
    argv=("/usr/bin/python3", "etl.py", "--password", "hunter2"),
    command_name="etl.py",
    service_name="etl",
    context=TraceParent(1, 2, sampled=True),
    parent=None,
    trace_state="",
    propagates=True,
)


class _Ended:
    """A command that a signal has ended."""

    pid = 7
    started_ns = 1_000
    ended_ns = 2_000
    exit_code = 143
    signal_number = signal.SIGTERM


@pytest.mark.parametrize(
    ("number", "expected"), [(None, ""), (15, "SIGTERM"), (9, "SIGKILL"), (signal.SIGRTMIN + 1, None)]
)
def test_signal_name(number: int | None, expected: str | None) -> None:
    """A signal has its name, or its number if it has none."""
    assert _signal_name(number) == (f"signal {number}" if expected is None else expected)


@pytest.mark.parametrize(("command_args", "arguments"), [(False, None), (True, LAUNCH.argv)])
def test_command(arguments: tuple[str, ...] | None, *, command_args: bool) -> None:
    """The command has its name, times and end; its arguments only on request."""
    command = _command(cast("Child", _Ended()), LAUNCH, Settings(command_args=command_args))

    assert (command.name, command.executable, command.pid) == ("etl.py", "python3", 7)
    assert (command.exit_code, command.signal_name) == (143, "SIGTERM")
    assert (command.start_ns, command.end_ns, command.arguments) == (1_000, 2_000, arguments)


def test_no_output() -> None:
    """Without --output there is no file."""
    assert _open(Settings(), Speaker(io.StringIO())) is None


def test_output(tmp_path: Path) -> None:
    """The file is replaced, and a new one is readable by its owner only, whatever the umask."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("before", encoding="utf-8")
    umask = os.umask(0)
    try:
        for path in (old, new):
            stream = _open(Settings(output=path), Speaker(io.StringIO()))
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
    stream = _open(Settings(output=Path("-")), Speaker(io.StringIO()))
    assert stream is not None
    with stream:
        stream.write("one\n")
    print("two", flush=True)

    assert capfdbinary.readouterr().out == b"one\ntwo\n"
    assert not list(tmp_path.iterdir())


def test_output_to_a_closed_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one line; all goes to stderr then."""
    monkeypatch.setattr(sys, "stdout", None)
    stderr = io.StringIO()

    assert _open(Settings(output=Path("-")), Speaker(stderr)) is None
    assert stderr.getvalue() == "csm-otel: --output: stdout is closed\n"


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    """It is one line with the path and the system's reason; all goes to stderr then."""
    stderr = io.StringIO()
    path = tmp_path / "no" / "file"

    assert _open(Settings(output=path), Speaker(stderr)) is None
    assert stderr.getvalue() == f"csm-otel: --output: {path}: no such file or directory\n"
