"""Failed calls in words."""

from __future__ import annotations

import pytest
from traced import T0, traced

from csm_otel.report.failed import EFFECTS, most_serious_first, result_of, when_of
from csm_otel.summary.builder import SummaryBuilder
from csm_otel.summary.model import Effect


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        pytest.param(403, "AccessDenied", "403 AccessDenied", id="both"),
        pytest.param(404, "404", "404", id="the-same"),
        pytest.param(None, "ConnectionError", "ConnectionError", id="no-status"),
        pytest.param(500, "_OTHER", "500 failed", id="unnamed"),
    ],
)
def test_result(status: int | None, error: str, expected: str) -> None:
    """It has status and error, each once."""
    builder = SummaryBuilder()
    builder.add([traced("S3.GetObject", 0, 5, status=status, error=error)])
    [group] = builder.build().failures
    assert (result_of(group), when_of(group, T0)) == (expected, "+0 ms")


def test_several() -> None:
    """The count and the first and last time are said; the fatal error is first."""
    builder = SummaryBuilder()
    for start in (0, 2_000):
        builder.add([traced("S3.GetObject", start, start + 5, error="A")])
    builder.add([traced("S3.PutObject", 3_000, 3_005, error="B")])
    failures = builder.build().failures
    ordered = most_serious_first(failures)
    assert [group.effect for group in ordered] == [Effect.TOLERATED, Effect.UNKNOWN]
    assert when_of(ordered[0], T0) == "2 times from +0 ms to +2.00 s"


def test_each_effect_has_words() -> None:
    """None is forgotten."""
    assert set(EFFECTS) == set(Effect)
