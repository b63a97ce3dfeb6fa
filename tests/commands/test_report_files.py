"""The files of a run: what is in it, who may read it, and what is said when it cannot be written."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

from traced import called, command, traced

from csm_otel.commands.report_files import write_reports
from csm_otel.config.settings import Settings
from csm_otel.summary.builder import SummaryBuilder

if TYPE_CHECKING:
    from pathlib import Path

    from csm_otel.summary.model import Summary


def summary() -> Summary:
    """Return the summary of one call."""
    builder = SummaryBuilder()
    builder.add([traced("S3.GetObject", 0, 5), command()])
    return builder.build()


def test_summary(tmp_path: Path) -> None:
    """It is one JSON object on several lines, for its owner only, and replaces what was there."""
    said: list[str] = []
    path = tmp_path / "summary.json"
    for _ in range(2):
        write_reports(Settings(summary_json=path), summary(), [], say=said.append)
    found = json.loads(path.read_text("utf-8"))
    assert (found["schema"], found["totals"]["calls"], found["run"]["name"]) == (1, 1, "legacy.py")
    assert (stat.S_IMODE(path.stat().st_mode), said) == (0o600, [])


def test_page(tmp_path: Path) -> None:
    """It has the summary and the calls, for its owner only, and replaces what was there."""
    said: list[str] = []
    path = tmp_path / "report.html"
    path.write_text("old " * 100_000)
    path.chmod(0o600)
    write_reports(Settings(report=path), summary(), [called("S3.GetObject", 0, 5)], say=said.append)
    found = path.read_text("utf-8")
    assert (found.startswith("<!DOCTYPE html>"), found.endswith("</html>\n"), "+0 ms" in found) == (True, True, True)
    assert (stat.S_IMODE(path.stat().st_mode), said) == (0o600, [])


def test_not_written(tmp_path: Path) -> None:
    """A file in a folder that does not exist is one line; the others are written."""
    said: list[str] = []
    missing, page = tmp_path / "missing" / "file", tmp_path / "report.html"
    write_reports(Settings(summary_json=missing, report=page), summary(), [], say=said.append)
    write_reports(Settings(report=missing), summary(), [], say=said.append)
    assert said == [f"{flag}: {missing}: no such file or directory" for flag in ("--summary-json", "--report")]
    assert page.exists()
