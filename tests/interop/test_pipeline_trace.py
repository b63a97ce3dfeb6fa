"""The AWS calls of a script are in the trace of the CI run that it is part of, as Jaeger shows it."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml  # type: ignore[import-untyped]
from ci import environments
from e2e.github_runner import run_job
from e2e.programs import ONE_CALL_SENT, environment, run
from interop.github_receiver import Step, WorkflowRun, export, spans_of_run
from otlp_backend import wait_until

if TYPE_CHECKING:
    from interop.conftest import StartCollector
    from interop.jaeger import Jaeger, ShownSpan

EXAMPLE = Path(__file__).parents[2] / "examples" / "github-actions" / "wrapper.yml"
SCRIPT = """
import boto3
boto3.client("s3").list_buckets()
boto3.client("dynamodb").list_tables()
"""
CHECK_RUN = 40685651258
RUN_ID = int(environments.GITHUB["GITHUB_RUN_ID"])


def trace_of(jaeger: Jaeger, trace_id: str, *, spans: int) -> list[ShownSpan]:
    """Return a trace once Jaeger has that many spans of it."""
    wait_until(lambda: len(jaeger.trace(trace_id)) >= spans)
    trace = jaeger.trace(trace_id)
    assert len({span.span_id for span in trace}) == spans
    return trace


def orphans(trace: list[ShownSpan]) -> list[str]:
    """Return the names of the spans that name a parent which is not in the trace."""
    ids = {"", *(span.span_id for span in trace)}
    return [span.name for span in trace if span.parent_id not in ids]


def path_to(name: str, trace: list[ShownSpan]) -> list[str]:
    """Return the names of the spans from the root to the one of this name."""
    by_id = {span.span_id: span for span in trace}
    (span,) = (one for one in trace if one.name == name)
    names = [span.name]
    while span.parent_id:
        span = by_id[span.parent_id]
        names.insert(0, span.name)
    return names


def test_a_job_of_github(collector: StartCollector, jaeger: Jaeger, moto_port: int, tmp_path: Path) -> None:
    """The example's job is in one trace with what the githubreceiver makes of its events, through a real Collector."""
    workflow: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text("utf-8"))
    (name,) = workflow["jobs"]
    steps = workflow["jobs"][name]["steps"]
    endpoint = collector("jaeger.yaml", JAEGER_OTLP_ENDPOINT=jaeger.otlp_http).http
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "legacy_backup.py").write_text(SCRIPT, "utf-8")
    (tmp_path / "checkout" / "aws-calls.toml").write_text("schema = 1\ncalls = []\n", "utf-8")
    machine = environment(
        moto_port,
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        GITHUB_WORKSPACE=str(tmp_path / "checkout"),
    )

    start_ns = time.time_ns()
    job = run_job(
        workflow,
        name,
        folder=tmp_path,
        environ={**machine, **environments.GITHUB},
        expressions={
            "vars.OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "secrets.OTEL_EXPORTER_OTLP_HEADERS": "",
            "job.check_run_id": str(CHECK_RUN),
        },
        actions={step["uses"]: lambda _inputs, _environ: None for step in steps if "uses" in step},
    )
    end_ns = time.time_ns()
    made = WorkflowRun(
        name=workflow["name"],
        run_id=RUN_ID,
        attempt=int(environments.GITHUB["GITHUB_RUN_ATTEMPT"]),
        job=name,
        check_run_id=CHECK_RUN,
        steps=[Step(step.get("name") or f"Run {step['uses']}", start_ns, end_ns) for step in steps],
    )
    export(spans_of_run(made), endpoint)  # after the job, as GitHub sends events of what is completed

    assert job.steps["Back up"].code == 99  # its calls are new
    trace = trace_of(jaeger, made.trace_id.hex(), spans=3 + len(steps) + 5)
    assert [span.name for span in trace if not span.parent_id] == [workflow["name"]]
    assert orphans(trace) == []
    above = [workflow["name"], name, "Back up", "legacy_backup.py"]
    for call in ("S3.ListBuckets", "DynamoDB.ListTables"):
        assert path_to(f"{call} attempt", trace) == [*above, call, f"{call} attempt"]
    by_name = {span.name: span for span in trace}
    command, step = by_name["legacy_backup.py"], by_name["Back up"]
    assert step.start_ns <= command.start_ns <= command.end_ns <= step.end_ns
    assert command.attributes["cicd.pipeline.task.run.id"] == str(CHECK_RUN)
    assert command.resource["cicd.pipeline.run.id"] == str(RUN_ID)
    assert environments.SECRET not in repr(trace)


def test_an_older_githubreceiver(jaeger: Jaeger) -> None:
    """With `--join github-job-name` the command is below the job by the ids that were derived from its name."""
    now = time.time_ns()
    made = WorkflowRun(
        name="nightly", run_id=RUN_ID, attempt=3, job="backup (3.11)", check_run_id=CHECK_RUN,
        steps=[Step("Set up job", now, now), Step("Back up", now, now)],
    )  # fmt: skip
    export(spans_of_run(made, by_check_run_id=False), jaeger.otlp_http)
    variables = environments.GITHUB | {"GITHUB_RUN_ATTEMPT": "3", "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_http}
    done = run(
        "exec", "--join", "github-job-name", "--job-name", made.job, "--", *ONE_CALL_SENT, env=environment(**variables)
    )

    assert done.returncode == 0, done.stderr
    trace = trace_of(jaeger, made.trace_id.hex(), spans=5 + 3)
    assert orphans(trace) == []
    assert path_to("S3.ListBuckets", trace) == ["nightly", made.job, "one_call.py", "S3.ListBuckets"]


def test_jobs_of_gitlab(jaeger: Jaeger) -> None:
    """The commands of two jobs of a pipeline are the two roots of one trace."""
    jobs = ("4986432001", "4986432002")
    for job in jobs:
        variables = environments.GITLAB | {"CI_JOB_ID": job, "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_http}
        done = run("exec", "--join", "gitlab", "--", *ONE_CALL_SENT, env=environment(**variables))
        assert done.returncode == 0, done.stderr

    host, pipeline = environments.GITLAB["CI_SERVER_HOST"], environments.GITLAB["CI_PIPELINE_ID"]
    trace = trace_of(jaeger, hashlib.sha256(f"{host} {pipeline}".encode()).hexdigest()[:32], spans=2 * 3)
    assert orphans(trace) == []
    found = [span.attributes["cicd.pipeline.task.run.id"] for span in trace if not span.parent_id]
    assert sorted(found) == sorted(jobs)
    assert environments.SECRET not in repr(trace)
