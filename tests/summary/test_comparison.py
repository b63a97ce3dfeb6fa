"""What differs between two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from traced import command, traced

from csm_otel.summary.builder import SummaryBuilder
from csm_otel.summary.comparison import Place, compare

if TYPE_CHECKING:
    from csm_otel.spans.data import SpanData
    from csm_otel.summary.model import Summary


def summary(*spans: SpanData, code: int = 0, max_operations: int = 100) -> Summary:
    """Return the summary of a command with these calls."""
    builder = SummaryBuilder(max_operations=max_operations)
    builder.add([*spans, command(code=code)])
    return builder.build()


def denied(count: int, *, code: int | None = 0) -> Summary:
    """Return a run whose calls all fail with one error; ``code`` is None where its end is not known."""
    spans = [traced("S3.GetObject", at, at + 5, error="AccessDenied") for at in range(0, 10 * count, 10)]
    if code is not None:
        return summary(*spans, code=code)
    builder = SummaryBuilder()
    builder.add(spans)
    return builder.build()


def calls(count: int, length_ms: int, *, last_ms: int | None = None) -> Summary:
    """Return a run of so many calls of one length; the last may have another."""
    lengths = [length_ms] * (count - 1) + [length_ms if last_ms is None else last_ms]
    return summary(*(traced("S3.GetObject", at, at + length) for at, length in enumerate(lengths)))


def test_same() -> None:
    """A run does not differ from itself."""
    run = summary(traced("S3.GetObject", 0, 5, status=403, error="AccessDenied"), traced("SQS.SendMessage", 0, 5))

    assert not compare(run, run)


def test_came_and_went() -> None:
    """Operations, errors and places that only one of the runs has are named, and numbers of calls that differ."""
    before = summary(
        traced("S3.GetObject", 0, 5, attributes={"cloud.region": "eu-west-1"}),
        traced("SQS.SendMessage", 0, 5, error="QueueDoesNotExist"),
        traced("EC2.RunInstances", 0, 5),
    )
    after = summary(
        traced("S3.GetObject", 0, 5, attributes={"cloud.region": "us-east-1"}),
        traced("S3.GetObject", 0, 5, error="AccessDenied"),
        traced("SQS.SendMessage", 0, 5),
        traced("DynamoDB.PutItem", 0, 5),
    )
    found = compare(before, after)

    assert found
    assert [(group.name, group.error) for group in found.failures_came] == [("S3.GetObject", "AccessDenied")]
    assert [(group.name, group.error) for group in found.failures_went] == [("SQS.SendMessage", "QueueDoesNotExist")]
    assert [use.name for use in found.operations_came] == ["DynamoDB.PutItem"]
    assert [use.name for use in found.operations_went] == ["EC2.RunInstances"]
    assert [(one.name, one.before.calls, one.after.calls) for one in found.counts] == [("S3.GetObject", 1, 2)]
    assert found.places_came == [Place(kind="region", name="us-east-1")]
    assert found.places_went == [Place(kind="region", name="eu-west-1")]
    assert (found.totals_before.calls, found.totals_after.calls) == (3, 4)


@pytest.mark.parametrize(
    ("before", "after", "has_changed"),
    [
        pytest.param(denied(2), denied(2), False, id="same"),
        pytest.param(denied(1), denied(9), True, id="more-often"),
        pytest.param(denied(1), denied(1, code=1), True, id="fatal-now"),
        pytest.param(denied(1, code=None), denied(1, code=1), False, id="end-unknown"),
        pytest.param(summary(), denied(1), False, id="new"),
    ],
)
def test_failures_of_both(before: Summary, after: Summary, *, has_changed: bool) -> None:
    """An error that both have is a difference if its count is, or what it is known to have meant."""
    assert bool(compare(before, after).failures_changed) is has_changed


def test_bounds() -> None:
    """A remark names a summary that does not distinguish all operations."""
    spans = traced("S3.GetObject", 0, 5), traced("S3.PutObject", 0, 5)
    whole, part = summary(*spans), summary(*spans, max_operations=1)

    assert [compare(*runs).is_complete for runs in ((whole, whole), (whole, part), (part, whole))] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("before", "after", "is_slower"),
    [
        pytest.param(calls(10, 100), calls(10, 125), True, id="by-a-quarter"),
        pytest.param(calls(10, 100), calls(10, 124), False, id="by-less"),
        pytest.param(calls(10, 4), calls(10, 13), False, id="by-less-than-10-ms"),
        pytest.param(calls(10, 4), calls(10, 14), True, id="by-10-ms"),
        pytest.param(calls(10, 100), calls(10, 100, last_ms=200), True, id="95th-percentile"),
        pytest.param(calls(9, 1_000), calls(10, 1_900), False, id="few-calls-and-not-twice-as-long"),
        pytest.param(calls(9, 1_000), calls(10, 2_000), True, id="few-calls-and-twice-as-long"),
        pytest.param(calls(1, 100), calls(1, 1_000), False, id="few-calls-and-less-than-a-second"),
    ],
)
def test_slower(before: Summary, after: Summary, *, is_slower: bool) -> None:
    """An operation is slower by a ratio and by a time; the other way round it is faster."""
    found, reverse = compare(before, after), compare(after, before)

    assert (bool(found.slower), bool(reverse.faster)) == (is_slower, is_slower)
    assert not (found.faster)
    assert not (reverse.slower)
