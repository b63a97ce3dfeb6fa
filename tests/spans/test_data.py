"""Span data: contexts, resources, and what they mean where something is absent."""

from __future__ import annotations

import msgspec
import pytest
from arrivals import called, failed, tried
from mapped import mapped

from csm_otel.csm.traceparent import parse_traceparent
from csm_otel.spans.data import Resource, SpanKind, SpanRole, TraceContext, context_of

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}"
TRACE, SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7


@pytest.mark.parametrize(("flags", "sampled"), [("01", True), ("00", False)])
@pytest.mark.parametrize("is_remote", [True, False])
def test_the_context_of_a_traceparent(flags: str, *, sampled: bool, is_remote: bool) -> None:
    """Ids and the sampled flag are those of the header; the trace state is passed on as it came."""
    position = parse_traceparent(TRACEPARENT.format(flags=flags))
    assert position is not None

    assert context_of(position, "vendor=1", is_remote=is_remote) == TraceContext(
        trace_id=TRACE, span_id=SPAN, sampled=sampled, trace_state="vendor=1", is_remote=is_remote
    )


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        pytest.param((), "unknown_service", id="absent"),
        pytest.param((("host.name", "build-7"), ("service.name", "nightly")), "nightly", id="present"),
        pytest.param((("service.name", 7),), "7", id="not-a-text"),
    ],
)
def test_the_name_of_the_application(attributes: tuple[tuple[str, str | int], ...], expected: str) -> None:
    """It is the attribute service.name, or the conventions' fallback."""
    assert Resource(attributes).service_name == expected


def test_kinds_are_numbered_as_in_otlp() -> None:
    """The numbers go into requests as they are."""
    assert {kind.name: kind.value for kind in SpanKind} == {"INTERNAL": 1, "CLIENT": 3}


def test_each_span_has_its_role() -> None:
    """Spans of calls, attempts and orphans differ by role, whatever their names."""
    spans = mapped(tried("a", 2, 27), called(0, 30), tried("b", 40, 50, Api="PutObject", **failed()))

    assert [span.role for span in spans] == [SpanRole.CALL, SpanRole.ATTEMPT, SpanRole.ORPHAN]


def test_span_data_is_immutable() -> None:
    """A span may be kept in many places at once."""
    (span, _) = mapped(tried("a", 2, 27), called(0, 30))

    with pytest.raises(AttributeError):
        span.name = "other"  # type: ignore[misc]
    assert msgspec.structs.replace(span, start_ns=0).start_ns == 0
