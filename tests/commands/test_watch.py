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
from traced import command, traced

from csm_otel.commands.launch import Launch
from csm_otel.commands.watch import _command, _open, _run, _signal_name, _Views
from csm_otel.config.settings import Settings
from csm_otel.csm.traceparent import TraceParent
from csm_otel.process.speaker import Speaker
from csm_otel.report import screen

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


class _Stream(io.StringIO):
    """A terminal or a file, with an encoding."""

    def __init__(self, encoding: str, *, is_terminal: bool = False) -> None:
        super().__init__()
        self._encoding = encoding
        self._is_terminal = is_terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize(
    ("stream", "variable", "expected"),
    [
        pytest.param(None, "", "", id="stderr-closed"),
        pytest.param(_Stream("utf-8"), "", "100 False False", id="file"),
        pytest.param(_Stream("ANSI_X3.4-1968"), "", "100 False True", id="ascii"),
        pytest.param(_Stream("UTF-8", is_terminal=True), "", "77 True False", id="terminal"),
        pytest.param(_Stream("UTF-8", is_terminal=True), "NO_COLOR", "77 False False", id="no-color"),
        pytest.param(_Stream("UTF-8"), "FORCE_COLOR", "100 True False", id="force-color"),
    ],
)
def test_run(stream: _Stream | None, variable: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the terminal's width and colours, and characters that the stream can show."""

    def render(*_: object, width: int, color: bool, ascii_only: bool, **_options: object) -> str:
        return f"{width} {color} {ascii_only}"

    monkeypatch.setattr(screen, "render_run", render)
    monkeypatch.setenv("COLUMNS", "77")
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "TERM"):
        monkeypatch.setenv(name, "1" if name == variable else "")

    assert _run(_Views(), Settings(), stream) == expected


@pytest.mark.parametrize(("calls", "is_long"), [(40, False), (41, True)])
def test_long_run(calls: int, *, is_long: bool) -> None:
    """A run is long from 41 calls on; its summary is of all of them in any case."""
    views = _Views()
    for number in range(calls):
        views.summarise([traced("S3.GetObject", number, number + 1)])
    views.summarise([command()])

    assert views.is_long is is_long
    assert (views.summary().totals.calls, views.summary().run.name) == (calls, "legacy.py")


@pytest.mark.parametrize("keeps", [False, True])
def test_calls_are_kept(*, keeps: bool) -> None:
    """Calls are kept for the page alone."""
    views = _Views()
    views.keeps_calls = keeps
    views.summarise([traced("S3.GetObject", 0, 1)])
    assert len(list(views.calls)) == keeps


def test_options_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed is as the settings say."""
    given: dict[str, object] = {}

    def render(*_: object, **options: object) -> str:
        given.update(options)
        return ""

    monkeypatch.setattr(screen, "render_run", render)
    _run(_Views(), Settings(waterfall=False, all=True, only_failed=True, sort="calls"), _Stream("utf-8"))

    assert {name: given[name] for name in ("waterfall", "everything", "only_failed", "sort")} == {
        "waterfall": False,
        "everything": True,
        "only_failed": True,
        "sort": "calls",
    }


@pytest.mark.parametrize(
    ("stream", "no_color", "expected"),
    [
        pytest.param(_Stream("utf-8"), "", False, id="regular"),
        pytest.param(_Stream("utf-8", is_terminal=True), "", True, id="terminal"),
        pytest.param(_Stream("utf-8", is_terminal=True), "1", False, id="no-color"),
    ],
)
def test_forced_colors_in_a_file(
    stream: _Stream, no_color: str, monkeypatch: pytest.MonkeyPatch, *, expected: bool
) -> None:
    """The file of --output has colours only if it is a terminal."""
    monkeypatch.setattr(screen, "render_run", lambda *_, color, **_options: str(color))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", no_color)

    assert _run(_Views(), Settings(), stream, is_file=True) == str(expected)
