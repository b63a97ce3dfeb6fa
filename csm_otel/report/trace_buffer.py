"""A bounded collection of span data for the waterfall: `TraceBuffer`."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from csm_otel.report.counts import Counts
from csm_otel.report.terminal import Terminal
from csm_otel.report.waterfall import MAX_LINES, render_waterfall
from csm_otel.spans.data import SpanRole
from csm_otel.summary.trace import is_process, went_well

if TYPE_CHECKING:
    from collections.abc import Iterable

    from csm_otel.spans.data import SpanData

_MAX_SPANS = 20_000  # far more than is read in a terminal
_MAX_LATER_SPANS = 5_000  # over a thousand failures of three attempts each


class TraceBuffer:
    """A bounded buffer of span data for the waterfall: the first spans, and after them the latest calls that failed.

    What is left out is counted. Commands and processes have a separate bound, as they arrive last.
    """

    def __init__(self, *, max_spans: int = _MAX_SPANS, max_later_spans: int = _MAX_LATER_SPANS) -> None:
        self._max_spans = max_spans
        self._max_later_spans = max_later_spans
        self._first: list[SpanData] = []
        self._later: deque[list[SpanData]] = deque()
        """Calls that failed, each with its attempts."""
        self._later_spans = 0
        self._processes: list[SpanData] = []
        self._latest: SpanData | None = None
        """The call or orphan that was added last, kept or not."""
        self._left_out = Counts()

    def add(self, spans: Iterable[SpanData]) -> None:
        """Add spans, each call followed by its attempts."""
        for span in spans:
            if is_process(span):
                self._keep_or_count(span, self._processes)
            elif span.role is SpanRole.ATTEMPT:
                self._add_attempt(span)
            else:
                self._latest = span
                if went_well(span) or len(self._first) < self._max_spans:
                    self._keep_or_count(span, self._first)
                else:
                    self._later.append([span])
                    self._later_spans += 1
                    self._drop_oldest_failures()

    def render(
        self,
        *,
        width: int,
        color: bool,
        ascii_only: bool = False,
        max_lines: int = MAX_LINES,
        everything: bool = False,
        only_failed: bool = False,
    ) -> str:
        """Return the waterfall of the kept spans, and a line on the dropped ones; see `render_waterfall`."""
        text = render_waterfall(
            (*self._processes, *self._first, *(span for call in self._later for span in call)),
            width=width,
            color=color,
            ascii_only=ascii_only,
            max_lines=max_lines,
            everything=everything,
            only_failed=only_failed,
        )
        if self._left_out:
            terminal = Terminal(max(width, 1), color, ascii_only)
            left_out = terminal.wrapped(f"not in this view or its sums: {self._left_out.text('more')}")
            text += "".join(f"{line}\n" for line in left_out)
        return text

    def _keep_or_count(self, span: SpanData, kept: list[SpanData]) -> None:
        if len(kept) < self._max_spans:
            kept.append(span)
        else:
            self._left_out.add(span)

    def _add_attempt(self, attempt: SpanData) -> None:
        if len(self._first) < self._max_spans:
            self._first.append(attempt)
        elif self._latest is None or not _is_below(attempt, self._latest):
            self._left_out.add(attempt)
        elif self._later and self._later[-1][0] is self._latest and len(self._later[-1]) < self._max_later_spans:
            self._later[-1].append(attempt)
            self._later_spans += 1
            self._drop_oldest_failures()

    def _drop_oldest_failures(self) -> None:
        while self._later_spans > self._max_later_spans:
            call, *attempts = self._later.popleft()
            self._later_spans -= 1 + len(attempts)
            self._left_out.add(call)


def _is_below(attempt: SpanData, call: SpanData) -> bool:
    return attempt.parent is not None and attempt.parent.span_id == call.context.span_id
