"""A daemon beside the steps of a job, ended as the systems end it, while its back end is slow or hangs."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from e2e.github_runner import CANCELLATION
from e2e.lifecycle import send_calls
from e2e.programs import environment, has_traceback, serving
from otlp_backend import FOREVER_SECONDS, Answer, HttpBackend

if TYPE_CHECKING:
    from e2e.programs import Serving

CALLS = 20


def cancel(daemon: Serving) -> int:
    """End it as GitHub ends a background step, with the same signals at the same distances; return its exit code."""
    for number, seconds in CANCELLATION:
        daemon.process.send_signal(number)
        try:
            _, daemon.rest = daemon.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            continue
        break
    return daemon.process.returncode


@pytest.mark.parametrize(
    ("answer_seconds", "flags", "codes", "said"),
    [
        pytest.param(3.0, ["--drain-seconds", "6"], [0], b"20 spans delivered\n", id="slow"),
        pytest.param(
            FOREVER_SECONDS,
            ["--drain-seconds", "6"],
            [0, -signal.SIGTERM],  # the latter on a machine that is too busy
            b"20 spans dropped (20 not delivered in time at shutdown)\n",
            id="hangs",
        ),
        pytest.param(
            FOREVER_SECONDS,
            ["--drain-seconds", "60"],
            [-signal.SIGTERM],
            b"20 spans dropped (20 not delivered in time at shutdown)\n",
            id="hangs, and is to be waited for longer than GitHub does",
        ),
    ],
)
def test_a_background_step(answer_seconds: float, flags: list[str], codes: list[int], said: bytes) -> None:
    """It ends before SIGKILL, and says what it delivered and what it lost, also where SIGTERM cuts it short."""
    with HttpBackend() as backend:
        backend.script(Answer(delay_seconds=answer_seconds))
        with serving(*flags, env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint)) as daemon:
            send_calls(daemon, CALLS)
            assert cancel(daemon) in codes
    assert b"20 datagrams received in " in daemon.rest
    assert said in daemon.rest
    assert not has_traceback(daemon.rest)


def test_sigkill_without_a_flush() -> None:
    """What is in no batch yet is lost, and nothing says so: a service container has to be flushed."""
    with HttpBackend() as backend:
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint, OTEL_BSP_SCHEDULE_DELAY="60000")
        with serving(env=env) as daemon:
            send_calls(daemon, CALLS)
            assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
        assert backend.spans == []
    assert daemon.rest == b""
