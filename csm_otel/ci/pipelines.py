"""Which pipeline this is, by the variables of its CI system: `pipeline_of`.

The attributes are those of the semantic conventions for CI/CD and version control. A value is what a variable says, or
is absent: on a pull request GITHUB_SHA is a merge commit that the repository does not have, so there is no revision.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.semconv._incubating.attributes.cicd_attributes import (
    CICD_PIPELINE_NAME,
    CICD_PIPELINE_RUN_ID,
    CICD_PIPELINE_RUN_URL_FULL,
    CICD_PIPELINE_TASK_NAME,
    CICD_PIPELINE_TASK_RUN_ID,
    CICD_PIPELINE_TASK_RUN_URL_FULL,
)
from opentelemetry.semconv._incubating.attributes.vcs_attributes import (
    VCS_CHANGE_ID,
    VCS_OWNER_NAME,
    VCS_PROVIDER_NAME,
    VCS_REF_BASE_NAME,
    VCS_REF_BASE_TYPE,
    VCS_REF_HEAD_NAME,
    VCS_REF_HEAD_REVISION,
    VCS_REF_HEAD_TYPE,
    VCS_REPOSITORY_NAME,
    VCS_REPOSITORY_URL_FULL,
)

from csm_otel.ci.system import BUILDKITE, CIRCLECI, GITHUB, GITLAB, JENKINS, system_of
from csm_otel.ci.urls import page_url, repository_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from csm_otel.ci.system import CallingJob

_MAX_CHARACTERS = 1000
_BRANCH, _TAG = "branch", "tag"
_REVISION = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class PipelineRun(NamedTuple):
    """Attributes of a run of a pipeline; each value is printable, bounded and without credentials."""

    resource: Mapping[str, str]
    """The run and its repository."""
    task: Mapping[str, str]
    """The job: for the span of a command."""


class _Facts(NamedTuple):
    name: str = ""
    run_id: str = ""
    run_url: str = ""
    task_name: str = ""
    task_id: str = ""
    task_url: str = ""
    provider: str = ""
    repository_url: str = ""
    repository_name: str = ""
    owner: str = ""
    head: str = ""
    tag: str = ""
    """In place of ``head``."""
    revision: str = ""
    change: str = ""
    base: str = ""


def pipeline_of(environ: Mapping[str, str], job: CallingJob) -> PipelineRun | None:
    """Return the pipeline that the variables describe, or None."""
    system = system_of(environ)
    return None if system is None else _run(_FACTS_OF[system](_Variables(environ), job))


def _run(facts: _Facts) -> PipelineRun:
    head = facts.tag or facts.head
    run = {
        CICD_PIPELINE_NAME: facts.name,
        CICD_PIPELINE_RUN_ID: facts.run_id,
        CICD_PIPELINE_RUN_URL_FULL: facts.run_url,
        VCS_PROVIDER_NAME: facts.provider,
        VCS_OWNER_NAME: facts.owner,
        VCS_REPOSITORY_NAME: facts.repository_name,
        VCS_REPOSITORY_URL_FULL: facts.repository_url,
        VCS_REF_HEAD_NAME: head,
        VCS_REF_HEAD_TYPE: head and (_TAG if facts.tag else _BRANCH),
        VCS_REF_HEAD_REVISION: facts.revision if _REVISION.fullmatch(facts.revision) else "",
        VCS_CHANGE_ID: facts.change,
        VCS_REF_BASE_NAME: facts.base,
        VCS_REF_BASE_TYPE: facts.base and _BRANCH,
    }
    task = {
        CICD_PIPELINE_TASK_NAME: facts.task_name,
        CICD_PIPELINE_TASK_RUN_ID: facts.task_id,
        CICD_PIPELINE_TASK_RUN_URL_FULL: facts.task_url,
    }
    return PipelineRun(_usable(run), _usable(task))


def _usable(attributes: Mapping[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in attributes.items()
        if value and len(value) <= _MAX_CHARACTERS and value.isprintable()
    }


class _Variables:
    """The variables of a CI system; those that are not set are empty."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        return self._environ.get(name, "")

    def url(self, name: str) -> str:
        return page_url(self[name])


def _github(of: _Variables, job: CallingJob) -> _Facts:
    """Source: GitHub, "Variables reference", default environment variables; Forgejo and Gitea set the same ones."""
    provider = next((name for name in ("forgejo", "gitea") if of[f"{name.upper()}_ACTIONS"]), "github")
    repository, run = of["GITHUB_REPOSITORY"], of["GITHUB_RUN_ID"]
    server = of.url("GITHUB_SERVER_URL").rstrip("/")
    repository_url = f"{server}/{repository}" if server and repository else ""
    run_url = f"{repository_url}/actions/runs/{run}" if repository_url and run and provider == "github" else ""
    is_tag = of["GITHUB_REF_TYPE"] == _TAG
    change = re.fullmatch(r"refs/pull/([0-9]+)/(?:merge|head)", of["GITHUB_REF"])  # the latter of Forgejo and Gitea
    is_change = bool(of["GITHUB_HEAD_REF"] or change)  # the former is not set for a review
    return _Facts(
        name=of["GITHUB_WORKFLOW"],
        run_id=run,
        run_url=f"{run_url}/attempts/{of['GITHUB_RUN_ATTEMPT']}" if run_url and of["GITHUB_RUN_ATTEMPT"] else run_url,
        task_name=job.job_name or of["GITHUB_JOB"],
        task_id=job.check_run_id,
        task_url=f"{run_url}/job/{job.check_run_id}" if run_url and job.check_run_id else "",
        provider=provider,
        repository_url=repository_url,
        repository_name=repository.partition("/")[2],
        owner=of["GITHUB_REPOSITORY_OWNER"],
        head=of["GITHUB_HEAD_REF"] if is_change else of["GITHUB_REF_NAME"],
        tag=of["GITHUB_REF_NAME"] if is_tag else "",
        revision="" if is_change else of["GITHUB_SHA"],
        change=change[1] if change else "",
        base=of["GITHUB_BASE_REF"],
    )


def _gitlab(of: _Variables, job: CallingJob) -> _Facts:
    """Source: GitLab, "Predefined CI/CD variables reference"."""
    return _Facts(
        name=of["CI_PIPELINE_NAME"] or of["CI_PROJECT_PATH"],  # the former only with `workflow:name`
        run_id=of["CI_PIPELINE_ID"],
        run_url=of.url("CI_PIPELINE_URL"),
        task_name=job.job_name or of["CI_JOB_NAME"],
        task_id=of["CI_JOB_ID"],
        task_url=of.url("CI_JOB_URL"),
        provider="gitlab",
        repository_url=of.url("CI_PROJECT_URL"),
        repository_name=of["CI_PROJECT_NAME"],
        owner=of["CI_PROJECT_NAMESPACE"],
        head=of["CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"] or of["CI_COMMIT_REF_NAME"],
        tag=of["CI_COMMIT_TAG"],
        # The former where the pipeline runs on the merged result, whose commit the latter is then.
        revision=of["CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"] or of["CI_COMMIT_SHA"],
        change=of["CI_MERGE_REQUEST_IID"],
        base=of["CI_MERGE_REQUEST_TARGET_BRANCH_NAME"],
    )


def _jenkins(of: _Variables, job: CallingJob) -> _Facts:
    """Source: Jenkins, "Using environment variables", and its Git and Branch API plugins."""
    repository = repository_of(of["GIT_URL"])
    branch = of["GIT_BRANCH"].removeprefix("origin/")
    if branch == "detached":  # what the plugin calls a commit that is at the head of no branch
        branch = ""
    return _Facts(
        name=of["JOB_NAME"],
        run_id=of["BUILD_TAG"],
        run_url=of.url("BUILD_URL"),
        task_name=job.job_name or of["STAGE_NAME"],
        provider=repository.provider,
        repository_url=repository.url,
        repository_name=repository.name,
        owner=repository.owner,
        head=of["CHANGE_BRANCH"] or branch or of["BRANCH_NAME"],
        tag=of["TAG_NAME"],
        revision="" if of["CHANGE_ID"] else of["GIT_COMMIT"],  # of a change it may be that of a merge
        change=of["CHANGE_ID"],
        base=of["CHANGE_TARGET"],
    )


def _buildkite(of: _Variables, job: CallingJob) -> _Facts:
    """Source: Buildkite, "Environment variables"."""
    repository = repository_of(of["BUILDKITE_REPO"])
    url, job_id = of.url("BUILDKITE_BUILD_URL"), of["BUILDKITE_JOB_ID"]
    change = of["BUILDKITE_PULL_REQUEST"]
    return _Facts(
        name=of["BUILDKITE_PIPELINE_NAME"] or of["BUILDKITE_PIPELINE_SLUG"],
        run_id=of["BUILDKITE_BUILD_ID"],
        run_url=url,
        task_name=job.job_name or of["BUILDKITE_LABEL"] or of["BUILDKITE_STEP_KEY"],
        task_id=job_id,
        task_url=f"{url}#{job_id}" if url and job_id else "",
        provider=repository.provider,
        repository_url=repository.url,
        repository_name=repository.name,
        owner=repository.owner,
        head=of["BUILDKITE_BRANCH"],
        tag=of["BUILDKITE_TAG"],
        revision=of["BUILDKITE_COMMIT"],
        change="" if change == "false" else change,
        base=of["BUILDKITE_PULL_REQUEST_BASE_BRANCH"],
    )


def _circleci(of: _Variables, job: CallingJob) -> _Facts:
    """Source: CircleCI, "Project values and variables"; none of them names the workflow."""
    repository = repository_of(of["CIRCLE_REPOSITORY_URL"])
    return _Facts(
        run_id=of["CIRCLE_WORKFLOW_ID"],
        task_name=job.job_name or of["CIRCLE_JOB"],
        task_id=of["CIRCLE_WORKFLOW_JOB_ID"],
        task_url=of.url("CIRCLE_BUILD_URL"),
        provider=repository.provider,
        repository_url=repository.url,
        repository_name=of["CIRCLE_PROJECT_REPONAME"],
        owner=of["CIRCLE_PROJECT_USERNAME"],
        head=of["CIRCLE_BRANCH"],
        tag=of["CIRCLE_TAG"],
        revision=of["CIRCLE_SHA1"],
        change=of.url("CIRCLE_PULL_REQUEST").rpartition("/")[2],
    )


_FACTS_OF: Mapping[str, Callable[[_Variables, CallingJob], _Facts]] = {
    GITHUB: _github,
    GITLAB: _gitlab,
    BUILDKITE: _buildkite,
    CIRCLECI: _circleci,
    JENKINS: _jenkins,
}
