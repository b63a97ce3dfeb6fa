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


class TraceContext(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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


def utf8_text(text: str) -> str:
    """Return text that UTF-8 can encode: file names, arguments and variables may contain lone surrogates."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class Resource(msgspec.Struct, frozen=True, cache_hash=True):
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


class Shape(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a span has in common with others: of the same application and operation, with the same result.

    It is compared by identity, so that whatever is made of it can be found again at no cost.
    """

    role: SpanRole
    name: str
    kind: SpanKind
    resource: Resource
    attributes: Attributes
    is_error: bool = False
    """Whether the status is ERROR; else it is UNSET, never OK."""
    is_shared: bool = False
    """Whether more spans are expected to have it; their own attributes then have names that are not among its."""


class SpanData(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):  # no span can be part of a cycle
    """A complete span: its shape, and what is its own."""

    shape: Shape
    context: TraceContext
    parent: TraceContext | None
    start_ns: int
    """Epoch nanoseconds."""
    end_ns: int
    """Epoch nanoseconds, never before the start."""
    own: Attributes = msgspec.field(default_factory=dict)
    """The attributes beside those of the shape."""
    events: tuple[SpanEvent, ...] = ()
    status_message: str = ""
    """The redacted message of the error; "" if the sender gave none."""

    @property
    def role(self) -> SpanRole:
        """What it stands for."""
        return self.shape.role

    @property
    def name(self) -> str:
        """Its name."""
        return self.shape.name

    @property
    def kind(self) -> SpanKind:
        """Its kind."""
        return self.shape.kind

    @property
    def resource(self) -> Resource:
        """The application."""
        return self.shape.resource

    @property
    def is_error(self) -> bool:
        """Whether the status is ERROR; else it is UNSET, never OK."""
        return self.shape.is_error

    @property
    def attributes(self) -> dict[str, AttributeValue]:
        """All attributes: those of the shape, then its own; a new dictionary each time."""
        return {**self.shape.attributes, **self.own}

    def attribute(self, name: str) -> AttributeValue | None:
        """Return one attribute, None if it is absent."""
        value = self.own.get(name)
        return self.shape.attributes.get(name) if value is None else value

    def with_attributes(self, attributes: Attributes) -> SpanData:
        """Return this span with these attributes instead of all others, and so with a shape of its own."""
        shape = msgspec.structs.replace(self.shape, attributes=attributes, is_shared=False)
        return msgspec.structs.replace(self, shape=shape, own={})

    def __eq__(self, other: object) -> bool:
        """Compare as values, whatever is shared."""
        return isinstance(other, SpanData) and self._values() == other._values()

    __hash__ = None  # type: ignore[assignment]

    def _values(self) -> tuple[object, ...]:
        return (
            (self.role, self.name, self.kind, self.context, self.parent, self.start_ns, self.end_ns),
            (self.attributes, self.events, self.is_error, self.status_message, self.resource),
        )
