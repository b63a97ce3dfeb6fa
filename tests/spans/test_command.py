"""The span of a command: its times, attributes and status."""

from __future__ import annotations

import msgspec
import pytest
from flat import flat_span

from csm_otel.spans.command import Command, command_span
from csm_otel.spans.data import AttributeValue, Resource, SpanKind, SpanRole, TraceContext

CONTEXT = TraceContext(trace_id=1, span_id=2, trace_state="s=1")
PARENT = TraceContext(trace_id=1, span_id=3, is_remote=True)
RESOURCE = Resource((("service.name", "nightly"),))
COMMAND = Command(name="nightly.py", executable="python3", pid=7, exit_code=0, start_ns=5_000, end_ns=9_000)
FACTS: dict[str, AttributeValue] = {"process.executable.name": "python3", "process.pid": 7}


def test_a_command_that_succeeded() -> None:
    """Its span lasts from its start to its end, with status UNSET, where the trace has it."""
    assert command_span(COMMAND, context=CONTEXT, parent=PARENT, resource=RESOURCE) == flat_span(
        role=SpanRole.COMMAND,
        name="nightly.py",
        kind=SpanKind.CLIENT,
        context=CONTEXT,
        parent=PARENT,
        start_ns=5_000,
        end_ns=9_000,
        attributes={**FACTS, "process.exit.code": 0},
        resource=RESOURCE,
    )


@pytest.mark.parametrize(
    ("code", "signal_name", "error", "message"),
    [
        pytest.param(1, "", "1", "exit code 1", id="exit-code"),
        pytest.param(143, "SIGTERM", "SIGTERM", "ended by SIGTERM", id="signal"),
        pytest.param(143, "", "143", "exit code 143", id="a-code-like-a-signal-s"),
    ],
)
def test_a_command_that_failed(code: int, signal_name: str, error: str, message: str) -> None:
    """Its error is the signal that ended it, else its exit code."""
    failed = msgspec.structs.replace(COMMAND, exit_code=code, signal_name=signal_name)

    span = command_span(failed, context=CONTEXT, parent=None, resource=RESOURCE)

    assert span.attributes == {**FACTS, "process.exit.code": code, "error.type": error}
    assert (span.is_error, span.status_message, span.events) == (True, message, ())


@pytest.mark.parametrize("arguments", [(), ("nightly.py", "--all")])
def test_arguments_are_exported_on_request(arguments: tuple[str, ...]) -> None:
    """They are there where the command has them, and else the attribute is absent."""
    span = command_span(
        msgspec.structs.replace(COMMAND, arguments=arguments), context=CONTEXT, parent=None, resource=RESOURCE
    )

    assert span.attributes["process.command_args"] == arguments


def test_the_job_of_a_pipeline() -> None:
    """Its attributes are exported, and no others."""
    task = {"cicd.pipeline.task.name": "backup", "process.exit.code": "1", "x" * 1000: "x"}

    span = command_span(msgspec.structs.replace(COMMAND, task=task), context=CONTEXT, parent=None, resource=RESOURCE)

    assert span.attributes == {**FACTS, "process.exit.code": 0, "cicd.pipeline.task.name": "backup"}


def test_names_that_are_not_utf_8() -> None:
    """What UTF-8 cannot encode of a file's name or an argument is a question mark."""
    odd = msgspec.structs.replace(COMMAND, name="\udcff.py", executable="python\udcff", arguments=("\udcff", "é"))

    span = command_span(odd, context=CONTEXT, parent=None, resource=RESOURCE)

    assert span.name == "?.py"
    assert span.attributes["process.executable.name"] == "python?"
    assert span.attributes["process.command_args"] == ("?", "é")


def test_a_clock_that_was_set_back() -> None:
    """A span never ends before it starts."""
    back = msgspec.structs.replace(COMMAND, end_ns=4_000)

    assert command_span(back, context=CONTEXT, parent=None, resource=RESOURCE).end_ns == 5_000


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"exit_code": 256}, id="exit-code"),
        pytest.param({"pid": -1}, id="pid"),
        pytest.param({"start_ns": -1}, id="start"),
        pytest.param({"end_ns": 2**63}, id="end"),
        pytest.param({"color": "red"}, id="an-unknown-key"),
    ],
)
def test_a_recorded_command_is_checked(changes: dict[str, object]) -> None:
    """A command that is read back keeps to the bounds of a real one."""
    whole = msgspec.to_builtins(COMMAND)
    assert msgspec.convert(whole, Command) == COMMAND

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**whole, **changes}, Command)
