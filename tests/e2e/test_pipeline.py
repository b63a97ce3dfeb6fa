"""`exec` in a CI pipeline: what is said of it, and whose trace is joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ci import environments
from datagrams import attempt, call
from e2e.programs import ONE_CALL_SENT, environment, run, serving, spans_in
from lossless import send
from otlp_backend import HttpBackend

from csm_otel.ci.joining import join
from csm_otel.ci.pipelines import pipeline_of
from csm_otel.ci.system import CallingJob

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    Span = dict[str, Any]

ON_GITHUB = {"CSM_OTEL_JOIN": "github", "CSM_OTEL_CHECK_RUN_ID": "40685651258", "CSM_OTEL_STEP_NAME": "Back up"}


def spans_of(folder: Path, *flags: str | Path, **variables: str) -> tuple[list[Span], bytes]:
    """Run a command of one call, and return its spans, the command's first, and what was printed."""
    file = folder / "spans.jsonl"
    done = run("exec", "--file", file, *flags, "--", *ONE_CALL_SENT, env=environment(**variables))
    assert done.returncode == 0, done.stderr
    return sorted(spans_in(file), key=lambda span: "process.exit.code" not in span["attributes"]), done.stderr


def of_pipelines(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of CI/CD and version control."""
    return {key: value for key, value in attributes.items() if key.startswith(("cicd.", "vcs."))}


on_each_system = pytest.mark.parametrize(
    "environ",
    [
        pytest.param(environments.GITHUB, id="github"),
        pytest.param(environments.GITLAB, id="gitlab"),
        pytest.param(environments.JENKINS, id="jenkins"),
        pytest.param(environments.BUILDKITE, id="buildkite"),
        pytest.param(environments.CIRCLECI, id="circleci"),
    ],
)


@on_each_system
def test_what_is_exported(environ: dict[str, str], tmp_path: Path) -> None:
    """The run is on every resource, the task on the command's span alone, and no secret anywhere."""
    (command, *others), _ = spans_of(tmp_path, **environ)
    expected = pipeline_of(environ, CallingJob())

    assert expected is not None
    assert of_pipelines(command["attributes"]) == expected.task
    assert len(others) == 2
    assert all(of_pipelines(span["resource"]) == expected.resource for span in (command, *others))
    assert not any(of_pipelines(span["attributes"]) for span in others)
    assert environments.SECRET not in (tmp_path / "spans.jsonl").read_text("utf-8")


@on_each_system
def test_nothing_else_has_it(environ: dict[str, str], tmp_path: Path) -> None:
    """No secret of the environment is in any output, and metrics have nothing of the pipeline."""
    outputs = (
        "file", "record", "report", "chrome-trace", "summary-json", "policy", "markdown", "junit", "gitlab-annotations",
    )  # fmt: skip
    with HttpBackend() as backend:
        env = environment(
            **environments.with_credentials(environ),
            **ON_GITHUB,
            CI_PROJECT_DIR=str(tmp_path),
            GITHUB_STEP_SUMMARY=str(tmp_path / "step-summary"),
            OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint,
            OTEL_TRACES_EXPORTER="otlp,console",
            OTEL_METRICS_EXPORTER="otlp",
        )
        flags = [flag for output in outputs for flag in (f"--{output}", tmp_path / output)]
        done = run("exec", "--live", "--step-summary", *flags, "--", *ONE_CALL_SENT, env=env)
    spans = b"".join(request.SerializeToString() for request in backend.accepted)
    metrics = b"".join(request.SerializeToString() for request in backend.metric_requests)
    written = [(tmp_path / output).read_bytes() for output in (*outputs, "step-summary")]

    assert done.returncode == 0, done.stderr
    assert b"cicd.pipeline.run.id" in spans
    assert b"csm" in metrics
    assert not [name for name in (b"cicd.", b"vcs.") if name in metrics]
    assert all(written)
    for output in (spans, metrics, done.stdout, done.stderr, *written):
        assert environments.SECRET.encode() not in output


def test_the_operator_wins(tmp_path: Path) -> None:
    """An attribute of OTEL_RESOURCE_ATTRIBUTES replaces the one of the pipeline."""
    (command, *_), _ = spans_of(
        tmp_path, **environments.GITHUB, OTEL_RESOURCE_ATTRIBUTES="cicd.pipeline.name=mine,vcs.owner.name="
    )

    assert command["resource"]["cicd.pipeline.name"] == "mine"
    assert command["resource"]["vcs.repository.name"] == "etl"


def test_serve(tmp_path: Path) -> None:
    """The run is on the resource of all calls, the task on none: the daemon may serve several."""
    file = tmp_path / "spans.jsonl"
    with serving("--file", file, env=environment(**environments.GITHUB, OTEL_TRACES_EXPORTER="none")) as daemon:
        send(daemon.address, [call(), attempt()])
        assert daemon.stop() == 0
    expected = pipeline_of(environments.GITHUB, CallingJob())

    assert expected is not None
    spans = spans_in(file)
    assert len(spans) == 2
    assert all(of_pipelines(span["resource"]) == expected.resource for span in spans)
    assert not any(of_pipelines(span["attributes"]) for span in spans)


def test_replay(tmp_path: Path) -> None:
    """The pipeline of a replay is not that of the recorded run, whose job is on the command's span."""
    recorded, _ = spans_of(tmp_path, "--record", tmp_path / "record", **environments.GITLAB)
    replayed = tmp_path / "replayed.jsonl"
    done = run("replay", "--file", replayed, tmp_path / "record", env=environment(**environments.GITHUB))
    assert done.returncode == 0, done.stderr

    assert of_pipelines(recorded[0]["attributes"])
    for span in spans_in(replayed):
        assert of_pipelines(span["resource"]) == {}
    assert [of_pipelines(span["attributes"]) for span in spans_in(replayed) if "process.pid" in span["attributes"]] == [
        of_pipelines(recorded[0]["attributes"])
    ]


def test_not_exported(tmp_path: Path) -> None:
    """`--no-pipeline` exports nothing of it."""
    spans, _ = spans_of(tmp_path, "--no-pipeline", **environments.GITHUB)

    assert not any(of_pipelines(span["resource"]) or of_pipelines(span["attributes"]) for span in spans)


def test_the_trace_of_github_is_joined(tmp_path: Path) -> None:
    """The command is below the step, in the trace of the run; the ids are those of the Collector's githubreceiver."""
    spans, _ = spans_of(tmp_path, **environments.GITHUB, **ON_GITHUB)
    place = join("github", CallingJob("40685651258", step_name="Back up"), environments.GITHUB)

    assert {span["traceId"] for span in spans} == {f"{place.trace_id:032x}"}
    assert spans[0]["parentSpanId"] == f"{place.parent_id:016x}"


def test_jobs_of_gitlab_share_a_trace(tmp_path: Path) -> None:
    """Their commands are roots of the same trace."""
    commands = [spans_of(tmp_path, "--join", "gitlab", **environments.GITLAB)[0][0] for _ in range(2)]

    assert commands[0]["traceId"] == commands[1]["traceId"]
    assert [command.get("parentSpanId", "") for command in commands] == ["", ""]


def test_traceparent_wins(tmp_path: Path) -> None:
    """Whoever set it is nearer: the command is below that span."""
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    (command, *_), _ = spans_of(tmp_path, TRACEPARENT=f"00-{trace}-{span}-01", **environments.GITHUB, **ON_GITHUB)

    assert (command["traceId"], command["parentSpanId"]) == (trace, span)


@pytest.mark.parametrize(
    ("flags", "variables", "line", "has_parent"),
    [
        pytest.param(["--join", "github"], {}, b"--join github: GITHUB_RUN_ID and ", False, id="not-on-github"),
        pytest.param(["--join", "gitlab"], {}, b"--join gitlab: CI_PIPELINE_ID ", False, id="not-on-gitlab"),
        pytest.param(["--join", "github"], environments.GITHUB, b"--join github: below the run, ", True, id="no-job"),
        pytest.param([], {"CSM_OTEL_JOIN": "travis"}, b"CSM_OTEL_JOIN: ", False, id="unknown"),
        pytest.param(
            ["--join", "github"],
            {**environments.GITHUB, "CSM_OTEL_CHECK_RUN_ID": "${{ job.check_run_id }}"},
            b"CSM_OTEL_CHECK_RUN_ID: ",
            True,
            id="no-number",
        ),
        pytest.param(
            ["--join", "github"],
            {**environments.GITHUB, **ON_GITHUB, "TRACEPARENT": "00-1-2-3"},
            b"TRACEPARENT is not joined",
            True,
            id="malformed-traceparent",
        ),
    ],
)
def test_what_cannot_be_joined(
    flags: Sequence[str], variables: dict[str, str], line: bytes, tmp_path: Path, *, has_parent: bool
) -> None:
    """A line says why, and the command is traced all the same."""
    (command, *others), stderr = spans_of(tmp_path, *flags, **variables)

    assert line in stderr
    assert bool(command.get("parentSpanId")) == has_parent
    assert len(others) == 2


@pytest.mark.parametrize("sampler", ["always_off", "traceidratio"])
def test_sampling(sampler: str, tmp_path: Path) -> None:
    """Nobody has decided about the derived parent: the sampler decides, by the trace id, as for a root."""
    file = tmp_path / "spans.jsonl"
    env = environment(**environments.GITHUB, **ON_GITHUB, OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG="0")
    done = run("exec", "--file", file, "--", *ONE_CALL_SENT, env=env)

    assert done.returncode == 0
    assert not file.exists() or not spans_in(file)
