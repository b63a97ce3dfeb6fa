"""The file of a summary: what is in it, who may read it, and what is said when it cannot be written."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

from traced import command, traced

from csm_otel.commands.summary_file import write_summary
from csm_otel.summary.builder import SummaryBuilder

if TYPE_CHECKING:
    from pathlib import Path

    from csm_otel.summary.model import Summary


def summary() -> Summary:
    """Return the summary of one call."""
    builder = SummaryBuilder()
    builder.add([traced("S3.GetObject", 0, 5), command()])
    return builder.build()


def test_written(tmp_path: Path) -> None:
    """It is one JSON object on several lines, for its owner only, and replaces what was there."""
    said: list[str] = []
    path = tmp_path / "summary.json"
    write_summary(path, summary(), say=said.append)
    write_summary(path, summary(), say=said.append)
    found = json.loads(path.read_text("utf-8"))
    assert (found["schema"], found["totals"]["calls"], found["run"]["name"]) == (1, 1, "legacy.py")
    assert (stat.S_IMODE(path.stat().st_mode), said) == (0o600, [])


def test_not_written(tmp_path: Path) -> None:
    """A folder that does not exist is one line."""
    said: list[str] = []
    path = tmp_path / "missing" / "summary.json"
    write_summary(path, summary(), say=said.append)
    assert said == [f"--summary-json: {path}: no such file or directory"]
