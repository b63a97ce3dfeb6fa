"""Calls and rules in, broken rules out."""

from __future__ import annotations

import pytest
from traced import attempt_of, command, traced

from csm_otel.spans.data import SpanData, SpanRole
from csm_otel.verdict.judge import Broken, Judge
from csm_otel.verdict.rules import Measure, parse_rules

THROTTLED = traced("DynamoDB.PutItem", 0, 900, status=200, attributes={"cloud.region": "us-east-1"})
RUN: list[list[SpanData]] = [
    [traced("S3.GetObject", 0, 10, status=200, attributes={"cloud.region": "eu-west-1"})],
    [traced("S3.GetObject", 10, 30, status=403, error="AccessDenied", attributes={"cloud.region": "eu-west-1"})],
    [
        THROTTLED,
        attempt_of(THROTTLED, 0, 10, status=400, error="ThrottlingException"),
        attempt_of(THROTTLED, 400, 410, status=400, error="ThrottlingException"),
        attempt_of(THROTTLED, 890, 900),
    ],
    [traced("EC2.TerminateInstances", 900, 3_900, status=200, attributes={"csm.correlation": "ambiguous"})],
    [traced("SQS.SendMessage", 0, 0, attributes={"csm.outcome": "not_sent"})],
    [traced("CloudWatch Logs.CreateLogGroup", 0, 5, status=200)],
    [command()],
]


def broken(text: str, *, run: list[list[SpanData]] | None = None, dropped: int = 0) -> list[Broken]:
    """Return the rules that a run breaks."""
    judge = Judge(parse_rules(text))
    for spans in RUN if run is None else run:
        judge.add(spans)
    return judge.broken({Measure.DROPPED: dropped})


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        pytest.param("error", 1, id="error"),
        pytest.param("throttle", 1, id="throttle"),
        pytest.param("not-sent", 1, id="not-sent"),
        pytest.param("retry", 1, id="retry"),
        pytest.param("call=ec2:TerminateInstances", 1, id="action"),
        pytest.param("call=EC2.terminate*", 1, id="operation"),
        pytest.param("call=logs:*", 1, id="prefix-of-iam"),
        pytest.param("service=s3", 2, id="service"),
        pytest.param("access=write", 4, id="writes"),
        pytest.param("region!=eu-*", 4, id="region"),
        pytest.param("error=AccessDenied", 1, id="error-name"),
        pytest.param("error & region=eu-*", 1, id="both"),
        pytest.param("calls>5", 6, id="calls"),
        pytest.param("retries>1", 6, id="retries"),
        pytest.param("p95>2s", 6, id="p95"),
        pytest.param("time>3s", 6, id="time"),
        pytest.param("errors>15%", 6, id="share"),
        pytest.param("ambiguous>1%", 6, id="ambiguous"),
        pytest.param("call=s3:* & calls>1 & max>15ms", 2, id="of-some"),
        pytest.param("dropped>0", 6, id="dropped"),
        pytest.param("call=dynamodb:DeleteTable & calls=0", 0, id="none-expected"),
    ],
)
def test_broken(text: str, calls: int) -> None:
    """A rule is broken by the calls that it chooses, or by what is measured of them."""
    (found,) = broken(text, dropped=1)
    assert (found.rule, found.calls) == (text, calls)


@pytest.mark.parametrize(
    "text",
    [
        "error & region=us-*",
        "call=ec2:RunInstances",
        "calls>6",
        "retries>2",
        "p50>1s",
        "errors>17%",
        "dropped>1",
        "call=s3:* & calls>2",
        "call=s3:* & calls>1 & max>25ms",
        "throttles>1",
    ],
)
def test_kept(text: str) -> None:
    """What is within its limits is not broken."""
    assert not broken(text, dropped=1)


def test_what_is_told() -> None:
    """A broken rule has its measures in their units, and its first calls."""
    first, second = broken("access=write, errors>15% & p95>1s")

    assert first.values == {}
    assert first.examples == [
        "DynamoDB.PutItem us-east-1", "EC2.TerminateInstances", "SQS.SendMessage", "CloudWatch Logs.CreateLogGroup",
    ]  # fmt: skip
    assert second.values == {"errors": 16.7, "p95": 3000}
    assert second.examples[1] == "S3.GetObject AccessDenied eu-west-1"
    assert len(second.examples) == 5


def test_a_small_share() -> None:
    """A share of a few of many calls is not shown as none."""
    good, bad = traced("S3.GetObject", 0, 1), traced("S3.GetObject", 0, 1, error="AccessDenied")
    (found,) = broken("errors>0%", run=[[bad], *([[good]] * 2999)])

    assert found.values == {"errors": 0.0333}


def test_no_calls() -> None:
    """Without calls nothing is broken but what asks for some."""
    assert [one.rule for one in broken("error, calls>0, errors>0%, calls=0", run=[])] == ["calls=0"]


def test_orphan() -> None:
    """An attempt whose call was not seen stands for it."""
    orphan = traced("S3.GetObject attempt", 0, 5, role=SpanRole.ORPHAN, error="AccessDenied")
    assert len(broken("call=s3:GetObject & error", run=[[orphan]])) == 1
