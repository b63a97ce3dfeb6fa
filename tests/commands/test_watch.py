"""A command's output and span. Whole runs are in tests/e2e/test_exec.py."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, cast

import pytest

from csm_otel.commands.launch import Launch
from csm_otel.commands.watch import _command, _signal_name
from csm_otel.config.settings import Settings
from csm_otel.csm.traceparent import TraceParent

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
    command = _command(cast("Child", _Ended()), LAUNCH, Settings(command_args=command_args), {"key": "value"})

    assert (command.name, command.executable, command.pid) == ("etl.py", "python3", 7)
    assert (command.exit_code, command.signal_name) == (143, "SIGTERM")
    assert (command.start_ns, command.end_ns, command.arguments) == (1_000, 2_000, arguments)
    assert command.task == {"key": "value"}
