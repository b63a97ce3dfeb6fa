"""Groups of failed calls: counts, times, and what a failure meant."""

from __future__ import annotations

import pytest
from traced import MS, T0, called, traced

from csm_otel.spans.data import SpanRole
from csm_otel.summary.failures import Failures
from csm_otel.summary.model import Effect
from csm_otel.summary.trace import Call


def failures(*calls: Call, max_groups: int = 100) -> Failures:
    """Return what was collected of these calls."""
    collected = Failures(max_groups=max_groups)
    for call in calls:
        collected.add(call)
    return collected


def test_a_group() -> None:
    """Calls of one operation with one error are a group."""
    (group,) = failures(
        called("S3.GetObject", 0, 5, status=403, error="AccessDenied"),
        called("S3.GetObject", 10, 15),
        called("S3.GetObject", 20, 25, status=403, error="AccessDenied"),
        called("S3.GetObject", 30, 35),
    ).groups(exit_code=0)
    assert (group.name, group.error, group.status, group.count) == ("S3.GetObject", "AccessDenied", 403, 2)
    assert (group.first_ns, group.last_ns) == (T0, T0 + 20 * MS)
    assert "do not allow" in group.advice


def test_order() -> None:
    """Groups are in order of their first call, whatever the order of arrival."""
    groups = failures(called("B.X", 5, 6, error="E"), called("A.X", 0, 9, error="E")).groups(exit_code=None)
    assert [group.name for group in groups] == ["A.X", "B.X"]


@pytest.mark.parametrize(
    ("calls", "exit_code", "expected"),
    [
        pytest.param([called("S3.GetObject", 0, 5, status=403, error="E")], 1, Effect.FATAL, id="last-of-a-failure"),
        pytest.param([called("S3.GetObject", 0, 5, status=403, error="E")], 0, Effect.TOLERATED, id="ended-well"),
        pytest.param([called("S3.GetObject", 0, 5, status=403, error="E")], None, Effect.UNKNOWN, id="end-unknown"),
        pytest.param(
            [called("S3.GetObject", 0, 5, error="E"), called("S3.PutObject", 6, 9)], 1, Effect.TOLERATED, id="went-on"
        ),
        pytest.param(
            [called("S3.GetObject", 0, 5, error="E"), called("S3.PutObject", 4, 9)], 1, Effect.TOLERATED, id="by-a-ms"
        ),
        pytest.param(
            [called("S3.GetObject", 20, 50, error="E"), called("S3.PutObject", 10, 90)], 1, Effect.FATAL, id="threads"
        ),
        pytest.param(
            [called("S3.GetObject", 20, 50, error="E"), called("S3.PutObject", 30, 90)], 1, Effect.FATAL, id="beside"
        ),
        pytest.param(
            [called("S3.GetObject", 20, 50, error="E"), called("S3.PutObject", 60, 90)], 1, Effect.TOLERATED, id="after"
        ),
        pytest.param([called("S3.GetObject", 5, 5, error="E")], 1, Effect.FATAL, id="without-a-length"),
        pytest.param(
            [called("S3.HeadObject", 0, 5, status=404, error="404"), called("S3.PutObject", 6, 9)],
            1,
            Effect.QUESTION,
            id="head",
        ),
        pytest.param([called("S3.HeadObject", 0, 5, status=404, error="404")], 1, Effect.FATAL, id="head-was-last"),
        pytest.param([called("S3.HeadObject", 0, 5, status=403, error="403")], 0, Effect.TOLERATED, id="head-denied"),
    ],
)
def test_effect(calls: list[Call], exit_code: int | None, expected: Effect) -> None:
    """Whether a failure mattered follows from what came after it."""
    assert failures(*calls).groups(exit_code=exit_code)[0].effect is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param((0, 5), (6, 9), [Effect.TOLERATED, Effect.FATAL], id="in-turn"),
        pytest.param((20, 50), (30, 60), [Effect.FATAL, Effect.FATAL], id="threads"),
        pytest.param((10, 90), (20, 50), [Effect.FATAL, Effect.FATAL], id="within"),
        pytest.param((0, 50), (60, 60), [Effect.TOLERATED, Effect.FATAL], id="a-thread-later"),
    ],
)
def test_several_at_the_end(one: tuple[int, int], other: tuple[int, int], expected: list[Effect]) -> None:
    """Of several failures all are fatal that had not ended when the last call began."""
    calls = called("A.X", *one, error="E"), called("B.X", *other, error="E")

    assert [group.effect for group in failures(*calls).groups(exit_code=1)] == expected
    assert [group.effect for group in failures(*calls[::-1]).groups(exit_code=1)] == expected


def test_message_and_status() -> None:
    """The first message is kept; statuses that differ are not known."""
    one = traced("S3.GetObject", 0, 5, status=500, error="E")
    other = traced("S3.GetObject", 6, 9, status=503, error="E", message="m" * 600)
    (group,) = failures(Call(span=one, attempts=()), Call(span=other, attempts=())).groups(exit_code=0)
    assert (group.status, group.message) == (None, "m" * 500)


def test_attempt_without_its_call() -> None:
    """Its operation is that of the call."""
    orphan = traced("S3.GetObject attempt", 0, 5, role=SpanRole.ORPHAN, error="E")
    (group,) = failures(Call(span=orphan, attempts=())).groups(exit_code=0)
    assert group.name == "S3.GetObject"


def test_bound() -> None:
    """Calls beyond the groups that are kept are counted."""
    collected = failures(called("A.A", 0, 1, error="E"), called("A.B", 0, 1, error="E"), max_groups=1)
    assert (len(collected.groups(exit_code=0)), collected.left_out) == (1, 1)
