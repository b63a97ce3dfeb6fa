"""The examples for CI systems, run as their systems run them; a script that sends a call stands for the user's."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]
from ci import environments
from e2e.github_runner import CannotRunError, Job, run_job
from e2e.programs import CSM_OTEL, SENDER, environment, serving
from otlp_backend import HttpBackend

from csm_otel.ci.joining import join
from csm_otel.ci.system import CallingJob
from soak.daemon import free_port

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

EXAMPLES = Path(__file__).parents[2] / "examples"
_SCRIPT = "import runpy, sys\nsys.argv[1:] = ['exit', {code!r}]\nrunpy.run_path({sender!r})\n"
_JOB = "40685651258"
IMPATIENT = {"CSM_OTEL_TIMEOUT": "1", "CSM_OTEL_DRAIN_SECONDS": "1"}
"""For where nothing can be delivered."""


@pytest.fixture
def backend() -> Generator[HttpBackend]:
    """Return a back end for the spans of the job."""
    with HttpBackend() as backend:
        yield backend


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a machine with csm-otel and Python, and a checkout with the user's script."""
    (tmp_path / "checkout").mkdir()
    write_script(tmp_path / "checkout", code=0)
    port = str(free_port())
    return environment(
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        GITHUB_WORKSPACE=str(tmp_path / "checkout"),
        CSM_OTEL_PORT=port,
        AWS_CSM_PORT=port,
        CSM_OTEL_CONTROL=str(tmp_path / "control.sock"),
    )


def write_script(folder: Path, *, code: int) -> None:
    """Write the user's script, which sends a call and exits with ``code``."""
    (folder / "legacy_backup.py").write_text(_SCRIPT.format(code=str(code), sender=str(SENDER)), "utf-8")


def workflow(name: str) -> dict[str, Any]:
    """Return a workflow of the examples."""
    loaded: dict[str, Any] = yaml.safe_load((EXAMPLES / "github-actions" / name).read_text("utf-8"))
    return loaded


def run_github(name: str, job: str, folder: Path, machine: Mapping[str, str], endpoint: str) -> Job:
    """Run a job of a workflow of the examples. The actions install csm-otel and upload files: both are there."""
    return run_job(
        workflow(name),
        job,
        folder=folder,
        environ={**machine, **environments.GITHUB},
        expressions={
            "vars.OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "secrets.OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20canary",
            "job.check_run_id": _JOB,
            "job.services.csm-otel.id": "0123456789ab",
        },
        actions=dict.fromkeys(
            ("actions/checkout@v5", "actions/upload-artifact@v5", "OWNER/csm-otel@main"), lambda _inputs, _environ: None
        ),
    )


@contextmanager
def refusing() -> Generator[str]:
    """Return the address of a back end that refuses connections."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{closed.getsockname()[1]}"


def names(backend: HttpBackend) -> list[str]:
    """Return the names of the spans that arrived, each by its id once."""
    return sorted({span.span_id: span.name for span in backend.spans}.values())


@pytest.mark.parametrize(
    ("code", "baseline", "step_code", "said"),
    [
        pytest.param(0, "S3.ListBuckets", 0, "3 spans delivered", id="as-expected"),
        pytest.param(3, "S3.ListBuckets", 3, "3 spans delivered", id="the-script-fails"),
        pytest.param(0, "", 99, "--fail-on: new>0", id="a-new-call"),
    ],
)
def test_github_wrapper(
    code: int, baseline: str, step_code: int, said: str, tmp_path: Path, machine: dict[str, str], backend: HttpBackend
) -> None:
    """The step has the script's result, or that of the verdict, and its calls are below it in the run's trace."""
    checkout = Path(machine["GITHUB_WORKSPACE"])
    if baseline:
        flags = ("--baseline", "aws-calls.toml", "--update-baseline")
        subprocess.run(
            ("csm-otel", "exec", "--quiet", *flags, "--", "python", "legacy_backup.py"),
            cwd=checkout, env=machine, check=True,
        )  # fmt: skip
        assert "ListBuckets" in (checkout / "aws-calls.toml").read_text("utf-8")
    else:
        (checkout / "aws-calls.toml").write_text("schema = 1\ncalls = []\n", "utf-8")
    write_script(checkout, code=code)

    job = run_github("wrapper.yml", "backup", tmp_path, machine, backend.endpoint)

    assert job.steps["Back up"].code == step_code
    assert said in job.steps["Back up"].log
    assert (checkout / "calls.html").stat().st_size > 1000
    assert "ListBuckets" in job.steps["Back up"].summary
    assert ("::error " in job.steps["Back up"].log) == (step_code == 99)
    place = join("github", CallingJob(_JOB, step_name="Back up"), environments.GITHUB)
    assert names(backend) == ["S3.ListBuckets", "S3.ListBuckets attempt", "legacy_backup.py"]
    (command,) = [span for span in backend.spans if span.name == "legacy_backup.py"]
    assert command.trace_id.hex() == f"{place.trace_id:032x}"
    assert command.parent_span_id.hex() == f"{place.parent_id:016x}"
    assert backend.headers[0]["authorization"] == "Bearer canary"


def test_github_background(tmp_path: Path, machine: dict[str, str], backend: HttpBackend) -> None:
    """The calls of a step arrive, and the background step ends well when it is cancelled."""
    job = run_github("background.yml", "nightly", tmp_path, machine, backend.endpoint)

    assert [(name, step.code) for name, step in job.steps.items() if step.code is not None] == [
        ("csm-otel", 0), ("Send to it", 0), ("Back up", 0), ("Deliver", 0),
    ], job.steps  # fmt: skip
    assert names(backend) == ["S3.ListBuckets", "S3.ListBuckets attempt"]


def test_github_background_without_a_back_end(tmp_path: Path, machine: dict[str, str]) -> None:
    """A step of csm-otel's that fails does not fail the job."""
    with refusing() as endpoint:
        job = run_github("background.yml", "nightly", tmp_path, machine | IMPATIENT, endpoint)

    assert job.steps["Deliver"].code not in (0, None)
    assert job.steps["Back up"].code == 0
    assert job.succeeded, job.steps


def test_github_service(tmp_path: Path, machine: dict[str, str], backend: HttpBackend) -> None:
    """What the script sent arrives, although the container is killed without a warning.

    In place of the container runs its command, and in place of ``docker exec`` what it executes there.
    """
    (service,) = workflow("service.yml")["jobs"]["nightly"]["services"].values()
    program, *flags = service["command"].split()
    assert (program, service["ports"]) == ("serve", ["31000:31000/udp"])
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "docker").write_text('#!/bin/sh\n[ "$1 $2" = "exec 0123456789ab" ] || exit 125\nshift 2\nexec "$@"\n')
    (folder / "docker").chmod(0o755)
    machine["PATH"] = f"{folder}{os.pathsep}{machine['PATH']}"

    with serving(
        *flags, "--port", machine["CSM_OTEL_PORT"], env={**machine, "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint}
    ) as daemon:
        job = run_github("service.yml", "nightly", tmp_path, machine, backend.endpoint)
        daemon.process.kill()

    assert job.succeeded, job.steps
    assert names(backend) == ["S3.ListBuckets", "S3.ListBuckets attempt"]


@pytest.mark.parametrize("code", [0, 3])
def test_in_the_background_of_a_script(code: int, machine: dict[str, str], backend: HttpBackend) -> None:
    """The calls of all its commands arrive, it has their exit code, and nothing runs on."""
    write_script(Path(machine["GITHUB_WORKSPACE"]), code=code)
    done = run_lines([str(EXAMPLES / "sidecar/job.sh")], machine, OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint)

    calls = 2 if code == 0 else 1
    assert done.returncode == code, done.stderr
    assert names(backend) == ["S3.ListBuckets"] * calls + ["S3.ListBuckets attempt"] * calls
    assert "csm-otel: listening on" in done.stderr
    assert f"{2 * calls} spans delivered" in done.stderr


@pytest.mark.parametrize("code", [0, 3])
def test_a_daemon_that_cannot_start(code: int, machine: dict[str, str]) -> None:
    """The commands run, without CSM, and the exit code is theirs; the reason is on stderr."""
    checkout = Path(machine["GITHUB_WORKSPACE"])
    (checkout / "legacy_backup.py").write_text(
        f"import os, sys\nprint(os.environ.get('AWS_CSM_ENABLED'))\nsys.exit({code})\n", "utf-8"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", int(machine["CSM_OTEL_PORT"])))
        done = run_lines([str(EXAMPLES / "sidecar/job.sh")], machine)

    assert (done.returncode, done.stdout) == (code, "None\n" * (2 if code == 0 else 1))
    assert "csm-otel: cannot listen on 127.0.0.1:" in done.stderr


def test_a_daemon_that_never_gets_ready(machine: dict[str, str]) -> None:
    """The commands run all the same; here the daemon has no control socket by which it could be asked."""
    done = run_lines([str(EXAMPLES / "sidecar/job.sh")], machine, CSM_OTEL_CONTROL="none", OTEL_TRACES_EXPORTER="none")

    assert done.returncode == 0, done.stderr
    assert "2 calls with 2 attempts" in done.stderr


def test_a_job_whose_calls_are_not_delivered(machine: dict[str, str]) -> None:
    """Its exit code stays that of the commands; what is lost is on stderr."""
    write_script(Path(machine["GITHUB_WORKSPACE"]), code=0)
    with refusing() as endpoint:
        done = run_lines([str(EXAMPLES / "sidecar/job.sh")], machine | IMPATIENT, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)

    assert done.returncode == 0, done.stderr
    assert "4 spans dropped" in done.stderr


def test_a_job_that_is_ended(machine: dict[str, str]) -> None:
    """The daemon ends with it, once the command has that was running."""
    Path(machine["GITHUB_WORKSPACE"], "legacy_backup.py").write_text(
        "import os, signal\nos.kill(os.getppid(), signal.SIGTERM)\n", "utf-8"
    )
    done = run_lines([str(EXAMPLES / "sidecar/job.sh")], machine, OTEL_TRACES_EXPORTER="none")

    assert done.returncode == 128 + signal.SIGTERM
    assert "0 calls with 0 attempts" in done.stderr


def test_a_daemon_that_is_killed(tmp_path: Path, machine: dict[str, str]) -> None:
    """The exit code is that of the command that failed, all the same."""
    folder, pid_file = tmp_path / "bin", tmp_path / "pid"
    folder.mkdir()
    (folder / "csm-otel").write_text(
        f'#!/bin/sh\n[ "$1" != serve ] || echo $$ > {pid_file}\nexec {shlex.join(CSM_OTEL)} "$@"\n', "utf-8"
    )
    (folder / "csm-otel").chmod(0o755)
    Path(machine["GITHUB_WORKSPACE"], "legacy_backup.py").write_text(
        f"import os, signal, sys\nos.kill(int(open({str(pid_file)!r}).read()), signal.SIGKILL)\nsys.exit(3)\n", "utf-8"
    )
    path = f"{folder}{os.pathsep}{machine['PATH']}"
    done = run_lines([str(EXAMPLES / "sidecar/job.sh")], machine, OTEL_TRACES_EXPORTER="none", PATH=path)

    assert done.returncode == 3, done.stderr


def gitlab(text: str = "") -> dict[str, Any]:
    """Return the jobs of GitLab's example."""
    loaded: dict[str, Any] = yaml.safe_load(text or (EXAMPLES / "gitlab/.gitlab-ci.yml").read_text("utf-8"))
    return loaded


def run_lines(lines: Sequence[str], machine: Mapping[str, str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the lines of a script in one shell, until one fails, with more variables than the machine has."""
    return subprocess.run(
        ("sh", "-e", "-c", "\n".join(lines)),
        cwd=machine["GITHUB_WORKSPACE"],
        env={**machine, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_gitlab_wrapper(machine: dict[str, str], backend: HttpBackend) -> None:
    """The calls are in the trace of the pipeline, and the artifact is there."""
    job = gitlab()["backup"]
    done = run_lines(
        job["script"], machine, **environments.GITLAB, **job["variables"], OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint
    )

    assert done.returncode == 0, done.stderr
    trace_id = join("gitlab", CallingJob(), environments.GITLAB).trace_id
    assert {span.trace_id.hex() for span in backend.spans} == {f"{trace_id:032x}"}
    assert names(backend) == ["S3.ListBuckets", "S3.ListBuckets attempt", "legacy_backup.py"]
    files = [*job["artifacts"]["paths"], *job["artifacts"]["reports"].values()]
    assert [Path(machine["GITHUB_WORKSPACE"], file).exists() for file in files] == [True, True]


def test_gitlab_service(machine: dict[str, str], backend: HttpBackend) -> None:
    """What the script sent arrives, although the service is killed without a warning.

    In place of the container runs its command; its name is that of this machine, and its ports are free ones.
    """
    health = str(free_port())
    text = (EXAMPLES / "gitlab/.gitlab-ci.yml").read_text("utf-8").replace("31001", health)
    job = gitlab(text.replace("http://csm-otel:", "http://127.0.0.1:").replace("HOST: csm-otel", "HOST: 127.0.0.1"))
    (service,) = job["nightly"]["services"]
    program, *flags = service["command"]
    assert (program, service["alias"], service["variables"]) == ("serve", "csm-otel", {"HEALTHCHECK_TCP_PORT": health})

    with serving(
        *flags, "--port", machine["CSM_OTEL_PORT"], env={**machine, "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint}
    ) as daemon:
        variables = {**environments.GITLAB, **job["nightly"]["variables"]}
        done = run_lines(job["nightly"]["script"], machine, **variables)
        flushed = run_lines(job["nightly"]["after_script"], machine, **variables)
        daemon.process.kill()

    assert (done.returncode, flushed.returncode) == (0, 0), flushed.stderr
    assert names(backend) == ["S3.ListBuckets", "S3.ListBuckets attempt"]


def jenkins_script() -> tuple[str, dict[str, str]]:
    """Return the script of the only step of the Jenkinsfile, and its variables."""
    text = (EXAMPLES / "jenkins/Jenkinsfile").read_text("utf-8")
    (script,) = re.findall(r"^\s+sh '([^']+)'$", text, re.MULTILINE)
    return script, dict(re.findall(r"^\s+([A-Z_]+) = '([^']+)'$", text, re.MULTILINE))


def buildkite_script() -> tuple[str, dict[str, str]]:
    """Return the command of the only step of Buildkite's pipeline, and its variables."""
    (step,) = yaml.safe_load((EXAMPLES / "buildkite/pipeline.yml").read_text("utf-8"))["steps"]
    return step["command"], step["env"]


@pytest.mark.parametrize(
    ("script", "environ"),
    [
        pytest.param(jenkins_script(), environments.JENKINS, id="jenkins"),
        pytest.param(buildkite_script(), environments.BUILDKITE, id="buildkite"),
    ],
)
def test_traceparent(
    script: tuple[str, dict[str, str]], environ: dict[str, str], machine: dict[str, str], backend: HttpBackend
) -> None:
    """The command is below the span that the system names in TRACEPARENT."""
    text, variables = script
    assert variables.keys() == {"OTEL_EXPORTER_OTLP_ENDPOINT"}
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    done = run_lines(
        [text], machine, **environ, TRACEPARENT=f"00-{trace}-{span}-01", OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint
    )

    assert done.returncode == 0, done.stderr
    assert names(backend) == ["S3.ListBuckets", "S3.ListBuckets attempt", "legacy_backup.py"]
    assert {one.trace_id.hex() for one in backend.spans} == {trace}
    (command,) = [one for one in backend.spans if one.name == "legacy_backup.py"]
    assert command.parent_span_id.hex() == span
    written = set(re.findall(r"calls\.\w+", text))
    assert len(written) == 2
    assert written <= {file.name for file in Path(machine["GITHUB_WORKSPACE"]).iterdir()}


@pytest.mark.parametrize(("status", "style"), [("0", "info"), ("99", "error")])
def test_buildkite_hook(status: str, style: str, machine: dict[str, str], tmp_path: Path) -> None:
    """It gives what the command has written to the agent, and ends well, whatever the agent does."""
    agent = tmp_path / "buildkite-agent"
    agent.write_text('#!/bin/sh\necho "$@"\ncat\nexit 1\n', "utf-8")
    agent.chmod(0o755)
    Path(machine["GITHUB_WORKSPACE"], "calls.md").write_text("## AWS calls\n", "utf-8")
    done = run_lines(
        [str(EXAMPLES / "buildkite/post-command")],
        machine | {"PATH": f"{tmp_path}{os.pathsep}{machine['PATH']}"},
        **environments.BUILDKITE,
        BUILDKITE_COMMAND_EXIT_STATUS=status,
    )

    job = environments.BUILDKITE["BUILDKITE_JOB_ID"]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"annotate --style {style} --context aws-calls-{job}\n## AWS calls\n"


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        pytest.param([{"run": "true", "shell": "pwsh"}], "shell", id="keyword"),
        pytest.param([{"run": "echo ${{ github.token }}"}], "github.token", id="expression"),
        pytest.param([{"uses": "actions/cache@v5"}], "actions/cache@v5", id="action"),
        pytest.param([{"run": "true", "if": "failure()"}], "failure()", id="condition"),
    ],
)
def test_what_the_runner_does_not_know(steps: list[dict[str, str]], said: str, tmp_path: Path) -> None:
    """It is an error, not left out."""
    with pytest.raises(CannotRunError, match=re.escape(said)):
        run_job(
            {"jobs": {"x": {"steps": steps}}},
            "x",
            folder=tmp_path,
            environ={"GITHUB_WORKSPACE": str(tmp_path), "PATH": os.environ["PATH"]},
            expressions={},
            actions={},
        )
