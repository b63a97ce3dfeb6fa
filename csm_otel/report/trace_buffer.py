"""A bounded collection of span data for the waterfall: `TraceBuffer`."""

from __future__ import annotations

from collections import deque
from heapq import heappush, heappushpop
from itertools import chain
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
_SLOWEST_CALLS = 3  # as many as the waterfall shows


class TraceBuffer:
    """A bounded buffer of span data for the waterfall: the first spans, then the latest failed and the slowest calls.

    What is left out is counted. Commands and processes have a separate bound, as they arrive last.
    """

    def __init__(self, *, max_spans: int = _MAX_SPANS, max_later_spans: int = _MAX_LATER_SPANS) -> None:
        self._max_spans = max_spans
        self._max_later_spans = max_later_spans
        self._first: list[SpanData] = []
        self._later: deque[list[SpanData]] = deque()
        """Calls that failed, each with its attempts."""
        self._later_spans = 0
        self._slowest: list[list[SpanData]] = []
        """Of the later calls that went well, each with its attempts, the slowest first."""
        self._longest_ns: list[int] = []
        """The lengths of the slowest calls of all, as a heap."""
        self._processes: list[SpanData] = []
        self._latest: list[SpanData] = []
        """The call or orphan that was added last, kept or not, and its attempts that are not among the first spans."""
        self._left_out = Counts()

    def add(self, spans: Iterable[SpanData]) -> None:
        """Add spans, each call followed by its attempts."""
        for span in spans:
            if span.role is SpanRole.ATTEMPT:
                self._add_attempt(span)
            elif not is_process(span):
                self._add_call(span)
            elif len(self._processes) < self._max_spans:
                self._processes.append(span)
            else:
                self._left_out.add(span)

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
            (*self._processes, *self._first, *chain.from_iterable((*self._later, *self._slowest))),
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

    def _add_call(self, span: SpanData) -> None:
        self._latest = [span]
        is_slow = self._is_slow(span)
        if len(self._first) < self._max_spans:
            self._first.append(span)
        elif not went_well(span):
            self._later.append(self._latest)
            self._later_spans += 1
            self._drop_oldest_failures()
        elif is_slow:
            self._slowest.append(self._latest)
            self._slowest.sort(key=_length_ns, reverse=True)
            if len(self._slowest) > _SLOWEST_CALLS:
                self._left_out.add(self._slowest.pop()[0])
        else:
            self._left_out.add(span)

    def _add_attempt(self, attempt: SpanData) -> None:
        if len(self._first) < self._max_spans:
            self._first.append(attempt)
        elif not self._latest or not _is_below(attempt, self._latest[0]):
            self._left_out.add(attempt)
        elif len(self._latest) < self._max_later_spans:
            self._latest.append(attempt)
            if self._later and self._later[-1] is self._latest:
                self._later_spans += 1
                self._drop_oldest_failures()

    def _is_slow(self, span: SpanData) -> bool:
        """Return whether a call, or an orphan, is slower than all but a few before it."""
        length_ns = span.end_ns - span.start_ns
        if len(self._longest_ns) < _SLOWEST_CALLS:
            heappush(self._longest_ns, length_ns)
            return True
        return heappushpop(self._longest_ns, length_ns) < length_ns

    def _drop_oldest_failures(self) -> None:
        while self._later_spans > self._max_later_spans:
            call, *attempts = self._later.popleft()
            self._later_spans -= 1 + len(attempts)
            self._left_out.add(call)


def _is_below(attempt: SpanData, call: SpanData) -> bool:
    return attempt.parent is not None and attempt.parent.span_id == call.context.span_id


def _length_ns(call: list[SpanData]) -> int:
    return call[0].end_ns - call[0].start_ns
