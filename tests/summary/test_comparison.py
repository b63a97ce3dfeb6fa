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


def summary(*spans: SpanData) -> Summary:
    """Return the summary of a command with these calls."""
    builder = SummaryBuilder()
    builder.add([*spans, command()])
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
