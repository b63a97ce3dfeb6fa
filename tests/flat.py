"""Span data by its fields, of which those of the shape are named with all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from csm_otel.spans.data import Shape, SpanData

if TYPE_CHECKING:
    from csm_otel.spans.data import Attributes

_OF_SHAPE = {"role", "name", "kind", "resource", "attributes", "is_error"}


def flat_span(**fields: Any) -> SpanData:
    """Return a span with a shape of its own."""
    shape = {name: fields.pop(name) for name in _OF_SHAPE & fields.keys()}
    return SpanData(shape=Shape(**shape), **fields)


def changed(span: SpanData, **changes: Any) -> SpanData:
    """Return a span that differs in the fields given, with a shape of its own."""
    of_shape = {"attributes": span.attributes} | {name: changes.pop(name) for name in _OF_SHAPE & changes.keys()}
    shape = msgspec.structs.replace(span.shape, is_shared=False, **of_shape)
    return msgspec.structs.replace(span, shape=shape, own={}, **changes)


def shared(span: SpanData, *, own: Attributes) -> SpanData:
    """Return a span whose shape is that of others as well, with these attributes of its own."""
    return msgspec.structs.replace(span, shape=msgspec.structs.replace(span.shape, is_shared=True), own=own)
