"""The files that a run is reported in, such as that of ``--report``: `write_reports`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from csm_otel.errors import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from csm_otel.config.settings import Settings
    from csm_otel.summary.model import Summary
    from csm_otel.summary.trace import Call


def write_reports(settings: Settings, summary: Summary, calls: Sequence[Call], *, say: Callable[[str], None]) -> None:
    """Replace each file that the settings name; ``say`` is called with a line for each that cannot be written.

    ``calls`` are those that were kept; they are needed for the page alone.
    """
    if settings.summary_json is not None:
        text = msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"
        _replace(settings.summary_json, text, "--summary-json", say)
    if settings.report is not None:
        from csm_otel.report.page import render_page  # ruff: ignore[import-outside-top-level]

        _replace(settings.report, render_page(summary, calls).encode(), "--report", say)


def _replace(path: Path, content: bytes, flag: str, say: Callable[[str], None]) -> None:
    try:
        # for its owner only, as it holds error messages and account ids
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        say(f"{flag}: {path}: {reason_of(error, 'cannot be written')}")
