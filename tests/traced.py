"""Spans of calls, attempts and commands for tests, with times in milliseconds from `T0`."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from flat import flat_span

from csm_otel.spans.data import AttributeValue, Resource, SpanKind, SpanRole, TraceContext
from csm_otel.summary.trace import Call

if TYPE_CHECKING:
    from csm_otel.spans.data import SpanData

MS = 1_000_000
T0 = 1_700_000_000_000 * MS
TRACE_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736
RESOURCE = Resource((("service.name", "legacy-etl"),))
_span_ids = count(1)


def traced(
    name: str,
    start_ms: int,
    end_ms: int,
    *,
    role: SpanRole = SpanRole.CALL,
    parent: SpanData | None = None,
    status: int | None = None,
    error: str = "",
    message: str = "",
    trace_id: int = TRACE_ID,
    attributes: dict[str, AttributeValue] | None = None,
) -> SpanData:
    """Return a span, which failed where it has an ``error``."""
    known = {"http.response.status_code": status, "error.type": error or None, **(attributes or {})}
    return flat_span(
        role=role,
        name=name,
        kind=SpanKind.CLIENT,
        context=TraceContext(trace_id=parent.context.trace_id if parent else trace_id, span_id=next(_span_ids)),
        parent=parent.context if parent else None,
        start_ns=T0 + start_ms * MS,
        end_ns=T0 + end_ms * MS,
        attributes={key: value for key, value in known.items() if value is not None},
        is_error=bool(error),
        status_message=message,
        resource=RESOURCE,
    )


def command(end_ms: int = 1000, *, code: int = 0, name: str = "legacy.py") -> SpanData:
    """Return the span of a command that began at `T0`."""
    return traced(name, 0, end_ms, role=SpanRole.COMMAND, attributes={"process.exit.code": code})


def attempt_of(
    call: SpanData,
    start_ms: int,
    end_ms: int,
    *,
    status: int | None = 200,
    error: str = "",
    attributes: dict[str, AttributeValue] | None = None,
) -> SpanData:
    """Return the span of an attempt."""
    name = f"{call.name} attempt"
    role = SpanRole.ATTEMPT
    return traced(
        name, start_ms, end_ms, role=role, parent=call, status=status, error=error, attributes=attributes or {}
    )


def called(name: str, start_ms: int, end_ms: int, *, status: int | None = 200, error: str = "") -> Call:
    """Return a call with one attempt of the same length."""
    span = traced(name, start_ms, end_ms, status=status, error=error)
    return Call(span=span, attempts=(attempt_of(span, start_ms, end_ms, status=status, error=error),))
