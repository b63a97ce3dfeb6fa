"""The rules of ``--fail-on``, checked while spans come, and their exit code: `Verdict`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.report.verdict import render_broken
from csm_otel.verdict.judge import Judge
from csm_otel.verdict.rules import parse_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csm_otel.spans.data import SpanData
    from csm_otel.tally import Tally

EXIT_BROKEN = 99
"""Hardly any program has it."""


class Verdict:
    """Collects what the rules ask for."""

    def __init__(self, rules: str) -> None:
        """Check these rules, which were read before."""
        self._judge = Judge(parse_rules(rules))

    def add(self, spans: Sequence[SpanData]) -> None:
        """Add a call followed by its attempts."""
        self._judge.add(spans)

    def exit_code(self, tally: Tally | None, *, say: Callable[[str], None]) -> int:
        """Return the exit code, 0 if no rule is broken; ``say`` is called with a line for each that is.

        ``tally`` has what was dropped.
        """
        dropped = 0
        if tally is not None:
            dropped = (tally.datagrams_dropped_by_kernel or 0) + tally.spans_dropped.total()
        broken = self._judge.broken(dropped=dropped)
        for one in broken:
            say(f"--fail-on: {render_broken(one)}")
        return EXIT_BROKEN if broken else 0
