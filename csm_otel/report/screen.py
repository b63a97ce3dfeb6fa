"""What `exec` prints of a run: an overview, if there is a summary, and the waterfall (`render_run`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from csm_otel.report.trace_buffer import TraceBuffer
    from csm_otel.summary.model import Summary


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
    """Return the run as text; see `render_overview` and `TraceBuffer.render`."""
    parts = []
    if summary is not None:
        # short runs have none, and do without what it needs
        from csm_otel.report.overview import render_overview  # ruff: ignore[import-outside-top-level]

        parts.append(render_overview(summary, width=width, color=color, ascii_only=ascii_only, sort=sort))
    if waterfall:
        parts.append(
            buffer.render(
                width=width, color=color, ascii_only=ascii_only, everything=everything, only_failed=only_failed
            )
        )
    return "\n".join(filter(None, parts))
