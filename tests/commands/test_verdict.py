"""Rules while spans come, and the exit code. Whole runs are in tests/e2e/test_verdict.py."""

from __future__ import annotations

from collections import Counter

import pytest
from traced import command, traced

from csm_otel.commands.verdict import Verdict
from csm_otel.tally import Tally


@pytest.mark.parametrize(
    ("rules", "tally", "code", "said"),
    [
        pytest.param("error", None, 99, ["--fail-on: error: 1 call: S3.GetObject AccessDenied"], id="broken"),
        pytest.param("throttle", None, 0, [], id="kept"),
        pytest.param(
            "dropped>2",
            Tally(datagrams_dropped_by_kernel=2, spans_dropped=Counter(queue_full=1)),
            99,
            ["--fail-on: dropped>2: dropped is 3"],
            id="dropped",
        ),
        pytest.param("dropped>0", Tally(datagrams_dropped_by_kernel=None), 0, [], id="drops-unknown"),
    ],
)
def test_exit_code(rules: str, tally: Tally | None, code: int, said: list[str]) -> None:
    """It is 99 if a rule is broken, each of which has a line."""
    lines: list[str] = []
    verdict = Verdict(rules)
    verdict.add([traced("S3.GetObject", 0, 5, error="AccessDenied")])
    verdict.add([command()])

    assert (verdict.exit_code(tally, say=lines.append), lines) == (code, said)
