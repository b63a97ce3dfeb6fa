"""Span data to a waterfall in the terminal: `render_waterfall`.

A trace is a header, the calls in order of their start on one time scale, and a summary. A call that succeeded at once
is one line; one that was retried, failed or is incomplete has its attempts, and the pauses between them, below it.
What does not fit a screen is collapsed, by `csm_otel.report.runs`, with the calls that failed in sight.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from csm_otel.report.bars import Scale
from csm_otel.report.counts import Counts
from csm_otel.report.rows import Row, rows_of
from csm_otel.report.runs import Line, lines_of, row_of_run
from csm_otel.report.shares import lines_by_trace
from csm_otel.report.terminal import Segment, Style, Terminal, columns_of, counted, duration
from csm_otel.spans.data import UNKNOWN_SERVICE
from csm_otel.summary.trace import Trace, exit_code, traces_of, went_well

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from csm_otel.spans.data import SpanData
    from csm_otel.summary.trace import Call

MAX_LINES = 40
"""Of calls and what is below them: about a screen."""
_NO_BOUND = 1_000_000_000  # more lines than spans can have
_MIN_BAR_COLUMNS = 12  # a shorter bar shows nothing
_MAX_BAR_COLUMNS = 60  # beyond that the eye loses the line
_MIN_RESULT_COLUMNS = 8  # a status and the beginning of a word
_MAX_RESULT_COLUMNS = 40  # one long error code must not leave all others without bars
_MIN_NAME_COLUMNS = 12
_GAP = "  "
_LEGEND = "~ ran at the same time as calls just like it: which attempts were whose is not certain"


def render_waterfall(
    spans: Sequence[SpanData],
    *,
    width: int,
    color: bool,
    ascii_only: bool = False,
    max_lines: int = MAX_LINES,
    everything: bool = False,
    only_failed: bool = False,
    shown_before: Mapping[int, Counts] | None = None,
) -> str:
    """Return the traces of the spans as waterfalls, in order of their start; empty without spans.

    No line is wider than ``width`` columns, each ends with a newline. ``color`` adds SGR sequences, ``ascii_only`` is
    for streams of another encoding. ``max_lines`` bounds the lines of calls and what is below them, over all traces;
    each trace has its header and its sum besides. ``everything`` lifts the bound, ``only_failed`` leaves out the calls
    that went well. ``shown_before`` has what an earlier waterfall has shown of a trace, by its id.
    """
    terminal = Terminal(max(width, 1), color, ascii_only)
    traces = traces_of(spans)
    wanted = [_wanted(trace, only_failed=only_failed) for trace in traces]
    most = _NO_BOUND if everything else max(max_lines, 1)
    shares = lines_by_trace(
        [_height(calls, terminal, most) for calls in wanted],
        [not all(map(went_well, _line_spans(trace))) for trace in traces],
        most,
        only_failed=only_failed,
    )
    blocks: list[str] = []
    left_out: list[Trace] = []
    for index, (trace, calls) in enumerate(zip(traces, wanted, strict=True)):
        if index not in shares:
            left_out.append(trace)
            continue
        shown = lines_of(calls, shares[index], lambda call: _height([call], terminal))
        rest = Counts(call.span for call in trace.calls if only_failed and went_well(call.span))
        more = f"... and {rest.text('more')}" if rest else ""
        blocks.append(_block(_lines(trace, shown, more, terminal, (shown_before or {}).get(trace.trace_id))))
    if left_out:
        counts = Counts(call.span for trace in left_out for call in trace.calls)
        what = f"{counted(len(left_out), 'more trace')} with {counts.text() or 'no calls'}"
        blocks.append(_block(terminal.wrapped(f"... and {what}", Style.DIM)))
    return "\n".join(blocks)


def _line_spans(trace: Trace) -> list[SpanData]:
    """Return the spans of the lines to choose from; a trace without calls has the one of its root."""
    return [call.span for call in trace.calls] or [trace.head]


def _wanted(trace: Trace, *, only_failed: bool) -> list[Call]:
    return [call for call in trace.calls if not (only_failed and went_well(call.span))]


def _height(calls: Iterable[Call], terminal: Terminal, most: int = _NO_BOUND) -> int:
    """Return how many lines the calls have with the rows below them, counted up to ``most``."""
    rows = (row for call in calls for row in rows_of(call, 0, terminal))
    return sum(1 for _ in islice(rows, most))


def _block(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _lines(
    trace: Trace, shown: Sequence[Line], more: str, terminal: Terminal, shown_before: Counts | None
) -> Iterator[str]:
    yield _header(trace, terminal)
    yield from _table([row for line in shown for row in _rows(line, trace.interval[0], terminal)], trace, terminal)
    yield from terminal.wrapped(more, Style.DIM)
    if any(len(line.calls) == 1 and line.calls[0].is_ambiguous for line in shown):
        yield from terminal.wrapped(_LEGEND, Style.DIM)
    if shown_before:
        yield from terminal.wrapped(f"{shown_before.nouns()} of this trace shown before", Style.DIM)
    if len(trace.calls) > 1 or (trace.root is not None and (trace.calls or not shown_before)):
        yield from terminal.wrapped(_summary(trace), Style.BOLD)


def _rows(line: Line, start_ns: int, terminal: Terminal) -> Iterator[Row]:
    if len(line.calls) > 1:
        return iter([row_of_run(line.calls, start_ns, terminal)])
    rows = rows_of(line.calls[0], start_ns, terminal)
    return rows if line.is_whole else islice(rows, 1)


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
