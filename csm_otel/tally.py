"""The tally: what came in, what became of it, and what was lost, by reason.

What comes in adds up, at any moment between two datagrams:

    sent, of senders whose sends succeeded = read + dropped by the kernel, for each socket
    read, of all sockets                   = received + late
    received                               = decoded + malformed, by reason + not allowed + undecoded
    calls                                  = released, by reason + pending calls
    attempts                               = attempts in calls + orphans, by reason + pending attempts
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple


class SocketCounters(NamedTuple):
    """What was read from one socket, and what the kernel dropped there."""

    address: tuple[str, int]
    read: int
    """Datagrams read from it, whatever became of them."""
    dropped_by_kernel: int | None
    """Datagrams that did not fit the receive buffer; None where the system has no such count."""
    buffer_bytes: int
    """The receive buffer granted by the kernel, in its own accounting."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of one run. Each datagram and each span is in exactly one outcome."""

    datagrams_received: int = 0
    datagrams_dropped_by_kernel: int | None = None
    """Of all sockets; None where the system does not tell."""
    datagrams_decoded: int = 0
    """Those with an event in them."""
    datagrams_not_allowed: int = 0
    """Those from outside the networks that are allowed; nobody has looked into them."""
    datagrams_undecoded: int = 0
    """Those that were in the sockets at the end, when there was no time left to decode them."""
    datagrams_late: int = 0
    """Datagrams that came after the command of `exec` or the daemon had ended, but for this count; not received."""
    sockets: tuple[SocketCounters, ...] = ()
    """Of each socket."""
    lines_unrecorded: int = 0
    """Lines that were to be recorded and could not be written."""
    malformed: Counter[str] = field(default_factory=Counter)
    """Datagrams without an event, by what is wrong with the first object."""
    objects_rejected: Counter[str] = field(default_factory=Counter)
    """Objects beside events, in datagrams that were decoded, by reason."""
    other_versions: int = 0
    calls: int = 0
    """ApiCall events decoded."""
    attempts: int = 0
    """ApiCallAttempt events decoded."""
    released: Counter[str] = field(default_factory=Counter)
    """Calls that left the correlator, by reason."""
    orphans: Counter[str] = field(default_factory=Counter)
    """Attempts whose call never came, by reason."""
    origins_unknown: int = 0
    """Calls and orphans of senders on this host whose process was looked for, or not worth it, and is not known."""
    attempts_in_calls: int = 0
    """Attempts that left the correlator with their call."""
    attempts_missing: int = 0
    """Attempts that calls count and that never came."""
    ambiguous: int = 0
    spans_created: int = 0
    spans_unsampled: int = 0
    spans_delivered: int = 0
    """Accepted by the back end, or written to the file where no back end is asked for."""
    spans_recovered: int = 0
    """Found in the spool when this run began."""
    spans_spooled: int = 0
    """Left in the spool when this run ended, for the next."""
    spans_repeated: int = 0
    """Sent again because it was not known whether they had arrived; their ids are the same. Also counted elsewhere."""
    spans_shown: int = 0
    """Gone to the screen (or nowhere), where neither back end nor file is asked for."""
    spans_dropped: Counter[str] = field(default_factory=Counter)
    """Spans that were given up, by reason."""
    spans_rejected: int = 0
    """Spans that the back end refused in a partial success."""


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
        spans_waiting=max(tally.spans_created + tally.spans_recovered - ended - tally.spans_spooled, 0),
        spans_dropped=dropped,
        spans_rejected=tally.spans_rejected,
    )
