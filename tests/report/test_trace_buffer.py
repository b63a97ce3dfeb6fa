"""The buffer of the waterfall: what is kept of long runs."""

from __future__ import annotations

import re

from report.waterfalls import DEMO, SLOW_DOWN, calling, command_span, demo, many_calls, ok, one_span

from csm_otel.report.trace_buffer import TraceBuffer
from csm_otel.spans.data import SpanRole


def test_the_buffer_keeps_the_first_spans_and_the_command() -> None:
    """Spans that do not fit are counted and reported; the command, which arrives last, still heads the trace."""
    buffer = TraceBuffer(max_spans=3)
    root = command_span()
    for number in range(5):
        buffer.add(
            [one_span("S3.HeadObject", number, number + 1, parent=root.context, status=200, rpc__method="HeadObject")]
        )
    buffer.add([root])
    lines = buffer.render(width=100, color=False).splitlines()
    assert lines[0].startswith("legacy.py  1.00 s  exit 0")
    assert lines[-2:] == [
        "3 calls, 0 failed; 3 ms of 1.00 s in AWS calls",
        "not in this view or its sums: 2 more calls, none of them failed",
    ]


def test_a_full_buffer_keeps_late_failures() -> None:
    """A failure after 30,000 spans is shown with its attempts, whatever the batches; what is left out is counted."""
    root = command_span(100_000, code=1)
    spans = many_calls(root, 15_000)
    late = calling(root, "S3.PutObject", (90_000, 90_900), [(90_000, 90_100, *SLOW_DOWN), (90_800, 90_900, *SLOW_DOWN)])
    orphan = one_span("S3.PutObject attempt", 95_000, 95_001, role=SpanRole.ORPHAN, parent=root.context, status=200)
    buffer = TraceBuffer()
    for span in [*spans, *late, orphan, root]:
        buffer.add([span])
    lines = buffer.render(width=125, color=False).splitlines()
    assert lines[1].split()[:5] == ["+0", "ms", "S3.GetObject", "x10,000", "█████▌"]
    assert [line.split()[:3] for line in lines[2:-2]] == [
        ["✗", "+1", "min"],
        ["│", "Please", "reduce"],
        ["├", "attempt", "1"],
        ["│", "··", "700"],
        ["└", "attempt", "2"],
    ]
    assert lines[-2].startswith("10,001 calls, 1 failed, 1 retried, 1 throttled; 10.90 s of 1 min 40 s in AWS calls; ")
    assert lines[-1] == (
        "not in this view or its sums: 5,000 more calls, none of them failed; "
        "1 more attempt without its call, which did not fail"
    )


def test_late_failures_in_the_buffer_are_bounded() -> None:
    """The latest failures stay, with their attempts, and the others are counted; one of many attempts fits no less."""
    root = command_span(1000)
    buffer = TraceBuffer(max_spans=6, max_later_spans=5)
    buffer.add(many_calls(root, 9, [1, 3, 5, 6, 8]))
    buffer.add([root])
    text = buffer.render(width=100, color=False)
    assert re.findall(r"^(.) +(\+\S+ ms)  S3.GetObject", text, re.MULTILINE) == [
        (" ", "+0 ms"),
        ("✗", "+1 ms"),
        (" ", "+2 ms"),
        ("✗", "+6 ms"),
        ("✗", "+8 ms"),
    ]
    assert text.endswith("\nnot in this view or its sums: 4 more calls, 2 of them failed\n")
    assert text.count("attempt 1") == 3

    buffer.add(calling(root, "S3.PutObject", (500, 999), [(n, n + 1, *SLOW_DOWN) for n in range(500, 999)]))
    text = buffer.render(width=100, color=False)
    assert "S3.PutObject" in text
    assert "499 attempts" in text
    assert text.count("attempt ") == 1 + 4
    assert text.endswith("\nnot in this view or its sums: 6 more calls, 4 of them failed\n")


def test_a_full_buffer_keeps_the_slowest() -> None:
    """The slowest calls are shown with their attempts, wherever in the run they were."""
    root = command_span(1000)
    buffer = TraceBuffer(max_spans=20)
    buffer.add(many_calls(root, 20))
    for number, length in enumerate((5, 1, 6, 3, 8, 2, 7), 30):
        span, end = (10 * number, 10 * number + length), 10 * number + length
        buffer.add(calling(root, f"S3.Get{length}", span, [(10 * number, end - 1, *SLOW_DOWN), ok(end - 1, end)]))
    buffer.add([root])
    text = buffer.render(width=100, color=False)
    assert re.findall(r"S3.Get(\d)", text) == ["6", "8", "7"]
    assert text.count("├ attempt 1") == 3
    assert text.endswith("\nnot in this view or its sums: 14 more calls, none of them failed\n")


def test_an_attempt_that_no_call_precedes_is_counted() -> None:
    """A full buffer counts an attempt as one where its call is not the latest."""
    buffer = TraceBuffer(max_spans=1)
    (call, attempt), others = calling(None, "S3.GetObject", (0, 1), [ok(0, 1)]), many_calls(command_span(), 3)
    buffer.add([call, attempt, *others, attempt])
    assert buffer.render(width=130, color=False).splitlines()[-1] == (
        "not in this view or its sums: 1 more call, which did not fail; "
        "1 more attempt without its call, which did not fail"
    )


def test_a_full_buffer_that_left_nothing_out_says_nothing() -> None:
    """The waterfall of a buffer with room is that of its spans."""
    buffer = TraceBuffer()
    spans = demo()
    buffer.add(spans[:5])
    buffer.add(spans[5:])
    assert buffer.render(width=100, color=False) == DEMO


def test_an_empty_buffer() -> None:
    """Without spans there is no text."""
    assert not TraceBuffer().render(width=100, color=False)
