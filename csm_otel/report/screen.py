"""What `exec` prints of a run: an overview, if there is a summary, and the waterfall (`render_run`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.report.waterfall import MAX_LINES

if TYPE_CHECKING:
    from csm_otel.report.trace_buffer import TraceBuffer
    from csm_otel.summary.model import Summary

_LEAST_LINES = 12  # of calls, below a long overview
_LINES_AROUND = 3  # an empty line, the waterfall's header and its sum
_LINES_A_FAILURE = 3  # a waterfall has up to a third of its lines for them


def render_run(
    buffer: TraceBuffer,
    summary: Summary | None,
    *,
    width: int,
    color: bool,
    ascii_only: bool,
    waterfall: bool = True,
    everything: bool = False,
    only_failed: bool = False,
    sort: str = "total",
) -> str:
    """Return the run as text; see `render_overview` and `TraceBuffer.render`.

    Both are about a screen together, unless many calls failed.
    """
    parts = []
    max_lines = MAX_LINES
    if summary is not None:
        # short runs have none, and do without what it needs
        from csm_otel.report.overview import render_overview  # ruff: ignore[import-outside-top-level]

        overview = render_overview(summary, width=width, color=color, ascii_only=ascii_only, sort=sort)
        parts.append(overview)
        max_lines = _lines_left(overview, summary)
    if waterfall:
        parts.append(
            buffer.render(
                width=width,
                color=color,
                ascii_only=ascii_only,
                max_lines=max_lines,
                everything=everything,
                only_failed=only_failed,
            )
        )
    return "\n".join(filter(None, parts))


def _lines_left(overview: str, summary: Summary) -> int:
    """Return how many lines the waterfall may have below the overview, with room for the calls that failed."""
    for_failures = _LINES_A_FAILURE * (summary.totals.failed + summary.totals.not_sent)
    left = MAX_LINES - overview.count("\n") - _LINES_AROUND
    return min(max(left, for_failures, _LEAST_LINES), MAX_LINES)
