"""A comparison of two runs as text: `render_comparison`."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from csm_otel.report.terminal import Segment, Style, Terminal, counted, duration
from csm_otel.spans.span_status import UNNAMED_ERROR
from csm_otel.summary.access import Access

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csm_otel.summary.comparison import Change, Comparison, Place
    from csm_otel.summary.model import FailureGroup, OperationUse, Times, Totals

_NS_PER_MS = 1_000_000
_MAX_LINES = 15  # of a kind; the rest are counted


def render_comparison(comparison: Comparison, *, width: int, color: bool, ascii_only: bool = False) -> str:
    """Return what came, went and got slower or faster, each line ending with a newline, none wider than ``width``."""
    terminal = Terminal(max(width, 1), color, ascii_only)
    lines = [*_sums(comparison, terminal), *_differences(comparison, terminal)]
    return "".join(f"{line}\n" for line in lines)


def _sums(comparison: Comparison, terminal: Terminal) -> Iterator[str]:
    for when, totals, times in (
        ("before", comparison.totals_before, comparison.times_before),
        ("now", comparison.totals_after, comparison.times_after),
    ):
        yield from terminal.wrapped(f"{when}: {_sum(totals, times)}", Style.BOLD)


def _sum(totals: Totals, times: Times) -> str:
    facts = [counted(totals.calls, "call"), f"{totals.failed:,} failed"]
    facts += [f"{totals.throttled:,} throttled"] if totals.throttled else []
    return f"{', '.join(facts)}; {_ms(times.in_calls_ms)} of {_ms(times.wall_ms)} in AWS calls"


def _differences(comparison: Comparison, terminal: Terminal) -> Iterator[str]:
    if not comparison:
        yield from terminal.wrapped("the same operations, errors and places, and about as fast")
    for title, entries, style in (
        ("now fails", map(_failure, comparison.failures_came), Style.RED),
        ("no longer fails", map(_failure, comparison.failures_went), Style.PLAIN),
        ("new", map(_operation, comparison.operations_came), Style.YELLOW),
        ("gone", map(_operation, comparison.operations_went), Style.PLAIN),
        ("slower", map(_lengths, comparison.slower), Style.YELLOW),
        ("faster", map(_lengths, comparison.faster), Style.PLAIN),
        ("calls", map(_count, comparison.counts), Style.PLAIN),
        ("new", map(_place, comparison.places_came), Style.YELLOW),
        ("gone", map(_place, comparison.places_went), Style.PLAIN),
    ):
        for name, figures in islice(entries, _MAX_LINES):
            shown = f"{title}: {terminal.printable(name)}"
            yield terminal.line(Segment(shown, style), Segment(f"  {terminal.printable(figures)}"))
        if more := sum(1 for _ in entries):
            yield from terminal.wrapped(f"{title}: {more:,} more", Style.DIM)


def _failure(group: FailureGroup) -> tuple[str, str]:
    error = "failed" if group.error == UNNAMED_ERROR else group.error
    status = "" if group.status is None or str(group.status) == error else f"{group.status} "
    return group.name, f"{status}{error}, {counted(group.count, 'time')}"


def _operation(use: OperationUse) -> tuple[str, str]:
    what = "reads" if use.access is Access.READ else "changes something, by its name"
    return use.name, f"{counted(use.calls, 'call')}, {what}"


def _lengths(change: Change) -> tuple[str, str]:
    before, after = change.before, change.after
    return (
        change.name,
        f"p50 {_ms(before.p50_ms)}, now {_ms(after.p50_ms)}; p95 {_ms(before.p95_ms)}, now {_ms(after.p95_ms)}",
    )


def _count(change: Change) -> tuple[str, str]:
    return change.name, f"{change.before.calls:,}, now {change.after.calls:,}"


def _place(place: Place) -> tuple[str, str]:
    return place.name, place.kind


def _ms(milliseconds: int) -> str:
    return duration(milliseconds * _NS_PER_MS)
