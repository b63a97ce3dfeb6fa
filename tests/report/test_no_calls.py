"""The line of a run without calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from csm_otel.report.no_calls import render_no_calls

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, "no AWS calls seen in 1.50 s; to find out why: csm-otel doctor -- COMMAND", id="unknown"),
        pytest.param(
            {"reason": "env -i clears the environment"},
            "no AWS calls seen in 1.50 s: env -i clears the environment; more by csm-otel doctor -- COMMAND",
            id="reason",
        ),
        pytest.param(
            {"reason": "a\n\x1b[31m\u202eb.sh: sudo"},
            "no AWS calls seen in 1.50 s: a [31mb.sh: sudo; more by csm-otel doctor -- COMMAND",
            id="hostile-name",
        ),
        pytest.param(
            {"reason": "a" * 300},
            f"no AWS calls seen in 1.50 s: {'a' * 197}...; more by csm-otel doctor -- COMMAND",
            id="long-name",
        ),
        pytest.param(
            {"exit_code": 7},
            "no AWS calls seen in 1.50 s, exit 7; to find out why: csm-otel doctor -- COMMAND",
            id="failed",
        ),
        pytest.param(
            {"calls_elsewhere": 1},
            "no AWS calls seen in 1.50 s: 1 call seen by a nested csm-otel exec instead",
            id="nested",
        ),
    ],
)
def test_line(given: Mapping[str, Any], expected: str) -> None:
    """It has the likeliest reason, and where to ask."""
    assert render_no_calls(**{"seconds": 1.5, "exit_code": 0, **given}) == expected
