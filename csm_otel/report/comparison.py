"""A comparison of two runs as text: `render_comparison`, and what other reports of it say: `sums`, `differences`."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from csm_otel.report.failed import EFFECTS, result_of
from csm_otel.report.terminal import Segment, Style, Terminal, columns_of, counted, duration_ms
from csm_otel.summary.access import Access

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csm_otel.summary.comparison import Change, Comparison, FailureChange, Place
    from csm_otel.summary.model import FailureGroup, OperationUse, Run, Times, Totals

_MAX_ENTRIES = 15  # of a kind; the rest are counted
_MAX_ROWS = 6  # of a name, and of its figures: names come from senders
_GAP = "  "


def render_comparison(comparison: Comparison, *, width: int, color: bool, ascii_only: bool = False) -> str:
    """Return what came, went and got slower or faster, each line ending with a newline, none wider than ``width``."""
    terminal = Terminal(max(width, 1), color, ascii_only)
    return "".join(f"{line}\n" for line in _lines(comparison, terminal))


def sums(comparison: Comparison) -> Iterator[str]:
    """Yield what each of the runs did as a whole."""
    for when, run, totals, times in (
        ("before", comparison.run_before, comparison.totals_before, comparison.times_before),
        ("now", comparison.run_after, comparison.totals_after, comparison.times_after),
    ):
        yield f"{when}: {_sum(run, totals, times)}"


def _sum(run: Run, totals: Totals, times: Times) -> str:
    end = "" if run.exit_code is None else f"exit {run.exit_code}; "
    facts = [counted(totals.calls, "call"), f"{totals.failed:,} failed"]
    facts += [f"{totals.throttled:,} throttled"] if totals.throttled else []
    return f"{end}{', '.join(facts)}; {duration_ms(times.in_calls_ms)} of {duration_ms(times.wall_ms)} in AWS calls"


def differences(comparison: Comparison) -> Iterator[tuple[str, Iterator[tuple[str, str]], Style]]:
    """Yield for each kind of difference its title, the names with their figures, and its style; texts are as sent."""
    yield from (
        ("now fails", map(_failure, comparison.failures_came), Style.RED),
        ("still fails", map(_failure_change, comparison.failures_changed), Style.YELLOW),
        ("no longer fails", map(_failure, comparison.failures_went), Style.PLAIN),
        ("new", map(_operation, comparison.operations_came), Style.YELLOW),
        ("gone", map(_operation, comparison.operations_went), Style.PLAIN),
        ("slower", map(_lengths, comparison.slower), Style.YELLOW),
        ("faster", map(_lengths, comparison.faster), Style.PLAIN),
        ("calls", map(_count, comparison.counts), Style.PLAIN),
        ("new", map(_place, comparison.places_came), Style.YELLOW),
        ("gone", map(_place, comparison.places_went), Style.PLAIN),
    )


def remark(comparison: Comparison) -> str:
    """Return what is to be said about the differences as a whole; empty if nothing is."""
    if not comparison.is_complete:
        return "a run has more operations or errors than are distinguished: some that are new or gone may be in both"
    return "" if comparison else "the same operations, errors and places, and about as fast"


def _lines(comparison: Comparison, terminal: Terminal) -> Iterator[str]:
    for text in sums(comparison):
        yield from terminal.wrapped(text, Style.BOLD)
    for title, entries, style in differences(comparison):
        for name, figures in islice(entries, _MAX_ENTRIES):
            yield from _entry(f"{title}: {terminal.printable(name)}", terminal.printable(figures), style, terminal)
        if more := sum(1 for _ in entries):
            yield from terminal.wrapped(f"{title}: {more:,} more", Style.DIM)
    if text := remark(comparison):
        yield from terminal.wrapped(text, Style.PLAIN if comparison.is_complete else Style.DIM)


def _entry(name: str, figures: str, style: Style, terminal: Terminal) -> Iterator[str]:
    """Lay out an entry on one line, or on a narrow terminal with its figures below."""
    if columns_of(name + _GAP + figures) <= terminal.width:
        yield terminal.line(Segment(name, style), Segment(_GAP + figures))
    else:
        yield from islice(terminal.wrapped(name, style), _MAX_ROWS)
        yield from islice(terminal.wrapped(figures, indent=_GAP), _MAX_ROWS)


def _failure(group: FailureGroup) -> tuple[str, str]:
    return group.name, f"{result_of(group)}, {counted(group.count, 'time')}{_effect(group)}"


def _failure_change(change: FailureChange) -> tuple[str, str]:
    before, after = change.before, change.after
    return after.name, f"{result_of(after)}, {counted(before.count, 'time')}, now {after.count:,}{_effect(after)}"


def _effect(group: FailureGroup) -> str:
    return f", {EFFECTS[group.effect]}" if EFFECTS[group.effect] else ""


def _operation(use: OperationUse) -> tuple[str, str]:
    what = "reads" if use.access is Access.READ else "changes something, by its name"
    return use.name, f"{counted(use.calls, 'call')}, {what}"


def _lengths(change: Change) -> tuple[str, str]:
    before, after = change.before, change.after
    lengths = (("p50", before.p50_ms, after.p50_ms), ("p95", before.p95_ms, after.p95_ms))
    return change.name, "; ".join(f"{name} {duration_ms(old)}, now {duration_ms(new)}" for name, old, new in lengths)


def _count(change: Change) -> tuple[str, str]:
    return change.name, f"{change.before.calls:,}, now {change.after.calls:,}"


def _place(place: Place) -> tuple[str, str]:
    return place.name, place.kind
