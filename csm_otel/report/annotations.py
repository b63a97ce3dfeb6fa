"""Findings as commands to the runner of GitHub Actions, which shows them on the page of the run: `render_annotations`.

A command is one line, ``::error title=TITLE::TEXT``. The runner reads them from stderr as from stdout, replaces ``%0A``
and the like after it has parsed the line, and does not parse the result again: so a sender's text is never a command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.report.findings import Finding, Weight
from csm_otel.report.terminal import counted, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_OF_A_WEIGHT = 9
"""GitHub shows ten of a step; the runner needs one for the exit code."""
_TITLE_COLUMNS = 120
_TEXT_COLUMNS = 1_000  # of 4,096 characters
_IN_TEXT = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_TITLE = _IN_TEXT | str.maketrans({":": "%3A", ",": "%2C"})


def render_annotations(findings: Iterable[Finding], *, trace_url: str = "") -> str:
    """Return the lines, each with its end; of more than nine of a kind the last says how many there are."""
    by_weight: dict[Weight, list[Finding]] = {weight: [] for weight in Weight}
    for finding in findings:
        by_weight[finding.weight].append(finding)
    if trace_url and any(by_weight.values()):
        by_weight[Weight.NOTICE].insert(0, Finding(Weight.NOTICE, "Trace of the AWS calls", trace_url))
    return "".join(_line(one) for weight, found in by_weight.items() for one in _at_most(found, weight))


def _at_most(found: list[Finding], weight: Weight) -> list[Finding]:
    if len(found) <= MAX_OF_A_WEIGHT:
        return found
    kept = found[: MAX_OF_A_WEIGHT - 1]
    more = counted(len(found) - len(kept), f"more {weight}")
    return [*kept, Finding(weight, "csm-otel", f"{more}; they are in the summaries of csm-otel")]


def _line(finding: Finding) -> str:
    title = shown(finding.title, _TITLE_COLUMNS).translate(_IN_TITLE)
    text = shown(finding.text, _TEXT_COLUMNS).translate(_IN_TEXT)
    return f"::{finding.weight} title={title}::{text}\n"
