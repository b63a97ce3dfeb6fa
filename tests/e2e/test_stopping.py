"""The end of a daemon and of `exec`: one deadline for all of it, and nothing is lost without a count."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Literal

import pytest
from e2e.lifecycle import broken_backend, flood, seconds_to_stop, send_attempts, send_calls
from e2e.programs import CSM_OTEL, DEADLINE_SECONDS, environment, has_traceback, run, serving
from otlp_backend import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

DRAIN_SECONDS = 1.5
# For the interpreter's end, and for a machine that is busy with other tests.
SLACK_SECONDS = 1.5
with_each_broken_backend = pytest.mark.parametrize("kind", ["hangs", "drips"])


def count(text: bytes, what: str) -> int:
    """Return the number in front of words in a tally; 0 where they are not there."""
    found = re.search(rf"([\d,]+) {what}", text.decode())
    return int(found[1].replace(",", "")) if found else 0


@with_each_broken_backend
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("spool", [False, True], ids=["memory", "spool"])
def test_a_broken_back_end(kind: Literal["hangs", "drips"], protocol: str, tmp_path: Path, *, spool: bool) -> None:
    """Whatever a back end does, the deadline holds, and what it did not take is spooled, or counted as dropped."""
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
        assert seconds_to_stop(daemon, signal.SIGTERM) < DRAIN_SECONDS + SLACK_SECONDS
    kept, dropped = (
        count(daemon.rest, "spans kept in the spool"),
        count(daemon.rest, r"spans dropped \(\d+ not delivered in time"),
    )
    assert (50, 0) == ((kept, dropped) if spool else (dropped, kept))
    assert not has_traceback(daemon.rest)


@pytest.mark.parametrize("drain_seconds", [0, DRAIN_SECONDS], ids=lambda seconds: f"{seconds:g}s")
def test_load_that_does_not_stop(drain_seconds: float) -> None:
    """Somebody goes on sending, far more waits than can be sent off: the deadline holds and all that came is counted.

    The back end hangs at that.
    """
    flags = ["--drain-seconds", str(drain_seconds), "--pending-events", "20000"]
    with (
        broken_backend("hangs") as endpoint,
        serving(*flags, env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)) as daemon,
    ):
        send_attempts(daemon, 8000)
        with flood(daemon):
            assert seconds_to_stop(daemon, signal.SIGTERM) < drain_seconds + SLACK_SECONDS
    received = count(daemon.rest, "datagrams received")
    assert received > 8000
    decoded = count(daemon.rest, "orphan attempts,?\n")
    undecoded = count(daemon.rest, "datagrams given up at the end") if b"given up" in daemon.rest else 0
    assert decoded + undecoded == received
    assert count(daemon.rest, "spans dropped") == decoded
    assert not has_traceback(daemon.rest)


def test_what_waits_gets_to_a_healthy_back_end(tmp_path: Path) -> None:
    """Without a broken back end the default deadline is enough for all that a few thousand attempts left behind."""
    file = tmp_path / "out.jsonl"
    with serving("--file", file, env=environment(OTEL_TRACES_EXPORTER="none")) as daemon:
        send_attempts(daemon, 3000)
        assert daemon.stop() == 0
    assert b"3,000 spans delivered" in daemon.rest
    assert b"dropped (" not in daemon.rest


@with_each_broken_backend
def test_exec_with_a_broken_back_end(kind: Literal["hangs", "drips"]) -> None:
    """The deadline of exec is one for all, too, and the exit code stays the command's."""
    with broken_backend(kind) as endpoint:
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        began = time.monotonic()
        done = run("exec", "--drain-seconds", str(DRAIN_SECONDS), "--", sys.executable, "-c", "exit(7)", env=env)
        took_seconds = time.monotonic() - began
    assert done.returncode == 7
    assert b"1 span dropped (1 not delivered in time at the end)" in done.stderr
    assert DRAIN_SECONDS <= took_seconds < DRAIN_SECONDS + 2 * SLACK_SECONDS  # with the start


def test_the_deadline_begins_with_the_signal() -> None:
    """A drain of no seconds ends at once, with what a few scripts left behind."""
    with broken_backend("hangs") as endpoint:
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        with serving("--drain-seconds", "0", env=env) as daemon:
            send_calls(daemon, 50)
            assert seconds_to_stop(daemon, signal.SIGTERM) < SLACK_SECONDS
    assert b"50 spans dropped (50 not delivered in time at the end)" in daemon.rest


_SENDER = """
import os, socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    for number in range(2000):
        sock.sendto(b"[" + b"x" * 100 + b"]", ("127.0.0.1", int(os.environ["AWS_CSM_PORT"])))
print(os.getpid(), flush=True)
"""


@contextlib.contextmanager
def _slow_reader(pipe: Path) -> Generator[None]:
    """Make a named pipe and read it slowly, so that a writer never waits for long and is never done."""
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    is_over = threading.Event()

    def read() -> None:
        while not is_over.wait(0.5):
            with contextlib.suppress(BlockingIOError):
                os.read(reader, 4096)

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
    """A pipe that is read slowly is waited for until a signal comes; what is left then is told and counted."""
    pipe = tmp_path / "pipe"
    flags = ["--drain-seconds", "60", "--record", str(pipe)]
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
        began = time.monotonic()
        _, told = process.communicate(timeout=DEADLINE_SECONDS)
        took_seconds = time.monotonic() - began
    assert process.returncode == 0
    assert took_seconds < 2 * SLACK_SECONDS
    unrecorded = count(told, "lines of the recording could not be written")
    assert 0 < count(told, "lines not written in time at the end") <= unrecorded
    assert not has_traceback(told)
