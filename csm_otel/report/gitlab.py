"""Links on the page of a GitLab job, for ``artifacts:reports:annotations``: `render_links`, `artifact_url`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from csm_otel.report.terminal import shown
from csm_otel.summary.json_text import json_bytes

if TYPE_CHECKING:
    from pathlib import PurePath

    from csm_otel.summary.model import Summary

_SECTION = "csm-otel"
_NAME_COLUMNS = 120


def render_links(summary: Summary, *, trace_url: str = "", report_url: str = "") -> bytes:
    """Return the document, with the links that there are; links are all that GitLab knows as annotations."""
    name = shown(summary.run.name, _NAME_COLUMNS) or "AWS calls"
    links = [
        {"external_link": {"label": f"{what} of {name}", "url": url}}
        for what, url in (("Trace", trace_url), ("Report", report_url))
        if url
    ]
    return json_bytes({_SECTION: links}) + b"\n"


def artifact_url(job_url: str, project: PurePath, path: PurePath) -> str:
    """Return the address of a file among the artifacts of a job; empty if it is outside of the project.

    Both paths are absolute.
    """
    if not path.is_relative_to(project):
        return ""
    return f"{job_url}/artifacts/file/{quote(bytes(path.relative_to(project)))}"  # names need not be UTF-8
