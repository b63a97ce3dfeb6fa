"""Spans to a summary: the whole of a small run, and what is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from traced import MS, T0, TRACE_ID, attempt_of, called, command, traced

from csm_otel.spans.data import SpanData, SpanRole
from csm_otel.summary.builder import SummaryBuilder

if TYPE_CHECKING:
    from csm_otel.summary.model import Summary


def summary(*spans: SpanData, max_operations: int = 100) -> Summary:
    """Return the summary of spans."""
    builder = SummaryBuilder(max_operations=max_operations)
    builder.add(spans)
    return builder.build()


def retried() -> list[SpanData]:
    """Return a call of 300 ms that was throttled once, with 100 ms of back-off."""
    call = traced(
        "DynamoDB.PutItem",
        100,
        400,
        status=200,
        attributes={"csm.sdk": "Boto3/1.9", "cloud.region": "eu-west-1", "csm.attempt_count": 2},
    )
    first = attempt_of(call, 100, 200, status=400, error="ThrottlingException")
    return [call, first, attempt_of(call, 300, 400, attributes={"server.address": "localhost", "server.port": 8000})]


def test_a_run() -> None:
    """The parts of a summary."""
    failed = traced("S3.GetObject", 500, 600, status=403, error="AccessDenied")
    found = summary(*retried(), failed, attempt_of(failed, 500, 600, status=403, error="AccessDenied"), command(code=1))
    run, totals, times = found.run, found.totals, found.times
    assert (run.name, run.exit_code, run.start_ns) == ("legacy.py", 1, T0)
    assert (run.trace_id, run.traces, run.applications) == (f"{TRACE_ID:032x}", 1, ["legacy-etl"])
    assert (run.sdks, run.regions, run.other_endpoints) == (["Boto3/1.9"], ["eu-west-1"], ["localhost:8000"])
    assert (totals.calls, totals.failed, totals.retried, totals.throttled) == (2, 1, 1, 1)
    assert (totals.reads, totals.changes, totals.attempts) == (1, 1, 3)
    assert (times.wall_ms, times.in_calls_ms, times.in_back_off_ms) == (1000, 400, 100)
    assert (times.before_first_call_ms, times.most_at_once) == (100, 1)
    assert [use.name for use in found.operations] == ["DynamoDB.PutItem", "S3.GetObject"]
    assert [(use.api, use.actions, use.denied) for use in found.actions] == [
        ("PutItem", ["dynamodb:PutItem"], 0),
        ("GetObject", ["s3:GetObject"], 1),
    ]
    assert not found.uncertainty


def test_nothing() -> None:
    """No spans are no calls."""
    found = summary()
    assert (found.totals.calls, found.times.wall_ms, found.run.traces) == (0, 0, 0)


def test_several_processes() -> None:
    """There is no name or result where there are several."""
    run = summary(command(name="a.py"), command(name="b.py", code=1)).run
    assert (run.name, run.exit_code) == ("", None)


def test_uncertain() -> None:
    """What is missing or ambiguous is counted, and an attempt without its call is no call."""
    orphan = traced("S3.GetObject attempt", 0, 5, role=SpanRole.ORPHAN)
    ambiguous = traced("S3.GetObject", 0, 5, attributes={"csm.correlation": "ambiguous", "csm.attempts_missing": 2})
    found = summary(orphan, ambiguous)
    assert (found.totals.calls, found.totals.attempts) == (1, 1)
    uncertainty = found.uncertainty
    assert (uncertainty.orphans, uncertainty.ambiguous, uncertainty.attempts_missing) == (1, 1, 2)


def test_operations_beyond_the_bound() -> None:
    """They are counted in the totals, and as left out."""
    found = summary(traced("A.A", 0, 1), traced("A.B", 1, 2), traced("A.A", 2, 3), max_operations=1)
    assert (found.totals.calls, [use.calls for use in found.operations]) == (3, [2])
    assert found.uncertainty.operations_left_out == 1


def test_many_regions() -> None:
    """A sender's texts do not grow a list without bound."""
    calls = [traced("A.A", 0, 1, attributes={"cloud.region": f"r{number}"}) for number in range(100)]
    assert len(summary(*calls).run.regions) == 50


def test_call_with_an_attempt() -> None:
    """`called` is a call as the builder sees it."""
    call = called("S3.GetObject", 0, 5)
    found = summary(call.span, *call.attempts)
    assert (found.totals.attempts, found.operations[0].total_ms) == (1, 5)
    assert call.span.end_ns - call.span.start_ns == 5 * MS
