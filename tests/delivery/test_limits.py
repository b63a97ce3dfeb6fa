"""The limits of attributes and events that apply."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import SpanLimits as SdkSpanLimits

from csm_otel.delivery.limits import SpanLimits, limits_of

_LIMIT = st.none() | st.integers(0, 200)


@given(_LIMIT, _LIMIT, _LIMIT, _LIMIT, _LIMIT, _LIMIT)
def test_they_are_those_of_the_sdk(
    attributes: int | None,
    attribute_length: int | None,
    span_attributes: int | None,
    span_attribute_length: int | None,
    events: int | None,
    event_attributes: int | None,
) -> None:
    """Whichever are configured, the same apply as in a program with the SDK."""
    expected = SdkSpanLimits(
        max_attributes=attributes,
        max_attribute_length=attribute_length,
        max_span_attributes=span_attributes,
        max_span_attribute_length=span_attribute_length,
        max_events=events,
        max_event_attributes=event_attributes,
    )
    limits = limits_of(
        attributes=attributes,
        attribute_length=attribute_length,
        span_attributes=span_attributes,
        span_attribute_length=span_attribute_length,
        events=events,
        event_attributes=event_attributes,
    )

    assert {name: getattr(expected, name) for name in SpanLimits._fields} == limits._asdict()


def test_nothing_is_configured() -> None:
    """Without configured limits those of the specification apply."""
    sdk = SdkSpanLimits()

    assert SpanLimits(*(getattr(sdk, name) for name in SpanLimits._fields)) == SpanLimits()
