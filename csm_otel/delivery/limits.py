"""The limits of the specification for the attributes and events of a span: `SpanLimits`.

The SDK has a class for them, too, whose import costs 10 ms and 1 MB; the tests compare both.
Source: OpenTelemetry specification, "Attribute Limits" and "Span Limits".
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

_COUNT = 128


class Limits(Protocol):
    """The limits that encoding applies, None where there is none: ours, or those of the SDK."""

    @property
    def max_span_attributes(self) -> int | None:
        """The most attributes of a span."""

    @property
    def max_span_attribute_length(self) -> int | None:
        """Of the texts among them, in characters."""

    @property
    def max_events(self) -> int | None:
        """The most events of a span."""

    @property
    def max_event_attributes(self) -> int | None:
        """The most attributes of an event."""

    @property
    def max_attribute_length(self) -> int | None:
        """Of the texts among those, in characters."""


class SpanLimits(NamedTuple):
    """The limits as they apply; None: no limit."""

    max_span_attributes: int | None = _COUNT
    max_span_attribute_length: int | None = None
    max_events: int | None = _COUNT
    max_event_attributes: int | None = _COUNT
    max_attribute_length: int | None = None


def limits_of(
    *,
    attributes: int | None,
    attribute_length: int | None,
    span_attributes: int | None,
    span_attribute_length: int | None,
    events: int | None,
    event_attributes: int | None,
) -> SpanLimits:
    """Return the limits that apply where some are configured; None is one that is not.

    That for spans, or for events, is preferred to that for all attributes, and this to the default.
    """
    of_all = _COUNT if attributes is None else attributes
    return SpanLimits(
        max_span_attributes=of_all if span_attributes is None else span_attributes,
        max_span_attribute_length=attribute_length if span_attribute_length is None else span_attribute_length,
        max_events=_COUNT if events is None else events,
        max_event_attributes=of_all if event_attributes is None else event_attributes,
        max_attribute_length=attribute_length,
    )
