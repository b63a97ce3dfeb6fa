"""What came of a scenario for a program: `Outcome`, the table of them, and what is to be said against csm-otel."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS = "csm-otel"
"""What the names of our own rows begin with."""


class Outcome(NamedTuple):
    """One program in one scenario; the counts are of spans, or of whatever else one datagram becomes."""

    scenario: str
    program: str
    sent: int
    arrived: int
    """Different ones that the back end got."""
    reported: int | None
    """Lost, as the program reported by its own counts; None where it had no chance to (``kill -9``)."""
    repeated: int
    """How often the back end got what it had already."""
    seconds: float | None = None
    """From the end of the trouble until the last of what arrived had; None where that is not measured."""

    @property
    def lost(self) -> int:
        """Those that never arrived."""
        return self.sent - self.arrived

    @property
    def is_ours(self) -> bool:
        """Whether it is csm-otel's."""
        return self.program.startswith(OURS)

    @property
    def is_reported_exactly(self) -> bool:
        """Whether what the program reported is what was lost."""
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
    """Return a line for each outcome of csm-otel whose loss was reported, and not as it was."""
    return [
        f"{outcome.scenario}: {outcome.program} lost {outcome.lost:,} and reported {outcome.reported:,}"
        for outcome in outcomes
        if outcome.is_ours and outcome.reported is not None and not outcome.is_reported_exactly
    ]


def behind(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a line for each outcome of csm-otel that lost or repeated more of what was sent than another program's."""
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
