"""The action for GitHub: inputs that it cannot use, how it treats all of them, and the daemon that it starts and stops.

`tests/interop/test_action.py` runs whole jobs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]
from e2e.programs import ONE_CALL_SENT, environment, serving, spans_in
from otlp_backend import wait_until
from platforms import on_linux

from soak.daemon import free_port

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT = Path(__file__).parents[1]
DEADLINE_SECONDS = 60.0
SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")
WARNING = "::warning::csm-otel: there is no daemon to stop\n"
# Runs commands as a job's container does: its first process, to which orphans go, never waits for them.
CONTAINER = """
import ctypes, subprocess, sys
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
for script in sys.argv[1:]:
    subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script], check=True)
"""


def steps() -> list[dict[str, Any]]:
    """Return the steps of the action."""
    loaded: list[dict[str, Any]] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["runs"]["steps"]
    return loaded


def script_of(name: str) -> str:
    """Return the script of the step with this name."""
    (script,) = [step["run"] for step in steps() if step["name"] == name]
    return str(script)


START, STOP = script_of("Start the daemon"), script_of("Stop the daemon")


class Runner:
    """Runs steps of the action in a workspace, where its first step has put csm-otel on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.workspace = folder / "workspace"
        self.folder = folder / "temp/csm-otel"
        self.variables = folder / "variables"
        self.port = free_port()
        self.workspace.mkdir()
        (self.folder / "bin").mkdir(parents=True)
        self.variables.touch()
        (self.folder / "bin/csm-otel").symlink_to(Path(sys.executable).with_name("csm-otel"))
        self.environ = environment(
            PATH=f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            RUNNER_TEMP=str(folder / "temp"),
            GITHUB_ENV=str(self.variables),
            CSM_OTEL_CONTROL=str(folder / "control.sock"),
            OTEL_TRACES_EXPORTER="none",
        )

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the workspace, with inputs as variables."""
        return subprocess.run(
            command, cwd=self.workspace, env=self.environ | {"CSM_OTEL_PORT": str(self.port), "ARGS": ""} | variables,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
        )  # fmt: skip

    def start(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the step that starts the daemon."""
        return self.run(*SHELL, START, **variables)

    def stop(self) -> subprocess.CompletedProcess[str]:
        """Run the step that stops it."""
        return self.run(*SHELL, STOP)

    def kill(self) -> None:
        """End the daemon by SIGKILL, if there is one."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((self.folder / "pid").read_text()), signal.SIGKILL)


@pytest.fixture
def runner(tmp_path: Path) -> Generator[Runner]:
    """Return one; a daemon that it has left is ended."""
    runner = Runner(tmp_path)
    try:
        yield runner
    finally:
        runner.kill()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        pytest.param({"MODE": "foreground"}, "mode is none of install, wrapper, background, stop", id="mode"),
        pytest.param({"PYTHON": "false"}, "needs Python 3.11 or newer: name one by the input python", id="old-python"),
        pytest.param({"PYTHON": "no-such"}, "needs Python 3.11 or newer: name one by the input python", id="no-python"),
    ],
)
def test_unusable_inputs(tmp_path: Path, inputs: dict[str, str], message: str) -> None:
    """Each is an annotation of the step, which fails; nothing is installed, and nothing is on the PATH."""
    environ = {
        "PATH": os.environ["PATH"],
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_PATH": str(tmp_path / "path"),
        "MODE": "install",
        "PYTHON": sys.executable,
        "PACKAGE": str(ROOT),
        "ACTION": str(ROOT),
        **inputs,
    }
    done = subprocess.run(
        [*SHELL, script_of("Install csm-otel")],
        env=environ, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert message in done.stdout
    assert done.stdout.startswith("::error::csm-otel")
    assert len(done.stdout.splitlines()) == 1
    assert [*tmp_path.iterdir()] == []


def test_expressions_are_no_script() -> None:
    """Every input reaches a script as a variable: what is in a workflow's values cannot be run."""
    for step in steps():
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"


def test_a_daemon(runner: Runner) -> None:
    """It has its flags, with files of the workspace; later steps send to where it listens; it can be stopped."""
    started = runner.start(ARGS="--file\ncalls of a job.jsonl\n--port\n1\n")
    assert started.returncode == 0, started.stdout
    assert f"listening on 127.0.0.1:{runner.port} " in started.stdout
    variables = dict(line.split("=", 1) for line in runner.variables.read_text().splitlines())
    assert (variables["AWS_CSM_ENABLED"], variables["AWS_CSM_PORT"]) == ("true", str(runner.port))
    assert variables["CSM_OTEL_PORT"] == str(runner.port)
    assert runner.run(*ONE_CALL_SENT, **variables).returncode == 0

    stopped = runner.stop()
    assert stopped.returncode == 0, stopped.stdout
    assert "1 call with 1 attempt\n" in stopped.stdout
    assert len(spans_in(runner.workspace / "calls of a job.jsonl")) == 2
    assert "AWS_CSM_ENABLED=false" in runner.variables.read_text().splitlines()
    assert (runner.stop().returncode, runner.stop().stdout) == (0, WARNING)


def test_a_port_that_another_daemon_has(runner: Runner) -> None:
    """The step fails, with the reason, and later steps do not send to the other one."""
    with serving("--port", str(runner.port), env=runner.environ):
        started = runner.start()
    assert started.returncode == 1
    assert started.stdout.startswith("::error::csm-otel: the daemon has ended\ncsm-otel: cannot listen on ")
    assert not runner.variables.read_text()


def test_a_second_daemon(runner: Runner) -> None:
    """It is not started beside the first one, which can still be stopped."""
    assert runner.start().returncode == 0
    again = runner.start()
    assert again.returncode == 1
    assert again.stdout == "::error::csm-otel: the daemon of an earlier step is still there: stop it first\n"
    assert "datagrams received in" in runner.stop().stdout


def test_a_daemon_that_was_killed(runner: Runner) -> None:
    """The step that would stop it has a warning and the daemon's output, and does not fail."""
    assert runner.start().returncode == 0
    runner.kill()
    wait_until((runner.folder / "code").exists)
    stopped = runner.stop()
    assert stopped.returncode == 0
    assert stopped.stdout.startswith(f"{WARNING}csm-otel: listening on ")
    assert "AWS_CSM_ENABLED=false" in runner.variables.read_text().splitlines()


@on_linux
def test_in_a_container(runner: Runner) -> None:
    """The daemon's end is noticed where nobody waits for processes whose parent has ended."""
    done = runner.run(sys.executable, "-c", CONTAINER, START, STOP)
    assert done.returncode == 0, done.stderr
    assert "datagrams received in" in done.stdout


@pytest.mark.parametrize("job", ["bin", "pid", "deploy"])
def test_the_name_of_a_job(runner: Runner, job: str) -> None:
    """The wrapped command is named after its job, whatever that is called."""
    script = script_of("Run the command under csm-otel")
    done = runner.run(*SHELL, script, GITHUB_JOB=job, COMMAND='basename "$0"')
    assert (done.returncode, done.stdout) == (0, f"{job}\n"), done.stderr
