"""The measurements of each released call and orphan: `measure`.

Values and attributes are those of the spans, so that metrics and spans agree. docs/metrics.md lists them.
Source: "Semantic conventions for RPC metrics".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.semconv._incubating.attributes.cloud_attributes import CLOUD_REGION
from opentelemetry.semconv._incubating.attributes.rpc_attributes import RPC_METHOD, RPC_SYSTEM_NAME
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import HTTP_RESPONSE_STATUS_CODE

from csm_otel.correlation.released import CorrelatedCall
from csm_otel.spans.attributes import CSM_NOT_SENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from csm_otel.correlation.released import Released
    from csm_otel.csm.events import Event
    from csm_otel.spans.data import AttributeValue, SpanData, TraceContext

CALL_DURATION = "rpc.client.call.duration"
ATTEMPT_DURATION = "csm_otel.attempt.duration"
CALL_ATTEMPTS = "csm_otel.call.attempts"

_NS_PER_SECOND = 1_000_000_000
# The longest operation of AWS has 75. Senders choose the text, and each of thousands of series repeats it, in the
# format of Prometheus in some twenty lines.
_MAX_VALUE_BYTES = 128
# No application, account, host name or request id: each set of values is a series that lives as long as the process.
_OF_CALLS = (RPC_SYSTEM_NAME, CLOUD_REGION, ERROR_TYPE)
_OF_ATTEMPTS = (CLOUD_REGION, ERROR_TYPE, HTTP_RESPONSE_STATUS_CODE)


class Measurement(NamedTuple):
    """One value of a histogram."""

    name: str
    value: float
    """Seconds, or attempts."""
    attributes: Mapping[str, AttributeValue]
    context: TraceContext | None = None
    """The span with this value, if it is exported."""


def measure(released: Released, tree: Sequence[SpanData], sampled: Sequence[SpanData]) -> Iterator[Measurement]:
    """Yield the measurements of a call with its attempts, or of an orphan.

    ``tree`` is its spans, as mapped, and ``sampled`` those of them that are exported.
    """
    contexts = {span.context.span_id: span.context for span in sampled}
    if not isinstance(released, CorrelatedCall):
        yield from _of_attempts(released.attempt.event, tree[0], tree, contexts)
        return
    call, *attempts = tree
    attributes = _attributes(released.call.event, call, call, _OF_CALLS)
    context = contexts.get(call.context.span_id)
    yield Measurement(CALL_DURATION, _seconds(call), attributes, context)
    yield Measurement(CALL_ATTEMPTS, len(released.attempts) + released.missing, attributes, context)
    yield from _of_attempts(released.call.event, call, attempts, contexts)


def _of_attempts(
    event: Event, call: SpanData, attempts: Sequence[SpanData], contexts: Mapping[int, TraceContext]
) -> Iterator[Measurement]:
    for attempt in attempts:
        if attempt.attribute(CSM_NOT_SENT) is None:
            attributes = _attributes(event, call, attempt, _OF_ATTEMPTS)
            context = contexts.get(attempt.context.span_id)
            yield Measurement(ATTEMPT_DURATION, _seconds(attempt), attributes, context)


def _attributes(event: Event, call: SpanData, span: SpanData, names: Sequence[str]) -> dict[str, AttributeValue]:
    """Return the operation, and the named attributes that the span has."""
    return {
        **_named(call, (RPC_SYSTEM_NAME,)),
        RPC_METHOD: _cut(f"{event.service}/{event.api}"),
        **_named(span, names),
    }


def _named(span: SpanData, names: Sequence[str]) -> dict[str, AttributeValue]:
    return {
        name: _cut(value) if isinstance(value, str) else value
        for name in names
        if (value := span.attribute(name)) is not None
    }


def _cut(text: str) -> str:
    if len(text) <= _MAX_VALUE_BYTES and text.isascii():
        return text
    return text.encode()[:_MAX_VALUE_BYTES].decode(errors="ignore")


def _seconds(span: SpanData) -> float:
    return (span.end_ns - span.start_ns) / _NS_PER_SECOND
