"""The trace of a CI run that a command joins without `TRACEPARENT`: ids as those who trace the run derive them, `join`.

Standard library only: `exec` needs it before its command is started.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csm_otel.ci.system import CallingJob

GITHUB, GITHUB_JOB_NAME, GITLAB = JOINABLE = ("github", "github-job-name", "gitlab")
_MAX_DIGITS = 19  # of a 64-bit number


class Joined(NamedTuple):
    """A place in the trace of a CI run."""

    trace_id: int | None
    """None: unknown."""
    parent_id: int | None = None
    """None: there is no span that the command could be below."""
    trouble: str = ""
    """Why it is not the place that was asked for."""


def join(way: str, job: CallingJob, environ: Mapping[str, str]) -> Joined:
    """Return the place in the trace of the CI run that ``environ`` describes; ``way`` is one of `JOINABLE`.

    Sources: trace_event_handling.go of the Collector's githubreceiver, whose feature gate ``UseCheckRunID`` is on since
    version 0.151. Its gitlabreceiver derives ids from the end of the pipeline, which nobody knows yet; hence the trace
    of a GitLab pipeline is one of our own, which its jobs share.
    """
    if way == GITLAB:
        if not _is_number(pipeline := environ.get("CI_PIPELINE_ID", "")):
            return Joined(None, trouble="CI_PIPELINE_ID is not a number")
        return Joined(_trace_id(f"{environ.get('CI_SERVER_HOST', '')} {pipeline}"))
    run, attempt = environ.get("GITHUB_RUN_ID", ""), environ.get("GITHUB_RUN_ATTEMPT", "")
    if not (_is_number(run) and _is_number(attempt)):
        return Joined(None, trouble="GITHUB_RUN_ID and GITHUB_RUN_ATTEMPT are not numbers")
    trace_id, trouble = _trace_id(f"{run}{attempt}t"), ""
    parent = f"{run}{attempt}s"  # the run itself
    if way == GITHUB_JOB_NAME:
        if job.job_name:
            parent = f"{run}{attempt}{job.job_name}"
        else:
            trouble = "below the run, as the name of the job is unknown (--job-name)"
    elif not job.check_run_id:
        trouble = "below the run, as the id of the job is unknown (--check-run-id)"
    else:
        parent = f"{job.check_run_id}-{job.step_name}-s" if job.step_name else f"{job.check_run_id}-j"
    return Joined(trace_id, _span_id(parent), trouble)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def _trace_id(text: str) -> int:
    return int(_digest(text)[:32], 16)


def _span_id(text: str) -> int:
    return int(_digest(text)[16:32], 16)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
