"""Rules while spans come, and the exit code. Whole runs are in tests/e2e/test_verdict.py."""

from __future__ import annotations

import os
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from traced import command, traced

from csm_otel.commands.verdict import Verdict
from csm_otel.config.settings import Settings
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
        pytest.param(
            "dropped>2",
            Tally(datagrams_undecoded=2, spans_rejected=1),
            99,
            ["--fail-on: dropped>2: dropped is 3"],
            id="dropped-otherwise",
        ),
        pytest.param("dropped>0", Tally(datagrams_dropped_by_kernel=None), 0, [], id="drops-unknown"),
        pytest.param("dropped>0", None, 0, ["--fail-on: dropped is 0, as files do not have it"], id="drops-of-files"),
        pytest.param(
            "new>0", Tally(), 99, ["--baseline: there is none for the rules on new and gone"], id="no-baseline"
        ),
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
    assert judgement.rules == [rules]
    assert bool(judgement.broken or judgement.baseline_failure) == bool(code)


def judged(*operations: str, said: list[str], tally: Tally | None = None, code: int = 0, **settings: Any) -> int:
    """Return the exit code of a run with a call of each operation."""
    verdict = Verdict(Settings(**settings))
    for operation in operations:
        verdict.add([traced(operation, 0, 5)])
    verdict.add([command(code=code)])
    return verdict.judgement(tally, say=said.append).exit_code


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
            b'schema = 1\ncalls = []\n"\\u001b[31m" = 1',
            "no baseline: Object contains unknown field `[31m`",
            id="control-character",
        ),
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


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    """It is one line, and no reason to pass."""
    path = tmp_path / ("n" * 300)
    said: list[str] = []

    assert judged("S3.GetObject", said=said, baseline=path, update_baseline=True) == 99
    assert said == [f"--baseline: {path}: file name too long"]


@pytest.mark.parametrize("is_updated", [False, True])
def test_a_pipe_without_a_writer(tmp_path: Path, *, is_updated: bool) -> None:
    """It is empty, and stays a pipe."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    said: list[str] = []

    assert judged("S3.GetObject", said=said, baseline=path, update_baseline=is_updated) == 99
    assert said == [f"--baseline: {path}: no baseline: Object missing required field `schema`"]
    assert path.is_fifo()


def test_files_of_other_systems(tmp_path: Path) -> None:
    """Line ends of two characters and a byte order mark are read."""
    path = tmp_path / "aws-calls.toml"
    path.write_bytes(b"\xef\xbb\xbfschema = 1\r\ncalls = [\r\n    ['S3', 'GetObject', '', ''],\r\n]\r\n")
    said: list[str] = []

    assert judged("S3.GetObject", said=said, baseline=path) == 0
    assert said == []


def test_a_link(tmp_path: Path) -> None:
    """The file that it leads to is written, with the mode that it had, and nothing else is left."""
    shared = tmp_path / "shared"
    shared.mkdir()
    target, link = shared / "calls.toml", tmp_path / "aws-calls.toml"
    link.symlink_to("shared/calls.toml")
    judged("S3.GetObject", said=[], baseline=link, update_baseline=True)
    target.chmod(0o640)
    judged("S3.PutObject", said=[], baseline=link, update_baseline=True)

    assert link.readlink() == Path("shared/calls.toml")
    assert "PutObject" in target.read_text("utf-8")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert list(shared.iterdir()) == [target]


@pytest.mark.parametrize(
    ("run", "why"),
    [
        pytest.param({"code": 143}, "the command failed", id="failed"),
        pytest.param({"tally": Tally(datagrams_dropped_by_kernel=1)}, "datagrams were dropped", id="dropped"),
        pytest.param({"tally": Tally(calls_reported=1)}, "a nested csm-otel exec saw the calls", id="nested"),
        pytest.param({"tally": Tally(datagrams_undecoded=1)}, "datagrams were dropped", id="undecoded"),
    ],
)
def test_an_incomplete_run(run: dict[str, Any], why: str, tmp_path: Path) -> None:
    """It does not replace the baseline, of which only a complete run shows what is gone; one that fits it may stay."""
    path = tmp_path / "aws-calls.toml"
    judged("S3.GetObject", "S3.PutObject", said=[], baseline=path, update_baseline=True)
    before = path.read_bytes()
    said: list[str] = []

    assert judged("S3.GetObject", said=said, baseline=path, update_baseline=True, **run) == 99
    assert said == ["--baseline: gone: S3.PutObject", f"--baseline: {path}: not updated, as {why}"]
    assert path.read_bytes() == before
    assert judged("S3.GetObject", "S3.PutObject", said=[], baseline=path, update_baseline=True, **run) == 0


def test_nothing_to_update() -> None:
    """Without a file a line says so, and the run is judged as without."""
    said: list[str] = []

    assert judged("S3.GetObject", said=said, update_baseline=True) == 0
    assert said == ["--update-baseline: there is no --baseline to write"]


def test_many_differences(tmp_path: Path) -> None:
    """Some are shown, the others are a number."""
    path = tmp_path / "aws-calls.toml"
    path.write_text("schema = 1\ncalls = []", encoding="utf-8")
    said: list[str] = []
    judged(*(f"S3.Op{number:02}" for number in range(25)), said=said, baseline=path)

    assert (len(said), said[-1]) == (21, "--baseline: new: 5 more")
