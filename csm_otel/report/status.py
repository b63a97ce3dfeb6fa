"""The current counts on one line: `render_status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.report.terminal import counted

if TYPE_CHECKING:
    from csm_otel.tally import Snapshot


def render_status(snapshot: Snapshot) -> str:
    """Return the counts as one line of ASCII without a newline."""
    dropped = snapshot.datagrams_dropped_by_kernel
    parts = [
        f"{counted(snapshot.datagrams_received, 'datagram')} received",
        "kernel drops unknown" if dropped is None else f"{dropped:,} dropped by the kernel",
        f"{snapshot.malformed:,} malformed",
        f"{counted(snapshot.events_pending, 'event')} pending",
        f"{counted(snapshot.spans_delivered, 'span')} delivered",
        f"{snapshot.spans_waiting:,} waiting",
        f"{snapshot.spans_dropped:,} dropped",
    ]
    if snapshot.spans_rejected:
        parts.append(f"{snapshot.spans_rejected:,} rejected")
    if snapshot.spans_shown:
        parts.append(f"{snapshot.spans_shown:,} sent nowhere")
    if snapshot.events_not_forwarded:
        parts.append(f"{counted(snapshot.events_not_forwarded, 'event')} not forwarded")
    return ", ".join(parts)
