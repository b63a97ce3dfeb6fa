"""Start commands for tests, wrapped or not, and read their output, all within a deadline."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

CHILDREN = Path(__file__).parent
WRAPPER = [sys.executable, str(CHILDREN / "wrapper.py")]
COUNT_SIGNALS = [sys.executable, str(CHILDREN / "count_signals.py")]
ON_TERMINAL = [sys.executable, str(CHILDREN / "on_terminal.py")]
JOB_CONTROL = [sys.executable, str(CHILDREN / "job_control.py")]
DEADLINE_SECONDS = 60


def python(program: str) -> list[str]:
    """Return the command that runs a Python program."""
    return [sys.executable, "-c", program]


@contextmanager
def as_from_a_terminal() -> Generator[None]:
    """Let no child ignore signals, even where the tests run under nohup, nor leave core files."""
    ignored = [number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT) if is_ignored(number)]
    for number in ignored:
        signal.signal(number, lambda *_: None)  # a handler becomes the default in the child
    core_limits = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, core_limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, core_limits)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def is_ignored(number: int) -> bool:
    """Return whether this process ignores a signal."""
    return signal.getsignal(number) == signal.SIG_IGN


@contextmanager
def started(
    command: list[str], *, extra: dict[str, str] | None = None, stderr: int = subprocess.PIPE, session: bool = True
) -> Generator[subprocess.Popen[bytes]]:
    """Start a command with pipes, in its own session or at least process group, and kill it at the end."""
    with as_from_a_terminal():
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **(extra or {})},
            start_new_session=session,
            process_group=None if session else 0,
        )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def run(
    command: list[str], *, data: bytes = b"", extra: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end."""
    with started(command, extra=extra) as process:
        stdout, stderr = process.communicate(data, timeout=DEADLINE_SECONDS)
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def next_line(stream: IO[bytes] | None) -> str:
    """Return the next line, read byte by byte so that nothing is left in a buffer that select does not see."""
    assert stream is not None
    line = b""
    while not line.endswith(b"\n"):
        assert select.select([stream], [], [], DEADLINE_SECONDS)[0], f"no line within the deadline, only {line!r}"
        byte = os.read(stream.fileno(), 1)
        assert byte, f"the stream ended after {line!r}"
        line += byte
    return line.decode().rstrip("\n")


def wait_for_stop(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process is stopped."""
    assert os.WIFSTOPPED(change_of(process, os.WUNTRACED))


def wait_for_continuation(process: subprocess.Popen[bytes]) -> None:
    """Wait until a stopped process runs again."""
    assert os.WIFCONTINUED(change_of(process, os.WCONTINUED))


def is_stopped(process: subprocess.Popen[bytes]) -> bool:
    """Return whether a process has stopped since it was last asked."""
    return os.waitpid(process.pid, os.WUNTRACED | os.WNOHANG)[0] != 0


def change_of(process: subprocess.Popen[bytes], options: int) -> int:
    """Return the wait status of the next state change."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        pid, status = os.waitpid(process.pid, options | os.WNOHANG)
        if pid:
            return status
    pytest.fail("no change within the deadline")


def finish(process: subprocess.Popen[bytes]) -> dict[str, int]:
    """Let count_signals.py end, and return its counts."""
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    line = next_line(process.stdout)
    assert process.wait(DEADLINE_SECONDS) == 0
    counts: dict[str, int] = json.loads(line)
    return counts
