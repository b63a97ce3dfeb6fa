"""The trace file of Chrome's format: processes, lanes, and slices that nest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from traced import MS, T0, attempt_of, called, command, traced

from csm_otel.report.chrome_trace import render_chrome_trace
from csm_otel.spans.data import Resource, SpanRole
from csm_otel.summary.trace import Call

if TYPE_CHECKING:
    from csm_otel.spans.data import SpanData


def events_of(*calls: Call, roots: tuple[SpanData, ...] = ()) -> list[dict[str, Any]]:
    """Return the events of the file."""
    events: list[dict[str, Any]] = json.loads(render_chrome_trace(calls, roots))["traceEvents"]
    return events


def slices_of(*calls: Call, roots: tuple[SpanData, ...] = ()) -> list[tuple[str, int, int, int]]:
    """Return the name, lane, start and length of each slice; in milliseconds."""
    return [
        (one["name"], one["tid"] - one["pid"], one["ts"] // 1000, one["dur"] // 1000)
        for one in events_of(*calls, roots=roots)
        if one["ph"] == "X"
    ]


def retried(start_ms: int = 0) -> Call:
    """Return a call of two attempts with a pause."""
    span = traced("S3.PutObject", start_ms, start_ms + 10, status=200)
    attempts = (
        attempt_of(span, start_ms, start_ms + 2, status=503, error="SlowDown"),
        attempt_of(span, start_ms + 8, start_ms + 10),
    )
    return Call(span=span, attempts=attempts)


def test_nested() -> None:
    """Attempts and the pause between them are in the lane of their call, in order."""
    assert slices_of(retried(5), roots=(command(100),)) == [
        ("legacy.py", 1, 0, 100),
        ("S3.PutObject", 2, 5, 10),
        ("S3.PutObject attempt", 2, 5, 2),
        ("back-off", 2, 7, 6),
        ("S3.PutObject attempt", 2, 13, 2),
    ]


@pytest.mark.parametrize(
    ("intervals", "lanes"),
    [
        pytest.param([(0, 5), (5, 9)], [1, 1], id="one-after-the-other"),
        pytest.param([(0, 5), (4, 9), (5, 6)], [1, 2, 1], id="first-free-lane"),
        pytest.param([(0, 9), (0, 1), (2, 3)], [1, 2, 2], id="beside-a-long-one"),
        pytest.param([(3, 3), (3, 3), (4, 4)], [1, 2, 1], id="without-a-length"),
    ],
)
def test_lanes(intervals: list[tuple[int, int]], lanes: list[int]) -> None:
    """Each call is in the first lane that is free."""
    calls = [Call(span=traced("SQS.SendMessage", *interval), attempts=()) for interval in intervals]

    assert [lane for _, lane, _, _ in slices_of(*calls)] == lanes


def test_names() -> None:
    """The application names the process, and each lane has a name."""
    named = {
        (one["name"], one["pid"], one["tid"]): [*one["args"].values()]
        for one in events_of(called("S3.GetObject", 0, 5), called("S3.GetObject", 1, 5), roots=(command(),))
        if one["ph"] == "M"
    }

    assert named == {
        ("process_name", 1, 1): ["legacy-etl"],
        ("thread_name", 1, 2): ["command 1"],
        ("thread_sort_index", 1, 2): [0],
        ("thread_name", 1, 3): ["calls 1"],
        ("thread_sort_index", 1, 3): [1],
        ("thread_name", 1, 4): ["calls 2"],
        ("thread_sort_index", 1, 4): [2],
    }


def test_several_applications() -> None:
    """Each is a process; no lane has the number of another's."""
    other = traced("S3.GetObject", 0, 5)
    shape = msgspec.structs.replace(other.shape, resource=Resource((("service.name", "other"),)))
    other = msgspec.structs.replace(other, shape=shape)
    events = events_of(called("S3.GetObject", 0, 5), Call(span=other, attempts=()), called("S3.GetObject", 1, 5))

    assert [one["args"]["name"] for one in events if one["name"] == "process_name"] == ["legacy-etl", "other"]
    lanes = {(one["pid"], one["tid"]) for one in events}
    assert len({tid for _, tid in lanes}) == len(lanes) == 2 + 3


def test_failed() -> None:
    """A call that failed is coloured, and has all that is known of it."""
    span = traced(
        "S3.GetObject", 0, 5, status=403, error="AccessDenied", message="no", attributes={"cloud.region": "eu-west-1"}
    )
    [event] = [one for one in events_of(Call(span=span, attempts=())) if one["ph"] == "X"]

    assert (event["cat"], event["cname"]) == ("call,failed", "terrible")
    assert event["args"] == {
        "http.response.status_code": 403,
        "error.type": "AccessDenied",
        "cloud.region": "eu-west-1",
        "message": "no",
        "trace_id": f"{span.context.trace_id:032x}",
        "span_id": f"{span.context.span_id:016x}",
    }


def test_orphan() -> None:
    """An attempt without its call has a lane, too."""
    orphan = traced("S3.GetObject attempt", 0, 5, role=SpanRole.ORPHAN)

    assert slices_of(Call(span=orphan, attempts=())) == [("S3.GetObject attempt", 1, 0, 5)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("<script>alert(1)</script>", "<script>alert(1)</script>", id="markup"),
        pytest.param("a\x1b[31m\u202eb", "a[31mb", id="control"),
        pytest.param('"\\\n', '"\\', id="quotes"),
        pytest.param("", "", id="empty"),
    ],
)
def test_any_text(text: str, shown: str) -> None:
    """Names are made printable, as not all viewers do that."""
    assert [name for name, *_ in slices_of(called(text, 0, 1))] == [shown, f"{shown} attempt".strip()]


def test_several_commands() -> None:
    """Commands that ran at the same time have lanes of their own."""
    later = msgspec.structs.replace(command(), start_ns=T0 + 50 * MS, end_ns=T0 + 150 * MS)

    assert slices_of(roots=(later, command(100))) == [("legacy.py", 1, 0, 100), ("legacy.py", 2, 50, 100)]


def test_no_utf_8() -> None:
    """A command whose name is not UTF-8 is in the file, with question marks."""
    root = traced(
        "a\udcff.sh", 0, 5, role=SpanRole.COMMAND, error="3", attributes={"process.executable.name": "a\udcff"}
    )
    [event] = [one for one in events_of(roots=(root,)) if one["ph"] == "X"]

    assert event["args"]["process.executable.name"] == "a?"


def test_last_backslash() -> None:
    """Perfetto takes a quote behind two backslashes for an escaped one, so the second is written by its number."""
    span = traced("S3.x", 0, 1, error="E", message="a\\")
    text = render_chrome_trace([Call(span=span, attempts=())], [])

    assert rb'"message":"a\u005c"' in text
    assert events_of(Call(span=span, attempts=()))[0]["args"]["message"] == "a\\"


def test_empty_run() -> None:
    """Without calls it is a file without events."""
    assert json.loads(render_chrome_trace([], [])) == {"displayTimeUnit": "ms", "traceEvents": []}


intervals = st.tuples(st.integers(0, 40), st.integers(0, 20)).map(lambda pair: (pair[0], sum(pair)))


@given(st.lists(st.tuples(intervals, st.lists(intervals, max_size=4)), max_size=12), st.lists(intervals, max_size=3))
def test_slices_of_a_lane_nest(
    runs: list[tuple[tuple[int, int], list[tuple[int, int]]]], commands: list[tuple[int, int]]
) -> None:
    """Two slices of a lane are one within the other, or one after the other, whatever the senders say."""
    calls = []
    for interval, attempts in runs:
        span = traced("S3.GetObject", *interval)
        calls.append(Call(span=span, attempts=tuple(attempt_of(span, *one) for one in sorted(attempts))))
    roots = tuple(traced("legacy.py", *interval, role=SpanRole.COMMAND) for interval in commands)
    slices = slices_of(*calls, roots=roots)

    assert len(slices) >= len(roots) + len(calls) + sum(len(call.attempts) for call in calls)
    for index, (_, lane, start, length) in enumerate(slices):
        for _, other_lane, other_start, other_length in slices[index + 1 :]:
            if lane == other_lane:
                is_after = other_start >= start + length
                is_within = start <= other_start and other_start + other_length <= start + length
                assert is_after or is_within
