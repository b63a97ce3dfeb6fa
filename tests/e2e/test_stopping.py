"""The shutdown of `serve` and `exec`: one deadline for all of it, and nothing is lost without a count."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import lossless
import pytest
from children.processes import as_from_a_terminal
from e2e.lifecycle import broken_backend, flood, send_attempts, send_calls
from e2e.programs import CSM_OTEL, DEADLINE_SECONDS, environment, has_traceback, run, serving
from e2e.test_spool import spans_on_disk
from otlp_backend import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

DRAIN_SECONDS = 0.5
"""After this long the rest is dropped: no back end of these tests would ever let the daemon finish."""
LONG = "3600"
"""Seconds: a shutdown within a test's deadline cannot be due to this one."""
with_each_broken_backend = pytest.mark.parametrize("kind", ["hangs", "drips"])


def count(text: bytes, what: str) -> int:
    """Return the number before a phrase in a tally; 0 if it is not there."""
    found = re.search(rf"([\d,]+) {what}", text.decode())
    return int(found[1].replace(",", "")) if found else 0


@with_each_broken_backend
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("spool", [False, True], ids=["memory", "spool"])
def test_a_broken_back_end(kind: Literal["hangs", "drips"], protocol: str, tmp_path: Path, *, spool: bool) -> None:
    """It ends whatever a back end does, and spans that were not accepted are spooled, or counted as dropped."""
    flags = ["--drain-seconds", str(DRAIN_SECONDS), *(["--spool", str(tmp_path / "spool")] if spool else [])]
    with (
        broken_backend(kind) as endpoint,
        serving(
            *flags,
            env=environment(
                OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
                OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
                OTEL_BSP_SCHEDULE_DELAY="1",
            ),
        ) as daemon,
    ):
        send_calls(daemon, 50)
        if spool:
            wait_until(lambda: spans_on_disk(tmp_path / "spool") == 50)
        assert daemon.stop() == 0
    kept, dropped = (
        count(daemon.rest, "spans kept in the spool"),
        count(daemon.rest, r"spans dropped \(\d+ not delivered in time"),
    )
    assert (50, 0) == ((kept, dropped) if spool else (dropped, kept))
    assert not has_traceback(daemon.rest)


@pytest.mark.parametrize("drain_seconds", [0, DRAIN_SECONDS], ids=lambda seconds: f"{seconds:g}s")
def test_load_that_does_not_stop(drain_seconds: float) -> None:
    """While datagrams keep arriving and the back end hangs, the daemon ends, and everything received is counted."""
    flags = ["--drain-seconds", str(drain_seconds), "--pending-events", "20000"]
    with (
        broken_backend("hangs") as endpoint,
        serving(*flags, env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)) as daemon,
    ):
        send_attempts(daemon, 8000)
        with flood(daemon):
            assert daemon.stop() == 0
    received = count(daemon.rest, "datagrams received")
    assert received > 8000
    decoded = count(daemon.rest, "orphan attempts,?\n")
    undecoded = count(daemon.rest, "datagrams left undecoded") if b"left undecoded" in daemon.rest else 0
    assert decoded + undecoded == received
    assert count(daemon.rest, "spans dropped") == decoded
    assert not has_traceback(daemon.rest)


def test_pending_events_are_delivered_at_shutdown(tmp_path: Path) -> None:
    """With a healthy back end everything from a few thousand pending attempts is delivered at shutdown."""
    file = tmp_path / "out.jsonl"
    with serving("--file", file, "--drain-seconds", LONG, env=environment(OTEL_TRACES_EXPORTER="none")) as daemon:
        send_attempts(daemon, 3000)
        assert daemon.stop() == 0
    assert b"3,000 spans delivered" in daemon.rest
    assert b"dropped (" not in daemon.rest


@with_each_broken_backend
def test_exec_with_a_broken_back_end(kind: Literal["hangs", "drips"]) -> None:
    """`exec` gives up at its deadline, not before, and returns the command's exit code."""
    with broken_backend(kind) as endpoint:
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        began = time.monotonic()
        done = run("exec", "--drain-seconds", str(DRAIN_SECONDS), "--", sys.executable, "-c", "exit(7)", env=env)
        took_seconds = time.monotonic() - began
    assert done.returncode == 7
    assert b"1 span dropped (1 not delivered in time at shutdown)" in done.stderr
    assert took_seconds >= DRAIN_SECONDS


def test_a_deadline_of_no_seconds() -> None:
    """With a deadline of 0 seconds undelivered spans are dropped at once, and counted."""
    with broken_backend("hangs") as endpoint:
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        with serving("--drain-seconds", "0", env=env) as daemon:
            send_calls(daemon, 50)
            assert daemon.stop() == 0
    assert b"50 spans dropped (50 not delivered in time at shutdown)" in daemon.rest


_READ_BYTES = 4096
_SENDER = f"""
import os, sys
sys.path.append({str(Path(lossless.__file__).parent)!r})
from lossless import send
send(("127.0.0.1", int(os.environ["AWS_CSM_PORT"])), [b"[" + b"x" * 100 + b"]"] * 2000)
print(os.getpid(), flush=True)
"""


@contextlib.contextmanager
def _slow_reader(pipe: Path) -> Generator[None]:
    """Create a named pipe and read it slowly: its writer makes progress but never finishes."""
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, _READ_BYTES)  # little is read without having been waited for
    is_over = threading.Event()

    def read() -> None:
        while not is_over.wait(0.5):
            with contextlib.suppress(BlockingIOError):
                os.read(reader, _READ_BYTES)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        os.close(reader)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_signal_ends_the_wait_for_a_recording(tmp_path: Path) -> None:
    """A slowly read pipe is waited for until a signal; the lines left then are reported and counted."""
    pipe = tmp_path / "pipe"
    flags = ["--drain-seconds", LONG, "--record", str(pipe)]
    command = [*CSM_OTEL, "exec", *flags, "--", sys.executable, "-c", _SENDER]
    env = environment(OTEL_TRACES_EXPORTER="none")
    with (
        _slow_reader(pipe),
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        wait_until(lambda: _is_gone(pid))
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0
    unrecorded = count(stderr, "lines of the recording not written")
    assert 0 < count(stderr, "lines not written in time at shutdown") <= unrecorded
    assert not has_traceback(stderr)


@pytest.mark.parametrize("signals", [1, 2])
def test_signals_after_the_commands_end(signals: int) -> None:
    """The first ends the wait for a back end that hangs, with a tally; the exit code is the command's in any case."""
    script = "import os; print(os.getpid(), flush=True); os._exit(7)"
    command = [*CSM_OTEL, "exec", "--drain-seconds", LONG, "--", sys.executable, "-c", script]
    with (
        broken_backend("hangs") as endpoint,
        as_from_a_terminal(),
        subprocess.Popen(
            command,
            env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        wait_until(lambda: _is_gone(pid))
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 7
    assert b"1 span dropped (1 not delivered in time at shutdown)" in stderr or signals > 1
    assert not has_traceback(stderr)
