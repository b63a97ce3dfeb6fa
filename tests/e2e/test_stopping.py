"""The end of a daemon and of `exec`: one deadline for all of it, and nothing is lost without a count."""

from __future__ import annotations

import re
import signal
import sys
import time
from typing import TYPE_CHECKING, Literal

import pytest
from e2e.lifecycle import broken_backend, flood, seconds_to_stop, send_attempts, send_calls
from e2e.programs import environment, has_traceback, run, serving

if TYPE_CHECKING:
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
