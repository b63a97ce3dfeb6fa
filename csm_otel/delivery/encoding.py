"""Span data in, one OTLP request out (a serialized ExportTraceServiceRequest): `encode`.

A request is joined of bytes: those of the spans' shapes, which are encoded once, and between them those of ids, times
and own attributes. What it has to be is defined by `csm_otel.delivery.messages`, to the byte, which fills the messages
of the OTLP package, for a multiple of the time. What is out of the ordinary is left to it: limits that may apply, and
values that only a sampler adds.

Source: protobuf's "Encoding", and opentelemetry/proto/trace/v1/trace.proto for the fields. As in its serializer, fields
are in the order of their numbers, and those with the default value are left out.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import lru_cache
from itertools import chain, starmap
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.delivery.scope import SCOPE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csm_otel.delivery.limits import Limits
    from csm_otel.spans.data import Attributes, Resource, Shape, SpanData, SpanEvent

_MOST_RESOURCES = 256
_MOST_SHAPES = 2048  # of calls and of attempts as many as the mapping remembers
_MOST_OF_SHAPE, _MOST_OF_SPAN = 48, 16  # attributes, of events the latter: more than the mapping has
_LOW_64 = 2**64 - 1
_INTEGERS = range(-(2**63), 2**63)

# The fields of a Span, each with its wire type in the lowest three bits.
_TRACE_AND_SPAN_ID = struct.Struct(">HQQHQ").pack
_BEFORE_STATE = struct.calcsize(">HQQHQ")
_WITH_PARENT_ID = struct.Struct(">HQQHQHQ").pack
_TRACE_ID, _SPAN_ID, _PARENT_ID = 0x0A10, 0x1208, 0x2208  # 16 and 8 bytes long
_TRACE_STATE, _NAME, _KIND = b"\x1a", b"\x2a", b"\x30"
_TIMES = struct.Struct("<BQBQ").pack
_START, _END = 0x39, 0x41
_ATTRIBUTE, _EVENT, _STATUS = b"\x4a", b"\x5a", b"\x7a"
_UNSET = b"\x7a\x00"
_FLAGS = (b"\x85\x01\x00\x01\x00\x00", b"\x85\x01\x00\x03\x00\x00")  # SpanFlags, of a local and a remote parent
_UNSET_AND_FLAGS = tuple(_UNSET + flags for flags in _FLAGS)
_ERROR = b"\x18\x02"
# Of an Event.
_TIME = struct.Struct("<BQ").pack
_DOUBLE = struct.Struct("<Bd").pack
# Numbers 1 to 3, of messages whose fields are distinguished by their names below.
_FIRST, _SECOND, _THIRD = b"\x0a", b"\x12", b"\x1a"


class _UnusualError(Exception):
    """Raised for what is left to protobuf."""


class _Template(NamedTuple):
    """The bytes of a shape, before and after the times."""

    name_and_kind: bytes
    attributes: bytes


def encode(spans: Sequence[SpanData], *, limits: Limits, official: bool = False) -> bytes:
    """Return one OTLP request with the spans grouped by application.

    Attribute counts and lengths and event counts are cut to ``limits``; the rest is in the dropped counts.
    ``official`` has all of it done by protobuf.
    """
    if not official and _are_wide(limits):
        with suppress(_UnusualError, struct.error):
            return _join(spans)
    # most runs are spared the import of protobuf
    from csm_otel.delivery.messages import encode_officially  # ruff: ignore[import-outside-top-level]

    return encode_officially(spans, limits=limits)


def _are_wide(limits: Limits) -> bool:
    """Whether limits leave all that the mapping makes as it is."""
    counts = (limits.max_span_attributes, limits.max_event_attributes, limits.max_events)
    return (
        limits.max_span_attribute_length is None
        and limits.max_attribute_length is None
        and all(most is None or most >= _MOST_OF_SHAPE + _MOST_OF_SPAN for most in counts)
    )


def _join(spans: Sequence[SpanData]) -> bytes:
    applications: dict[Resource, list[bytes]] = {}
    own: Attributes = {}
    encoded_own = b""
    for span in spans:
        if span.own is not own:  # a call and its last attempt often have the same
            own = span.own
            encoded_own = _own_attributes(own)
        encoded = _span(span, encoded_own)
        resource = span.shape.resource
        of_application = applications.get(resource)
        if of_application is None:
            of_application = applications[resource] = []
        of_application += (_SECOND, _varint(len(encoded)), encoded)
    return b"".join(chain.from_iterable(starmap(_application, applications.items())))


def _application(resource: Resource, spans: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the ResourceSpans of a request, with the one ScopeSpans that we have, in pieces: to be joined once."""
    attributes, scope, schema_url = _resource(resource), _scope(), _text(_THIRD, SCOPE.schema_url)
    size_bytes = len(scope) + sum(map(len, spans)) + len(schema_url)
    scope_spans = _SECOND + _varint(size_bytes)
    whole = _varint(len(attributes) + len(scope_spans) + size_bytes)
    return (_FIRST, whole, attributes, scope_spans, scope, *spans, schema_url)


@lru_cache(maxsize=_MOST_RESOURCES)
def _resource(resource: Resource) -> bytes:
    return _field(_FIRST, _attributes(_FIRST, dict(resource.attributes)))


@lru_cache(maxsize=1)
def _scope() -> bytes:
    return _field(_FIRST, _text(_FIRST, SCOPE.name) + _text(_SECOND, SCOPE.version))


def _span(span: SpanData, own: bytes) -> bytes:
    shape, context, parent = span.shape, span.context, span.parent
    start_ns, end_ns, trace_id = span.start_ns, span.end_ns, context.trace_id
    if not start_ns or not end_ns or (own and not shape.is_shared):
        raise _UnusualError
    name_and_kind, attributes = _template(shape) if shape.is_shared else _new_template(shape)
    high, low, is_remote = trace_id >> 64, trace_id & _LOW_64, False
    if parent is None:
        ids = _TRACE_AND_SPAN_ID(_TRACE_ID, high, low, _SPAN_ID, context.span_id)
    else:
        ids = _WITH_PARENT_ID(_TRACE_ID, high, low, _SPAN_ID, context.span_id, _PARENT_ID, parent.span_id)
        is_remote = parent.is_remote
    if context.trace_state:
        ids = ids[:_BEFORE_STATE] + _trace_state(context.trace_state) + ids[_BEFORE_STATE:]
    if span.events or shape.is_error:
        end = _events(span.events) + _status(span) + _FLAGS[is_remote]
    else:
        end = _UNSET_AND_FLAGS[is_remote]
    return b"".join((ids, name_and_kind, _TIMES(_START, start_ns, _END, end_ns), attributes, own, end))


def _own_attributes(own: Attributes) -> bytes:
    if len(own) > _MOST_OF_SPAN:
        raise _UnusualError
    return _attributes(_ATTRIBUTE, own)


def _status(span: SpanData) -> bytes:
    return _field(_STATUS, _text(_SECOND, span.status_message) + _ERROR) if span.shape.is_error else _UNSET


def _new_template(shape: Shape) -> _Template:
    if len(shape.attributes) > _MOST_OF_SHAPE:
        raise _UnusualError
    return _Template(
        _text(_NAME, shape.name) + _KIND + _varint(shape.kind.value), _attributes(_ATTRIBUTE, shape.attributes)
    )


_template = lru_cache(maxsize=_MOST_SHAPES)(_new_template)


@lru_cache(maxsize=64)
def _trace_state(header: str) -> bytes:
    """Return the trace state; an invalid one is left out, as W3C requires."""
    from opentelemetry.trace import TraceState  # ruff: ignore[import-outside-top-level] - few spans have one

    return _text(_TRACE_STATE, TraceState.from_header([header]).to_header())


def _events(events: Sequence[SpanEvent]) -> bytes:
    if len(events) > _MOST_OF_SPAN:
        raise _UnusualError
    return b"".join([_field(_EVENT, _event(event)) for event in events])


def _event(event: SpanEvent) -> bytes:
    if len(event.attributes) > _MOST_OF_SPAN or not event.time_ns:
        raise _UnusualError
    return _TIME(0x09, event.time_ns) + _text(_SECOND, event.name) + _attributes(_THIRD, event.attributes)


def _attributes(tag: bytes, attributes: Attributes) -> bytes:
    """Return KeyValues as fields with this tag.

    Raises:
        _UnusualError: protobuf drops one of them, or knows how to encode it.
    """
    parts: list[bytes] = []
    for key, value in attributes.items():
        if not key:
            raise _UnusualError
        if type(value) is str:  # as nearly all
            text = value.encode("utf-8", "replace")
            parts += (_text_attribute_head(tag, key, len(text)), text)
        else:
            parts.append(_field(tag, _text(_FIRST, key) + _field(_SECOND, _any_value(value))))
    return b"".join(parts)


def _any_value(value: object) -> bytes:
    if isinstance(value, str):
        return _field(_FIRST, value.encode("utf-8", "replace"))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int) and value in _INTEGERS:
        return b"\x18" + _varint(value & _LOW_64)
    if isinstance(value, float):
        return _DOUBLE(0x21, value)
    if isinstance(value, tuple):
        return _field(b"\x2a", b"".join([_field(_FIRST, _any_value(item)) for item in value]))
    raise _UnusualError


@lru_cache(maxsize=4096)
def _text_attribute_head(tag: bytes, key: str, length: int) -> bytes:
    """Return a KeyValue up to its text, which is ``length`` bytes long."""
    value = _FIRST + _varint(length)
    key_value = _text(_FIRST, key) + _SECOND + _varint(len(value) + length) + value
    return tag + _varint(len(key_value) + length) + key_value


def _text(tag: bytes, text: str) -> bytes:
    """Return a field of text, in which a lone surrogate, as in other file names and variables, is a question mark."""
    return _field(tag, text.encode("utf-8", "replace")) if text else b""


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


@lru_cache(maxsize=4096)
def _varint(number: int) -> bytes:
    """Return a number seven bits at a time, the lowest first; all bytes but the last have their highest bit set."""
    encoded = bytearray()
    while number >= 0x80:  # ruff: ignore[magic-value-comparison]
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
