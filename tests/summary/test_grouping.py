"""Spans in any order to calls with their attempts: none is lost, and within the window the order does not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from traced import attempt_of, command, traced

from csm_otel.spans.data import SpanRole
from csm_otel.summary.builder import SummaryBuilder
from csm_otel.summary.grouping import CallGrouping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csm_otel.spans.data import SpanData


def grouped(spans: Sequence[SpanData], *, window_spans: int = 100) -> list[list[SpanData]]:
    """Return the groups of spans that come one by one."""
    grouping = CallGrouping(window_spans=window_spans)
    return [*(group for span in spans for group in grouping.add([span])), *grouping.flush()]


def summary_of(groups: Sequence[Sequence[SpanData]]) -> bytes:
    """Return the summary of groups, as JSON."""
    builder = SummaryBuilder()
    for group in groups:
        builder.add(group)
    return msgspec.json.encode(builder.build())


def spans_of_a_run(calls: int = 12) -> list[SpanData]:
    """Return the spans of calls with up to three attempts, two at a time, of an orphan and of the command."""
    spans: list[SpanData] = []
    for number in range(calls):
        start = 10 * number
        error = "SlowDown" if number % 5 == 4 else ""
        call = traced(f"S3.{'Get' if number % 3 else 'Put'}Object", start, start + 18, status=200, error=error)
        spans += [call, *(attempt_of(call, start + 6 * n, start + 6 * n + 3) for n in range(number % 4))]
    spans.append(traced("S3.GetObject attempt", 40, 45, role=SpanRole.ORPHAN, error="Timeout"))
    return [*spans, command(code=1)]


CALL = traced("S3.GetObject", 0, 20)
FIRST, SECOND = attempt_of(CALL, 1, 9), attempt_of(CALL, 10, 19)
OTHERS = [traced("S3.PutObject", 100 + n, 101 + n) for n in range(10)]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([CALL, FIRST, SECOND], [[CALL, FIRST, SECOND]], id="as-written"),
        pytest.param([SECOND, FIRST, CALL], [[CALL, FIRST, SECOND]], id="reversed"),
        pytest.param([FIRST, OTHERS[0], CALL], [[CALL, FIRST], OTHERS[:1]], id="another-between"),
        pytest.param([OTHERS[1], OTHERS[0]], [[OTHERS[0]], [OTHERS[1]]], id="in-order-of-their-ends"),
        pytest.param([CALL, CALL, FIRST], [[CALL, FIRST], [CALL]], id="twice"),
    ],
)
def test_groups(spans: list[SpanData], expected: list[list[SpanData]]) -> None:
    """A call has its attempts behind it, in order of time."""
    assert grouped(spans) == expected


def test_attempt_without_a_call() -> None:
    """It is an orphan, as if csm-otel had not received its call."""
    ((orphan,),) = grouped([FIRST])

    assert (orphan.role, orphan.context, orphan.name) == (SpanRole.ORPHAN, FIRST.context, "S3.GetObject attempt")


@pytest.mark.parametrize(("between", "is_found"), [(2, True), (9, False)])
@pytest.mark.parametrize("is_call_first", [True, False])
def test_window(between: int, *, is_found: bool, is_call_first: bool) -> None:
    """A call and an attempt that are further apart than the window are not matched; neither is lost."""
    pair = [CALL, FIRST] if is_call_first else [FIRST, CALL]
    groups = grouped([pair[0], *OTHERS[:between], pair[1]], window_spans=3)

    assert (len(groups), sum(map(len, groups))) == (between + (1 if is_found else 2), between + 2)


def test_what_is_kept_is_bounded() -> None:
    """Attempts that come before their calls, in whatever number, are kept for a window or two."""
    calls = [traced("S3.GetObject", n, n + 1) for n in range(500)]
    spans = [*(attempt_of(call, n, n + 1) for n, call in enumerate(calls)), *calls]
    grouping = CallGrouping(window_spans=10)
    returned = most = 0
    for added, span in enumerate(spans, start=1):
        returned += sum(map(len, grouping.add([span])))
        most = max(most, added - returned)
    returned += sum(map(len, grouping.flush()))

    assert most <= 30
    assert returned == len(spans)


RUN = spans_of_a_run()


@given(st.permutations(RUN))
def test_any_order(spans: list[SpanData]) -> None:
    """The summary is that of the spans in the order in which csm-otel writes them."""
    assert summary_of(grouped(spans)) == summary_of(grouped(RUN))


@given(st.permutations(RUN), st.integers(1, 2 * len(RUN)))
def test_no_span_is_lost(spans: list[SpanData], window_spans: int) -> None:
    """Each span leaves exactly once, whatever the order and the window."""
    found = [span.context.span_id for group in grouped(spans, window_spans=window_spans) for span in group]

    assert sorted(found) == sorted(span.context.span_id for span in RUN)


@given(st.data())
def test_an_order_within_the_window(data: st.DataObject) -> None:
    """Spans that are moved within blocks of the window leave as the others do."""
    window = data.draw(st.integers(3, 10))
    spans = [
        span for start in range(0, len(RUN), window) for span in data.draw(st.permutations(RUN[start : start + window]))
    ]
    groups = grouped(spans, window_spans=window)

    assert {group[0].context.span_id: len(group) for group in groups} == {
        group[0].context.span_id: len(group) for group in grouped(RUN)
    }
