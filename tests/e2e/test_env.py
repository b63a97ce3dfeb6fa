"""`csm-otel env` in real shells, with a daemon that scripts then send to."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from e2e.programs import CSM_OTEL, ONE_CALL_SENT, environment, run, serving
from otlp_backend import HttpBackend

if TYPE_CHECKING:
    from pathlib import Path

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NAME = 'it\'s "$HOME" \\ `night`'
PRINT = shlex.join([sys.executable, "-c", "import os; print(os.environ.get('AWS_CSM_CLIENT_ID', '-'))"])
"""A command that prints the client id."""


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_shell_reads_it(shell: str) -> None:
    """Its variables are those of the commands after it, whatever is in a name, until they are removed."""
    env_of = shlex.join([*CSM_OTEL, "env"])
    script = f'eval "$({env_of})"\n{PRINT}\neval "$({env_of} --unset)"\n{PRINT}\n'
    done = subprocess.run(
        (shell, "-eu", "-c", script),
        env=environment(CSM_OTEL_NAME=NAME, TRACEPARENT=PARENT),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == (f"{NAME};{PARENT}\n-\n", "")


def test_calls_arrive_in_the_trace(tmp_path: Path) -> None:
    """What a script sends with these variables is below the given span."""
    with (
        HttpBackend() as backend,
        serving(env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint)) as daemon,
    ):
        variables = environment(TRACEPARENT=PARENT, CSM_OTEL_PORT=str(daemon.address[1]), CSM_OTEL_NAME="nightly")
        printed = run("env", "--format", "github", env=variables).stdout.decode()
        given = dict(line.split("=", 1) for line in printed.splitlines())
        subprocess.run(ONE_CALL_SENT, env=environment() | given, cwd=tmp_path, check=True)
        assert daemon.stop() == 0

    (call,) = [span for span in backend.spans if span.name == "S3.ListBuckets"]
    assert f"00-{call.trace_id.hex()}-{call.parent_span_id.hex()}-01" == PARENT


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        pytest.param(["--port", "0"], b"csm-otel: --port: 0 is no port to send to\n", id="port"),
        pytest.param(["--format", "csh"], b"csm-otel: --format: ", id="format"),
        pytest.param(["--host", "a b"], b"csm-otel: --host: ", id="host"),
    ],
)
def test_bad_settings(flags: list[str], line: bytes) -> None:
    """A line each, and nothing that a shell could evaluate."""
    done = run("env", *flags, env=environment())

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(line)


def test_a_full_disk() -> None:
    """What cannot be printed is exit code 1."""
    with open("/dev/full", "wb") as full:  # ruff: ignore[builtin-open] - a device
        done = subprocess.run((*CSM_OTEL, "env"), env=environment(), stdout=full, stderr=subprocess.PIPE, check=False)

    assert done.returncode == 1
    assert done.stderr == b"csm-otel: stdout: no space left on device\n"


def test_a_closed_stdout() -> None:
    """Nor can it be printed where there is no stdout."""
    command = shlex.join([*CSM_OTEL, "env"])
    done = subprocess.run(("sh", "-c", f"{command} >&-"), env=environment(), stderr=subprocess.PIPE, check=False)

    assert (done.returncode, done.stderr) == (1, b"csm-otel: stdout is closed\n")
