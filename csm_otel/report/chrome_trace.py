"""Calls to a file in Chrome's trace format: `render_chrome_trace`. Perfetto, speedscope and chrome://tracing open it.

Each application is a process. It has as many lanes as commands ran at once, and as calls were in progress at once; each
is in the first lane that is free, the attempts of a call and the pauses between them are nested in it. Lanes are
threads, whose numbers are unique over all processes and not 0, as Perfetto needs. All are complete events, with times
in whole microseconds, each rounded down: so nothing that ended before something else overlaps it.

Source of the format: "Trace Event Format" (Google), the JSON object form.
"""

from __future__ import annotations

import heapq
import re
from itertools import chain, count, zip_longest
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from opentelemetry.semconv.attributes.http_attributes import HTTP_RESPONSE_STATUS_CODE

from csm_otel.report.terminal import printable
from csm_otel.summary.json_text import json_bytes
from csm_otel.summary.trace import http_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from csm_otel.spans.data import SpanData
    from csm_otel.summary.trace import Call

_NS_PER_US = 1_000
_LAST_BACKSLASH = re.compile(rb'(?<!\\)((?:\\\\)*)\\\\"')
_FAILED = "terrible"  # a name in Chrome's palette: red


class _Event(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A slice of a lane, or metadata; keys are those of the format."""

    ph: str
    name: str
    pid: int
    tid: int
    ts: int | None = None
    """Microseconds since the start of the first slice."""
    dur: int | None = None
    """Microseconds."""
    cat: str = ""
    cname: str = ""
    args: dict[str, object] = {}


class _Interval(NamedTuple):
    """Epoch microseconds."""

    start: int
    end: int

    def within(self, outer: _Interval) -> _Interval:
        """Return the part that lies within another; at one of its ends where there is none."""
        start = min(max(self.start, outer.start), outer.end)
        return _Interval(start, min(max(self.end, start), outer.end))


def render_chrome_trace(calls: Iterable[Call], roots: Sequence[SpanData]) -> bytes:
    """Return the file; ``roots`` are the spans of commands or processes."""
    ordered = sorted(calls, key=lambda call: call.span.start_ns)
    ordered_roots = sorted(roots, key=lambda root: root.start_ns)
    spans = [*ordered_roots, *(call.span for call in ordered)]
    base = min((span.start_ns for span in spans), default=0) // _NS_PER_US
    numbers = count(1)
    processes = {name: _Process(name, numbers) for name in dict.fromkeys(map(_application, spans))}
    events = chain(
        (event for root in ordered_roots for event in _root_events(root, processes[_application(root)], base)),
        (event for call in ordered for event in _call_events(call, processes[_application(call.span)].calls, base)),
        (event for process in processes.values() for event in process.names()),
    )
    # one after the other, as a run may have hundreds of thousands
    lines = b",\n".join(map(_encoded, events))
    return b'{"displayTimeUnit":"ms","traceEvents":[\n' + lines + b"\n]}\n"


class _Lane(NamedTuple):
    """A thread of the file."""

    pid: int
    tid: int


class _Pool:
    """Lanes of one kind, each for what does not overlap."""

    def __init__(self, pid: int, noun: str, numbers: Iterator[int]) -> None:
        """Name the lanes of a process by ``noun`` and a number, and take their own numbers from ``numbers``."""
        self._pid = pid
        self._noun = noun
        self._numbers = numbers
        self._busy: list[tuple[int, int]] = []
        """A heap of ends and the positions of their lanes."""
        self._free: list[int] = []
        """A heap of positions."""
        self._lanes: list[_Lane] = []

    def take(self, interval: _Interval) -> _Lane:
        """Return the first lane that is free, for intervals in order of their start."""
        while self._busy and self._busy[0][0] <= interval.start:
            heapq.heappush(self._free, heapq.heappop(self._busy)[1])
        if self._free:
            position = heapq.heappop(self._free)
        else:
            position = len(self._lanes)
            self._lanes.append(_Lane(self._pid, next(self._numbers)))
        # one without a length has a moment of its own, else the next would be in it
        heapq.heappush(self._busy, (max(interval.end, interval.start + 1), position))
        return self._lanes[position]

    def named(self) -> Iterator[tuple[str, _Lane]]:
        """Yield each lane with its name."""
        for number, lane in enumerate(self._lanes, 1):
            yield f"{self._noun} {number}", lane


class _Process:
    """The lanes of an application."""

    def __init__(self, name: str, numbers: Iterator[int]) -> None:
        """Take the numbers of the process and its lanes from ``numbers``."""
        self._name = printable(name)
        self.pid = next(numbers)
        self.commands = _Pool(self.pid, "command", numbers)
        self.calls = _Pool(self.pid, "calls", numbers)

    def names(self) -> Iterator[_Event]:
        """Yield the names of process and lanes, and their order."""
        yield _metadata("process_name", _Lane(self.pid, self.pid), {"name": self._name})
        for position, (name, lane) in enumerate((*self.commands.named(), *self.calls.named())):
            yield _metadata("thread_name", lane, {"name": name})
            yield _metadata("thread_sort_index", lane, {"sort_index": position})


def _root_events(root: SpanData, process: _Process, base: int) -> Iterator[_Event]:
    interval = _interval(root, base)
    yield _slice(root, "command", interval, process.commands.take(interval))


def _call_events(call: Call, lanes: _Pool, base: int) -> Iterator[_Event]:
    """Yield the call, and what is nested in it: attempts do not overlap there, as those that are not certain may."""
    interval = _interval(call.span, base)
    lane = lanes.take(interval)
    yield _slice(call.span, "call", interval, lane)
    left = interval
    for attempt, pause in zip_longest(call.attempts, call.back_offs):
        shown = _interval(attempt, base).within(left)
        yield _slice(attempt, "attempt", shown, lane)
        left = _Interval(shown.end, interval.end)
        if pause:
            waited = _Interval(*(at_ns // _NS_PER_US - base for at_ns in pause)).within(left)
            yield _event("back-off", "back-off", waited, lane)
            left = _Interval(waited.end, interval.end)


def _slice(span: SpanData, category: str, interval: _Interval, lane: _Lane) -> _Event:
    event = _event(printable(span.name), category, interval, lane)
    event.args = {
        **_facts(span),
        "trace_id": f"{span.context.trace_id:032x}",
        "span_id": f"{span.context.span_id:016x}",
    }
    if span.is_error:
        event.cat += ",failed"
        event.cname = _FAILED
    return event


def _facts(span: SpanData) -> Mapping[str, object]:
    """Return what is shown of a span when it is selected; of one that went well, only what is its own."""
    if not span.is_error:
        status = http_status(span)
        return span.own if status is None else {HTTP_RESPONSE_STATUS_CODE: status, **span.own}
    return {**span.attributes, **({"message": span.status_message} if span.status_message else {})}


def _event(name: str, category: str, interval: _Interval, lane: _Lane) -> _Event:
    start, end = interval
    return _Event(ph="X", name=name, pid=lane.pid, tid=lane.tid, ts=start, dur=end - start, cat=category)


def _encoded(event: _Event) -> bytes:
    """Return an event as JSON; Perfetto takes the quote after an escaped backslash for an escaped one."""
    line = json_bytes(event)
    return line if b'\\\\"' not in line else _LAST_BACKSLASH.sub(rb'\1\\u005c"', line)


def _metadata(what: str, lane: _Lane, args: dict[str, object]) -> _Event:
    return _Event(ph="M", name=what, pid=lane.pid, tid=lane.tid, args=args)


def _interval(span: SpanData, base: int) -> _Interval:
    return _Interval(span.start_ns // _NS_PER_US - base, span.end_ns // _NS_PER_US - base)


def _application(span: SpanData) -> str:
    return span.resource.service_name
