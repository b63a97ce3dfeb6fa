"""Span data to traces: calls in order of their start, each with its attempts.

Intervals are pairs of epoch nanoseconds.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, starmap
from typing import TYPE_CHECKING

import msgspec
from opentelemetry.semconv._incubating.attributes.process_attributes import PROCESS_EXIT_CODE
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import HTTP_RESPONSE_STATUS_CODE

from csm_otel.csm.events import THROTTLING_ERRORS
from csm_otel.spans.attributes import (
    CSM_ATTEMPT_COUNT,
    CSM_ATTEMPTS_MISSING,
    CSM_CORRELATION,
    CSM_OUTCOME,
)
from csm_otel.spans.data import SpanData, SpanRole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Interval = tuple[int, int]

_CLOCK_SLACK_NS = 2_000_000  # attempts that follow at once may seem this far apart: two readings, each cut to 1 ms
_TOO_MANY_REQUESTS = 429


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a trace: a call, an orphan, or a process that is not the root."""

    span: SpanData
    attempts: tuple[SpanData, ...]
    """Those that were seen, in order of time."""

    @property
    def is_orphan(self) -> bool:
        """Whether it is an attempt whose call was not seen."""
        return self.span.role is SpanRole.ORPHAN

    @property
    def is_call(self) -> bool:
        """Whether it counts as an AWS call."""
        return self.span.role is SpanRole.CALL

    @property
    def is_ambiguous(self) -> bool:
        """Whether another assignment of attempts is nearly as likely."""
        return self.span.attribute(CSM_CORRELATION) == "ambiguous"

    @property
    def is_not_sent(self) -> bool:
        """Whether no request was sent."""
        return is_not_sent(self.span)

    @property
    def attempts_missing(self) -> int:
        """How many of its attempts were not seen."""
        return integer(self.span, CSM_ATTEMPTS_MISSING) or 0

    @property
    def attempt_count(self) -> int:
        """How many attempts it took, seen or not."""
        return max(integer(self.span, CSM_ATTEMPT_COUNT) or 0, len(self.attempts) + self.attempts_missing)

    @property
    def is_throttled(self) -> bool:
        """Whether the call or any of its attempts has a throttling error."""
        return any(
            span.attribute(ERROR_TYPE) in THROTTLING_ERRORS or http_status(span) == _TOO_MANY_REQUESTS
            for span in (self.span, *self.attempts)
            if span.is_error
        )

    @property
    def back_offs(self) -> tuple[Interval | None, ...]:
        """The pause after each attempt but the last, None if there was none.

        Empty where attempts are missing or ambiguous: then the time between two is not known to be a pause.
        """
        if len(self.attempts) <= 1 or self.attempts_missing or self.is_ambiguous:
            return ()
        return tuple(
            (before.end_ns, after.start_ns) if after.start_ns - before.end_ns > _CLOCK_SLACK_NS else None
            for before, after in pairwise(self.attempts)
        )


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The calls of one trace, below the command or process where that is known."""

    trace_id: int
    root: SpanData | None
    """The command or process, None if it is not among the spans."""
    calls: tuple[Call, ...]
    """In order of start; never empty without a root."""

    @property
    def head(self) -> SpanData:
        """The span that gives the trace its name: the root, else the first call."""
        return self.root or self.calls[0].span

    @cached_property
    def interval(self) -> Interval:
        """The root's time, else from the first start to the last end."""
        if self.root is not None:
            return self.root.start_ns, self.root.end_ns
        return self.head.start_ns, max(call.span.end_ns for call in self.calls)

    @property
    def busy_ns(self) -> int:
        """Nanoseconds of the trace in which at least one call was in progress."""
        return self._covered_ns(
            (call.span.start_ns, call.span.end_ns) for call in self.calls if call.is_call or call.is_orphan
        )

    @property
    def back_off_ns(self) -> int:
        """Nanoseconds of the trace in which at least one call waited for its next attempt."""
        return self._covered_ns(pause for call in self.calls for pause in call.back_offs if pause)

    def _covered_ns(self, intervals: Iterable[Interval]) -> int:
        """Return the length of the union of the intervals, as far as it lies within the trace."""
        covered_ns = 0
        reached_ns, last_ns = self.interval
        for start_ns, end_ns in sorted(intervals):
            until_ns = min(end_ns, last_ns)
            covered_ns += max(until_ns - max(start_ns, reached_ns), 0)
            reached_ns = max(reached_ns, until_ns)
        return covered_ns


def traces_of(spans: Sequence[SpanData]) -> list[Trace]:
    """Return the traces that the spans belong to, in order of start."""
    by_trace: defaultdict[int, list[SpanData]] = defaultdict(list)
    for span in spans:
        by_trace[span.context.trace_id].append(span)
    return sorted(starmap(_trace, by_trace.items()), key=lambda trace: trace.interval)


def is_process(span: SpanData) -> bool:
    """Return whether a span is a command's or a process's."""
    return span.role in {SpanRole.COMMAND, SpanRole.PROCESS}


def is_call_or_orphan(span: SpanData) -> bool:
    """Return whether a span is a call's, or that of an attempt in the place of its call."""
    return span.role in {SpanRole.CALL, SpanRole.ORPHAN}


def is_not_sent(span: SpanData) -> bool:
    """Return whether a span is that of a call for which no request was sent."""
    return span.attribute(CSM_OUTCOME) == "not_sent"


def went_well(span: SpanData) -> bool:
    """Return whether a report may leave the line of this span out: it neither failed nor was it not sent."""
    return not span.is_error and not is_not_sent(span)


def operation_of(span: SpanData) -> tuple[str, str]:
    """Return the service and the API of a call, or of an attempt in the place of its call."""
    service, _, api = span.name.removesuffix(" attempt").rpartition(".")
    return service, api


def integer(span: SpanData, key: str) -> int | None:
    """Return an attribute if it is an integer."""
    value = span.attribute(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def http_status(span: SpanData) -> int | None:
    """Return the HTTP status of a call or attempt."""
    return integer(span, HTTP_RESPONSE_STATUS_CODE)


def exit_code(span: SpanData) -> int | None:
    """Return the exit code of a command."""
    return integer(span, PROCESS_EXIT_CODE)


def _trace(trace_id: int, spans: list[SpanData]) -> Trace:
    spans = sorted(spans, key=lambda span: (span.start_ns, span.end_ns))
    root = next((span for span in spans if is_process(span)), None)
    owners = {span.context.span_id for span in spans if is_call_or_orphan(span)}
    attempts: defaultdict[int, list[SpanData]] = defaultdict(list)
    lines: list[SpanData] = []
    for span in spans:
        if span is root:
            continue
        if span.role is SpanRole.ATTEMPT and span.parent is not None and span.parent.span_id in owners:
            attempts[span.parent.span_id].append(span)
        else:
            lines.append(span)
    # Each attempt is shown once: a second call with the same id has none.
    calls = tuple(Call(span=span, attempts=tuple(attempts.pop(span.context.span_id, ()))) for span in lines)
    return Trace(trace_id=trace_id, root=root, calls=calls)
