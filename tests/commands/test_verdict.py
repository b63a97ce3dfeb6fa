"""Rules while spans come, and the exit code. Whole runs are in tests/e2e/test_verdict.py."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from traced import command, traced

from csm_otel.commands.verdict import Verdict
from csm_otel.config.settings import Settings
from csm_otel.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path


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
    verdict = Verdict(Settings(fail_on=rules))
    verdict.add([traced("S3.GetObject", 0, 5, error="AccessDenied")])
    verdict.add([command()])

    judgement = verdict.judgement(tally, say=lines.append)
    assert (judgement.exit_code, lines) == (code, said)
    assert (judgement.rules, [one.rule for one in judgement.broken]) == ([rules], [rules] if code else [])


def judged(*operations: str, said: list[str], **settings: Any) -> int:
    """Return the exit code of a run with a call of each operation."""
    verdict = Verdict(Settings(**settings))
    for operation in operations:
        verdict.add([traced(operation, 0, 5)])
    return verdict.judgement(None, say=said.append).exit_code


def test_baseline(tmp_path: Path) -> None:
    """It is written on request; what came and went is said, and fails if that is asked for."""
    path = tmp_path / "aws-calls.toml"
    said: list[str] = []
    codes = [
        judged("S3.GetObject", said=said, baseline=path, update_baseline=True),
        judged("S3.GetObject", said=said, baseline=path, fail_on="new>0"),
        judged("S3.PutObject", said=said, baseline=path),
        judged("S3.PutObject", said=said, baseline=path, fail_on="new>0, gone>0"),
        judged("S3.PutObject", said=said, baseline=path, fail_on="new>0", update_baseline=True),
        judged("S3.PutObject", said=said, baseline=path, fail_on="new>0"),
    ]

    assert codes == [0, 0, 0, 99, 0, 0]
    new_and_gone = ["--baseline: new: S3.PutObject", "--baseline: gone: S3.GetObject"]
    assert said == [
        "--baseline: new: S3.GetObject",
        f"--baseline: {path} updated",
        *new_and_gone,
        *new_and_gone,
        "--fail-on: new>0: new is 1",
        "--fail-on: gone>0: gone is 1",
        *new_and_gone,
        f"--baseline: {path} updated",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "no such file or directory", id="missing"),
        pytest.param(b"\xff", "no baseline: not UTF-8", id="no-text"),
        pytest.param(
            b"calls", "no baseline: Expected '=' after a key in a key/value pair (at end of document)", id="toml"
        ),
    ],
)
def test_a_bad_baseline(content: bytes | None, reason: str, tmp_path: Path) -> None:
    """It is one line, and does not count as passed."""
    path = tmp_path / "aws-calls.toml"
    if content is not None:
        path.write_bytes(content)
    said: list[str] = []

    assert judged("S3.GetObject", said=said, baseline=path) == 99
    assert said == [f"--baseline: {path}: {reason}"]


def test_a_baseline_that_cannot_be_written(tmp_path: Path) -> None:
    """It is one line, and leaves nothing behind."""
    path = tmp_path / "no" / "file"
    said: list[str] = []

    assert judged("S3.GetObject", said=said, baseline=path, update_baseline=True) == 99
    assert said[-1] == f"--baseline: {path}: no such file or directory"


def test_many_differences(tmp_path: Path) -> None:
    """Some are shown, the others are a number."""
    path = tmp_path / "aws-calls.toml"
    path.write_text("schema = 1\ncalls = []", encoding="utf-8")
    said: list[str] = []
    judged(*(f"S3.Op{number:02}" for number in range(25)), said=said, baseline=path)

    assert (len(said), said[-1]) == (21, "--baseline: new: 5 more")
