"""A run as a whole in words, without any text of a sender: `counts_of`, `times_of`, `uncertain`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.report.terminal import duration_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csm_otel.summary.model import Times, Totals, Uncertainty


def counts_of(totals: Totals) -> str:
    """Return what the calls were: ``10 read, 2 change something; 1 failed, 3 retried``."""
    facts = [
        f"{number:,} {word}"
        for number, word in (
            (totals.failed, "failed"),
            (totals.retried, "retried"),
            (totals.throttled, "throttled"),
            (totals.not_sent, "with NO REQUEST SENT"),
            (totals.identity_calls, "about identity or credentials"),
        )
        if number
    ]
    return "; ".join(filter(None, (_split(totals), ", ".join(facts))))


def times_of(times: Times) -> str:
    """Return where the time went: ``430 ms of 1.00 s in AWS calls, at most 4 at once``."""
    facts = [f"{duration_ms(times.in_calls_ms)} of {duration_ms(times.wall_ms)} in AWS calls"]
    if times.before_first_call_ms:
        facts.append(f"{duration_ms(times.before_first_call_ms)} before the first")
    if times.in_back_off_ms:
        facts.append(f"{duration_ms(times.in_back_off_ms)} in back-off")
    if times.most_at_once > 1:
        facts.append(f"at most {times.most_at_once:,} at once")
    return ", ".join(facts)


def uncertain(uncertainty: Uncertainty) -> Iterator[tuple[str, int]]:
    """Yield what was lost or is not certain, where it is not zero."""
    for text, number in (
        ("Attempts that were not seen", uncertainty.attempts_missing),
        ("Calls whose attempts may be those of others like them", uncertainty.ambiguous),
        ("Attempts whose call was not seen", uncertainty.orphans),
        ("Calls of operations beyond the bound of the table", uncertainty.operations_left_out),
        ("Failed calls beyond the bound of the table", uncertainty.failures_left_out),
    ):
        if number:
            yield text, number


def _split(totals: Totals) -> str:
    if totals.reads == totals.calls:
        return "all of them read"
    if totals.changes == totals.calls:
        return "all of them change something"
    return f"{totals.reads:,} read, {totals.changes:,} change something"
