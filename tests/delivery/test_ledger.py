"""What became of every span."""

from __future__ import annotations

from csm_otel.delivery.ledger import Ledger
from csm_otel.tally import Tally


def test_each_span_is_entered_twice() -> None:
    """Once when it comes, once when it waits no more; the tally says what became of it."""
    tally = Tally()
    ledger = Ledger(tally)
    ledger.recover(4)
    ledger.put += 6
    ledger.deliver(5, rejected=2)
    ledger.drop(3, "refused")
    ledger.drop(0, "queue_full")
    assert (ledger.put, ledger.settled) == (10, 8)
    assert (tally.spans_recovered, tally.spans_delivered, tally.spans_rejected) == (4, 3, 2)
    assert tally.spans_dropped == {"refused": 3}
