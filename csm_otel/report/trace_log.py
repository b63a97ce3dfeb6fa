"""Batches of spans to the text of a log: `TraceLog`.

The spans of a process or command come in many batches, the root last. Their trace is rendered when the root is there,
whole. Any other trace is rendered with its batch.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.report.counts import Counts
from csm_otel.report.waterfall import render_waterfall
from csm_otel.summary.trace import is_call_or_orphan, is_process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csm_otel.spans.data import SpanData

_MAX_SPANS = 20_000  # as for the waterfall of one command: some 30 MB
_MAX_RENDERED = 4096  # traces that are remembered as rendered; as many as there are processes
_MAX_LINES = 200  # of calls in a text: a log is searched, not seen at a glance
_SO_FAR = "so far, of a process that has not ended:\n"


class _Rendered(NamedTuple):
    lines: Counts
    is_over: bool


class TraceLog:
    """Buffers the traces of processes until their root spans arrive.

    Beyond the bound, the trace with the most spans is rendered as far as it is complete; its later part says so.
    """

    def __init__(
        self, *, width: int, color: bool = False, ascii_only: bool = False, max_spans: int = _MAX_SPANS
    ) -> None:
        """Buffer at most ``max_spans``; see `render_waterfall` for the others."""
        self._width = width
        self._color = color
        self._ascii_only = ascii_only
        self._max_spans = max_spans
        self._waiting: dict[int, list[SpanData]] = {}
        self._spans = 0
        self._rendered: OrderedDict[int, _Rendered] = OrderedDict()

    def add(self, batch: Sequence[SpanData]) -> str:
        """Add a batch, each call followed by its attempts, and return the text of the traces to be printed now."""
        at_once: list[SpanData] = []
        over: list[SpanData] = []
        for span in batch:
            if is_process(span) and (span.parent is None or span.parent.is_remote):
                over.append(span)
            elif self._waits_for_root(span):
                self._waiting.setdefault(span.context.trace_id, []).append(span)
                self._spans += 1
            else:
                at_once.append(span)
        texts = [self._render(at_once)] if at_once else []
        texts += [self._render_trace(root.context.trace_id, root) for root in over]
        while self._spans > self._max_spans:
            longest = max(self._waiting, key=lambda trace_id: len(self._waiting[trace_id]))
            texts.append(_SO_FAR + self._render_trace(longest))
        return "\n".join(texts)

    def flush(self) -> str:
        """Return the text of all buffered traces."""
        return "\n".join(_SO_FAR + self._render_trace(trace_id) for trace_id in list(self._waiting))

    def _waits_for_root(self, span: SpanData) -> bool:
        trace_id, parent = span.context.trace_id, span.parent
        rendered = self._rendered.get(trace_id)
        if rendered is not None and rendered.is_over:
            return False
        # An attempt always has a parent, and stays with its call.
        is_below_a_process = is_call_or_orphan(span) and parent is not None and not parent.is_remote
        return is_below_a_process or trace_id in self._waiting

    def _render_trace(self, trace_id: int, root: SpanData | None = None) -> str:
        spans = self._waiting.pop(trace_id, [])
        self._spans -= len(spans)
        text = self._render([*spans, *([root] if root else [])])
        before = self._rendered.pop(trace_id, None)
        lines = before.lines if before else Counts()
        for span in spans:
            if is_call_or_orphan(span):
                lines.add(span)
        self._rendered[trace_id] = _Rendered(lines, is_over=root is not None)
        if len(self._rendered) > _MAX_RENDERED:
            self._rendered.popitem(last=False)
        return text

    def _render(self, spans: Sequence[SpanData]) -> str:
        shown_before = {trace_id: one.lines for trace_id, one in self._rendered.items()}
        return render_waterfall(
            spans,
            width=self._width,
            color=self._color,
            ascii_only=self._ascii_only,
            max_lines=_MAX_LINES,
            shown_before=shown_before,
        )
