"""The files of ``--summary-json`` and ``--report``: `write_summary`, `write_page`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from csm_otel.errors import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from csm_otel.summary.model import Summary
    from csm_otel.summary.trace import Call


def write_summary(path: Path, summary: Summary, *, say: Callable[[str], None]) -> None:
    """Replace a file by a summary as JSON; ``say`` is called with a line for the operator where that fails."""
    text = msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"
    _replace(path, text, "--summary-json", say)


def write_page(path: Path, summary: Summary, calls: Iterable[Call], *, say: Callable[[str], None]) -> None:
    """Replace a file by a page of HTML; ``say`` is called with a line for the operator where that fails."""
    from csm_otel.report.page import render_page  # ruff: ignore[import-outside-top-level]

    _replace(path, render_page(summary, list(calls)).encode(), "--report", say)


def _replace(path: Path, content: bytes, flag: str, say: Callable[[str], None]) -> None:
    try:
        # for its owner only, as it holds error messages and account ids
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        say(f"{flag}: {path}: {reason_of(error, 'cannot be written')}")
