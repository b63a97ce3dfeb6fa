"""Compares an SDK's real calls with the exported spans: which calls are exactly right.

In: `MadeCall`s, from the sender's report of its calls and the fault proxy's log of their attempts, and exported spans.
Out: a `Comparison`. No I/O.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import starmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from interop.jaeger import ShownSpan

ERROR = 2
# CSM's timestamps and latencies are whole milliseconds, each up to one off; no correct one was seen further off.
SLACK_NS = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeAttempt:
    """An HTTP request that was made."""

    request_id: str | None
    """None if there was no answer."""
    status: int | None
    received_ns: int | None
    """When the server received it, epoch nanoseconds; None if there was no server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCall:
    """An API call that the sender made."""

    api: str
    label: str
    began_ns: int
    """By the sender's own clock, just before the call; epoch nanoseconds."""
    ended_ns: int
    failed: bool
    attempts: tuple[MadeAttempt, ...]


@dataclass(slots=True, kw_only=True)
class Comparison:
    """The result for all calls."""

    calls: int
    attempts: int
    differences: dict[str, str] = field(default_factory=dict)
    """The differences of each call that is not exact, by its label."""
    left_over: list[str] = field(default_factory=list)
    """Exported spans that belong to no call of the sender."""

    @property
    def exact(self) -> int:
        """Calls whose span, and whose attempts' spans, are correct."""
        return self.calls - len(self.differences)

    @property
    def share(self) -> float:
        """Exact calls as a share of all, 0 to 1."""
        return self.exact / self.calls


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderRow:
    """The result of a sender in a scenario."""

    sender: str
    version: str
    scenario: str
    comparison: Comparison


def compare(made: Sequence[MadeCall], spans: Iterable[ShownSpan]) -> Comparison:
    """Find the call of each exported call span, by a request id below it or else by time, and compare both."""
    shown = _Shown(spans)
    comparison = Comparison(calls=len(made), attempts=sum(len(call.attempts) for call in made))
    comparison.left_over += [f"orphan {span.name}" for span in shown.orphans]
    spans_by_label: dict[str, ShownSpan] = {}
    for span in shown.calls:
        call = _by_request_id(made, shown.attempts[span.span_id]) or _by_time(made, span)
        if call is None or call.label in spans_by_label:
            comparison.left_over.append(span.name)
        else:
            spans_by_label[call.label] = span
    for call in made:
        span_of_call = spans_by_label.get(call.label)
        if span_of_call is None:
            comparison.differences[call.label] = "no such span"
        elif difference := _difference(call, span_of_call, shown.attempts[span_of_call.span_id]):
            comparison.differences[call.label] = difference
    for label in _robbed(made, spans_by_label):
        comparison.differences.setdefault(label, "its attempts stand below another call")
    return comparison


class _Shown:
    """Exported spans by their kind; each sequence earliest first."""

    def __init__(self, spans: Iterable[ShownSpan]) -> None:
        self.calls: list[ShownSpan] = []
        self.attempts: defaultdict[str, list[ShownSpan]] = defaultdict(list)
        for span in sorted(spans, key=lambda span: span.start_ns):
            if span.name.endswith(" attempt"):
                self.attempts[span.parent_id].append(span)
            elif "rpc.system" in span.attributes:
                self.calls.append(span)
        call_ids = {span.span_id for span in self.calls}
        self.orphans = [span for parent, spans in self.attempts.items() if parent not in call_ids for span in spans]


def _robbed(made: Sequence[MadeCall], spans_by_label: Mapping[str, ShownSpan]) -> Iterator[str]:
    """Find the calls whose time the spans have that lie outside their own call's time.

    Where two calls have exchanged their attempts, the shorter one's span may well fit into the longer one's time.
    """
    for call in made:
        span = spans_by_label.get(call.label)
        if span is not None and not _is_within(call, span):
            robbed = _by_time(made, span)
            if robbed is not None:
                yield robbed.label


def _difference(call: MadeCall, span: ShownSpan, attempts: Sequence[ShownSpan]) -> str:
    if span.name.rpartition(".")[2].rpartition("/")[2] != call.api:
        return f"{span.name} for {call.api}"
    if len(attempts) != len(call.attempts):
        return f"{len(attempts)} attempts for {len(call.attempts)}"
    if not _is_within(call, span):
        early_ms = (call.began_ns - span.start_ns) / 1e6
        late_ms = (span.end_ns - call.ended_ns) / 1e6
        return f"begins {early_ms:.1f} ms before the call and ends {late_ms:.1f} ms after it"
    if (span.status == ERROR) != call.failed:
        return f"status {span.status} for a call that {'failed' if call.failed else 'went well'}"
    differences = starmap(_attempt_difference, zip(call.attempts, attempts, strict=True))
    return next(filter(None, differences), "")


def _attempt_difference(made: MadeAttempt, shown: ShownSpan) -> str:
    status = shown.attributes.get("http.response.status_code")
    if (made.request_id, made.status) != (_request_id(shown), status):
        return f"attempt {_request_id(shown)} with status {status} for {made.request_id} with {made.status}"
    if made.received_ns is None or shown.start_ns - SLACK_NS <= made.received_ns <= shown.end_ns + SLACK_NS:
        return ""
    return f"attempt {made.request_id} was received {(made.received_ns - shown.start_ns) / 1e6:.1f} ms after its start"


def _is_within(call: MadeCall, span: ShownSpan) -> bool:
    return call.began_ns - SLACK_NS <= span.start_ns and span.end_ns <= call.ended_ns + SLACK_NS


def _by_request_id(made: Sequence[MadeCall], attempts: Iterable[ShownSpan]) -> MadeCall | None:
    """Return the call of the first of these attempts with a known request id."""
    call_of_id = {attempt.request_id: call for call in made for attempt in call.attempts if attempt.request_id}
    return next((call_of_id[shown] for span in attempts if (shown := _request_id(span)) in call_of_id), None)


def _by_time(made: Sequence[MadeCall], span: ShownSpan) -> MadeCall | None:
    """Return the call with the closest time to this span's; None if no call contains it."""
    containing = [call for call in made if _is_within(call, span)]
    return min(
        containing,
        key=lambda call: abs(call.began_ns - span.start_ns) + abs(call.ended_ns - span.end_ns),
        default=None,
    )


def _request_id(span: ShownSpan) -> str | None:
    shown = span.attributes.get("aws.request_id")
    return shown if isinstance(shown, str) else None
