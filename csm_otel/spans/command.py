"""The command that `exec` ran, and its span: `Command`, `command_span`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from opentelemetry.semconv._incubating.attributes.cicd_attributes import (
    CICD_PIPELINE_TASK_NAME,
    CICD_PIPELINE_TASK_RUN_ID,
    CICD_PIPELINE_TASK_RUN_URL_FULL,
)
from opentelemetry.semconv._incubating.attributes.process_attributes import (
    PROCESS_COMMAND_ARGS,
    PROCESS_EXECUTABLE_NAME,
    PROCESS_EXIT_CODE,
    PROCESS_PID,
)
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE

from csm_otel.csm.times import MAX_WALL_NS
from csm_otel.spans.data import AttributeValue, Resource, Shape, SpanData, SpanKind, SpanRole, TraceContext, utf8_text

_TASK = (CICD_PIPELINE_TASK_NAME, CICD_PIPELINE_TASK_RUN_ID, CICD_PIPELINE_TASK_RUN_URL_FULL)


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A command that has ended."""

    name: str
    """Its script, else its program."""
    executable: str
    pid: Annotated[int, Meta(ge=0, lt=2**31)]
    exit_code: Annotated[int, Meta(ge=0, le=255)]
    """As a shell reports it: 128+n for signal n."""
    signal_name: str = ""
    """"" if no signal ended it."""
    start_ns: Annotated[int, Meta(ge=0, le=MAX_WALL_NS)]
    end_ns: Annotated[int, Meta(ge=0, le=MAX_WALL_NS)]
    """Epoch nanoseconds."""
    arguments: tuple[str, ...] | None = None
    """None unless requested: they may hold secrets."""
    task: dict[str, str] = {}
    """Attributes of the job of a CI pipeline that ran it."""


def command_span(
    command: Command, *, context: TraceContext, parent: TraceContext | None, resource: Resource
) -> SpanData:
    """Return the span of a command, from its start to its end.

    Source: the conventions for CLI programs (client span).
    """
    attributes: dict[str, AttributeValue] = {
        PROCESS_EXECUTABLE_NAME: utf8_text(command.executable),
        PROCESS_PID: command.pid,
        PROCESS_EXIT_CODE: command.exit_code,
    }
    # A recording may have any others.
    attributes |= {key: utf8_text(command.task[key]) for key in _TASK if key in command.task}
    if command.arguments is not None:
        attributes[PROCESS_COMMAND_ARGS] = tuple(map(utf8_text, command.arguments))
    if command.exit_code:
        attributes[ERROR_TYPE] = command.signal_name or str(command.exit_code)
    shape = Shape(
        role=SpanRole.COMMAND,
        name=utf8_text(command.name),
        kind=SpanKind.CLIENT,
        resource=resource,
        attributes=attributes,
        is_error=bool(command.exit_code),
    )
    return SpanData(
        shape=shape,
        context=context,
        parent=parent,
        start_ns=command.start_ns,
        end_ns=max(command.start_ns, command.end_ns),
        status_message=_status_message(command),
    )


def _status_message(command: Command) -> str:
    if not command.exit_code:
        return ""
    return f"ended by {command.signal_name}" if command.signal_name else f"exit code {command.exit_code}"
