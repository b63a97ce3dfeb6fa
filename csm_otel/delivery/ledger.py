"""The count of spans that enter and leave the queue, and the tally of how they left: `Ledger`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from csm_otel.tally import Tally


class Ledger:
    """Counts each span once when it enters and once when it leaves. Guarded by the queue's lock."""

    def __init__(self, tally: Tally) -> None:
        """Begin at zero; the tally's span counts past encoding are the queue's to change."""
        self.tally = tally
        self.entered = 0
        """Spans put, and those found on disk."""
        self.left = 0
        """Spans of these that wait no more."""

    @property
    def waiting(self) -> int:
        """Spans that have entered and not left."""
        return self.entered - self.left

    def add(self, spans: int) -> None:
        """Count spans that were put."""
        self.entered += spans

    def recover(self, spans: int) -> None:
        """Count spans that an earlier process left on disk."""
        self.tally.spans_recovered += spans
        self.entered += spans

    def deliver(self, spans: int, *, rejected: int) -> None:
        """Count spans that the back end accepted, less those that it rejected."""
        self.left += spans
        self.tally.spans_rejected += rejected
        self.tally.spans_delivered += spans - rejected

    def drop(self, spans: int, reason: str) -> None:
        """Count spans that were given up."""
        if spans:
            self.tally.spans_dropped[reason] += spans
            self.left += spans
