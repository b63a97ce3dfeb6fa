"""The CI systems that are known, and what their variables do not say. Standard library only."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

GITHUB, GITLAB, BUILDKITE, CIRCLECI, JENKINS = MARKERS = (
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "BUILDKITE",
    "CIRCLECI",
    "JENKINS_URL",
)
"""Variables that one system each sets."""


class CallingJob(NamedTuple):
    """What only the user of a CI system can pass on."""

    check_run_id: str = ""
    """Of GitHub; digits, or empty."""
    job_name: str = ""
    """As shown, which need not be that of its variables."""
    step_name: str = ""


def system_of(environ: Mapping[str, str]) -> str | None:
    """Return the one of `MARKERS` that ``environ`` has, or None."""
    return next((marker for marker in MARKERS if environ.get(marker, "false") not in ("", "false")), None)
