"""The collection of calls: what is kept, and in which order."""

from __future__ import annotations

from traced import attempt_of, command, traced

from csm_otel.spans.data import SpanRole
from csm_otel.summary.calls import Calls


def test_calls_and_orphans() -> None:
    """Calls have their attempts in order of time; commands are apart from them."""
    calls = Calls()
    call = traced("S3.GetObject", 0, 9)
    later, earlier = attempt_of(call, 5, 9), attempt_of(call, 0, 4)
    orphan = traced("S3.PutObject attempt", 1, 2, role=SpanRole.ORPHAN)
    root = command()
    for spans in ([call, later, earlier], [orphan], [root]):
        calls.add(spans)
    assert calls.roots == [root]
    assert [(kept.span, kept.attempts) for kept in calls] == [(call, (earlier, later)), (orphan, ())]


def test_bound() -> None:
    """Beyond the bound the latest that failed are kept."""
    calls = Calls(max_calls=2, max_later=2)
    for at in range(10):
        calls.add([traced("S3.GetObject", at, at + 1, error="E" if at % 2 else "", message=str(at))])
    assert [call.span.status_message for call in calls] == ["0", "1", "7", "9"]


def test_bound_of_commands() -> None:
    """Of the spans of commands and processes, the first 1,000 are kept."""
    calls = Calls()
    for _ in range(1_001):
        calls.add([command()])
    assert len(calls.roots) == 1_000
