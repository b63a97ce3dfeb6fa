"""Span data to a waterfall in the terminal: `render_waterfall`, and `TraceBuffer` to collect for it.

A trace is a header, the calls in order of their start on one time scale, and a summary. A call that succeeded at once
is one line; one that was retried, failed or is incomplete has its attempts, and the pauses between them, below it.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from csm_otel.report.bars import Scale
from csm_otel.report.rows import Row, rows_of
from csm_otel.report.terminal import Segment, Style, Terminal, columns_of, counted, duration
from csm_otel.report.trace import Trace, exit_code, is_process, traces_of
from csm_otel.spans.data import UNKNOWN_SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from csm_otel.spans.data import SpanData

_MAX_SPANS = 20_000  # far more than is read in a terminal
_MAX_CALLS = 200
_MIN_BAR_COLUMNS = 12  # a shorter bar shows nothing
_MAX_BAR_COLUMNS = 60  # beyond that the eye loses the line
_MIN_RESULT_COLUMNS = 8  # a status and the beginning of a word
_MAX_RESULT_COLUMNS = 40  # one long error code must not leave all others without bars
_MIN_NAME_COLUMNS = 12
_GAP = "  "
_LEGEND = "~ ran at the same time as calls just like it: which attempts were whose is not certain"


class TraceBuffer:
    """A bounded buffer of span data for the waterfall; the first spans are kept, the others counted.

    Commands and processes have a separate bound, as they arrive last.
    """

    def __init__(self, *, max_spans: int = _MAX_SPANS) -> None:
        self._max_spans = max_spans
        self._calls: list[SpanData] = []
        self._processes: list[SpanData] = []
        self._left_out = 0

    def add(self, spans: Iterable[SpanData]) -> None:
        """Add spans until the buffer is full."""
        for span in spans:
            kept = self._processes if is_process(span) else self._calls
            if len(kept) < self._max_spans:
                kept.append(span)
            else:
                self._left_out += 1

    def render(self, *, width: int, color: bool, ascii_only: bool = False, max_calls: int = _MAX_CALLS) -> str:
        """Return the waterfall of the kept spans, and a line on the dropped ones; see `render_waterfall`."""
        spans = (*self._processes, *self._calls)
        text = render_waterfall(spans, width=width, color=color, ascii_only=ascii_only, max_calls=max_calls)
        if self._left_out:
            terminal = Terminal(max(width, 1), color, ascii_only)
            text += _block(_wrapped(f"{counted(self._left_out, 'later span')} not in this view", terminal))
        return text


def render_waterfall(
    spans: Sequence[SpanData],
    *,
    width: int,
    color: bool,
    ascii_only: bool = False,
    max_calls: int = _MAX_CALLS,
    shown_before: Mapping[int, int] | None = None,
) -> str:
    """Return the traces of the spans as waterfalls, in order of their start; empty without spans.

    No line is wider than ``width`` columns, each ends with a newline. ``color`` adds SGR sequences, ``ascii_only`` is
    for streams of another encoding. ``max_calls`` bounds the calls shown, over all traces; ``shown_before`` has the
    number of calls of a trace, by its id, that an earlier waterfall has shown.
    """
    terminal = Terminal(max(width, 1), color, ascii_only)
    room = max_calls
    blocks: list[str] = []
    traces = traces_of(spans)
    for shown, trace in enumerate(traces):
        if room <= 0 and shown:
            calls = sum(len(later.calls) for later in traces[shown:])
            rest = f"... and {counted(len(traces) - shown, 'more trace')} with {counted(calls, 'call')}"
            blocks.append(_block(_wrapped(rest, terminal, Style.DIM)))
            break
        before = (shown_before or {}).get(trace.trace_id, 0)
        blocks.append(_block(_lines(trace, terminal, max(room, 0), before)))
        room -= max(len(trace.calls), 1)
    return "\n".join(blocks)


def _block(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _lines(trace: Trace, terminal: Terminal, max_calls: int, shown_before: int) -> Iterator[str]:
    yield _header(trace, terminal)
    shown, rest = trace.calls[:max_calls], trace.calls[max_calls:]
    yield from _table([row for call in shown for row in rows_of(call, trace.interval[0], terminal)], trace, terminal)
    if rest:
        failed = sum(call.span.is_error for call in rest)
        more = f"... and {counted(len(rest), 'more call')}" + (f", {failed:,} of them failed" if failed else "")
        yield from _wrapped(more, terminal, Style.DIM)
    if any(call.is_ambiguous for call in shown):
        yield from _wrapped(_LEGEND, terminal, Style.DIM)
    if shown_before:
        yield from _wrapped(f"{counted(shown_before, 'call')} of this trace shown before", terminal, Style.DIM)
    if len(trace.calls) > 1 or (trace.root is not None and (trace.calls or not shown_before)):
        yield from _wrapped(_summary(trace), terminal, Style.BOLD)


def _header(trace: Trace, terminal: Terminal) -> str:
    head = trace.head
    start_ns, end_ns = trace.interval
    code = exit_code(head)
    facts = [Segment(duration(end_ns - start_ns))]
    if code is not None:
        facts.append(Segment(f"exit {code}", Style.LOUD if code else Style.PLAIN))
    facts.append(Segment(f"trace {trace.trace_id:032x}", Style.DIM))
    name, service_name = head.name, head.resource.service_name
    if service_name not in {name, UNKNOWN_SERVICE}:
        name = f"{service_name}: {name}"
    used = sum(len(_GAP) + len(fact.text) for fact in facts)
    name = terminal.cut(terminal.printable(name), max(terminal.width - used, _MIN_NAME_COLUMNS))
    return terminal.line(Segment(name, Style.BOLD), *(part for fact in facts for part in (Segment(_GAP), fact)))


def _table(rows: list[Row], trace: Trace, terminal: Terminal) -> Iterator[str]:
    """Lay out the rows in columns: mark, offset, name, bar, length, result; the bar has the remaining width."""
    offset = max((len(row.offset) for row in rows), default=0)
    length = max((len(row.length) for row in rows), default=0)
    result = max((columns_of(row.result) for row in rows), default=0)
    name = min(
        max((columns_of(row.name + row.suffix) for row in rows), default=0),
        max(terminal.width * 3 // 10, _MIN_NAME_COLUMNS),
    )
    left = terminal.width - sum((len("✗ "), offset, len(_GAP), name, len(_GAP), length, len(_GAP), len(_GAP)))
    bar = min(max(left - min(result, _MAX_RESULT_COLUMNS), _MIN_BAR_COLUMNS), _MAX_BAR_COLUMNS)
    scale = Scale(*trace.interval, bar if left - bar >= min(result, _MIN_RESULT_COLUMNS) else 0, terminal.ascii_only)
    for row in rows:
        lead = Segment(f"{row.mark:1} ", row.style), Segment(f"{row.offset:>{offset}}{_GAP}")
        if row.remark:
            yield terminal.line(*lead, Segment(row.remark, row.style))
            continue
        shown_name = terminal.cut(row.name, name - len(row.suffix)) + row.suffix
        yield terminal.line(
            *lead,
            Segment(terminal.fit(shown_name, name) + _GAP, row.style),
            *([Segment(scale.bar(row.busy, row.pauses) + _GAP, row.style)] if scale.columns else []),
            Segment(f"{row.length:>{length}}{_GAP}", Style.DIM if row.style is Style.DIM else Style.PLAIN),
            Segment(row.result + row.detail, row.style),
        )


def _summary(trace: Trace) -> str:
    """Return the counts of calls by result, and the time in calls and in back-off."""
    lines = trace.calls
    calls = [call for call in lines if call.is_call]
    missing = sum(call.attempts_missing for call in calls)
    orphans = sum(call.is_orphan for call in lines)
    if not calls and not orphans:
        return "no AWS calls seen"
    start_ns, end_ns = trace.interval
    parts = [counted(len(calls), "call"), f"{sum(call.span.is_error for call in calls):,} failed"]
    parts += [
        f"{number:,} {what}"
        for number, what in (
            (sum(call.attempt_count > 1 for call in calls), "retried"),
            (sum(call.is_throttled for call in calls), "throttled"),
            (sum(call.is_not_sent for call in calls), "with NO REQUEST SENT"),
        )
        if number
    ]
    if missing:
        parts.append(f"{counted(missing, 'attempt')} not seen")
    if orphans:
        parts.append(f"{counted(orphans, 'attempt')} without {'its call' if orphans == 1 else 'their calls'}")
    text = f"{', '.join(parts)}; {duration(trace.busy_ns)} of {duration(end_ns - start_ns)} in AWS calls"
    return text + (f"; {duration(trace.back_off_ns)} in back-off" if trace.back_off_ns else "")


def _wrapped(text: str, terminal: Terminal, style: Style = Style.PLAIN) -> Iterator[str]:
    """Yield a text of ours, wrapped to the width."""
    for line in textwrap.wrap(text, terminal.width):
        yield terminal.line(Segment(line, style))
