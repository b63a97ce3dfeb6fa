"""Failed calls in words, the same in every report: what, when, what it meant, and how serious that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.report.rows import offset_of
from csm_otel.spans.span_status import UNNAMED_ERROR
from csm_otel.summary.model import Effect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from csm_otel.summary.model import FailureGroup

EFFECTS = {
    Effect.FATAL: "the last call before the command failed",
    Effect.TOLERATED: "tolerated",
    Effect.QUESTION: "a question answered with no",
    Effect.UNKNOWN: "",
}
"""What a failed call meant, in words."""


def most_serious_first(failures: Iterable[FailureGroup]) -> list[FailureGroup]:
    """Return failures in order of their effect, the fatal one first, and then of time."""
    return sorted(failures, key=lambda group: (list(Effect).index(group.effect), group.first_ns))


def status_and_error(status: int | None, error: str) -> str:
    """Return both, once where they are the same, as they were sent: ``403 AccessDenied``; without a name ``failed``."""
    shown = "failed" if error == UNNAMED_ERROR else error
    return " ".join(dict.fromkeys(str(part) for part in (status, shown) if part))


def result_of(group: FailureGroup) -> str:
    """Return status and error of failed calls."""
    return status_and_error(group.status, group.error)


def when_of(group: FailureGroup, start_ns: int) -> str:
    """Return how often and when it happened: ``+3 ms``, or ``12 times from +3 ms to +1.20 s``."""
    first = offset_of(group.first_ns, start_ns)
    if group.count == 1:
        return first
    return f"{group.count:,} times from {first} to {offset_of(group.last_ns, start_ns)}"
