"""The files that a run is reported in, such as that of ``--report``: `write_reports`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from csm_otel.commands.output import replace_file
from csm_otel.report.terminal import counted, shown
from csm_otel.summary.json_text import json_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from csm_otel.config.settings import Settings
    from csm_otel.summary.calls import Calls
    from csm_otel.summary.comparison import Comparison
    from csm_otel.summary.model import Summary
    from csm_otel.verdict.judgement import Judgement

_MAX_NAMES = 5
_MAX_NAME_COLUMNS = 60


def are_wanted(settings: Settings) -> bool:
    """Return whether the settings name any file that is made of a summary."""
    files = settings.summary_json, settings.policy
    return needs_calls(settings) or _for_pipelines(settings) or any(file is not None for file in files)


def _for_pipelines(settings: Settings) -> bool:
    files = settings.markdown, settings.junit, settings.gitlab_annotations
    return settings.step_summary or any(file is not None for file in files)


def wants_annotations(settings: Settings, environ: Mapping[str, str]) -> bool:
    """Return whether the runner of a pipeline reads annotations, and may be given some."""
    if settings.quiet or settings.annotations == "none":
        return False
    return settings.annotations == "github" or environ.get("GITHUB_ACTIONS") == "true"


def needs_summary(settings: Settings) -> bool:
    """Return whether anything but the screen is made of a summary."""
    return are_wanted(settings) or wants_annotations(settings, os.environ)


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


def write_reports(
    settings: Settings,
    result: RunResult,
    *,
    environ: Mapping[str, str] = os.environ,
    say: Callable[[str], None],
) -> bool:
    """Replace each file that the settings name, and return whether all of them could be written.

    ``say`` is called with a line for each file that cannot be written, and for what a file does not say. The file of a
    step's summary, which ``environ`` names, is appended to.
    """
    summary, calls, judgement, comparison = result
    written: list[bool] = []
    if settings.summary_json is not None:
        text = msgspec.json.format(json_bytes(_with_verdict(summary, judgement)), indent=2) + b"\n"
        written.append(replace_file(settings.summary_json, text, "--summary-json", say))
    if settings.report is not None:
        from csm_otel.report.page import render_page  # ruff: ignore[import-outside-top-level]

        written.append(
            replace_file(settings.report, render_page(summary, list(calls), comparison).encode(), "--report", say)
        )
    if settings.chrome_trace is not None:
        from csm_otel.report.chrome_trace import render_chrome_trace  # ruff: ignore[import-outside-top-level]

        written.append(
            replace_file(settings.chrome_trace, render_chrome_trace(calls, calls.roots), "--chrome-trace", say)
        )
    if settings.policy is not None:
        written.append(_write_policy(settings.policy, summary, say))
    if _for_pipelines(settings):
        from csm_otel.commands.summaries import write_summaries  # ruff: ignore[import-outside-top-level]

        written.append(write_summaries(settings, result, environ, say=say))
    return all(written)


def _with_verdict(summary: Summary, judgement: Judgement | None) -> dict[str, object]:
    """Return the summary, and what the rules and the baseline say, if there are any, under a key of its own."""
    document: dict[str, object] = msgspec.to_builtins(summary)
    return document if judgement is None else {**document, "verdict": judgement}


def _write_policy(path: Path, summary: Summary, say: Callable[[str], None]) -> bool:
    from csm_otel.report.policy import render_policy, unknown_in_policy  # ruff: ignore[import-outside-top-level]

    is_written = replace_file(path, render_policy(summary), "--policy", say)
    if unknown := unknown_in_policy(summary):
        say(f"--policy: the actions of {counted(len(unknown), 'operation')} are not known: {_named(unknown)}")
    return is_written


def _named(names: Sequence[str]) -> str:
    """Return the first names as a list for the terminal."""
    listed = ", ".join(shown(name, _MAX_NAME_COLUMNS) for name in names[:_MAX_NAMES])
    return listed + (", ..." if len(names) > _MAX_NAMES else "")
