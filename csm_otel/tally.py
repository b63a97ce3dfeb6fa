"""`Tally`, the counts of one run: datagrams, events and spans received, and lost by reason; `Snapshot` for a summary.

Between two turns of the loop these equations hold:

    sent to a socket, if the send succeeded = read + dropped by the kernel
    read, over all sockets                  = received + late
    received                                = decoded + malformed, over all reasons + not allowed + undecoded + reports
    calls                                   = released, over all reasons + pending calls
    attempts                                = attempts in calls + orphans, over all reasons + pending attempts
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple


class SocketCounters(NamedTuple):
    """Counters of one UDP socket."""

    address: tuple[str, int]
    read: int
    """Datagrams read from it."""
    dropped_by_kernel: int | None
    """Datagrams that did not fit the receive buffer; None if the system has no such count."""
    buffer_bytes: int
    """The receive buffer granted by the kernel, in its own accounting."""
    dropped_before: int = 0
    """Datagrams that the kernel had dropped before this run, of a socket that is older; in no other count."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of one run. Each datagram and each span ends in exactly one of the counts."""

    datagrams_received: int = 0
    datagrams_dropped_by_kernel: int | None = None
    """Over all sockets; None if the system has no such count."""
    datagrams_decoded: int = 0
    """Datagrams with at least one event."""
    datagrams_not_allowed: int = 0
    """Datagrams from outside the allowed networks. They are not decoded."""
    datagrams_undecoded: int = 0
    """Datagrams left in the sockets at shutdown because decoding ran out of time."""
    datagrams_late: int = 0
    """Datagrams that arrived after the end of the command of `exec` or of the daemon: read, but not received."""
    reports: int = 0
    """Datagrams in which a nested `exec` reported how many calls it had seen."""
    calls_reported: int = 0
    """Calls in those reports: they were seen there and not here."""
    sockets: tuple[SocketCounters, ...] = ()
    """Counters of each socket."""
    lines_unrecorded: int = 0
    """Lines of the recording that could not be written."""
    events_forwarded: int = 0
    """Events sent to the listener of `--tee`."""
    events_not_forwarded: Counter[str] = field(default_factory=Counter)
    """Events that could not be sent to it, by reason."""
    malformed: Counter[str] = field(default_factory=Counter)
    """Datagrams without an event, by the reason of their first object."""
    objects_rejected: Counter[str] = field(default_factory=Counter)
    """Objects that are not events, in decoded datagrams, by reason."""
    other_versions: int = 0
    """Events with a Version other than 1."""
    calls: int = 0
    """Decoded ApiCall events."""
    attempts: int = 0
    """Decoded ApiCallAttempt events."""
    released: Counter[str] = field(default_factory=Counter)
    """Calls released by the correlator, by reason."""
    orphans: Counter[str] = field(default_factory=Counter)
    """Attempts released without a call, by reason."""
    origins_unknown: int = 0
    """Calls and orphans from this host whose process is not known."""
    attempts_in_calls: int = 0
    """Attempts released with their call."""
    attempts_missing: int = 0
    """Attempts counted by a call and never received."""
    ambiguous: int = 0
    """Calls for which another assignment of attempts is nearly as likely."""
    spans_created: int = 0
    spans_unsampled: int = 0
    spans_delivered: int = 0
    """Spans accepted by the back end, or without a back end written to the file."""
    spans_recovered: int = 0
    """Spans found in the spool at the start of this run."""
    spans_spooled: int = 0
    """Spans left in the spool at the end of this run, for the next."""
    spans_repeated: int = 0
    """Spans sent again with the same ids, as it was not known whether they had arrived. Also counted elsewhere."""
    spans_shown: int = 0
    """Spans printed (or discarded), with neither a back end nor a file."""
    spans_dropped: Counter[str] = field(default_factory=Counter)
    """Spans given up, by reason."""
    spans_rejected: int = 0
    """Spans refused by the back end in a partial success."""

    @property
    def datagrams_dropped_before(self) -> int:
        """Datagrams that the kernel had dropped before this run, over all sockets; in no other count."""
        return sum(counters.dropped_before for counters in self.sockets)

    @property
    def spans_waiting(self) -> int:
        """Spans created or recovered that are in no other count yet."""
        accounted = (
            self.spans_delivered
            + self.spans_shown
            + self.spans_dropped.total()
            + self.spans_rejected
            + self.spans_unsampled
            + self.spans_spooled
        )
        # never negative: the delivery thread counts concurrently
        return max(self.spans_created + self.spans_recovered - accounted, 0)


class Snapshot(NamedTuple):
    """A summary of the counts since the start, as plain numbers."""

    datagrams_received: int
    datagrams_dropped_by_kernel: int | None
    """None if the system has no such count."""
    malformed: int
    calls: int
    attempts: int
    events_pending: int
    """Calls and attempts that the correlator still holds."""
    spans_delivered: int
    spans_shown: int
    spans_waiting: int
    """Spans created or recovered that are in no other count yet."""
    spans_dropped: int
    spans_rejected: int
    events_not_forwarded: int = 0
    """Events that could not be sent to the listener of `--tee`."""

    @property
    def spans_lost(self) -> int:
        """Spans that will not be delivered."""
        return self.spans_dropped + self.spans_rejected


def snapshot_of(tally: Tally, *, events_pending: int) -> Snapshot:
    """Return a summary of the current counts."""
    return Snapshot(
        datagrams_received=tally.datagrams_received,
        datagrams_dropped_by_kernel=tally.datagrams_dropped_by_kernel,
        malformed=tally.malformed.total(),
        calls=tally.calls,
        attempts=tally.attempts,
        events_pending=events_pending,
        spans_delivered=tally.spans_delivered,
        spans_shown=tally.spans_shown,
        spans_waiting=tally.spans_waiting,
        spans_dropped=tally.spans_dropped.total(),
        spans_rejected=tally.spans_rejected,
        events_not_forwarded=tally.events_not_forwarded.total(),
    )
