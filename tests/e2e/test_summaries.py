"""Summaries for pipelines, as a whole: what is written, and that the command's result stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.programs import ONE_CALL_SENT, SENDER, environment, run, run_exec
from junitparser import JUnitXml
from otlp_backend import HttpBackend
from platforms import on_linux
from report.rendered import Rendered
from report.runner_commands import Command, commands_in

DOCUMENT = Path(__file__).parents[2] / "docs" / "pipelines.md"
TRACE_URL = "http://localhost:16686/trace/{trace_id}"


# Sends a failed call whose texts are hostile to whatever reads them, and fails.
HOSTILE_SENDER = """
import json, os, socket, sys
name, text = "::stop-commands::x", "::add-mask::x ##[add-mask]y | `z` <img src=x> [a](http://e.example) ]]></failure>"
event = {
    "Version": 1, "ClientId": os.environ["AWS_CSM_CLIENT_ID"], "Type": "ApiCall", "Service": name, "Api": "##[group]a",
    "Timestamp": 1700000000000, "AttemptCount": 1, "Latency": 5, "FinalHttpStatusCode": 400,
    "FinalAwsException": name, "FinalAwsExceptionMessage": text, "MaxRetriesExceeded": 0,
}
address = os.environ["AWS_CSM_HOST"], int(os.environ["AWS_CSM_PORT"])
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(json.dumps(event).encode(), address)
sys.exit(1)
"""


def test_a_hostile_sender(tmp_path: Path) -> None:
    """Nothing that it sends is a command of the runner, an element of the Markdown, or markup of the XML."""
    step, junit = tmp_path / "step", tmp_path / "junit.xml"
    env = environment(GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(step), CSM_OTEL_FAIL_ON="error")
    done = run_exec(HOSTILE_SENDER, "--step-summary", "--junit", junit, "--no-waterfall", env=env)

    assert done.returncode == 1
    read = commands_in(done.stderr.decode())
    assert [one.name for one in read] == ["error", "error"]
    assert read[1].properties["title"] == "::stop-commands::x.## [group]a: 400 ::stop-commands::x"
    page = Rendered(step.read_text("utf-8"))
    assert page.names <= {"h3", "h4", "p", "code", "table", "thead", "tbody", "tr", "th", "td"}
    assert page.tables["What failed"][1][0] == "::stop-commands::x.## [group]a"
    assert page.tables["What failed"][1][4].endswith("| `z` <img src=x> [a](http://e.example) ]]></failure>")
    suites = {suite.name: suite for suite in JUnitXml.fromfile(str(junit))}
    assert [(case.name, case.is_failure) for case in suites["operations"]] == [("::stop-commands::x.## [group]a", True)]


def test_step_summary(tmp_path: Path) -> None:
    """Two commands of a step append theirs to what it has written; the whole is rendered as it should be."""
    path = tmp_path / "summary"
    path.write_text("# Backup\n\nmine", "utf-8")
    env = environment(GITHUB_STEP_SUMMARY=str(path), CSM_OTEL_STEP_SUMMARY="true", CSM_OTEL_FAIL_ON="calls>0, error")
    codes = [run("exec", "--", sys.executable, SENDER, "exit", code, env=env).returncode for code in ("0", "3")]

    assert codes == [99, 3]
    page = Rendered(path.read_text("utf-8"))
    assert page.paragraphs[0] == "mine"
    assert page.text.count("one_call.py: 1 AWS call\n") == 1
    assert page.text.count("one_call.py: 1 AWS call, exit 3\n") == 1
    assert page.tables["Broken rules"].count(["calls>0", "calls is 1"]) == 2
    assert [row[0] for row in page.tables["Operations"]] == ["Operation", "S3.ListBuckets"] * 2


@pytest.mark.parametrize("code", ["0", "3"])
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        pytest.param("", "GITHUB_STEP_SUMMARY is not set", id="not-set"),
        pytest.param("{}", "{}: is a directory", id="folder"),
        pytest.param("{}/no/file", "{}/no/file: no such file or directory", id="missing"),
        pytest.param("{}/full", "{}/full: no room is left of the 1,048,576 bytes that GitHub shows", id="no-room"),
    ],
)
def test_not_written(path: str, reason: str, code: str, tmp_path: Path) -> None:
    """A summary that cannot be written is a line, and the command's result stands; for a report it is a failure."""
    (tmp_path / "full").write_bytes(b"x" * 2**20)
    recording = tmp_path / "run.ndjson"
    env = environment(GITHUB_STEP_SUMMARY=path.format(tmp_path))
    done = run("exec", "--step-summary", "--record", recording, "--", sys.executable, SENDER, "exit", code, env=env)
    again = run("report", "--step-summary", recording, env=env)

    line = f"csm-otel: --step-summary: {reason.format(tmp_path)}\n"
    assert (done.returncode, done.stdout, done.stderr.decode().count(line)) == (int(code), b"", 1)
    assert (again.returncode, again.stderr.decode()) == (1, line)
    assert (tmp_path / "full").read_bytes() == b"x" * 2**20


@on_linux
def test_a_full_disk() -> None:
    """It is a line, too."""
    env = environment(GITHUB_STEP_SUMMARY="/dev/full")
    done = run("exec", "--step-summary", "--markdown", "/dev/full", "--", *ONE_CALL_SENT, env=env)

    assert done.returncode == 0
    for flag in (b"--step-summary", b"--markdown"):
        assert b"csm-otel: " + flag + b": /dev/full: no space left on device\n" in done.stderr


def test_markdown(tmp_path: Path) -> None:
    """The file of a report has the same as that of the run."""
    recording, of_run, of_report = (tmp_path / name for name in ("run.ndjson", "run.md", "report.md"))
    run("exec", "--record", recording, "--markdown", of_run, "--", *ONE_CALL_SENT, env=environment())
    done = run("report", "--markdown", of_report, recording, env=environment())

    assert (done.returncode, done.stderr) == (0, b"")
    assert of_report.read_text("utf-8") == of_run.read_text("utf-8")
    assert of_run.read_text("utf-8").startswith("### `one_call.py`: 1 AWS call\n")


@pytest.mark.parametrize(("sampler", "is_linked"), [("always_on", True), ("always_off", False)])
def test_trace_url(sampler: str, tmp_path: Path, *, is_linked: bool) -> None:
    """The address of the trace is printed and linked, if the back end gets that trace."""
    path = tmp_path / "run.md"
    with HttpBackend() as backend:
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint, OTEL_TRACES_SAMPLER=sampler)
        done = run("exec", "--trace-url", TRACE_URL, "--markdown", path, "--", *ONE_CALL_SENT, env=env)
        ids = {span.trace_id.hex() for span in backend.spans}

    last = done.stderr.decode().splitlines()[-1]
    links = [str(given["href"]) for tag, given in Rendered(path.read_text("utf-8")).tags if tag == "a"]
    assert links == ([TRACE_URL.replace("{trace_id}", trace_id) for trace_id in ids] if is_linked else [])
    assert len(ids) == is_linked
    assert last.endswith(f": {links[0]}" if is_linked else f" to {backend.endpoint}/v1/traces")


@pytest.mark.parametrize(("code", "style"), [("0", "info"), ("3", "error")])
def test_the_hook_for_buildkite(code: str, style: str, tmp_path: Path) -> None:
    """The hook of the document hands the Markdown to the agent on stdin, and fails no step."""
    run("exec", "--markdown", tmp_path / "aws-calls.md", "--", sys.executable, SENDER, "exit", code, env=environment())
    [hook] = re.findall(r"```bash\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    agent = tmp_path / "buildkite-agent"
    agent.write_text('#!/bin/sh\necho "$@" > arguments; cat > body; exit 1\n')
    agent.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "BUILDKITE_COMMAND_EXIT_STATUS": code, "BUILDKITE_JOB_ID": "7"}
    done = subprocess.run(["sh", "-e", "-c", hook], cwd=tmp_path, env=env, capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "arguments").read_text().split() == ["annotate", "--style", style, "--context", "aws-calls-7"]
    assert (tmp_path / "body").read_bytes() == (tmp_path / "aws-calls.md").read_bytes()


def test_junit_and_links(tmp_path: Path) -> None:
    """The files of a run and of its recording are the same; a rule that is broken has failed."""
    recording = tmp_path / "run.ndjson"
    env = environment(CSM_OTEL_FAIL_ON="calls>0, error", CSM_OTEL_TRACE_URL=TRACE_URL)
    names = ("junit.xml", "links.json")
    codes = []
    for folder, command in (("run", ("--record", recording, "--", *ONE_CALL_SENT)), ("report", (recording,))):
        (tmp_path / folder).mkdir()
        junit, links = (tmp_path / folder / name for name in names)
        flags = ("--junit", junit, "--gitlab-annotations", links)
        codes.append(run("exec" if folder == "run" else "report", *flags, *command, env=env).returncode)
    suites = {suite.name: suite for suite in JUnitXml.fromfile(str(tmp_path / "run" / "junit.xml"))}

    assert codes == [99, 99]
    assert {name: (suite.tests, suite.failures) for name, suite in suites.items()} == {
        "rules": (2, 1),
        "operations": (0, 0),
    }
    [link] = json.loads((tmp_path / "run" / "links.json").read_bytes())["csm-otel"]
    assert link["external_link"]["url"].startswith("http://localhost:16686/trace/")
    assert [(tmp_path / "run" / name).read_bytes() for name in names] == [
        (tmp_path / "report" / name).read_bytes() for name in names
    ]


@pytest.mark.parametrize(
    ("flags", "variables", "is_annotated"),
    [
        pytest.param((), {}, False, id="elsewhere"),
        pytest.param((), {"GITHUB_ACTIONS": "true"}, True, id="on-github"),
        pytest.param(("--annotations", "none"), {"GITHUB_ACTIONS": "true"}, False, id="off"),
        pytest.param(("--quiet",), {"GITHUB_ACTIONS": "true"}, False, id="quiet"),
        pytest.param(("--output", "-"), {"CSM_OTEL_ANNOTATIONS": "github"}, True, id="with-output"),
    ],
)
def test_annotations(flags: tuple[str, ...], variables: dict[str, str], tmp_path: Path, *, is_annotated: bool) -> None:
    """They are on stderr alone, in `exec` as in a report of its recording; the command's exit code stands."""
    recording = tmp_path / "run.ndjson"
    env = environment(**variables, CSM_OTEL_FAIL_ON="calls>0")
    command = ("--record", recording, "--", sys.executable, SENDER, "exit", "3")
    done = run("exec", *flags, *command, env=env)
    expected = [Command("error", {"title": "Rule broken: calls>0"}, "calls is 1")] if is_annotated else []
    assert (done.returncode, commands_in(done.stderr.decode())) == (3, expected)
    assert commands_in(done.stdout.decode()) == []
    if "--quiet" not in flags:
        again = run("report", *flags, recording, env=env)
        assert (again.returncode, commands_in(again.stderr.decode())) == (99, expected)
        assert commands_in(again.stdout.decode()) == []
