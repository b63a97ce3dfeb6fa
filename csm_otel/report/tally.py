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
    "too_large": "too large for the back end",
    "spool_damaged": "lost to damage of the spool",
    "file": "not written to the file",
    "unencodable": "not encodable",
    "shutdown": "not delivered in time at the end",
    # of datagrams, and of objects in them, that are no event
    "not_json": "not JSON",
    "not_an_object": "not a JSON object",
    "too_deep": "nested too deeply",
    "too_many": "too many in one datagram",
    "unknown_type": "of an unknown type",
    "unnamed": "naming no operation",
}
"""What follows the number of each reason; one that is not here is its own word."""


def render_tally(tally: Tally, *, seconds: float | None = None) -> str:
    """Return the tally as a few lines of ASCII, each ending with a newline; ``seconds`` is how long the run was.

    The first lines are always there, zero losses included; what else was lost has a line where there is any.
    """
    lines = [_datagrams(tally, seconds), *_sockets(tally), _calls(tally), _spans(tally)]
    lines += _losses(tally)
    return "".join(f"{' ' * len(_HEAD) if n else _HEAD}{line}\n" for n, line in enumerate(lines))


def _datagrams(tally: Tally, seconds: float | None) -> str:
    dropped = tally.datagrams_dropped_by_kernel
    within = "" if seconds is None else f" in {duration(round(seconds * _NS_PER_SECOND))}"
    by_kernel = "kernel drops unknown" if dropped is None else f"{dropped:,} dropped by the kernel"
    malformed = f"{tally.malformed.total():,} malformed{_reasons(tally.malformed)}"
    return f"{counted(tally.datagrams_received, 'datagram')} received{within}, {by_kernel}, {malformed}"


def _sockets(tally: Tally) -> list[str]:
    """Return a line for each socket that got something, where that is more than one."""
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
    # Each attempt decoded is a call's or an orphan, once the run has ended.
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


def _losses(tally: Tally) -> list[str]:
    """Return a line for each count that is not zero, whatever is unusual."""
    dropped = tally.spans_dropped.total()
    evicted = tally.released[Reason.EVICTED] + tally.orphans[Reason.EVICTED]
    lines = (
        (dropped, "span", f"dropped{_reasons(tally.spans_dropped)}"),
        (tally.spans_rejected, "span", "rejected by the back end"),
        (tally.spans_unsampled, "span", "not sampled, as their parent or the sampler decided"),
        (tally.spans_recovered, "span", "among these from the spool, where a run before had left them"),
        (tally.spans_repeated, "span", "sent again, as it was not known whether they had arrived"),
        (tally.spans_spooled, "span", "kept in the spool for the next run"),
        (tally.spans_waiting, "span", "not delivered yet"),
        (evicted, "", "of the calls and attempts let go early, as too many were waiting"),
        (tally.orphans[Reason.ENDED], "", "of the orphan attempts came from a process that ended before its call did"),
        (tally.origins_unknown, "", "of the calls and orphans came from a process that could not be found"),
        (tally.datagrams_not_allowed, "datagram", "not looked into, from outside the networks that are allowed"),
        (
            tally.objects_rejected.total(),
            "object",
            f"beside events in one datagram and none themselves{_reasons(tally.objects_rejected)}",
        ),
        (tally.other_versions, "event", "of another CSM version, read as well as possible"),
        (tally.lines_unrecorded, "line", "of the recording could not be written"),
        (tally.datagrams_undecoded, "datagram", "given up at the end, for want of time to decode them"),
        (tally.datagrams_late, "datagram", "came too late to be heard, after the end of the command or of the daemon"),
    )
    return [f"{counted(number, noun) if noun else f'{number:,}'} {what}" for number, noun, what in lines if number]


def _reasons(counts: Counter[str]) -> str:
    """Return `` (2 one reason, 1 another)``, the most frequent first, or nothing."""
    told = [f"{number:,} {_WORDS.get(reason, reason)}" for reason, number in counts.most_common() if number]
    return f" ({', '.join(told)})" if told else ""
