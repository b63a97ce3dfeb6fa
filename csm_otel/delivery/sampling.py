"""Head sampling: spans in, the sampled ones out, decided span by span as in an SDK.

How a call ended is known before its span is created, and is among the attributes: a sampler that reads ``error.type``
can keep every failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.delivery.sampler_choice import SamplerChoice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace.sampling import Sampler

    from csm_otel.spans.data import SpanData, TraceContext


class HeadSampler:
    """Decides which spans are exported, by any sampler of the SDK or of a plug-in."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        """Ask a sampler; None stands for the default, which follows the parent and keeps roots.

        That one is known, so the SDK is loaded only when a span comes that it may change.
        """
        self._sampler = sampler

    def keep(self, tree: Sequence[SpanData]) -> Sequence[SpanData]:
        """Return the sampled spans, with the sampler's attributes and trace state.

        ``tree`` holds spans of one trace, parents first. A span whose parent is in the tree follows the decision
        for that one, any other the parent it names. What is recorded but not sampled is left out too:
        the specification forbids exporting it.
        """
        if self._sampler is None and _are_plain(tree):
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
        return root if self._sampler is None and _are_plain([root]) else self._decide(root, None)

    def _decide(self, span: SpanData, parent: TraceContext | None) -> SpanData:
        """Return a span with the decision on it; ``parent`` has been decided before."""
        from csm_otel.delivery.sdk_sampler import decide  # ruff: ignore[import-outside-top-level]

        return decide(self._sampler, span, parent)


def load_sampler(choice: SamplerChoice) -> Sampler | None:
    """Return the configured sampler, None for the default; see `csm_otel.delivery.sdk_sampler.sampler_of`.

    Raises:
        SettingsError: no package registers that name, or its sampler cannot be loaded.
    """
    if choice == SamplerChoice():
        return None
    from csm_otel.delivery.sdk_sampler import sampler_of  # ruff: ignore[import-outside-top-level]

    return sampler_of(choice)


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
