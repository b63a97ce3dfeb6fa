"""`SpanData`: a span as plain, immutable values, between the mapping and the encoding."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from csm_otel.csm.traceparent import TraceParent

UNKNOWN_SERVICE = "unknown_service"
"""The ``service.name`` of an application that has no name: the resource conventions' fallback."""

AttributeValue = str | bool | int | float | tuple[str, ...]
Attributes = Mapping[str, AttributeValue]


class SpanKind(IntEnum):
    """The span kinds in use, numbered as in OTLP."""

    INTERNAL = 1
    CLIENT = 3


class SpanRole(Enum):
    """What a span stands for. It is not exported."""

    CALL = "call"
    """An API call."""
    ATTEMPT = "attempt"
    """An HTTP request, the child of its call."""
    ORPHAN = "orphan"
    """An attempt without its call."""
    COMMAND = "command"
    """The command of ``exec``."""
    PROCESS = "process"
    """A process, the parent of its calls."""


class TraceContext(msgspec.Struct, frozen=True, kw_only=True):
    """The position of a span in a trace (W3C Trace Context)."""

    trace_id: int
    """128 bits, not zero."""
    span_id: int
    """64 bits, not zero."""
    sampled: bool = True
    trace_state: str = ""
    """The tracestate header as received; may be empty."""
    is_remote: bool = False
    """Whether the span is one of another process."""


def context_of(position: TraceParent, trace_state: str = "", *, is_remote: bool = False) -> TraceContext:
    """Return the context of a span from its traceparent and tracestate."""
    trace_id, span_id, sampled = position
    return TraceContext(
        trace_id=trace_id, span_id=span_id, sampled=sampled, trace_state=trace_state, is_remote=is_remote
    )


class Resource(msgspec.Struct, frozen=True):
    """The monitored application (never this process), as resource attributes."""

    attributes: tuple[tuple[str, AttributeValue], ...]

    @property
    def service_name(self) -> str:
        """The attribute ``service.name``."""
        return str(dict(self.attributes).get("service.name", UNKNOWN_SERVICE))


class SpanEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event within a span; the only one in use is ``exception``."""

    name: str
    time_ns: int
    """Epoch nanoseconds."""
    attributes: Attributes


class SpanData(msgspec.Struct, frozen=True, kw_only=True):
    """A complete span."""

    role: SpanRole
    name: str
    kind: SpanKind
    context: TraceContext
    parent: TraceContext | None
    start_ns: int
    """Epoch nanoseconds."""
    end_ns: int
    """Epoch nanoseconds, never before the start."""
    attributes: Attributes
    events: tuple[SpanEvent, ...] = ()
    is_error: bool = False
    """Whether the status is ERROR; else it is UNSET, never OK."""
    status_message: str = ""
    """The redacted message of the error; "" if the sender gave none."""
    resource: Resource
