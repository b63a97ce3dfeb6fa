"""The result of a program in a scenario: `Outcome`, the table of them, and findings against csm-otel."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS = "csm-otel"
"""The prefix of our own rows' names."""


class Outcome(NamedTuple):
    """One program in one scenario; the counts are of spans, or of other items if a datagram becomes those."""

    scenario: str
    program: str
    sent: int
    arrived: int
    """The number of different ones that arrived at the back end."""
    reported: int | None
    """The loss by the program's own counts; None if it could not report (``kill -9``)."""
    repeated: int
    """The number of repeated arrivals."""
    seconds: float | None = None
    """From the end of the fault until the last arrival; None if not measured."""

    @property
    def lost(self) -> int:
        """The number that never arrived."""
        return self.sent - self.arrived

    @property
    def is_ours(self) -> bool:
        """Whether the program is csm-otel."""
        return self.program.startswith(OURS)

    @property
    def is_reported_exactly(self) -> bool:
        """Whether the reported loss equals the actual loss."""
        return self.reported == self.lost


def heading() -> str:
    """Return the first lines of the table, as Markdown."""
    return (
        "| scenario | program | sent | arrived | lost | lost, by its own count | repeated | last one after |\n"
        "|---|---|---|---|---|---|---|---|"
    )


def rendered(outcomes: Sequence[Outcome]) -> str:
    """Return lines of the table."""
    return "\n".join(_line(outcome) for outcome in outcomes)


def inexact(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a line for each outcome of csm-otel with a misreported loss."""
    return [
        f"{outcome.scenario}: {outcome.program} lost {outcome.lost:,} and reported {outcome.reported:,}"
        for outcome in outcomes
        if outcome.is_ours and outcome.reported is not None and not outcome.is_reported_exactly
    ]


def behind(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a line for each outcome of csm-otel that lost or repeated a larger share than another program."""
    lines = []
    for ours in outcomes:
        others = [one for one in outcomes if one.scenario == ours.scenario and not one.is_ours]
        for other in others if ours.is_ours else ():
            pairs = ("lost", ours.lost, other.lost), ("repeated", ours.repeated, other.repeated)
            lines += [
                f"{ours.scenario}: {ours.program} {what} {of_ours:,} of {ours.sent:,}, "
                f"{other.program} {of_other:,} of {other.sent:,}"
                for what, of_ours, of_other in pairs
                if of_ours * other.sent > of_other * ours.sent
            ]
    return lines


def _line(outcome: Outcome) -> str:
    reported = "unknown" if outcome.reported is None else f"{outcome.reported:,}"
    cells = (
        outcome.scenario,
        outcome.program,
        f"{outcome.sent:,}",
        f"{outcome.arrived:,}",
        f"{outcome.lost:,}",
        reported,
        f"{outcome.repeated:,}",
        "" if outcome.seconds is None else f"{outcome.seconds:.1f} s",
    )
    return f"| {' | '.join(cells)} |"
