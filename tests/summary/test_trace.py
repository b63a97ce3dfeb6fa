"""Span data as traces: which spans are roots, calls and attempts, and the summaries of a call and a trace."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from flat import changed, flat_span

from csm_otel.spans.data import AttributeValue, Resource, SpanData, SpanKind, SpanRole, TraceContext
from csm_otel.summary.trace import Call, Trace, exit_code, http_status, is_process, operation_of, traces_of, went_well

MS = 1_000_000
_ids = count(1)


def span(
    role: SpanRole,
    start_ms: int,
    end_ms: int,
    *,
    parent: SpanData | None = None,
    name: str = "S3.GetObject",
    trace_id: int = 1,
    attributes: dict[str, AttributeValue] | None = None,
) -> SpanData:
    """Return a span, with times in ms."""
    return flat_span(
        role=role,
        name=name,
        kind=SpanKind.CLIENT,
        context=TraceContext(trace_id=trace_id, span_id=next(_ids)),
        parent=parent.context if parent else None,
        start_ns=start_ms * MS,
        end_ns=end_ms * MS,
        attributes=attributes or {},
        is_error=not {"error.type", "http.response.status_code"}.isdisjoint(attributes or {}),
        resource=Resource(()),
    )


def call_of(
    attempts: list[tuple[int, int]], *, error: str = "", attributes: dict[str, AttributeValue] | None = None
) -> Call:
    """Return a call from 0 to 1000 ms with attempts at these times, the first of which failed with ``error``."""
    first: dict[str, AttributeValue] = {"error.type": error} if error else {}
    return Call(
        span=span(SpanRole.CALL, 0, 1000, attributes=attributes),
        attempts=tuple(
            span(SpanRole.ATTEMPT, *times, attributes={} if number else first) for number, times in enumerate(attempts)
        ),
    )


def only(traces: list[Trace]) -> Trace:
    """Return the one trace there is."""
    (trace,) = traces
    return trace


@pytest.mark.parametrize("name", ["last attempt", "S3.GetObject attempt", "retry attempt"])
@pytest.mark.parametrize("role", [SpanRole.COMMAND, SpanRole.PROCESS])
def test_a_script_called_like_an_attempt_is_the_root(name: str, role: SpanRole) -> None:
    """The role of a span is not read off its name."""
    root = span(role, 0, 100, name=name)
    call = span(SpanRole.CALL, 10, 20, parent=root)

    trace = only(traces_of([call, root]))

    assert is_process(root)
    assert trace.root == trace.head == root
    assert [one.span for one in trace.calls] == [call]


def test_a_call_without_rpc_attributes_is_a_call() -> None:
    """Attributes do not distinguish a call from a process, since they are optional."""
    root = span(SpanRole.COMMAND, 0, 100)
    call = span(SpanRole.CALL, 10, 20, parent=root)

    (one,) = only(traces_of([root, call])).calls

    assert (one.is_call, one.is_orphan, is_process(call)) == (True, False, False)


def test_attempts_are_below_their_calls() -> None:
    """Calls come in order of start, each with its own attempts in order of time."""
    later, earlier = span(SpanRole.CALL, 50, 90), span(SpanRole.CALL, 10, 40)
    second = span(SpanRole.ATTEMPT, 25, 40, parent=earlier)
    first = span(SpanRole.ATTEMPT, 11, 20, parent=earlier)
    other = span(SpanRole.ATTEMPT, 51, 90, parent=later)

    trace = only(traces_of([second, later, other, first, earlier]))

    assert [(one.span, one.attempts) for one in trace.calls] == [(earlier, (first, second)), (later, (other,))]
    assert trace.root is None
    assert trace.interval == (10 * MS, 90 * MS)


def test_an_attempt_without_its_call_has_a_line() -> None:
    """An attempt is never lost, even if its call is in another batch; it counts neither as a call nor as an orphan."""
    absent = span(SpanRole.CALL, 0, 30)
    attempt = span(SpanRole.ATTEMPT, 0, 30, parent=absent)

    (one,) = only(traces_of([attempt])).calls

    assert (one.span, one.is_call, one.is_orphan) == (attempt, False, False)


def test_a_second_process_is_a_line() -> None:
    """Of the processes in one trace the first is the root; another one is a line, but no call."""
    root = span(SpanRole.COMMAND, 0, 100)
    child = span(SpanRole.COMMAND, 10, 90, parent=root)

    trace = only(traces_of([child, root]))

    assert trace.root == root
    assert [(one.span, one.is_call) for one in trace.calls] == [(child, False)]


def test_traces_come_in_order_of_start() -> None:
    """Each trace id makes a trace; the order of the spans does not matter."""
    spans = [span(SpanRole.CALL, start, start + 5, trace_id=start) for start in (30, 10, 20)]

    assert [trace.trace_id for trace in traces_of(spans)] == [10, 20, 30]
    assert traces_of([]) == []


@pytest.mark.parametrize(
    ("attributes", "attempts", "expected"),
    [
        pytest.param({}, [], 0, id="none"),
        pytest.param({}, [(0, 5), (5, 9)], 2, id="as-seen"),
        pytest.param({"csm.attempt_count": 3}, [(0, 5)], 3, id="as-counted"),
        pytest.param({"csm.attempts_missing": 2}, [(0, 5)], 3, id="with-missing-ones"),
        pytest.param({"csm.attempt_count": "3"}, [(0, 5)], 1, id="not-a-number"),
        pytest.param({"csm.attempt_count": True}, [], 0, id="a-boolean-is-no-number"),
    ],
)
def test_the_count_of_attempts(
    attributes: dict[str, AttributeValue], attempts: list[tuple[int, int]], expected: int
) -> None:
    """A call has as many attempts as it counts, or as were seen and are known to be missing."""
    assert call_of(attempts, attributes=attributes).attempt_count == expected


@pytest.mark.parametrize(
    ("attributes", "attempts", "expected"),
    [
        pytest.param({}, [(0, 10)], (), id="one-attempt"),
        pytest.param({}, [(0, 10), (60, 90)], ((10 * MS, 60 * MS),), id="a-pause"),
        pytest.param({}, [(0, 10), (12, 90)], (None,), id="within-clock-slack"),
        pytest.param({}, [(0, 10), (13, 20), (21, 90)], ((10 * MS, 13 * MS), None), id="one-of-two"),
        pytest.param({"csm.attempts_missing": 1}, [(0, 10), (60, 90)], (), id="missing-attempts"),
        pytest.param({"csm.correlation": "ambiguous"}, [(0, 10), (60, 90)], (), id="ambiguous"),
    ],
)
def test_back_offs(
    attributes: dict[str, AttributeValue],
    attempts: list[tuple[int, int]],
    expected: tuple[tuple[int, int] | None, ...],
) -> None:
    """The time between two attempts is back-off if both are certain, and longer than two clock readings differ."""
    assert call_of(attempts, attributes=attributes).back_offs == expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param(call_of([(0, 10), (20, 30)], error="SlowDown"), True, id="an-attempt"),
        pytest.param(call_of([], attributes={"error.type": "ThrottlingException"}), True, id="the-call"),
        pytest.param(call_of([], attributes={"http.response.status_code": 429}), True, id="its-status"),
        pytest.param(call_of([(0, 10)], error="AccessDenied"), False, id="another-error"),
        pytest.param(call_of([(0, 10)]), False, id="no-error"),
    ],
)
def test_throttling(call: Call, *, expected: bool) -> None:
    """A call was throttled if it, or any of its attempts, was answered with a throttling error or status 429."""
    assert call.is_throttled is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, True, id="no-error"),
        pytest.param({"is_error": True}, False, id="an-error"),
        pytest.param({"attributes": {"csm.outcome": "not_sent"}}, False, id="not-sent"),
        pytest.param({"attributes": {"csm.attempt_count": 3}}, True, id="after-retries"),
    ],
)
def test_what_went_well(changes: dict[str, Any], *, expected: bool) -> None:
    """A call went well unless it failed or was never sent; a retry that succeeded did."""
    assert went_well(changed(span(SpanRole.CALL, 0, 1), **changes)) is expected


def test_time_in_calls_counts_once() -> None:
    """Calls that overlap count once, calls outside the root's time do not, and neither do processes below it."""
    root = span(SpanRole.COMMAND, 0, 100)
    spans = [
        root,
        span(SpanRole.CALL, 10, 30, parent=root),
        span(SpanRole.CALL, 20, 40, parent=root),
        span(SpanRole.ORPHAN, 60, 70, parent=root),
        span(SpanRole.CALL, 90, 300, parent=root),
        span(SpanRole.COMMAND, 0, 100, parent=root),
    ]

    assert only(traces_of(spans)).busy_ns == (30 + 10 + 10) * MS


def test_back_off_within_the_trace() -> None:
    """The back-off of concurrent calls counts once."""
    root = span(SpanRole.COMMAND, 0, 100)
    first, second = (span(SpanRole.CALL, 0, 100, parent=root) for _ in range(2))
    attempts = [
        span(SpanRole.ATTEMPT, start, end, parent=parent)
        for parent, times in ((first, [(0, 10), (50, 100)]), (second, [(0, 20), (60, 100)]))
        for start, end in times
    ]

    assert only(traces_of([root, first, second, *attempts])).back_off_ns == 50 * MS


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(404, 404, id="integer"),
        pytest.param("404", None, id="text"),
        pytest.param(True, None, id="boolean"),
        pytest.param(None, None, id="absent"),
    ],
)
def test_numbers_of_a_span(value: AttributeValue | None, expected: int | None) -> None:
    """A status or exit code is read from an attribute only if it is an integer."""
    keys = ("http.response.status_code", "process.exit.code")
    one = span(SpanRole.CALL, 0, 1, attributes={} if value is None else dict.fromkeys(keys, value))

    assert (http_status(one), exit_code(one)) == (expected, expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("S3.GetObject", ("S3", "GetObject"), id="call"),
        pytest.param("S3.GetObject attempt", ("S3", "GetObject"), id="attempt-without-its-call"),
        pytest.param("CloudWatch Logs.PutLogEvents", ("CloudWatch Logs", "PutLogEvents"), id="with-a-blank"),
        pytest.param("a.b.C", ("a.b", "C"), id="with-a-dot"),
        pytest.param("", ("", ""), id="nothing"),
    ],
)
def test_operation(name: str, expected: tuple[str, str]) -> None:
    """The name of a span tells the service and the API."""
    assert operation_of(span(SpanRole.CALL, 0, 1, name=name)) == expected
