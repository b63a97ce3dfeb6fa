"""The summary of the counts: every span is in one of them, and those in no other are waiting."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from csm_otel.tally import Snapshot, Tally, snapshot_of


@pytest.mark.parametrize(
    ("counts", "waiting"),
    [
        pytest.param({}, 0, id="nothing"),
        pytest.param({"spans_created": 7}, 7, id="created"),
        pytest.param({"spans_recovered": 7}, 7, id="recovered-from-the-spool"),
        pytest.param({"spans_created": 7, "spans_delivered": 4}, 3, id="delivered"),
        pytest.param({"spans_created": 7, "spans_shown": 7}, 0, id="shown"),
        pytest.param({"spans_created": 7, "spans_unsampled": 6}, 1, id="unsampled"),
        pytest.param({"spans_created": 7, "spans_rejected": 2}, 5, id="rejected"),
        pytest.param({"spans_created": 7, "spans_spooled": 2}, 5, id="left-in-the-spool"),
        pytest.param({"spans_created": 7, "spans_dropped": Counter(queue_full=1, shutdown=3)}, 3, id="dropped"),
        pytest.param({"spans_created": 7, "spans_repeated": 5}, 7, id="repeats-are-counted-elsewhere"),
        pytest.param({"spans_delivered": 1}, 0, id="delivered-before-it-was-counted-as-created"),
    ],
)
def test_waiting_spans(counts: dict[str, Any], waiting: int) -> None:
    """Spans that were created or recovered, and are in no other count, wait; never fewer than 0."""
    assert snapshot_of(Tally(**counts), events_pending=0).spans_waiting == waiting


def test_a_snapshot_has_the_totals() -> None:
    """Counts by reason are added up, and unknown kernel drops stay unknown."""
    tally = Tally(
        datagrams_received=9,
        calls=3,
        attempts=4,
        spans_created=100,
        spans_recovered=20,
        spans_unsampled=10,
        spans_delivered=50,
        spans_shown=1,
        spans_rejected=5,
        spans_dropped=Counter(queue_full=3, refused=2),
        malformed=Counter(not_json=2, empty=1),
    )

    snapshot = snapshot_of(tally, events_pending=7)

    assert snapshot == Snapshot(
        datagrams_received=9,
        datagrams_dropped_by_kernel=None,
        malformed=3,
        calls=3,
        attempts=4,
        events_pending=7,
        spans_delivered=50,
        spans_shown=1,
        spans_waiting=49,
        spans_dropped=5,
        spans_rejected=5,
    )
    assert snapshot.spans_lost == 10


def test_zero_kernel_drops_are_known() -> None:
    """A system without kernel drops is distinguished from one that does not count them."""
    assert snapshot_of(Tally(datagrams_dropped_by_kernel=0), events_pending=0).datagrams_dropped_by_kernel == 0


def test_each_run_has_its_own_counts() -> None:
    """Counters of one tally are not shared with another."""
    first = Tally()
    first.malformed["empty"] += 1

    assert not Tally().malformed
