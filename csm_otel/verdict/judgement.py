"""What the rules and the baseline say of a run, as plain values: `Judgement`. docs/summary.md describes it as JSON."""

from __future__ import annotations

import msgspec

from csm_otel.verdict.baseline import Entry
from csm_otel.verdict.judge import Broken

EXIT_BROKEN = 99
"""Hardly any program has it."""


class Differences(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between a run and its baseline. Lists are in order."""

    new: list[Entry]
    """What the baseline does not have."""
    gone: list[Entry]
    """What only the baseline has."""
    updated: bool = False
    """Whether the baseline has been written anew, so that a next run would not differ."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules and the baseline say of a run."""

    rules: list[str]
    """The texts of all rules, in their order."""
    broken: list[Broken]
    """Those that were broken, in the same order."""
    baseline: Differences | None = None
    """None: there is none, or it cannot be used."""
    baseline_failure: str = ""
    """Why the baseline cannot be used; empty if it can, or there is none."""

    @property
    def exit_code(self) -> int:
        """Of a command that ended with 0."""
        return EXIT_BROKEN if self.broken or self.baseline_failure else 0
