"""What a pipeline should report of a run, in order of weight: `findings_of`.

Only what made the command fail, or what the user has made a rule, is an error: a command that goes well without
csm-otel is shown as one that goes well with it, too.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.report.failed import EFFECTS, most_serious_first, result_of, when_of
from csm_otel.report.terminal import counted
from csm_otel.report.verdict import why_broken
from csm_otel.summary.model import Effect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csm_otel.summary.model import FailureGroup, Summary
    from csm_otel.verdict.judgement import Judgement


class Weight(StrEnum):
    """How serious a finding is, by the names that pipelines have for it."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


class Finding(NamedTuple):
    """One thing to report. Its texts are partly those of senders, as they were sent."""

    weight: Weight
    title: str
    text: str


_WEIGHTS = {Effect.FATAL: Weight.ERROR, Effect.TOLERATED: Weight.WARNING, Effect.UNKNOWN: Weight.WARNING}


def weight_of(effect: Effect) -> Weight | None:
    """Return how serious a failure is; None: it is none."""
    return _WEIGHTS.get(effect)


def explained(group: FailureGroup, start_ns: int) -> str:
    """Return when calls failed, what it meant, the message, and advice."""
    facts = [when_of(group, start_ns), EFFECTS[group.effect]]
    return ". ".join(filter(None, (", ".join(filter(None, facts)), group.message.rstrip("."), group.advice)))


def findings_of(summary: Summary, judgement: Judgement | None = None) -> Iterator[Finding]:
    """Yield what there is to report, that of each weight in its order."""
    if judgement is not None:
        yield from _of_judgement(judgement)
    for group in most_serious_first(summary.failures):
        if weight := weight_of(group.effect):
            yield Finding(weight, f"{group.name}: {result_of(group)}", explained(group, summary.run.start_ns))
    for use in summary.operations:
        if use.throttled and not use.failed:
            text = f"{use.throttled:,} of {counted(use.calls, 'call')}, which went well in the end"
            yield Finding(Weight.WARNING, f"{use.name}: throttled", text)


def _of_judgement(judgement: Judgement) -> Iterator[Finding]:
    for broken in judgement.broken:
        yield Finding(Weight.ERROR, f"Rule broken: {broken.rule}", why_broken(broken))
    if judgement.baseline_failure:
        yield Finding(Weight.ERROR, "The baseline cannot be used", judgement.baseline_failure)
    if judgement.baseline is not None:
        for title, entries in (("New", judgement.baseline.new), ("Gone", judgement.baseline.gone)):
            for entry in entries:
                yield Finding(Weight.NOTICE, f"{title} since the baseline", str(entry))
