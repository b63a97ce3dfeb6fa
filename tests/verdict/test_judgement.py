"""The exit code of a judgement."""

from __future__ import annotations

import pytest

from csm_otel.verdict.judge import Broken
from csm_otel.verdict.judgement import Differences, Judgement

BROKEN = Broken(rule="error", calls=1, values={}, examples=[])


@pytest.mark.parametrize(
    ("judgement", "code"),
    [
        pytest.param(Judgement(rules=["error"], broken=[]), 0, id="kept"),
        pytest.param(Judgement(rules=["error"], broken=[BROKEN]), 99, id="broken"),
        pytest.param(Judgement(rules=[], broken=[], baseline=Differences(new=[], gone=[])), 0, id="baseline"),
        pytest.param(Judgement(rules=[], broken=[], baseline_failure="no baseline"), 99, id="no-baseline"),
    ],
)
def test_exit_code(judgement: Judgement, code: int) -> None:
    """A rule that is broken, or a baseline that cannot be used, does not pass; a difference alone does."""
    assert judgement.exit_code == code
