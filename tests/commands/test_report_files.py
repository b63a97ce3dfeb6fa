"""The files of a run: what is in it, who may read it, and what is said when it cannot be written."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from traced import TRACE_ID, called, command, traced

from csm_otel.commands.report_files import (
    RunResult,
    are_wanted,
    needs_calls,
    needs_summary,
    wants_annotations,
    write_reports,
)
from csm_otel.config.settings import Settings
from csm_otel.summary.builder import SummaryBuilder
from csm_otel.summary.calls import Calls
from csm_otel.verdict.baseline import Entry
from csm_otel.verdict.judge import Broken
from csm_otel.verdict.judgement import Differences, Judgement

if TYPE_CHECKING:
    from csm_otel.summary.model import Summary
    from csm_otel.summary.trace import Call


def summary(*operations: str) -> Summary:
    """Return the summary of one call, or of one of each operation."""
    builder = SummaryBuilder()
    for operation in operations or ("S3.GetObject",):
        builder.add([traced(operation, 0, 5)])
    builder.add([command()])
    return builder.build()


def test_summary(tmp_path: Path) -> None:
    """It is one JSON object on several lines, for its owner only, and replaces what was there."""
    said: list[str] = []
    path = tmp_path / "summary.json"
    for _ in range(2):
        write_reports(Settings(summary_json=path), RunResult(summary(), calls_of()), say=said.append)
    found = json.loads(path.read_text("utf-8"))
    assert (found["schema"], found["totals"]["calls"], found["run"]["name"]) == (1, 1, "legacy.py")
    assert (stat.S_IMODE(path.stat().st_mode), said) == (0o600, [])


def test_summary_with_a_verdict(tmp_path: Path) -> None:
    """What rules and baseline say is under a key of its own, in any texts; it is left out where there are none."""
    path = tmp_path / "summary.json"
    entries = [Entry("S3", "\ud800", "", "E")]
    judgement = Judgement(
        rules=["error", "calls>0"],
        broken=[Broken(rule="calls>0", calls=1, values={"calls": 1}, examples=["S3.GetObject"])],
        baseline=Differences(new=entries, gone=[]),
    )
    write_reports(Settings(summary_json=path), RunResult(summary(), calls_of(), judgement), say=print)
    found = json.loads(path.read_text("utf-8"))
    assert found.pop("verdict") == {
        "rules": ["error", "calls>0"],
        "broken": [{"rule": "calls>0", "calls": 1, "values": {"calls": 1.0}, "examples": ["S3.GetObject"]}],
        "baseline": {"new": [["S3", "?", "", "E"]], "gone": [], "updated": False},
        "baseline_failure": "",
    }
    write_reports(Settings(summary_json=path), RunResult(summary(), calls_of()), say=print)
    assert json.loads(path.read_text("utf-8")) == found


def calls_of(*calls: Call) -> Calls:
    """Return a collection of calls."""
    collected = Calls()
    for call in calls:
        collected.add([call.span, *call.attempts])
    return collected


def test_page(tmp_path: Path) -> None:
    """It has the summary and the calls, for its owner only, and replaces what was there."""
    said: list[str] = []
    path = tmp_path / "report.html"
    path.write_text("old " * 100_000)
    path.chmod(0o600)
    write_reports(Settings(report=path), RunResult(summary(), calls_of(called("S3.GetObject", 0, 5))), say=said.append)
    found = path.read_text("utf-8")
    assert (found.startswith("<!DOCTYPE html>"), found.endswith("</html>\n"), "+0 ms" in found) == (True, True, True)
    assert (stat.S_IMODE(path.stat().st_mode), said) == (0o600, [])


def test_not_written(tmp_path: Path) -> None:
    """A file in a folder that does not exist is one line; the others are written."""
    said: list[str] = []
    missing, page = tmp_path / "missing" / "file", tmp_path / "report.html"
    assert not write_reports(
        Settings(summary_json=missing, report=page), RunResult(summary(), calls_of()), say=said.append
    )
    assert not write_reports(Settings(report=missing), RunResult(summary(), calls_of()), say=said.append)
    assert said == [f"{flag}: {missing}: no such file or directory" for flag in ("--summary-json", "--report")]
    assert page.exists()


def test_chrome_trace(tmp_path: Path) -> None:
    """It has the calls, and the command."""
    said: list[str] = []
    path = tmp_path / "trace.json"
    calls = calls_of(called("S3.GetObject", 0, 5))
    calls.add([command()])
    write_reports(Settings(chrome_trace=path), RunResult(summary(), calls), say=said.append)
    slices = [one["name"] for one in json.loads(path.read_bytes())["traceEvents"] if one["ph"] == "X"]
    assert (slices, said) == (["legacy.py", "S3.GetObject", "S3.GetObject attempt"], [])


def test_policy(tmp_path: Path) -> None:
    """It has the actions that are known; the operations of the others are named, as far as there is room."""
    said: list[str] = []
    path = tmp_path / "policy.json"
    unknown = [f"X.\x1b{number}" for number in range(7)]
    assert write_reports(
        Settings(policy=path), RunResult(summary("S3.GetObject", *unknown), calls_of()), say=said.append
    )
    [statement] = json.loads(path.read_bytes())["Statement"]
    assert statement["Action"] == ["s3:GetObject"]
    assert said == ["--policy: the actions of 7 operations are not known: X.0, X.1, X.2, X.3, X.4, ..."]


@pytest.mark.parametrize(
    ("settings", "wanted", "calls"),
    [
        pytest.param(Settings(), False, False, id="none"),
        pytest.param(Settings(summary_json=Path("f")), True, False, id="summary"),
        pytest.param(Settings(policy=Path("f")), True, False, id="policy"),
        pytest.param(Settings(markdown=Path("f")), True, False, id="markdown"),
        pytest.param(Settings(step_summary=True), True, False, id="step-summary"),
        pytest.param(Settings(junit=Path("f")), True, False, id="junit"),
        pytest.param(Settings(gitlab_annotations=Path("f")), True, False, id="gitlab-annotations"),
        pytest.param(Settings(report=Path("f")), True, True, id="page"),
        pytest.param(Settings(chrome_trace=Path("f")), True, True, id="chrome-trace"),
    ],
)
def test_what_is_needed(settings: Settings, *, wanted: bool, calls: bool) -> None:
    """A run is summarised, and its calls are kept, for files that need that."""
    assert (are_wanted(settings), needs_calls(settings)) == (wanted, calls)


@pytest.mark.parametrize(
    ("settings", "variable", "wanted"),
    [
        pytest.param(Settings(), None, False, id="elsewhere"),
        pytest.param(Settings(), "true", True, id="on-github"),
        pytest.param(Settings(), "false", False, id="not-on-github"),
        pytest.param(Settings(annotations="none"), "true", False, id="switched-off"),
        pytest.param(Settings(annotations="github"), None, True, id="switched-on"),
        pytest.param(Settings(annotations="github", quiet=True), "true", False, id="quiet"),
    ],
)
def test_annotations(
    settings: Settings, variable: str | None, monkeypatch: pytest.MonkeyPatch, *, wanted: bool
) -> None:
    """They are printed on GitHub Actions, unless switched off; a summary is made for them."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    if variable is not None:
        monkeypatch.setenv("GITHUB_ACTIONS", variable)
    assert (wants_annotations(settings, os.environ), needs_summary(settings)) == (wanted, wanted)


def test_markdown(tmp_path: Path) -> None:
    """The file is replaced, the step's summary appended to; both have the address of the trace."""
    said: list[str] = []
    path, step = tmp_path / "run.md", tmp_path / "step"
    path.write_text("old " * 1_000)
    step.write_text("mine\n")
    settings = Settings(markdown=path, step_summary=True, trace_url="http://a/{trace_id}")
    result = RunResult(summary(), calls_of())
    assert write_reports(settings, result, environ={"GITHUB_STEP_SUMMARY": str(step)}, say=said.append)
    text = path.read_text("utf-8")
    assert text.startswith("### `legacy.py`: 1 AWS call\n")
    assert f"[Trace](<http://a/{TRACE_ID:032x}>)" in text
    assert (step.read_text("utf-8"), stat.S_IMODE(step.stat().st_mode) & 0o700, said) == (
        f"mine\n\n\n{text}",
        0o600,
        [],
    )


def test_a_pipe_that_nobody_reads(tmp_path: Path) -> None:
    """It is one line, and is not waited for."""
    said: list[str] = []
    os.mkfifo(tmp_path / "pipe")
    write_reports(Settings(summary_json=tmp_path / "pipe"), RunResult(summary(), calls_of()), say=said.append)
    assert said == [f"--summary-json: {tmp_path}/pipe: no such device or address"]
