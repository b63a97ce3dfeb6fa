"""Runs without a call, as a whole: one line, with the likeliest reason."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from e2e.programs import CSM_OTEL, DEADLINE_SECONDS, ONE_CALL_SENT, environment, run, run_exec
from otlp_backend import HttpBackend

if TYPE_CHECKING:
    from pathlib import Path

_SEND = " ".join(ONE_CALL_SENT)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        pytest.param(["true"], "; to find out why: ", id="nothing"),
        pytest.param(["env", "-i", *ONE_CALL_SENT], ": env -i clears the environment; more by ", id="env-i"),
        pytest.param(["sh", "-c", f"env -i {_SEND}"], ": env -i clears the environment; more by ", id="in-a-script"),
        pytest.param(
            ["sh", "-c", f"unset AWS_CSM_ENABLED; {_SEND}"], ": it changes AWS_CSM_ENABLED; more by ", id="unset"
        ),
        pytest.param(
            ["env", "AWS_CSM_ENABLED=false", *ONE_CALL_SENT], ": env changes AWS_CSM_ENABLED; more by ", id="overridden"
        ),
    ],
)
def test_reason(command: list[str], reason: str) -> None:
    """The reason is that of doctor, which the line names."""
    done = run("exec", "--", *command, env=environment())

    said = re.sub(rb"in \d+ ms|in \d+\.\d+ s", b"in TIME", done.stderr).decode()
    assert (done.returncode, done.stdout) == (0, b"")
    assert said == f"csm-otel: no AWS calls seen in TIME{reason}csm-otel doctor -- COMMAND\n"


def test_an_sdk_without_csm(tmp_path: Path) -> None:
    """A program whose SDK has no CSM is named as such, by the files beside it."""
    (tmp_path / "node_modules/@aws-sdk/client-s3").mkdir(parents=True)
    script, node = tmp_path / "main.js", tmp_path / "node"
    script.write_text("", encoding="utf-8")
    node.symlink_to("/bin/true")
    done = run("exec", "--", node, script, env=environment())

    assert b": the program uses the AWS SDK for JavaScript v3; more by " in done.stderr


def test_a_python_script(tmp_path: Path) -> None:
    """A script that starts its program with an environment of its own is named as such."""
    script = tmp_path / "script.py"
    script.write_text(f"import subprocess\nsubprocess.run({ONE_CALL_SENT}, env={{}})\n", encoding="utf-8")
    done = run("exec", "--", sys.executable, script, env=environment())

    assert done.stderr.count(b"\n") == 1
    assert b": the script starts a program with an environment of its own; more by " in done.stderr


def test_a_hostile_name(tmp_path: Path) -> None:
    """The name of a script cannot move the cursor or begin another line."""
    script = tmp_path / "a\n\x1b[2Jb.sh"
    script.write_text(f"env -i {_SEND}\n", encoding="utf-8")
    done = run("exec", "--", "sh", script, env=environment())

    assert done.stderr.count(b"\n") == 1
    assert b": a [2Jb.sh: env -i clears the environment; more by " in done.stderr


def test_a_script_with_an_archive(tmp_path: Path) -> None:
    """What follows a script in its file is no script."""
    script = tmp_path / "install.sh"
    script.write_bytes(b"#!/bin/sh\nexit 0\n" + b"unset " * 100_000 + b"AWS_CSM_ENABLED\0" * 10)
    done = run("exec", "--", "sh", script, env=environment())

    assert b"; to find out why: " in done.stderr


@pytest.mark.parametrize(
    ("command", "is_loaded"), [(["true"], True), (list(ONE_CALL_SENT), False)], ids=["no-call", "call"]
)
def test_doctor_is_loaded_when_needed(command: list[str], *, is_loaded: bool) -> None:
    """A run with calls does not load what looks for reasons."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *CSM_OTEL[1:], "exec", "--", *command],
        env=environment(), capture_output=True, timeout=DEADLINE_SECONDS, check=True,
    )  # fmt: skip

    assert (b"csm_otel.doctor.command" in done.stderr) is is_loaded


def test_quiet() -> None:
    """Nothing is printed if nothing is asked for."""
    assert run("exec", "--quiet", "--", "true", env=environment()).stderr == b""


def test_nested() -> None:
    """What a nested one has seen is the reason."""
    nested = [*CSM_OTEL, "exec", "--quiet", "--", *ONE_CALL_SENT]
    done = run("exec", "--", *nested, env=environment())

    assert done.stderr.count(b"\n") == 1
    assert done.stderr.endswith(b": 1 call seen by a nested csm-otel exec instead\n")


def test_a_back_end() -> None:
    """The command's span is delivered all the same, and a second line says where to."""
    with HttpBackend() as backend:
        env = environment(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=backend.url)
        first, second = run("exec", "--", "true", env=env).stderr.splitlines()

        assert len(backend.spans) == 1
    assert first.startswith(b"csm-otel: no AWS calls seen in ")
    assert second.startswith(b"csm-otel: trace ")


def test_output(tmp_path: Path) -> None:
    """The line is where the report would be."""
    output = tmp_path / "report.txt"
    done = run("exec", "--output", output, "--", "true", env=environment())

    assert done.stderr == b""
    assert output.read_text("utf-8").startswith("csm-otel: no AWS calls seen in ")


def test_a_secret_argument() -> None:
    """The command's arguments are not printed."""
    done = run("exec", "--", "env", "-i", "true", "--password", "hunter2", env=environment())

    assert b"hunter2" not in done.stderr


def test_something_that_is_no_call() -> None:
    """What was received has its counts, though it is no call."""
    script = (
        "import os, socket; "
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', int(os.environ['AWS_CSM_PORT'])))"
    )
    done = run_exec(script, env=environment())

    assert b"1 datagram received" in done.stderr
    assert b"1 malformed (1 not JSON)" in done.stderr
