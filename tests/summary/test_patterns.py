"""Which calls are a pattern, and from which number on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from traced import attempt_of, called, traced

from csm_otel.summary.model import PatternKind
from csm_otel.summary.patterns import Patterns
from csm_otel.summary.trace import Call, operation_of

if TYPE_CHECKING:
    from collections.abc import Iterable


def found(calls: Iterable[Call]) -> list[tuple[PatternKind, str, int]]:
    """Return the patterns in calls."""
    patterns = Patterns()
    for call in calls:
        patterns.add(call, operation_of(call.span))
    return [(pattern.kind, pattern.operation, pattern.count) for pattern in patterns.found()]


def loop(name: str, count: int, *, every_ms: int = 10, error: str = "") -> list[Call]:
    """Return calls of 5 ms, one after the other."""
    return [called(name, every_ms * number, every_ms * number + 5, error=error) for number in range(count)]


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        pytest.param(loop("S3.GetObject", 19), [], id="few"),
        pytest.param(loop("S3.GetObject", 20), [(PatternKind.REPEATED, "S3.GetObject", 20)], id="repeated"),
        pytest.param(loop("S3.ListObjectsV2", 20), [(PatternKind.PAGED, "S3.ListObjectsV2", 20)], id="paged"),
        pytest.param(
            [one for pair in zip(loop("S3.GetObject", 20), loop("S3.PutObject", 20), strict=True) for one in pair],
            [(PatternKind.REPEATED, "S3.GetObject", 20), (PatternKind.REPEATED, "S3.PutObject", 20)],
            id="two-in-turn",
        ),
        pytest.param([called("S3.GetObject", 0, 50)] * 30, [], id="at-once"),
        pytest.param(loop("EC2.DescribeInstances", 5, every_ms=5000), [], id="not-polled-yet"),
        pytest.param(
            loop("EC2.DescribeInstances", 6, every_ms=5000),
            [(PatternKind.POLLED, "EC2.DescribeInstances", 6)],
            id="polled",
        ),
        pytest.param(
            [called("EC2.DescribeInstances", at, at + 5) for at in (0, 1000, 3000, 7000, 15_000, 31_000, 63_000)],
            [],
            id="backing-off-is-not-polling",
        ),
        pytest.param(
            loop("S3.GetObject", 5, error="NoSuchKey"), [(PatternKind.FAILING, "S3.GetObject", 5)], id="failing"
        ),
        pytest.param(
            [*loop("S3.GetObject", 4, error="A"), *loop("S3.GetObject", 4, error="B")], [], id="failing-differently"
        ),
        pytest.param(loop("STS.AssumeRole", 3), [(PatternKind.CREDENTIALS, "", 3)], id="credentials"),
        pytest.param(loop("sts.AssumeRole", 3), [(PatternKind.CREDENTIALS, "", 3)], id="credentials-of-another-sdk"),
    ],
)
def test_patterns(calls: list[Call], expected: list[tuple[PatternKind, str, int]]) -> None:
    """A pattern has its threshold."""
    assert found(calls) == expected


@pytest.mark.parametrize(
    ("late_by", "expected"),
    [
        pytest.param(8, [(PatternKind.REPEATED, "S3.GetObject", 30)], id="as-late-as-may-be"),
        pytest.param(9, [], id="later"),
    ],
)
def test_late(late_by: int, expected: list[tuple[PatternKind, str, int]]) -> None:
    """A call that comes after others that ended later does not part a sequence."""
    calls = loop("S3.GetObject", 30)
    calls.insert(10 + late_by, calls.pop(10))
    patterns = Patterns(held_calls=8)
    for call in calls:
        patterns.add(call, operation_of(call.span))

    assert [(pattern.kind, pattern.operation, pattern.count) for pattern in patterns.found()] == expected


def with_connection(number: int, *, reused: bool) -> Call:
    """Return a call whose attempt tells whether its connection was reused."""
    span = traced(f"S3.Get{number}", 10 * number, 10 * number + 5)
    attempt = attempt_of(span, 10 * number, 10 * number + 5, attributes={"csm.connection.reused": reused})
    return Call(span=span, attempts=(attempt,))


@pytest.mark.parametrize(
    ("new", "reused", "is_pattern"),
    [
        pytest.param(20, 19, True, id="most"),
        pytest.param(20, 20, False, id="half"),
        pytest.param(19, 0, False, id="few"),
    ],
)
def test_connections(new: int, reused: int, is_pattern: bool) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
    """Where most requests open a connection of their own, that is a pattern."""
    calls = [with_connection(number, reused=number >= new) for number in range(new + reused)]
    assert found(calls) == ([(PatternKind.CONNECTIONS, "", new)] if is_pattern else [])


def test_text() -> None:
    """The text has the figures."""
    patterns = Patterns()
    for call in loop("EC2.DescribeInstances", 6, every_ms=5000):
        patterns.add(call, operation_of(call.span))
    (pattern,) = patterns.found()
    assert (pattern.text, pattern.threshold) == ("EC2.DescribeInstances was called 6 times, every 5.0 s", 6)


def test_bound() -> None:
    """Operations beyond the bound are not followed."""
    patterns = Patterns(max_operations=1)
    for call in (*loop("S3.GetObject", 1), *loop("S3.PutObject", 50)):
        patterns.add(call, operation_of(call.span))
    assert list(patterns.found()) == []
