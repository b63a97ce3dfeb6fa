"""Places in the trace of a CI run."""

from __future__ import annotations

import hashlib

import pytest

from csm_otel.ci.joining import GITHUB, GITHUB_JOB_NAME, GITLAB, Joined, join
from csm_otel.ci.system import CallingJob

RUN = {"GITHUB_RUN_ID": "14535912359", "GITHUB_RUN_ATTEMPT": "2"}
CHECK_RUN = "40685651258"
TRACE = "145359123592t"


def trace_id(text: str) -> int:
    """Return a trace id as the githubreceiver makes it: the first 16 bytes of the hash."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def span_id(text: str) -> int:
    """Return a span id as the githubreceiver makes it: the 8 bytes of the hash after the first 8."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[8:16], "big")


@pytest.mark.parametrize(
    ("way", "job", "parent", "trouble"),
    [
        pytest.param(GITHUB, CallingJob(CHECK_RUN), f"{CHECK_RUN}-j", "", id="job"),
        pytest.param(
            GITHUB, CallingJob(CHECK_RUN, step_name="Back up"), f"{CHECK_RUN}-Back up-s", "", id="step-of-a-job"
        ),
        pytest.param(GITHUB, CallingJob(), "145359123592s", "--check-run-id", id="run"),
        pytest.param(GITHUB, CallingJob(step_name="Back up"), "145359123592s", "--check-run-id", id="step-of-no-job"),
        pytest.param(GITHUB_JOB_NAME, CallingJob(job_name="build (3.11)"), "145359123592build (3.11)", "", id="name"),
        pytest.param(GITHUB_JOB_NAME, CallingJob(CHECK_RUN), "145359123592s", "--job-name", id="no-name"),
    ],
)
def test_github(way: str, job: CallingJob, parent: str, trouble: str) -> None:
    """The command is below its step, else its job, else the run; what keeps it from its job is said."""
    joined = join(way, job, RUN)

    assert (joined.trace_id, joined.parent_id) == (trace_id(TRACE), span_id(parent))
    assert trouble in joined.trouble
    assert bool(joined.trouble) == bool(trouble)


@pytest.mark.parametrize(
    ("way", "job", "span"),
    [
        pytest.param(GITHUB, CallingJob(), "aba151af7cfbcf0f", id="run"),
        pytest.param(GITHUB_JOB_NAME, CallingJob(job_name="test (1.23)"), "e68a36b3514c8634", id="job"),
    ],
)
def test_ids_of_the_githubreceiver(way: str, job: CallingJob, span: str) -> None:
    """The ids are those that its own tests expect (testdata/workflow-run-expected.yaml, workflow-job-expected.yaml)."""
    trace_id, parent_id, _ = join(way, job, {"GITHUB_RUN_ID": "14460881260", "GITHUB_RUN_ATTEMPT": "13"})

    assert f"{trace_id:032x}" == "731ec8a47fd7450f753a812a4a8aa5a0"
    assert f"{parent_id:016x}" == span


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"GITHUB_RUN_ID": "1"}, id="no-attempt"),
        pytest.param(RUN | {"GITHUB_RUN_ID": "12x"}, id="no-number"),
        pytest.param(RUN | {"GITHUB_RUN_ID": "१२"}, id="other-digits"),
        pytest.param(RUN | {"GITHUB_RUN_ID": "1" * 20}, id="too-long"),
    ],
)
def test_no_run_of_github(environ: dict[str, str]) -> None:
    """Without its numbers there is no trace to join."""
    assert join(GITHUB, CallingJob(CHECK_RUN), environ) == Joined(
        None, None, "GITHUB_RUN_ID and GITHUB_RUN_ATTEMPT are not numbers"
    )


def test_a_name_that_is_not_utf_8() -> None:
    """It is hashed as its bytes."""
    assert join(GITHUB, CallingJob("1", step_name="\udcff"), RUN).parent_id == int.from_bytes(
        hashlib.sha256(b"1-\xff-s").digest()[8:16], "big"
    )


def test_gitlab() -> None:
    """The jobs of a pipeline share a trace, without a parent; other pipelines and other servers have others."""
    pipelines = [
        {"CI_SERVER_HOST": host, "CI_PIPELINE_ID": number}
        for host, number in (("gitlab.com", "1"), ("gitlab.com", "2"), ("gitlab.example", "1"))
    ]
    joined = [join(GITLAB, CallingJob(), environ) for environ in pipelines]

    assert len({one.trace_id for one in joined}) == 3
    assert {(one.parent_id, one.trouble) for one in joined} == {(None, "")}
    assert join(GITLAB, CallingJob(job_name="other"), pipelines[0]) == joined[0]


def test_no_pipeline_of_gitlab() -> None:
    """Without its number there is no trace to join."""
    assert join(GITLAB, CallingJob(), {}) == Joined(None, None, "CI_PIPELINE_ID is not a number")
