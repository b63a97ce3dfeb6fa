"""Head sampling: spans in, the sampled ones out, decided span by span as in an SDK.

How a call ended is known before its span is created, and is among the attributes: a sampler that reads ``error.type``
can keep every failure.
"""

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

from csm_otel.delivery.sampler_choice import ROOTS, SamplerChoice
from csm_otel.errors import Fault, SettingsError, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace.sampling import SamplingResult

    from csm_otel.spans.data import Attributes, SpanData, TraceContext


class HeadSampler:
    """Decides which spans are exported, by any sampler of the SDK or of a plug-in."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def keep(self, tree: Sequence[SpanData]) -> Sequence[SpanData]:
        """Return the sampled spans, with the sampler's attributes and trace state.

        ``tree`` holds spans of one trace, parents first. A span whose parent is in the tree follows the decision
        for that one, any other the parent it names. What is recorded but not sampled is left out too:
        the specification forbids exporting it.
        """
        if self._sampler is DEFAULT_ON and _are_plain(tree):
            return tree
        decided: dict[int, TraceContext] = {}
        kept: list[SpanData] = []
        for span in tree:
            parent = decided.get(span.parent.span_id, span.parent) if span.parent else None
            span = self._decide(span, parent)  # ruff: ignore[redefined-loop-name]
            decided[span.context.span_id] = span.context
            if span.context.sampled:
                kept.append(span)
        return kept

    def decide(self, root: SpanData) -> SpanData:
        """Return a root span with the decision on it, before it is complete.

        Its children, which come first, then follow its context; it must not be passed to `keep` any more.
        """
        return self._decide(root, None)

    def _decide(self, span: SpanData, parent: TraceContext | None) -> SpanData:
        """Return a span with the decision on it; ``parent`` has been decided before."""
        attributes = span.attributes
        result = self._sample(span, parent, dict(attributes))
        decided = msgspec.structs.replace(span, context=_decided(span.context, result), parent=parent)
        added = _added(result, attributes)
        return decided.with_attributes({**attributes, **added}) if added else decided

    def _sample(self, span: SpanData, parent: TraceContext | None, attributes: Attributes) -> SamplingResult:
        context = Context()
        if parent:
            context = set_span_in_context(NonRecordingSpan(_span_context(parent)), context)
        kind = SpanKind[span.kind.name]
        return self._sampler.should_sample(context, span.context.trace_id, span.name, kind, attributes)


def load_sampler(choice: SamplerChoice) -> Sampler:
    """Return the configured sampler.

    Besides the six of the specification, those that packages register as ``opentelemetry_traces_sampler``.

    Raises:
        SettingsError: no package registers that name, or its sampler cannot be loaded.
    """
    if choice == SamplerChoice():
        return DEFAULT_ON
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


def _are_plain(tree: Sequence[SpanData]) -> bool:
    """Whether a sampler that follows the parent, and keeps roots, leaves all spans unchanged, as nearly always.

    Asking the sampler costs more than mapping and encoding, and its answer is known.
    """
    for span in tree:
        context, parent = span.context, span.parent
        if not context.sampled or context.trace_state:
            return False
        if parent is not None and (not parent.sampled or parent.trace_state):
            return False
    return True


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
