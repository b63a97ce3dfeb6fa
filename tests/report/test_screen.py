"""What is printed of a run: its waterfall, and an overview of a long one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from traced import command, traced

from csm_otel.report.screen import render_run
from csm_otel.report.trace_buffer import TraceBuffer
from csm_otel.summary.builder import SummaryBuilder

if TYPE_CHECKING:
    from csm_otel.spans.data import SpanData

HEADING = "legacy-etl: legacy.py"
OVERVIEW = "calls to S3"


def rendered(calls: int, *, with_summary: bool = True, **options: Any) -> str:
    """Return a run of so many calls, the last of which failed."""
    root = command(calls + 10, code=1)
    spans: list[SpanData] = [
        traced("S3.GetObject", number, number + 1, parent=root, status=200) for number in range(calls - 1)
    ]
    spans.append(traced("S3.PutObject", calls, calls + 5, parent=root, status=403, error="AccessDenied"))
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
    """The failure at the end of a long run is on the first lines, and in the waterfall."""
    lines = rendered(20_000).splitlines()
    assert any("S3.PutObject  403 AccessDenied" in line for line in lines[:6])
    assert any(line.startswith("✗") and "S3.PutObject" in line for line in lines[12:])
    assert len(lines) < 80


def test_options() -> None:
    """Every call can be shown, or only what failed."""
    assert rendered(200, everything=True).count("S3.GetObject") > 199
    assert "S3.GetObject  " not in rendered(200, only_failed=True).split(HEADING)[1]


def test_no_calls() -> None:
    """Without calls there is only the command."""
    buffer, builder = TraceBuffer(), SummaryBuilder()
    for collector in (buffer, builder):
        collector.add([command()])
    text = render_run(buffer, builder.build(), width=100, color=False, ascii_only=False)
    assert "no AWS calls seen" in text
