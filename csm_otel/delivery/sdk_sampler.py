"""The samplers of the SDK, and those that packages register: spans to decisions."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

import msgspec
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_ON,
    Decision,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from csm_otel.delivery.sampler_choice import ROOTS
from csm_otel.errors import Fault, SettingsError, quoted

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import SamplingResult

    from csm_otel.delivery.sampler_choice import SamplerChoice
    from csm_otel.spans.data import Attributes, SpanData, TraceContext


def sampler_of(choice: SamplerChoice) -> Sampler:
    """Return the configured sampler.

    Besides the six of the specification, those that packages register as ``opentelemetry_traces_sampler``.

    Raises:
        SettingsError: no package registers that name, or its sampler cannot be loaded.
    """
    if not choice.is_standard:
        return _registered_sampler(choice.root, choice.argument or None)
    root = {"always_on": ALWAYS_ON, "always_off": ALWAYS_OFF}.get(choice.root) or TraceIdRatioBased(choice.ratio)
    return ParentBased(root) if choice.follows_parent else root


def _registered_sampler(name: str, argument: str | None) -> Sampler:
    found = list(entry_points(group="opentelemetry_traces_sampler", name=name))
    if not found:
        raise _unusable(
            f"no package here has a sampler {quoted(name)}, use one of {', '.join(ROOTS)}, parentbased_ or not"
        )
    try:
        sampler = found[0].load()(argument)
    except Exception as error:
        # Foreign code at start: any exception is a fault of the settings.
        raise _unusable(f"sampler {quoted(name)} cannot be loaded: {type(error).__name__}") from error
    if not isinstance(sampler, Sampler):
        raise _unusable(f"{quoted(name)} is not a sampler")
    return sampler


def _unusable(text: str) -> SettingsError:
    return SettingsError([Fault("OTEL_TRACES_SAMPLER", text)])


def decide(sampler: Sampler | None, span: SpanData, parent: TraceContext | None) -> SpanData:
    """Return a span with the decision on it; ``parent`` has been decided before. None is the default sampler."""
    attributes = span.attributes
    result = _sample(DEFAULT_ON if sampler is None else sampler, span, parent, dict(attributes))
    decided = msgspec.structs.replace(span, context=_decided(span.context, result), parent=parent)
    added = _added(result, attributes)
    return decided.with_attributes({**attributes, **added}) if added else decided


def _sample(sampler: Sampler, span: SpanData, parent: TraceContext | None, attributes: Attributes) -> SamplingResult:
    context = Context()
    if parent:
        context = set_span_in_context(NonRecordingSpan(_span_context(parent)), context)
    kind = SpanKind[span.kind.name]
    return sampler.should_sample(context, span.context.trace_id, span.name, kind, attributes)


def _span_context(context: TraceContext) -> SpanContext:
    """Return a trace context as the SDK has it; an invalid tracestate is left out, as W3C requires."""
    return SpanContext(
        trace_id=context.trace_id,
        span_id=context.span_id,
        is_remote=context.is_remote,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT),
        trace_state=TraceState.from_header([context.trace_state]) if context.trace_state else None,
    )


def _decided(context: TraceContext, result: SamplingResult) -> TraceContext:
    return msgspec.structs.replace(
        context,
        sampled=result.decision is Decision.RECORD_AND_SAMPLE,
        trace_state=result.trace_state.to_header() if result.trace_state else "",
    )


def _added(result: SamplingResult, given: Attributes) -> Attributes:
    """Return the attributes that a sampler adds; the SDK's return those that they were given."""
    added = {
        key: value for key, value in result.attributes.items() if value is not None and value is not given.get(key)
    }
    return cast("Attributes", added)
