"""The span of a command that `exec` ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.semconv._incubating.attributes.process_attributes import (
    PROCESS_COMMAND_ARGS,
    PROCESS_EXECUTABLE_NAME,
    PROCESS_EXIT_CODE,
    PROCESS_PID,
)
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE

from csm_otel.spans.data import AttributeValue, Resource, SpanData, SpanKind, TraceContext

if TYPE_CHECKING:
    from collections.abc import Sequence


def command_span(  # ruff: ignore[too-many-arguments] - what is known of a command
    *,
    name: str,
    executable: str,
    pid: int,
    exit_code: int,
    signal_name: str,
    start_ns: int,
    end_ns: int,
    context: TraceContext,
    parent: TraceContext | None,
    resource: Resource,
    arguments: Sequence[str] | None = None,
) -> SpanData:
    """Return the span of a command, from its start to its end in epoch nanoseconds.

    ``exit_code`` is as a shell gives it, ``signal_name`` empty where no signal ended it, ``arguments`` only on request.
    Source: the conventions for CLI programs (client span).
    """
    attributes: dict[str, AttributeValue] = {
        PROCESS_EXECUTABLE_NAME: executable,
        PROCESS_PID: pid,
        PROCESS_EXIT_CODE: exit_code,
    }
    if arguments is not None:
        attributes[PROCESS_COMMAND_ARGS] = tuple(arguments)
    if exit_code:
        attributes[ERROR_TYPE] = signal_name or str(exit_code)
    return SpanData(
        name=name,
        kind=SpanKind.CLIENT,
        context=context,
        parent=parent,
        start_ns=start_ns,
        end_ns=max(start_ns, end_ns),
        attributes=attributes,
        is_error=bool(exit_code),
        status_message=(f"ended by {signal_name}" if signal_name else f"exit code {exit_code}") if exit_code else "",
        resource=resource,
    )
