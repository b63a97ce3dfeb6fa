"""The tally in words: `render_tally`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.correlation.released import Reason
from csm_otel.errors import address_text
from csm_otel.report.terminal import counted, duration

if TYPE_CHECKING:
    from collections import Counter

    from csm_otel.tally import Tally

_HEAD = "csm-otel: "
_SEVERAL = 2
_NS_PER_SECOND = 1_000_000_000
_WORDS = {
    # of spans that were dropped
    "queue_full": "as the queue was full",
    "refused": "refused by the back end",
    "failed": "lost to an error of csm-otel",
    "too_large": "too large for the back end",
    "spool_damaged": "lost to damage of the spool",
    "file": "not written to the file",
    "unencodable": "not encodable",
    "shutdown": "not delivered in time at shutdown",
    # of events that were not forwarded
    "not_listening": "as nobody listens",
    "oversized": "larger than a datagram",
    "buffer_full": "as the send buffer was full",
    "unreachable": "as the address cannot be reached",
    # of datagrams, and of objects in them, that are no event
    "not_json": "not JSON",
    "not_an_object": "not a JSON object",
    "too_deep": "nested too deeply",
    "too_many": "too many in one datagram",
    "unknown_type": "of an unknown type",
    "unnamed": "naming no operation",
}
"""The words after the count of each reason; a reason without any stands for itself."""


def render_tally(tally: Tally, *, seconds: float | None = None) -> str:
    """Return the tally as a few lines of ASCII, each ending with a newline; ``seconds`` is how long the run was.

    The first three kinds of lines are always there; the others only where their count is not zero.
    """
    lines = [_datagrams(tally, seconds), *_sockets(tally), _calls(tally), _spans(tally)]
    lines += _losses(tally)
    return "".join(f"{' ' * len(_HEAD) if n else _HEAD}{line}\n" for n, line in enumerate(lines))


def is_uneventful(tally: Tally) -> bool:
    """Return whether nothing was received but reports of nested `exec`, and nothing was lost."""
    received = tally.datagrams_received - tally.reports
    return not (received or tally.datagrams_dropped_by_kernel or _losses(tally, with_reports=False))


def render_losses(tally: Tally) -> str:
    """Return what of a recording is not in its calls, on one line, or nothing."""
    counts = (
        (tally.datagrams_dropped_by_kernel or 0, "datagram", "dropped by the kernel"),
        (tally.malformed.total(), "datagram", f"malformed{_reasons(tally.malformed)}"),
        (tally.objects_rejected.total(), "object", f"malformed{_reasons(tally.objects_rejected)}"),
    )
    return ", ".join(f"{counted(number, noun)} {what}" for number, noun, what in counts if number)


def _datagrams(tally: Tally, seconds: float | None) -> str:
    dropped = tally.datagrams_dropped_by_kernel
    within = "" if seconds is None else f" in {duration(round(seconds * _NS_PER_SECOND))}"
    by_kernel = "kernel drops unknown" if dropped is None else f"{dropped:,} dropped by the kernel"
    malformed = f"{tally.malformed.total():,} malformed{_reasons(tally.malformed)}"
    return f"{counted(tally.datagrams_received, 'datagram')} received{within}, {by_kernel}, {malformed}"


def _sockets(tally: Tally) -> list[str]:
    """Return a line for each socket that received datagrams, where that is more than one."""
    busy = [counters for counters in tally.sockets if counters.read or counters.dropped_by_kernel]
    if len(busy) < _SEVERAL:
        return []
    lines = []
    for counters in busy:
        dropped = counters.dropped_by_kernel
        by_kernel = "kernel drops unknown" if dropped is None else f"{dropped:,} dropped by the kernel"
        where = address_text(*counters.address)
        lines.append(f"{counters.read:,} at {where}, {by_kernel}, receive buffer {counters.buffer_bytes:,} bytes")
    return lines


def _calls(tally: Tally) -> str:
    orphans = tally.orphans.total()
    # At the end of the run each decoded attempt has been released with a call or as an orphan.
    text = f"{counted(tally.calls, 'call')} with {counted(max(tally.attempts - orphans, 0), 'attempt')}"
    doubts = []
    if tally.attempts_missing:
        doubts.append(f"{counted(tally.attempts_missing, 'attempt')} not seen")
    if tally.ambiguous:
        doubts.append(f"{counted(tally.ambiguous, 'call')} ambiguous")
    if doubts:
        text += f" ({', '.join(doubts)})"
    return text + (f", {counted(orphans, 'orphan attempt')}" if orphans else "")


def _spans(tally: Tally) -> str:
    if tally.spans_shown:
        return f"{counted(tally.spans_shown, 'span')}, sent nowhere"
    return f"{counted(tally.spans_delivered, 'span')} delivered"


def _losses(tally: Tally, *, with_reports: bool = True) -> list[str]:
    """Return a line for each other count that is not zero."""
    dropped = tally.spans_dropped.total()
    evicted = tally.released[Reason.EVICTED] + tally.orphans[Reason.EVICTED]
    lines = (
        (with_reports and tally.calls_reported, "call", "seen by a nested csm-otel exec instead"),
        (with_reports and tally.reports, "datagram", "with such a count"),
        (dropped, "span", f"dropped{_reasons(tally.spans_dropped)}"),
        (tally.spans_rejected, "span", "rejected by the back end"),
        (tally.spans_unsampled, "span", "not sampled"),
        (tally.spans_recovered, "span", "recovered from the spool of an earlier run, included in these counts"),
        (tally.spans_repeated, "span", "sent again, as the back end had not confirmed them"),
        (tally.spans_spooled, "span", "kept in the spool for the next run"),
        (tally.spans_waiting, "span", "not delivered yet"),
        (tally.events_forwarded, "event", "forwarded by --tee"),
        (tally.events_not_forwarded.total(), "event", f"not forwarded by --tee{_reasons(tally.events_not_forwarded)}"),
        (evicted, "", "of the calls and attempts released early, as too many were pending"),
        (tally.orphans[Reason.ENDED], "", "of the orphan attempts are from a process that ended before its call did"),
        (tally.origins_unknown, "", "of the calls and orphans are from a process that could not be identified"),
        (tally.datagrams_not_allowed, "datagram", "not decoded, from outside the allowed networks"),
        (
            tally.objects_rejected.total(),
            "object",
            f"ignored, beside the events of a datagram{_reasons(tally.objects_rejected)}",
        ),
        (tally.other_versions, "event", "of another CSM version, decoded as far as possible"),
        (tally.lines_unrecorded, "line", "of the recording not written"),
        (tally.datagrams_undecoded, "datagram", "left undecoded at shutdown"),
        (tally.datagrams_dropped_before, "datagram", "dropped by the kernel before this start, not in these counts"),
        (tally.datagrams_late, "datagram", "arrived too late, after the end of the command or of the daemon"),
    )
    return [f"{counted(number, noun) if noun else f'{number:,}'} {what}" for number, noun, what in lines if number]


def _reasons(counts: Counter[str]) -> str:
    """Return `` (2 one reason, 1 another)``, the most frequent first, or nothing."""
    parts = [f"{number:,} {_WORDS.get(reason, reason)}" for reason, number in counts.most_common() if number]
    return f" ({', '.join(parts)})" if parts else ""
