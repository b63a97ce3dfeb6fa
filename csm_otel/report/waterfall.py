"""Span data to a waterfall in the terminal: `render_waterfall`, and `TraceBuffer` to collect for it.

A trace is a header, the calls in order of their start on one time scale, and a summary. A call that succeeded at once
is one line; one that was retried, failed or is incomplete has its attempts, and the pauses between them, below it.
Calls that went well are shown up to a number, and those that failed up to another, wherever they are among the others.
"""

from __future__ import annotations

import textwrap
from collections import deque
from typing import TYPE_CHECKING

from csm_otel.report.bars import Scale
from csm_otel.report.counts import Counts
from csm_otel.report.rows import Row, rows_of
from csm_otel.report.terminal import Segment, Style, Terminal, columns_of, counted, duration
from csm_otel.spans.data import UNKNOWN_SERVICE, SpanRole
from csm_otel.summary.trace import Trace, exit_code, is_process, traces_of, went_well

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from csm_otel.spans.data import SpanData
    from csm_otel.summary.trace import Call

_MAX_SPANS = 20_000  # far more than is read in a terminal
_MAX_LATER_SPANS = 5_000  # over a thousand failures of three attempts each
_MAX_CALLS = 200
_MAX_FAILURES = 1_000
_MIN_BAR_COLUMNS = 12  # a shorter bar shows nothing
_MAX_BAR_COLUMNS = 60  # beyond that the eye loses the line
_MIN_RESULT_COLUMNS = 8  # a status and the beginning of a word
_MAX_RESULT_COLUMNS = 40  # one long error code must not leave all others without bars
_MIN_NAME_COLUMNS = 12
_GAP = "  "
_LEGEND = "~ ran at the same time as calls just like it: which attempts were whose is not certain"


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
        max_calls: int = _MAX_CALLS,
        max_failures: int = _MAX_FAILURES,
    ) -> str:
        """Return the waterfall of the kept spans, and a line on the dropped ones; see `render_waterfall`."""
        text = render_waterfall(
            (*self._processes, *self._first, *(span for call in self._later for span in call)),
            width=width,
            color=color,
            ascii_only=ascii_only,
            max_calls=max_calls,
            max_failures=max_failures,
        )
        if self._left_out:
            terminal = Terminal(max(width, 1), color, ascii_only)
            text += _block(_wrapped(f"not in this view or its sums: {self._left_out.text('more')}", terminal))
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


def render_waterfall(
    spans: Sequence[SpanData],
    *,
    width: int,
    color: bool,
    ascii_only: bool = False,
    max_calls: int = _MAX_CALLS,
    max_failures: int = _MAX_FAILURES,
    shown_before: Mapping[int, Counts] | None = None,
) -> str:
    """Return the traces of the spans as waterfalls, in order of their start; empty without spans.

    No line is wider than ``width`` columns, each ends with a newline. ``color`` adds SGR sequences, ``ascii_only`` is
    for streams of another encoding. ``max_calls`` bounds the calls shown that went well, over all traces, and
    ``max_failures`` the others: of more than that, the first and the last are shown. ``shown_before`` has what an
    earlier waterfall has shown of a trace, by its id.
    """
    terminal = Terminal(max(width, 1), color, ascii_only)
    traces = traces_of(spans)
    chosen = _chosen([span for trace in traces for span in _line_spans(trace)], max(max_calls, 0), max(max_failures, 0))
    blocks: list[str] = []
    left_out: list[Trace] = []
    for trace in traces:
        if blocks and not any(id(span) in chosen for span in _line_spans(trace)):
            left_out.append(trace)
            continue
        shown = [call for call in trace.calls if id(call.span) in chosen]
        rest = [call.span for call in trace.calls if id(call.span) not in chosen]
        more = f"... and {Counts(rest).text('more')}{_limit(rest, max_failures)}" if rest else ""
        blocks.append(_block(_lines(trace, shown, more, terminal, (shown_before or {}).get(trace.trace_id))))
    if left_out:
        rest = [call.span for trace in left_out for call in trace.calls]
        what = f"{counted(len(left_out), 'more trace')} with {Counts(rest).text() or 'no calls'}"
        blocks.append(_block(_wrapped(f"... and {what}{_limit(rest, max_failures)}", terminal, Style.DIM)))
    return "\n".join(blocks)


def _is_below(attempt: SpanData, call: SpanData) -> bool:
    return attempt.parent is not None and attempt.parent.span_id == call.context.span_id


def _line_spans(trace: Trace) -> list[SpanData]:
    """Return the spans of the lines to choose from; a trace without calls has the one of its root."""
    return [call.span for call in trace.calls] or [trace.head]


def _chosen(spans: Sequence[SpanData], max_calls: int, max_failures: int) -> set[int]:
    """Return the ids of the span objects to be shown: the first that went well, the first and the last that did not."""
    well = [id(span) for span in spans if went_well(span)]
    failed = [id(span) for span in spans if not went_well(span)]
    if len(failed) > max_failures:
        last = max_failures // 2
        failed = failed[: max_failures - last] + failed[len(failed) - last :]
    return {*well[:max_calls], *failed}


def _limit(rest: Sequence[SpanData], max_failures: int) -> str:
    """Return the words on the bound of failures where it is why some are in the rest; else nothing."""
    return "" if all(map(went_well, rest)) else f"; at most {max_failures:,} failures are shown"


def _block(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _lines(
    trace: Trace, shown: Sequence[Call], more: str, terminal: Terminal, shown_before: Counts | None
) -> Iterator[str]:
    yield _header(trace, terminal)
    yield from _table([row for call in shown for row in rows_of(call, trace.interval[0], terminal)], trace, terminal)
    yield from _wrapped(more, terminal, Style.DIM)
    if any(call.is_ambiguous for call in shown):
        yield from _wrapped(_LEGEND, terminal, Style.DIM)
    if shown_before:
        yield from _wrapped(f"{shown_before.nouns()} of this trace shown before", terminal, Style.DIM)
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
