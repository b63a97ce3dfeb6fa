"""How spans entered and left the queue."""

from __future__ import annotations

from csm_otel.delivery.ledger import Ledger
from csm_otel.tally import Tally


def test_each_span_is_counted_twice() -> None:
    """Once when it enters and once when it leaves; the tally has the way it left."""
    tally = Tally()
    ledger = Ledger(tally)
    ledger.recover(4)
    ledger.add(6)
    ledger.deliver(5, rejected=2)
    ledger.drop(3, "refused")
    ledger.drop(0, "queue_full")
    assert (ledger.entered, ledger.left, ledger.waiting) == (10, 8, 2)
    assert (tally.spans_recovered, tally.spans_delivered, tally.spans_rejected) == (4, 3, 2)
    assert tally.spans_dropped == {"refused": 3}
