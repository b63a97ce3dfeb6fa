"""What a pipeline should report of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report.test_page import run
from traced import attempt_of, command, traced

from csm_otel.report.findings import Finding, Weight, findings_of, weight_of
from csm_otel.summary.builder import SummaryBuilder
from csm_otel.summary.model import Effect
from csm_otel.verdict.baseline import Entry
from csm_otel.verdict.judge import Broken
from csm_otel.verdict.judgement import Differences, Judgement

if TYPE_CHECKING:
    from csm_otel.spans.data import SpanData


def found(*spans: SpanData, judgement: Judgement | None = None) -> list[Finding]:
    """Return the findings of spans."""
    builder = SummaryBuilder()
    builder.add(spans)
    return list(findings_of(builder.build(), judgement))


def test_a_run() -> None:
    """The failure that mattered is an error; a question is nothing; what was throttled in between is a warning."""
    assert found(*run()) == [
        Finding(
            Weight.ERROR,
            "S3.GetObject: 403 AccessDenied",
            "+500 ms, the last call before the command failed. not authorized. "
            "The credentials were accepted, but their policies do not allow this action.",
        ),
        Finding(Weight.WARNING, "DynamoDB.PutItem: throttled", "1 of 1 call, which went well in the end"),
    ]


def test_a_good_end() -> None:
    """A failure of a command that ended well is no error."""
    spans = [traced("S3.GetObject", at, at + 5, status=403, error="E") for at in (0, 10)]
    assert found(*spans, command()) == [
        Finding(Weight.WARNING, "S3.GetObject: 403 E", "2 times from +0 ms to +10 ms, tolerated")
    ]


def test_a_throttled_failure() -> None:
    """An operation that failed is not also said to have been throttled."""
    call = traced("S3.PutObject", 0, 9, status=503, error="SlowDown")
    assert len(found(call, attempt_of(call, 0, 5, status=503, error="SlowDown"), command())) == 1


def test_judgement() -> None:
    """A broken rule and a baseline that cannot be used are errors, differences are notices."""
    entry = Entry("S3", "GetObject", "us-east-1", "")
    judgement = Judgement(
        rules=["calls>0", "error"],
        broken=[Broken(rule="calls>0", calls=1, values={"calls": 1}, examples=[])],
        baseline=Differences(new=[entry], gone=[entry]),
        baseline_failure="is a directory",
    )
    assert found(command(), judgement=judgement) == [
        Finding(Weight.ERROR, "Rule broken: calls>0", "calls is 1"),
        Finding(Weight.ERROR, "The baseline cannot be used", "is a directory"),
        Finding(Weight.NOTICE, "New since the baseline", "S3.GetObject us-east-1"),
        Finding(Weight.NOTICE, "Gone since the baseline", "S3.GetObject us-east-1"),
    ]


def test_nothing() -> None:
    """A run that went well has none."""
    assert found(traced("S3.GetObject", 0, 5), command()) == []


def test_weights() -> None:
    """Only what made the command fail is an error."""
    assert {effect: weight_of(effect) for effect in Effect} == {
        Effect.FATAL: Weight.ERROR,
        Effect.TOLERATED: Weight.WARNING,
        Effect.UNKNOWN: Weight.WARNING,
        Effect.QUESTION: None,
    }
