"""Runs without a call, as a whole: one line, with the likeliest reason."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from e2e.programs import CSM_OTEL, ONE_CALL_SENT, environment, run, run_exec
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
