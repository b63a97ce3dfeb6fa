"""What is printed of a run: its waterfall, and an overview of a long one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from report.runner_commands import commands_in
from traced import attempt_of, command, traced

from csm_otel.report.screen import render_run
from csm_otel.report.trace_buffer import TraceBuffer
from csm_otel.summary.builder import SummaryBuilder

if TYPE_CHECKING:
    from csm_otel.spans.data import SpanData

HEADING = "legacy-etl: legacy.py"
OVERVIEW = "calls to"
READS = "S3.GetObject", "S3.HeadObject", "DynamoDB.GetItem", "SQS.GetQueueUrl"


def rendered(calls: int, *, with_summary: bool = True, **options: Any) -> str:
    """Return a run of so many calls of one attempt, the last of which failed."""
    root = command(calls + 10, code=1)
    spans: list[SpanData] = []
    for number in range(calls - 1):
        call = traced(READS[number % len(READS)], number, number + 1, parent=root, status=200)
        spans += [call, attempt_of(call, number, number + 1)]
    denied: dict[str, Any] = {"status": 403, "error": "AccessDenied"}
    call = traced("S3.PutObject", calls, calls + 5, parent=root, message="User: jo is not authorized", **denied)
    spans += [call, attempt_of(call, calls, calls + 5, **denied)]
    buffer, builder = TraceBuffer(), SummaryBuilder()
    for collector in (buffer, builder):
        collector.add([*spans, root])
    summary = builder.build() if with_summary else None
    return render_run(buffer, summary, width=100, color=False, ascii_only=False, **options)


@pytest.mark.parametrize(
    ("options", "has_overview", "has_waterfall"),
    [
        pytest.param({"with_summary": False}, False, True, id="waterfall"),
        pytest.param({}, True, True, id="both"),
        pytest.param({"waterfall": False}, True, False, id="overview"),
    ],
)
def test_parts(options: dict[str, bool], *, has_overview: bool, has_waterfall: bool) -> None:
    """The overview comes first."""
    text = rendered(5, **options)
    assert (OVERVIEW in text, HEADING in text) == (has_overview, has_waterfall)
    if has_overview and has_waterfall:
        assert text.index(OVERVIEW) < text.index(HEADING)


def test_last_of_many_failed() -> None:
    """The failure at the end of a long run is on the first lines, and in the waterfall with its attempt."""
    lines = rendered(20_000).splitlines()
    assert lines[3:5] == [
        "✗ S3.PutObject  403 AccessDenied  +20.00 s, the last call before the command failed",
        "  User: jo is not authorized",
    ]
    first = lines.index(next(line for line in lines if line.startswith(HEADING)))
    assert [line.split()[:5] for line in lines[first + 2 : first + 5]] == [
        ["✗", "+20.00", "s", "S3.PutObject", "▐"],
        ["│", "User:", "jo", "is", "not"],
        ["└", "attempt", "▐", "5", "ms"],
    ]
    assert lines[-1] == "not in this view or its sums: 9,999 more calls, none of them failed"
    assert len(lines) < 40


def test_room_for_failures() -> None:
    """Below an overview the waterfall is shorter, but not where many calls failed."""
    root = command(2_000, code=1)
    spans = [
        traced(f"S3.Get{number % 20}", number, number + 1, parent=root, error="SlowDown" if number % 100 == 0 else "")
        for number in range(1_000)
    ]
    buffer, builder = TraceBuffer(), SummaryBuilder()
    for collector in (buffer, builder):
        collector.add([*spans, root])
    text = render_run(buffer, builder.build(), width=100, color=False, ascii_only=False).split(HEADING)[1]
    assert text.count("✗") == 10
    assert text.count("\n") < 40


def test_options() -> None:
    """Every call can be shown, or only what failed."""
    assert rendered(200, everything=True).count("S3.GetObject") > 50
    assert "S3.GetObject  " not in rendered(200, only_failed=True).split(HEADING)[1]


def test_no_calls() -> None:
    """Without calls there is only the command."""
    buffer, builder = TraceBuffer(), SummaryBuilder()
    for collector in (buffer, builder):
        collector.add([command()])
    text = render_run(buffer, builder.build(), width=100, color=False, ascii_only=False)
    assert "no AWS calls seen" in text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("::stop-commands::x", id="at-the-beginning"),
        pytest.param("word " * 19 + "::add-mask::x", id="wrapped"),
        pytest.param("x ##[add-mask]y", id="older"),
    ],
)
@pytest.mark.parametrize("width", [100, 20])
def test_no_commands_for_the_runner(text: str, width: int) -> None:
    """Whatever senders send, a runner of pipelines finds no command of its own in what is printed."""
    root = command(code=1, name=text)
    attributes: dict[str, Any] = {"csm.sdk": text, "cloud.region": text, "server.address": text}
    call = traced(
        f"{text}.{text}", 0, 5, parent=root, status=403, error=text, message=text, attributes=attributes
    )  # fmt: skip
    buffer, builder = TraceBuffer(), SummaryBuilder()
    for collector in (buffer, builder):
        collector.add([call, attempt_of(call, 0, 5, status=403, error=text), root])
    shown = render_run(buffer, builder.build(), width=width, color=False, ascii_only=False)
    assert "add-mask" in shown.replace("\n", "") or "stop" in shown
    assert commands_in(shown) == []
