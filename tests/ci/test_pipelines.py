"""The attributes of the pipelines of each system."""

from __future__ import annotations

import pytest
from ci import environments
from ci.environments import SHA

from csm_otel.ci.pipelines import PipelineRun, pipeline_of
from csm_otel.ci.system import CallingJob

_ON_MAIN = {"vcs.ref.head.name": "main", "vcs.ref.head.type": "branch", "vcs.ref.head.revision": SHA}
_ON_GITHUB = {"vcs.provider.name": "github", "vcs.owner.name": "acme", "vcs.repository.name": "etl"}
_PAGE = {"vcs.repository.url.full": "https://github.com/acme/etl"}
_GITHUB_RUN = {
    "cicd.pipeline.name": "nightly",
    "cicd.pipeline.run.id": "14535912359",
    "cicd.pipeline.run.url.full": "https://github.com/acme/etl/actions/runs/14535912359/attempts/2",
    **_ON_GITHUB,
    **_PAGE,
}
_CHANGE = {
    "vcs.change.id": "17",
    "vcs.ref.head.name": "faster",
    "vcs.ref.head.type": "branch",
    "vcs.ref.base.name": "main",
    "vcs.ref.base.type": "branch",
}
_GITHUB_TASK = {"cicd.pipeline.task.name": "backup"}
_GITLAB_RUN = {
    "cicd.pipeline.name": "acme/data/etl",
    "cicd.pipeline.run.id": "967614908",
    "cicd.pipeline.run.url.full": "https://gitlab.com/acme/data/etl/-/pipelines/967614908",
    "vcs.provider.name": "gitlab",
    "vcs.owner.name": "acme/data",
    "vcs.repository.name": "etl",
    "vcs.repository.url.full": "https://gitlab.com/acme/data/etl",
}
_GITLAB_TASK = {
    "cicd.pipeline.task.name": "backup",
    "cicd.pipeline.task.run.id": "4986432001",
    "cicd.pipeline.task.run.url.full": "https://gitlab.com/acme/data/etl/-/jobs/4986432001",
}
_MERGE_REQUEST = {
    "CI_MERGE_REQUEST_IID": "17",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "faster",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
}
_OF_SOURCE = "ab" * 20
_JENKINS_RUN = {
    "cicd.pipeline.name": "etl/main",
    "cicd.pipeline.run.id": "jenkins-etl-main-12",
    "cicd.pipeline.run.url.full": "https://ci.example/job/etl/job/main/12/",
    **_ON_GITHUB,
    **_PAGE,
}
_JENKINS_CHANGE = {"CHANGE_ID": "17", "CHANGE_BRANCH": "faster", "CHANGE_TARGET": "main"}
_BUILDKITE_RUN = {
    "cicd.pipeline.name": "ETL",
    "cicd.pipeline.run.id": "4735ba57-80d0-46e2-8fa0-b28223a86586",
    "cicd.pipeline.run.url.full": "https://buildkite.com/acme/etl/builds/12",
    **_ON_GITHUB,
}
_BUILDKITE_TASK = {
    "cicd.pipeline.task.name": ":package: back up",
    "cicd.pipeline.task.run.id": "e44f9784-e20e-4b93-a21d-f41fd5869db9",
    "cicd.pipeline.task.run.url.full": "https://buildkite.com/acme/etl/builds/12#e44f9784-e20e-4b93-a21d-f41fd5869db9",
}
_CIRCLECI_RUN = {"cicd.pipeline.run.id": "a1b2c3d4-0000-4000-8000-000000000001", **_ON_GITHUB}
_CIRCLECI_TASK = {
    "cicd.pipeline.task.name": "backup",
    "cicd.pipeline.task.run.id": "a1b2c3d4-0000-4000-8000-000000000002",
    "cicd.pipeline.task.run.url.full": "https://circleci.com/gh/acme/etl/12",
}


def on_tag(name: str) -> dict[str, str]:
    """Return the attributes of a run for a tag."""
    return _ON_MAIN | {"vcs.ref.head.name": name, "vcs.ref.head.type": "tag"}


CASES = [
    pytest.param(environments.GITHUB, _GITHUB_RUN | _ON_MAIN, _GITHUB_TASK, id="github"),
    # GITHUB_SHA is the commit of a merge that the repository does not have
    pytest.param(environments.GITHUB_PULL_REQUEST, _GITHUB_RUN | _CHANGE, _GITHUB_TASK, id="github-pull-request"),
    # pull_request_review: GITHUB_SHA is that commit, too, and 17/merge is no branch
    pytest.param(
        environments.GITHUB_PULL_REQUEST | {"GITHUB_HEAD_REF": "", "GITHUB_BASE_REF": ""},
        _GITHUB_RUN | {"vcs.change.id": "17"},
        _GITHUB_TASK,
        id="github-review",
    ),
    # pull_request_target: GITHUB_SHA is the head of the base branch
    pytest.param(
        environments.GITHUB | {"GITHUB_HEAD_REF": "faster", "GITHUB_BASE_REF": "main"},
        _GITHUB_RUN | {key: value for key, value in _CHANGE.items() if key != "vcs.change.id"},
        _GITHUB_TASK,
        id="github-pull-request-target",
    ),
    pytest.param(
        environments.GITHUB_PULL_REQUEST | {"GITEA_ACTIONS": "true", "GITHUB_REF": "refs/pull/17/head"},
        {key: value for key, value in (_GITHUB_RUN | _CHANGE).items() if key != "cicd.pipeline.run.url.full"}
        | {"vcs.provider.name": "gitea"},
        _GITHUB_TASK,
        id="gitea-pull-request",
    ),
    pytest.param(
        environments.GITHUB | {"GITHUB_REF": "refs/tags/v1", "GITHUB_REF_NAME": "v1", "GITHUB_REF_TYPE": "tag"},
        _GITHUB_RUN | on_tag("v1"),
        _GITHUB_TASK,
        id="github-tag",
    ),
    *(
        pytest.param(
            environments.GITHUB | {f"{name.upper()}_ACTIONS": "true"},
            {key: value for key, value in (_GITHUB_RUN | _ON_MAIN).items() if key != "cicd.pipeline.run.url.full"}
            | {"vcs.provider.name": name},
            _GITHUB_TASK,
            id=name,
        )
        for name in ("forgejo", "gitea")
    ),
    pytest.param(environments.GITLAB, _GITLAB_RUN | _ON_MAIN, _GITLAB_TASK, id="gitlab"),
    pytest.param(
        environments.GITLAB | {"CI_COMMIT_TAG": "v1", "CI_COMMIT_REF_NAME": "v1", "CI_PIPELINE_NAME": "nightly"},
        _GITLAB_RUN | on_tag("v1") | {"cicd.pipeline.name": "nightly"},
        _GITLAB_TASK,
        id="gitlab-tag",
    ),
    pytest.param(
        environments.GITLAB | _MERGE_REQUEST,
        _GITLAB_RUN | _CHANGE | {"vcs.ref.head.revision": SHA},
        _GITLAB_TASK,
        id="gitlab-merge-request",
    ),
    pytest.param(
        environments.GITLAB | _MERGE_REQUEST | {"CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": _OF_SOURCE},
        _GITLAB_RUN | _CHANGE | {"vcs.ref.head.revision": _OF_SOURCE},
        _GITLAB_TASK,
        id="gitlab-merged-result",
    ),
    pytest.param(environments.JENKINS, _JENKINS_RUN | _ON_MAIN, {"cicd.pipeline.task.name": "Back up"}, id="jenkins"),
    pytest.param(
        environments.JENKINS | _JENKINS_CHANGE,
        _JENKINS_RUN | _CHANGE,
        {"cicd.pipeline.task.name": "Back up"},
        id="jenkins-change",
    ),
    pytest.param(
        environments.JENKINS | {"GIT_BRANCH": "detached"},
        _JENKINS_RUN | {"vcs.ref.head.revision": SHA},
        {"cicd.pipeline.task.name": "Back up"},
        id="jenkins-detached",
    ),
    pytest.param(environments.BUILDKITE, _BUILDKITE_RUN | _ON_MAIN, _BUILDKITE_TASK, id="buildkite"),
    pytest.param(
        environments.BUILDKITE
        | {
            "BUILDKITE_COMMIT": "HEAD",
            "BUILDKITE_PULL_REQUEST": "17",
            "BUILDKITE_BRANCH": "faster",
            "BUILDKITE_PULL_REQUEST_BASE_BRANCH": "main",
        },
        _BUILDKITE_RUN | _CHANGE,
        _BUILDKITE_TASK,
        id="buildkite-pull-request",
    ),
    pytest.param(environments.CIRCLECI, _CIRCLECI_RUN | _ON_MAIN, _CIRCLECI_TASK, id="circleci"),
    pytest.param(
        environments.CIRCLECI | {"CIRCLE_PULL_REQUEST": "https://github.com/acme/etl/pull/17"},
        _CIRCLECI_RUN | _ON_MAIN | {"vcs.change.id": "17"},
        _CIRCLECI_TASK,
        id="circleci-pull-request",
    ),
]


@pytest.mark.parametrize(("environ", "resource", "task"), CASES)
def test_pipeline_of(environ: dict[str, str], resource: dict[str, str], task: dict[str, str]) -> None:
    """A pipeline is what its variables say, and no more; no secret is part of it."""
    run = pipeline_of(environ, CallingJob())

    assert run == PipelineRun(resource, task)
    assert environments.SECRET not in str(run)


@pytest.mark.parametrize(("environ", "resource", "task"), CASES)
def test_credentials(environ: dict[str, str], resource: dict[str, str], task: dict[str, str]) -> None:
    """Credentials in addresses change nothing, and are not part of it."""
    planted = environments.with_credentials(environ)

    assert str(planted).count(environments.SECRET) > str(environ).count(environments.SECRET)
    assert pipeline_of(planted, CallingJob()) == PipelineRun(resource, task)


def test_no_pipeline() -> None:
    """Without a known system there is none."""
    assert pipeline_of({"CI": "true"}, CallingJob()) is None


def test_what_the_user_passes_on() -> None:
    """The id of a GitHub job makes its address; the name of a job wins over that of its variables."""
    run = pipeline_of(environments.GITHUB, CallingJob("40685651258", "backup (3.11)", "Back up"))

    assert run is not None
    assert run.task == {
        "cicd.pipeline.task.name": "backup (3.11)",
        "cicd.pipeline.task.run.id": "40685651258",
        "cicd.pipeline.task.run.url.full": "https://github.com/acme/etl/actions/runs/14535912359/job/40685651258",
    }


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("main\n::error::", id="newline"),
        pytest.param("ma\x1b[31min", id="escape"),
        pytest.param("ma\u202ein", id="bidirectional"),
        pytest.param("ma\udcffin", id="not-utf-8"),
        pytest.param("m" * 1001, id="long"),
    ],
)
def test_unusable_values(value: str) -> None:
    """What is not printable or too long is left out; anybody may name a branch."""
    run = pipeline_of(environments.GITHUB | {"GITHUB_REF_NAME": value}, CallingJob())

    assert run is not None
    assert "vcs.ref.head.name" not in run.resource
    assert run.resource["vcs.repository.name"] == "etl"
