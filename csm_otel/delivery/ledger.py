"""What became of every span that waited for the back end: `Ledger`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from csm_otel.tally import Tally


class Ledger:
    """Enters each span once when it comes and once when it waits no more; for who holds the queue's lock."""

    def __init__(self, tally: Tally) -> None:
        """Take the tally, whose span counts past encoding are the queue's to change."""
        self.tally = tally
        self.put = 0
        """Spans taken in, those found on disk included."""
        self.settled = 0
        """Spans of them that wait no more."""

    def recover(self, spans: int) -> None:
        """Take in what a process before this one had left on disk."""
        self.tally.spans_recovered += spans
        self.put += spans

    def deliver(self, spans: int, *, rejected: int) -> None:
        """Enter what the back end has taken, but for those of them that it rejected."""
        self.settled += spans
        self.tally.spans_rejected += rejected
        self.tally.spans_delivered += spans - rejected

    def drop(self, spans: int, reason: str) -> None:
        """Enter what was given up."""
        if spans:
            self.tally.spans_dropped[reason] += spans
            self.settled += spans
