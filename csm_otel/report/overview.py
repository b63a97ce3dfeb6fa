"""A summary as a screen of text: where and how much, what failed, what took the time (`render_overview`)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from csm_otel.report.failed import EFFECTS, most_serious_first, result_of, when_of
from csm_otel.report.terminal import Segment, Style, Terminal, columns_of, counted, duration_ms
from csm_otel.report.totals import counts_of, times_of
from csm_otel.summary.access import Access
from csm_otel.summary.model import Effect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from csm_otel.summary.model import FailureGroup, OperationUse, Summary

_MAX_FAILURES = 12  # groups; the rest are in the report
_MAX_OPERATIONS = 15
_MAX_PATTERNS = 6
_MIN_NAME_COLUMNS = 12
_GAP = "  "
_STYLES = {
    Effect.FATAL: Style.LOUD,
    Effect.TOLERATED: Style.YELLOW,
    Effect.QUESTION: Style.DIM,
    Effect.UNKNOWN: Style.RED,
}
_HEADINGS = ("", "calls", "failed", "retried", "p50", "p95", "max", "total")
ORDERS: dict[str, Callable[[OperationUse], tuple[int | str, ...]]] = {
    "total": lambda use: (-use.total_ms, use.name),
    "calls": lambda use: (-use.calls, use.name),
    "failed": lambda use: (-use.failed, -use.total_ms, use.name),
    "p95": lambda use: (-use.p95_ms, use.name),
    "max": lambda use: (-use.max_ms, use.name),
    "name": lambda use: (use.name,),
}
"""How the table of operations may be sorted, by what."""


def render_overview(summary: Summary, *, width: int, color: bool, ascii_only: bool = False, sort: str = "total") -> str:
    """Return the summary as text of about a screen, each line ending with a newline; empty without calls.

    No line is wider than ``width`` columns. ``sort`` is one of `ORDERS`.
    """
    terminal = Terminal(max(width, 1), color, ascii_only)
    if not summary.totals.calls and not summary.uncertainty.orphans:
        return ""
    blocks = (
        _head(summary, terminal),
        _failures(summary, terminal),
        _operations(sorted(summary.operations, key=ORDERS[sort]), terminal),
        _patterns(summary, terminal),
    )
    return "\n".join("".join(f"{line}\n" for line in lines) for block in blocks if (lines := list(block)))


def _head(summary: Summary, terminal: Terminal) -> Iterator[str]:
    run, totals = summary.run, summary.totals
    services = sorted({use.service for use in summary.operations})
    if services:
        what = f"{counted(totals.calls, 'call')} to {_listed(services)}: {counts_of(totals)}"
    else:
        what = f"no AWS calls seen, but {counted(summary.uncertainty.orphans, 'attempt')}"
    yield from terminal.wrapped(what, Style.BOLD)
    yield from terminal.wrapped(times_of(summary.times))
    where = [_listed(names) for names in (run.sdks, run.regions) if names]
    if run.accounts:
        where.append(f"account {_listed(run.accounts)}")
    if run.other_endpoints:
        where.append(f"not AWS's own endpoint: {_listed(run.other_endpoints)}")
    yield from terminal.wrapped("; ".join(where), Style.DIM)


def _failures(summary: Summary, terminal: Terminal) -> Iterator[str]:
    groups = most_serious_first(summary.failures)
    advised: set[str] = set()
    for group in groups[:_MAX_FAILURES]:
        yield from _failure(group, summary.run.start_ns, terminal)
        if group.advice not in advised and group.effect is not Effect.QUESTION:
            yield from terminal.wrapped(group.advice, Style.DIM, indent="  ")
            advised.add(group.advice)
    rest = groups[_MAX_FAILURES:]
    number = sum(group.count for group in rest) + summary.uncertainty.failures_left_out
    if number:
        yield from terminal.wrapped(f"... and {counted(number, 'more failure')}", Style.DIM)


def _failure(group: FailureGroup, start_ns: int, terminal: Terminal) -> Iterator[str]:
    style = _STYLES[group.effect]
    mark = "x " if terminal.ascii_only else "✗ "
    name = terminal.printable(group.name)
    effect = EFFECTS[group.effect]
    yield terminal.line(
        Segment(f"{mark}{name}  {terminal.printable(result_of(group))}", style),
        Segment(f"  {when_of(group, start_ns)}"),
        Segment(effect and f", {effect}"),
    )
    yield from terminal.wrapped(group.message, Style.DIM, indent="  ")


def _operations(uses: Sequence[OperationUse], terminal: Terminal) -> Iterator[str]:
    shown = uses[:_MAX_OPERATIONS]
    if not shown:
        return
    rows = [_cells(use, terminal) for use in shown]
    # A narrow terminal shows the first and the last columns that fit: calls and failures, then the times.
    columns = [max(columns_of(cell) for cell in column) for column in zip(_HEADINGS, *rows, strict=True)]
    others = sum(columns[1:]) + len(_GAP) * len(columns[1:])
    name = max(min(columns[0], terminal.width - others), _MIN_NAME_COLUMNS)
    for row, use in zip((_HEADINGS, *rows), (None, *shown), strict=True):
        cells = [f"{cell:>{size}}" for cell, size in zip(row[1:], columns[1:], strict=True)]
        style = Style.BOLD if use is None else Style.YELLOW if use.failed else Style.PLAIN
        yield terminal.line(Segment(_GAP.join([terminal.fit(row[0], name), *cells]), style))
    rest = uses[_MAX_OPERATIONS:]
    if rest:
        calls = counted(sum(use.calls for use in rest), "call")
        yield from terminal.wrapped(f"... and {counted(len(rest), 'more operation')} with {calls}", Style.DIM)
    if any(use.access is Access.WRITE for use in shown):
        yield from terminal.wrapped("* changes something, by its name", Style.DIM)


def _cells(use: OperationUse, terminal: Terminal) -> tuple[str, ...]:
    mark = "" if use.access is Access.READ else " *"
    return (
        terminal.printable(use.name) + mark,
        f"{use.calls:,}",
        f"{use.failed:,}" if use.failed else "",
        f"{use.retried:,}" if use.retried else "",
        duration_ms(use.p50_ms),
        duration_ms(use.p95_ms),
        duration_ms(use.max_ms),
        duration_ms(use.total_ms),
    )


def _patterns(summary: Summary, terminal: Terminal) -> Iterator[str]:
    for pattern in islice(summary.patterns, _MAX_PATTERNS):
        yield from terminal.wrapped(terminal.printable(pattern.text))
    if (more := len(summary.patterns) - _MAX_PATTERNS) > 0:
        yield from terminal.wrapped(f"... and {counted(more, 'more pattern')}", Style.DIM)


def _listed(names: Iterable[str], most: int = 4) -> str:
    names = list(names)
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
