"""The files that a run is reported in, such as that of ``--report``: `write_reports`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from csm_otel.errors import reason_of
from csm_otel.report.terminal import Terminal, counted
from csm_otel.summary.json_text import json_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from csm_otel.config.settings import Settings
    from csm_otel.summary.calls import Calls
    from csm_otel.summary.comparison import Comparison
    from csm_otel.summary.model import Summary
    from csm_otel.verdict.judgement import Judgement

_MAX_NAMES = 5
_MAX_NAME_COLUMNS = 60


def are_wanted(settings: Settings) -> bool:
    """Return whether the settings name any file."""
    return needs_calls(settings) or settings.summary_json is not None or settings.policy is not None


def needs_calls(settings: Settings) -> bool:
    """Return whether a file lists calls."""
    return settings.report is not None or settings.chrome_trace is not None


class RunResult(NamedTuple):
    """What there is to report of a run."""

    summary: Summary
    calls: Calls
    """Those that were kept, none if no file needs them."""
    judgement: Judgement | None = None
    """What the rules and the baseline say, if there are any."""
    comparison: Comparison | None = None
    """With another run, if there is one."""


def write_reports(settings: Settings, result: RunResult, *, say: Callable[[str], None]) -> bool:
    """Replace each file that the settings name, and return whether all of them could be written.

    ``say`` is called with a line for each file that cannot be written, and for what a file does not say.
    """
    summary, calls, judgement, comparison = result
    written: list[bool] = []
    if settings.summary_json is not None:
        text = msgspec.json.format(json_bytes(_with_verdict(summary, judgement)), indent=2) + b"\n"
        written.append(_replace(settings.summary_json, text, "--summary-json", say))
    if settings.report is not None:
        from csm_otel.report.page import render_page  # ruff: ignore[import-outside-top-level]

        written.append(
            _replace(settings.report, render_page(summary, list(calls), comparison).encode(), "--report", say)
        )
    if settings.chrome_trace is not None:
        from csm_otel.report.chrome_trace import render_chrome_trace  # ruff: ignore[import-outside-top-level]

        written.append(_replace(settings.chrome_trace, render_chrome_trace(calls, calls.roots), "--chrome-trace", say))
    if settings.policy is not None:
        written.append(_write_policy(settings.policy, summary, say))
    return all(written)


def _with_verdict(summary: Summary, judgement: Judgement | None) -> dict[str, object]:
    """Return the summary, and what the rules and the baseline say, if there are any, under a key of its own."""
    document: dict[str, object] = msgspec.to_builtins(summary)
    return document if judgement is None else {**document, "verdict": judgement}


def _write_policy(path: Path, summary: Summary, say: Callable[[str], None]) -> bool:
    from csm_otel.report.policy import render_policy, unknown_in_policy  # ruff: ignore[import-outside-top-level]

    is_written = _replace(path, render_policy(summary), "--policy", say)
    if unknown := unknown_in_policy(summary):
        say(f"--policy: the actions of {counted(len(unknown), 'operation')} are not known: {_named(unknown)}")
    return is_written


def _named(names: Sequence[str]) -> str:
    """Return the first names as a list for the terminal."""
    terminal = Terminal(_MAX_NAME_COLUMNS, color=False)
    shown = ", ".join(terminal.cut(terminal.printable(name), _MAX_NAME_COLUMNS) for name in names[:_MAX_NAMES])
    return shown + (", ..." if len(names) > _MAX_NAMES else "")


def _replace(path: Path, content: bytes, flag: str, say: Callable[[str], None]) -> bool:
    try:
        # for its owner only, as it holds error messages and account ids
        # non-blocking: opening a pipe that nobody reads would hang
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        say(f"{flag}: {path}: {reason_of(error, 'cannot be written')}")
        return False
    return True
