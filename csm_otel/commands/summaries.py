"""The files that pipelines read of a run, each written where it is asked for: `write_summaries`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.commands.output import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from csm_otel.commands.report_files import RunResult
    from csm_otel.config.settings import Settings


def write_summaries(
    settings: Settings, result: RunResult, environ: Mapping[str, str], *, say: Callable[[str], None]
) -> bool:
    """Write each file that the settings name, and return whether all of them could be written.

    ``environ`` has the variables of the pipeline. ``say`` is called with a line for each that cannot be written.
    """
    from csm_otel.report.links import trace_link  # ruff: ignore[import-outside-top-level]

    trace_url = trace_link(settings.trace_url, result.summary.run.trace_id)
    written = [_write_markdown(settings, result, trace_url, environ, say)]
    if settings.junit is not None:
        from csm_otel.report.junit import render_junit  # ruff: ignore[import-outside-top-level]

        document = render_junit(result.summary, result.judgement, trace_url=trace_url)
        written.append(replace_file(settings.junit, document, "--junit", say))
    if settings.gitlab_annotations is not None:
        from csm_otel.report.gitlab import render_links  # ruff: ignore[import-outside-top-level]

        report_url = _report_url(settings, environ)
        document = render_links(result.summary, trace_url=trace_url, report_url=report_url)
        written.append(replace_file(settings.gitlab_annotations, document, "--gitlab-annotations", say))
    return all(written)


def _write_markdown(
    settings: Settings,
    result: RunResult,
    trace_url: str,
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> bool:
    if settings.markdown is None and not settings.step_summary:
        return True
    from csm_otel.commands.step_summary import append_step_summary  # ruff: ignore[import-outside-top-level]
    from csm_otel.report.markdown import MAX_BYTES, render_markdown  # ruff: ignore[import-outside-top-level]

    def render(room_bytes: int) -> str | None:
        summary, judgement, comparison = result.summary, result.judgement, result.comparison
        return render_markdown(summary, judgement, comparison, trace_url=trace_url, room_bytes=room_bytes)

    is_written = True
    if settings.markdown is not None:
        text = render(MAX_BYTES)
        assert text is not None, "a whole MiB has room for the heads of the tables"
        is_written = replace_file(settings.markdown, text.encode(), "--markdown", say)
    if settings.step_summary:
        is_written &= append_step_summary(environ, render, say=say)
    return is_written


def _report_url(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return where GitLab shows the file of ``--report``; empty if there is none, or not there."""
    project = environ.get("CI_PROJECT_DIR", "")
    if settings.report is None or not project:
        return ""
    from csm_otel.ci.urls import page_url  # ruff: ignore[import-outside-top-level]
    from csm_otel.report.gitlab import artifact_url  # ruff: ignore[import-outside-top-level]

    job_url = page_url(environ.get("CI_JOB_URL", ""))
    if not job_url:
        return ""
    try:
        return artifact_url(job_url, Path(project).resolve(), settings.report.resolve(strict=True))
    except (OSError, RuntimeError):  # not written, the current folder is gone, or (before 3.13) links in a circle
        return ""
