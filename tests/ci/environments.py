"""What CI systems put into the environment of a job, as far as it is read, with secrets where they have them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SHA = "ffac537e6cbbf934b08745a378932722df287a53"
SECRET = "glcbt-canary"

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_WORKFLOW": "nightly",
    "GITHUB_RUN_ID": "14535912359",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_JOB": "backup",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/etl",
    "GITHUB_REPOSITORY_OWNER": "acme",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_REF_NAME": "main",
    "GITHUB_REF_TYPE": "branch",
    "GITHUB_HEAD_REF": "",
    "GITHUB_BASE_REF": "",
    "GITHUB_SHA": SHA,
    "GITHUB_TOKEN": SECRET,
}
GITHUB_PULL_REQUEST = GITHUB | {
    "GITHUB_REF": "refs/pull/17/merge",
    "GITHUB_REF_NAME": "17/merge",
    "GITHUB_HEAD_REF": "faster",
    "GITHUB_BASE_REF": "main",
}
GITLAB = {
    "GITLAB_CI": "true",
    "CI_PROJECT_PATH": "acme/data/etl",
    "CI_PROJECT_NAME": "etl",
    "CI_PROJECT_NAMESPACE": "acme/data",
    "CI_PROJECT_URL": "https://gitlab.com/acme/data/etl",
    "CI_REPOSITORY_URL": f"https://gitlab-ci-token:{SECRET}@gitlab.com/acme/data/etl.git",
    "CI_JOB_TOKEN": SECRET,
    "CI_SERVER_HOST": "gitlab.com",
    "CI_PIPELINE_ID": "967614908",
    "CI_PIPELINE_URL": "https://gitlab.com/acme/data/etl/-/pipelines/967614908",
    "CI_JOB_ID": "4986432001",
    "CI_JOB_NAME": "backup",
    "CI_JOB_URL": "https://gitlab.com/acme/data/etl/-/jobs/4986432001",
    "CI_COMMIT_REF_NAME": "main",
    "CI_COMMIT_SHA": SHA,
}
JENKINS = {
    "JENKINS_URL": "https://ci.example/",
    "JOB_NAME": "etl/main",
    "BUILD_NUMBER": "12",
    "BUILD_TAG": "jenkins-etl-main-12",
    "BUILD_URL": f"https://admin:{SECRET}@ci.example/job/etl/job/main/12/",
    "STAGE_NAME": "Back up",
    "GIT_URL": f"https://jenkins:{SECRET}@github.com/acme/etl.git",
    "GIT_BRANCH": "origin/main",
    "GIT_COMMIT": SHA,
}
BUILDKITE = {
    "BUILDKITE": "true",
    "BUILDKITE_PIPELINE_NAME": "ETL",
    "BUILDKITE_PIPELINE_SLUG": "etl",
    "BUILDKITE_BUILD_ID": "4735ba57-80d0-46e2-8fa0-b28223a86586",
    "BUILDKITE_BUILD_URL": "https://buildkite.com/acme/etl/builds/12",
    "BUILDKITE_JOB_ID": "e44f9784-e20e-4b93-a21d-f41fd5869db9",
    "BUILDKITE_LABEL": ":package: back up",
    "BUILDKITE_REPO": "git@github.com:acme/etl.git",
    "BUILDKITE_BRANCH": "main",
    "BUILDKITE_COMMIT": SHA,
    "BUILDKITE_PULL_REQUEST": "false",
    "BUILDKITE_AGENT_ACCESS_TOKEN": SECRET,
}
CIRCLECI = {
    "CIRCLECI": "true",
    "CIRCLE_WORKFLOW_ID": "a1b2c3d4-0000-4000-8000-000000000001",
    "CIRCLE_WORKFLOW_JOB_ID": "a1b2c3d4-0000-4000-8000-000000000002",
    "CIRCLE_JOB": "backup",
    "CIRCLE_BUILD_URL": "https://circleci.com/gh/acme/etl/12",
    "CIRCLE_REPOSITORY_URL": "git@github.com:acme/etl.git",
    "CIRCLE_PROJECT_REPONAME": "etl",
    "CIRCLE_PROJECT_USERNAME": "acme",
    "CIRCLE_BRANCH": "main",
    "CIRCLE_SHA1": SHA,
}


def with_credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with credentials in every address, and with more secrets of CI systems beside them."""

    def planted(value: str) -> str:
        if re.match(r"https?://", value):
            value = re.sub(r"//([^/@]*@)?", f"//user:{SECRET}@", value, count=1)
            return f"{value}?private_token={SECRET}#{SECRET}"
        return re.sub(r"^git@", f"user:{SECRET}@", value)

    tokens = ("ACTIONS_RUNTIME_TOKEN", "CI_REGISTRY_PASSWORD", "CIRCLE_TOKEN", "JENKINS_PASSWORD")
    return {name: planted(value) for name, value in environ.items()} | dict.fromkeys(tokens, SECRET)
