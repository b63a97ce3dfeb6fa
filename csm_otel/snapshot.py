"""The counts of a moment, for whoever asks while the pipeline runs: `Snapshot`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from csm_otel.tally import Tally


class Snapshot(NamedTuple):
    """Counts since the start; numbers only."""

    datagrams_received: int
    datagrams_dropped_by_kernel: int | None
    """None where the system does not tell."""
    malformed: int
    calls: int
    attempts: int
    events_pending: int
    """Of these: wait for more datagrams."""
    spans_delivered: int
    spans_shown: int
    spans_waiting: int
    """Made, or found in the spool, and in none of the other counts."""
    spans_dropped: int
    spans_rejected: int

    @property
    def spans_lost(self) -> int:
        """Spans that were made and will not be delivered."""
        return self.spans_dropped + self.spans_rejected


def snapshot_of(tally: Tally, *, events_pending: int) -> Snapshot:
    """Return the counts as they are now."""
    dropped = tally.spans_dropped.total()
    ended = tally.spans_delivered + tally.spans_shown + dropped + tally.spans_rejected + tally.spans_unsampled
    return Snapshot(
        datagrams_received=tally.datagrams_received,
        datagrams_dropped_by_kernel=tally.datagrams_dropped_by_kernel,
        malformed=tally.malformed.total(),
        calls=tally.calls,
        attempts=tally.attempts,
        events_pending=events_pending,
        spans_delivered=tally.spans_delivered,
        spans_shown=tally.spans_shown,
        # the thread that delivers counts meanwhile
        spans_waiting=max(tally.spans_made + tally.spans_recovered - ended - tally.spans_spooled, 0),
        spans_dropped=dropped,
        spans_rejected=tally.spans_rejected,
    )
