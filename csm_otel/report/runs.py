"""Calls to the lines of a screen: `lines_of` collapses what lies between the calls that matter, `row_of_run` draws it.

Calls that failed or were not sent stand on lines of their own, up to a third of the lines: of more than that the first
and the last. So do the slowest, if there is room, and then runs of the same operation, each as one line: those that are
a good part of their operation before others. What is between two of these is one line. So every call is on one line.
"""

from __future__ import annotations

from collections import Counter
from heapq import nlargest
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.report.counts import Counts
from csm_otel.report.rows import Row, offset_of
from csm_otel.report.terminal import Style, Terminal, duration
from csm_otel.summary.durations import Durations
from csm_otel.summary.trace import went_well

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csm_otel.spans.data import SpanRole
    from csm_otel.summary.trace import Call

_SLOWEST = 3
_NOTABLE = 10  # a run of at least one in ten calls of its operation; those of a loop over several are shorter
_MAX_NAMES = 3  # of operations in one line; more do not fit
_NS_PER_MS = 1_000_000


class Line(NamedTuple):
    """A line of the waterfall."""

    calls: tuple[Call, ...]
    """One call, or several that are collapsed, in order of start."""
    is_whole: bool = False
    """Whether the rows below the call are shown: only of a single call."""


def lines_of(calls: Sequence[Call], max_lines: int, height: Callable[[Call], int]) -> list[Line]:
    """Return the calls in lines, in their order; ``height`` is how many lines a call has with the rows below it.

    Calls that fit are all whole. The last failure is whole even where it alone needs more than ``max_lines``.
    """
    if len(calls) <= max_lines and sum(map(height, calls)) <= max_lines:  # heights take time
        return [Line((call,), is_whole=True) for call in calls]
    return _Screen(calls, max_lines, height).lines()


def row_of_run(calls: Sequence[Call], start_ns: int, terminal: Terminal) -> Row:
    """Return the row of several calls; its offset is from ``start_ns``."""
    spans = [call.span for call in calls]
    counts = [
        f"{number:,} {what}"
        for number, what in (
            (sum(span.is_error for span in spans), "failed"),
            (sum(call.is_not_sent for call in calls), "with NO REQUEST SENT"),
            (sum(call.attempt_count > 1 for call in calls), "retried"),
        )
        if number
    ]
    operations = Counter(map(_operation, calls))
    if len(operations) == 1:
        name, suffix = terminal.printable(spans[0].name), f" x{len(calls):,}"
        facts = _percentiles(calls)
    else:
        name, suffix = Counts(spans).nouns(), ""
        most = operations.most_common(_MAX_NAMES)
        facts = [f"{number:,} {terminal.printable(each)}" for (_, each), number in most]
        if others := len(calls) - sum(number for _, number in most):
            facts.append(f"{others:,} other")
    first_ns = spans[0].start_ns
    return Row(
        offset=offset_of(first_ns, start_ns),
        name=name,
        suffix=suffix,
        busy=tuple((span.start_ns, span.end_ns) for span in spans),
        length=duration(max(span.end_ns for span in spans) - first_ns),
        # What went wrong comes first, as a narrow terminal cuts the end.
        result=", ".join([*counts, *facts]),
        style=Style.DIM,
    )


class _Screen:
    """Which positions stand and which of them are whole, and how many lines are left."""

    def __init__(self, calls: Sequence[Call], max_lines: int, height: Callable[[Call], int]) -> None:
        self._calls = calls
        self._height = height
        self._left = max_lines - 1  # at first all calls are one line
        # Each has one more line for what is between, and there is room for some of the rows below them.
        self._max_failures = max(max_lines // 3, 1)
        self._standing: set[int] = set()
        self._whole: set[int] = set()

    def lines(self) -> list[Line]:
        """Return the lines, in order."""
        failed, slowest = _failed(self._calls)[: self._max_failures], _slowest(self._calls)
        for position in failed:
            self._stand(position, is_needed=True)
        for position in failed[:1]:
            self._show_whole(position, is_needed=True)
        for position in slowest:
            self._stand(position)
        for position in (*failed[:2], *slowest, *failed[2:]):
            self._show_whole(position)
        runs = self._runs()
        # What stands is among the runs of one call.
        self._standing = {run[0] for run in runs if len(run) == 1}
        for position in sorted(self._standing):
            self._show_whole(position)
        return [Line(tuple(self._calls[position] for position in run), run[0] in self._whole) for run in runs]

    def _stand(self, position: int, *, is_needed: bool = False) -> None:
        """Give a call a line of its own, if there is room."""
        lines = _lines_more(position, self._standing, len(self._calls))
        if position not in self._standing and (is_needed or self._has_room(lines)):
            self._left -= lines
            self._standing.add(position)

    def _show_whole(self, position: int, *, is_needed: bool = False) -> None:
        """Show the rows below a call that stands, if there is room for them."""
        if position not in self._standing or position in self._whole:
            return
        below = self._height(self._calls[position]) - 1
        if is_needed or self._has_room(below):
            self._left -= below
            self._whole.add(position)

    def _runs(self) -> list[list[int]]:
        """Return the positions by lines: what stands alone, between them runs of an operation as far as they fit."""
        runs = [
            list(run)
            for _, run in groupby(
                range(len(self._calls)), lambda each: each if each in self._standing else _operation(self._calls[each])
            )
        ]
        apart = {index for index, run in enumerate(runs) if run[0] in self._standing}
        for index in self._notable(runs):
            lines = _lines_more(index, apart, len(runs))
            if index not in apart and self._has_room(lines):
                self._left -= lines
                apart.add(index)
        # What is left in between: where there are few runs first, so that as many as possible are told apart.
        for part in sorted(_joined(len(runs), apart), key=len):
            if self._has_room(len(part) - 1):
                self._left -= len(part) - 1
                apart.update(part)
        return [[position for index in part for position in runs[index]] for part in _joined(len(runs), apart)]

    def _notable(self, runs: Sequence[Sequence[int]]) -> list[int]:
        """Return the indices of the runs that are a good part of the calls of their operation, the longest first."""
        totals = Counter(map(_operation, self._calls))
        notable = [
            index for index, run in enumerate(runs) if _NOTABLE * len(run) >= totals[_operation(self._calls[run[0]])]
        ]
        return sorted(notable, key=lambda index: -len(runs[index]))

    def _has_room(self, lines: int) -> bool:
        return lines <= self._left


def _lines_more(index: int, apart: set[int], count: int) -> int:
    """Return how many lines more there are if this of ``count`` stands apart: its own, and one for what it parts."""
    return 2 - sum(each in apart or not 0 <= each < count for each in (index - 1, index + 1))


def _joined(count: int, apart: set[int]) -> list[list[int]]:
    """Return the numbers up to ``count``, each that is apart by itself, and those between them together."""
    return [list(part) for _, part in groupby(range(count), lambda each: each if each in apart else None)]


def _failed(calls: Sequence[Call]) -> list[int]:
    """Return the positions of the calls that failed or were not sent: the last, the first, the last but one, ..."""
    failed = [position for position, call in enumerate(calls) if not went_well(call.span)]
    ends = (position for pair in zip(reversed(failed), failed, strict=True) for position in pair)
    return list(dict.fromkeys(ends))


def _slowest(calls: Sequence[Call]) -> list[int]:
    lengths = [call.span.end_ns - call.span.start_ns for call in calls]
    median = sorted(lengths)[len(lengths) // 2]
    # A call that took as long as most is not slow, though none took longer.
    return [each for each in nlargest(_SLOWEST, range(len(calls)), key=lengths.__getitem__) if lengths[each] > median]


def _operation(call: Call) -> tuple[SpanRole, str]:
    return call.span.role, call.span.name


def _percentiles(calls: Sequence[Call]) -> list[str]:
    durations = Durations()
    for call in calls:
        durations.add(call.span.end_ns - call.span.start_ns)
    found = durations.percentiles()
    return [f"{name} {duration(ms * _NS_PER_MS)}" for name, ms in (("p50", found.p50_ms), ("max", found.max_ms))]
