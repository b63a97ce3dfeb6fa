"""Broken rules in words."""

from __future__ import annotations

import pytest

from csm_otel.report.verdict import render_broken
from csm_otel.verdict.judge import Broken


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        pytest.param(
            Broken(rule="error", calls=1, values={}, examples=["S3.GetObject AccessDenied"]),
            "error: 1 call: S3.GetObject AccessDenied",
            id="call",
        ),
        pytest.param(
            Broken(rule="access=write", calls=1_204, values={}, examples=["A", "B", "C", "D"]),
            "access=write: 1,204 calls: A, B, C, ...",
            id="calls",
        ),
        pytest.param(
            Broken(rule="p95>2s & errors>1%", calls=9, values={"p95": 3000, "errors": 16.7}, examples=["A"]),
            "p95>2s & errors>1%: p95 is 3,000 ms, errors is 16.7%",
            id="measures",
        ),
        pytest.param(
            Broken(rule="dropped>0", calls=9, values={"dropped": 1_000_000}, examples=[]),
            "dropped>0: dropped is 1,000,000",
            id="count",
        ),
    ],
)
def test_line(broken: Broken, expected: str) -> None:
    """The rule comes first, then why."""
    assert render_broken(broken) == expected


def test_texts_of_senders() -> None:
    """They are printable, and the line is cut."""
    line = render_broken(Broken(rule="error", calls=1, values={}, examples=["\x1b[31m\n" + "x" * 1000]))
    assert line.isprintable()
    assert len(line) == 300
