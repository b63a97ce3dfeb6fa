"""Finished calls to lines, at a bounded rate: `LiveLines`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.report.counts import Counts
from csm_otel.report.rows import call_row
from csm_otel.report.terminal import Segment, Style
from csm_otel.summary.trace import Call, is_call_or_orphan, went_well

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csm_otel.report.terminal import Terminal
    from csm_otel.spans.data import SpanData

_MAX_PER_SECOND = 20  # more cannot be read
_MAX_FAILED_PER_SECOND = 20  # besides
_GAP = "  "


class LiveLines:
    """Makes a line of each finished call, up to 20 a second, and 20 of those that failed; the others are counted."""

    def __init__(self, terminal: Terminal, *, stamp: Callable[[SpanData], str]) -> None:
        """Begin each line with the ``stamp`` of its call."""
        self._terminal = terminal
        self._stamp = stamp
        self._second = 0
        self._shown = 0
        self._shown_failed = 0
        self._left_out = Counts()

    def add(self, spans: Sequence[SpanData], *, now: float) -> str:
        """Add a call followed by its attempts, and return the lines that are due; ``now`` is monotonic seconds."""
        span, *attempts = spans
        if not is_call_or_orphan(span):
            return ""
        text = self.flush() if int(now) != self._second else ""
        self._second = int(now)
        if self._has_room(failed=not went_well(span)):
            return text + self._line(Call(span=span, attempts=tuple(attempts)))
        self._left_out.add(span)
        return text

    def flush(self) -> str:
        """Return a line on the calls that had none, if there are any, and count anew."""
        left_out, self._left_out = self._left_out, Counts()
        self._shown = self._shown_failed = 0
        return f"... and {left_out.text('more')}\n" if left_out else ""

    def _has_room(self, *, failed: bool) -> bool:
        if self._shown < _MAX_PER_SECOND:
            self._shown += 1
            return True
        self._shown_failed += failed
        return failed and self._shown_failed <= _MAX_FAILED_PER_SECOND

    def _line(self, call: Call) -> str:
        terminal = self._terminal
        row = call_row(call, 0, terminal)
        message = terminal.printable(call.span.status_message)
        facts = (
            Segment(f"{row.mark:1} ", row.style),
            Segment(terminal.printable(self._stamp(call.span)) + _GAP, Style.DIM),
            Segment(row.name + row.suffix + _GAP, row.style),
            Segment(row.length + _GAP),
            Segment(row.result + (f": {message}" if message else ""), row.style),
        )
        return f"{terminal.line(*facts)}\n"
