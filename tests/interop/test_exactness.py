"""The comparison that judges the senders finds every kind of error in a tree."""

from __future__ import annotations

from dataclasses import replace

import pytest
from interop.exactness import ERROR, MadeAttempt, MadeCall, compare
from interop.jaeger import ShownSpan

UNSET = 0
MS = 1_000_000


def made_call(label: str, began: int, ended: int, *attempts: MadeAttempt, failed: bool = False) -> MadeCall:
    """Return a call between two times in milliseconds."""
    return MadeCall(
        api="GetItem", label=label, began_ns=began * MS, ended_ns=ended * MS, failed=failed, attempts=attempts
    )


def made_attempt(request_id: str | None, received: int | None, status: int | None = 200) -> MadeAttempt:
    """Return an attempt that was received at a time in milliseconds."""
    return MadeAttempt(request_id=request_id, status=status, received_ns=None if received is None else received * MS)


def call_span(span_id: str, start: int, end: int, status: int = UNSET) -> ShownSpan:
    """Return the span of a call."""
    return ShownSpan(
        trace_id="t", span_id=span_id, parent_id="root", name="DynamoDB.GetItem", kind=3, start_ns=start * MS,
        end_ns=end * MS, status=status, status_message="", attributes={"rpc.system": "aws-api"}, events=(), resource={},
    )  # fmt: skip


def attempt_span(parent_id: str, start: int, end: int, request_id: str | None, status: int | None = 200) -> ShownSpan:
    """Return the span of an attempt below a call's."""
    shown = {"aws.request_id": request_id, "http.response.status_code": status}
    return replace(
        call_span("", start, end),
        parent_id=parent_id,
        name="DynamoDB.GetItem attempt",
        attributes={name: value for name, value in shown.items() if value is not None},
    )


LONG = made_call("long", 0, 100, made_attempt("long-1", 10, 503), made_attempt("long-2", 60))
SHORT = made_call("short", 20, 80, made_attempt("short-1", 40))
LONG_SPANS = (
    call_span("L", 0, 100), attempt_span("L", 2, 30, "long-1", 503), attempt_span("L", 50, 99, "long-2"),
)  # fmt: skip
SHORT_SPANS = (call_span("S", 20, 80), attempt_span("S", 22, 78, "short-1"))


def test_correct_spans_are_exact() -> None:
    """Correct spans are exact, in any order."""
    found = compare([LONG, SHORT], [*reversed(LONG_SPANS), *SHORT_SPANS])

    assert (2, 3, 2, 1.0) == (found.calls, found.attempts, found.exact, found.share)
    assert ({}, []) == (found.differences, found.left_over)


def test_unanswered_calls_are_found_by_time() -> None:
    """A call without request ids is identified by its time."""
    refused = made_call("refused", 200, 300, *[made_attempt(None, None, None)] * 2, failed=True)
    spans = [
        call_span("R", 200, 300, ERROR),
        attempt_span("R", 200, 210, None, None),
        attempt_span("R", 280, 300, None, None),
    ]

    assert {} == compare([LONG, refused], [*LONG_SPANS, *spans]).differences


@pytest.mark.parametrize(
    ("spans", "wrong", "left_over"),
    [
        pytest.param(LONG_SPANS, {"short"}, 0, id="no-span"),
        pytest.param((*LONG_SPANS, SHORT_SPANS[0]), {"short"}, 0, id="attempt-lost"),
        pytest.param((*LONG_SPANS, *SHORT_SPANS, attempt_span("S", 30, 40, "other")), {"short"}, 0, id="attempt-added"),
        pytest.param((*LONG_SPANS, *SHORT_SPANS, attempt_span("", 30, 40, "other")), set(), 1, id="orphan"),
        pytest.param((*LONG_SPANS, *SHORT_SPANS, call_span("X", 500, 600)), set(), 1, id="invented-call"),
        pytest.param((*LONG_SPANS, *SHORT_SPANS, *SHORT_SPANS[:1]), set(), 1, id="call-twice"),
        pytest.param((*LONG_SPANS, SHORT_SPANS[0], attempt_span("S", 22, 78, "short-1", 500)), {"short"}, 0,
                     id="another-status"),
        pytest.param((*LONG_SPANS, SHORT_SPANS[0], attempt_span("S", 22, 30, "short-1")), {"short"}, 0,
                     id="attempt-at-another-time"),
        pytest.param((*LONG_SPANS, call_span("S", 20, 90), SHORT_SPANS[1]), {"short", "long"}, 0, id="call-too-long"),
        pytest.param((*LONG_SPANS, call_span("S", 20, 80, ERROR), SHORT_SPANS[1]), {"short"}, 0, id="failed"),
        pytest.param((LONG_SPANS[0], attempt_span("L", 2, 30, "long-2"), attempt_span("L", 50, 99, "long-1", 503)),
                     {"short", "long"}, 0, id="attempts-in-another-order"),
        pytest.param((*LONG_SPANS[:2], attempt_span("S", 50, 99, "long-2"), SHORT_SPANS[0],
                      attempt_span("L", 22, 78, "short-1")), {"short", "long"}, 1, id="attempts-exchanged"),
        pytest.param((call_span("S", 20, 80), attempt_span("S", 2, 30, "long-1", 503),
                      attempt_span("S", 50, 99, "long-2"), call_span("L", 0, 100),
                      attempt_span("L", 22, 78, "short-1")), {"short", "long"}, 0, id="all-attempts-exchanged"),
    ],
)  # fmt: skip
def test_every_difference_is_seen(spans: tuple[ShownSpan, ...], wrong: set[str], left_over: int) -> None:
    """A call with a wrong tree is not exact, and spans of no call are left over."""
    found = compare([LONG, SHORT], spans)

    assert wrong == found.differences.keys()
    assert 2 - len(wrong) == found.exact
    assert left_over == len(found.left_over)
