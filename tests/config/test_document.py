"""The table of settings in the documents is generated from their declaration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from csm_otel.config.document import DOCUMENT, main, with_settings
from csm_otel.config.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent.parent
HEAD = "| Flag | Variable | Default | Values | Command | Meaning |"


def rows(document: str) -> Mapping[str, list[str]]:
    """Return the cells of each row of a document by their variable."""
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in document.splitlines() if line[:1] == "|"]
    return {cells[1].strip("`"): cells for cells in table}


def test_the_committed_document_is_up_to_date() -> None:
    """`python -m csm_otel.config.document` would change nothing."""
    document = (ROOT / DOCUMENT).read_text(encoding="utf-8")

    assert with_settings(document) == document


def test_each_setting_has_a_row() -> None:
    """The old rows are replaced, the text around them stays."""
    before, after = f"# Settings\n\n{HEAD}\n", "\nMore.\n\n| another | table |\n"
    document = with_settings(f"{before}|---|\n| --removed | row |\n{after}")

    assert document.startswith(before)
    assert document.endswith(after)
    assert "--removed" not in document
    assert [one.variable for one in SETTINGS.values()] == [name for name in rows(document) if name.startswith("CSM_")]


@pytest.mark.parametrize(
    ("variable", "cells"),
    [
        ("CSM_OTEL_PORT", ["`--port`", "`31000`", "0 to 65535", "serve, env, flush, health, doctor"]),
        ("CSM_OTEL_QUIET", ["`--[no-]quiet`", "`false`", "", "exec"]),
        ("CSM_OTEL_GROUP", ["`--group`", "`call`", "`call`, `process`", "serve, replay, report"]),
        (
            "CSM_OTEL_FILE",
            ["`--file`", "unset", "a path; `-` is stdout, for `serve` and `replay`", "serve, exec, replay"],
        ),
        ("CSM_OTEL_SPOOL_BYTES", ["`--spool-bytes`", "`268435456` (256 MiB)", "from 1 MiB", "serve, exec, replay"]),
        (
            "CSM_OTEL_DRAIN_SECONDS",
            ["`--drain-seconds`", "unset: 8 for serve, 5 for exec, 30 for replay", "0 to 3600", "serve, exec, replay"],
        ),
    ],
)
def test_cells(variable: str, cells: list[str]) -> None:
    """A row has flag, default, values and commands as they are declared, and a sentence."""
    flag, _, default, values, commands, meaning = rows(with_settings(f"{HEAD}\n"))[variable]

    assert [flag, default, values, commands] == cells
    assert meaning[0].isupper()
    assert meaning.endswith(".")


def test_main_writes_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The document below the working folder gets its table."""
    monkeypatch.chdir(tmp_path)
    DOCUMENT.parent.mkdir()
    DOCUMENT.write_text(f"{HEAD}\n", encoding="utf-8")

    assert main() == 0
    assert DOCUMENT.read_text(encoding="utf-8") == with_settings(f"{HEAD}\n")
