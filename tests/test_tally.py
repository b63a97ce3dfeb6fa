"""The counts of a moment: what was made and is nowhere else waits."""

from __future__ import annotations

from collections import Counter

from csm_otel.tally import Tally, snapshot_of


def test_every_span_is_in_one_count() -> None:
    """Spans that were made, or found, and have not been accounted for wait."""
    tally = Tally(
        spans_created=100,
        spans_recovered=20,
        spans_unsampled=10,
        spans_delivered=50,
        spans_rejected=5,
        spans_dropped=Counter(queue_full=3, refused=2),
        malformed=Counter(no_json=2, no_event=1),
    )
    snapshot = snapshot_of(tally, events_pending=7)
    assert snapshot.spans_waiting == 50
    assert (snapshot.spans_dropped, snapshot.spans_rejected, snapshot.spans_lost) == (5, 5, 10)
    assert (snapshot.malformed, snapshot.events_pending) == (3, 7)
    assert snapshot.datagrams_dropped_by_kernel is None


def test_less_than_nothing_never_waits() -> None:
    """Counts that another thread is about to change do not show as a negative number."""
    assert snapshot_of(Tally(spans_delivered=1), events_pending=0).spans_waiting == 0
