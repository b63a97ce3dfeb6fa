"""`csm-otel health` beside a running daemon."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from e2e.lifecycle import send_calls
from e2e.programs import environment, lines_of, run, serving
from otlp_backend import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def test_a_daemon_that_is_well(tmp_path: Path) -> None:
    """It is alive and ready, by the control socket and over HTTP on an address for others, which needs a flag."""
    env = environment(OTEL_TRACES_EXPORTER="none", CSM_OTEL_CONTROL=str(tmp_path / "folder/sock"))
    with serving("--health", "0.0.0.0:0", "--allow-remote", env=env) as daemon:
        found = re.search(r"health at http://0\.0\.0\.0:(\d+)/healthz", daemon.line)
        assert found, daemon.line
        send_calls(daemon, 3)
        over_http = {**env, "CSM_OTEL_CONTROL": "none", "CSM_OTEL_HEALTH": f"0.0.0.0:{found[1]}"}
        wait_until(lambda: run("health", env=over_http).stdout.startswith(b"ok: 3 datagrams received, "))
        done = run("health", "--check", "ready", env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"ok: 3 datagrams received, ")


def test_a_daemon_that_fails(tmp_path: Path) -> None:
    """If no span can be exported anywhere it is alive, but not ready; the path of its socket follows from its port."""
    env = environment(
        OTEL_TRACES_EXPORTER="none", OTEL_BSP_SCHEDULE_DELAY="1", XDG_RUNTIME_DIR=str(tmp_path), CSM_OTEL_CONTROL=""
    )
    with serving("--file", "/dev/full", env=env) as daemon:
        send_calls(daemon, 1)
        words = ("health", "--port", str(daemon.address[1]))
        wait_until(lambda: run(*words, "--check", "ready", env=env).returncode == 1)
        done = run(*words, env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"failing (file cannot be written): 1 datagram received, ")


def test_no_daemon(tmp_path: Path) -> None:
    """If no daemon answers it ends with 1 and a line that names the path."""
    done = run("health", "--control", tmp_path / "none", env=environment())
    assert (done.returncode, done.stdout) == (1, b"")
    assert lines_of(done.stderr) == [f"csm-otel: no daemon answers: {tmp_path}/none: no such file or directory"]


def test_bad_settings() -> None:
    """A flag or variable that cannot be used ends it with 2 and a line each."""
    done = run("health", "--timeout", "soon", env=environment(CSM_OTEL_HEALTH="here"))
    assert (done.returncode, done.stdout) == (2, b"")
    assert [line.split(": ")[1] for line in lines_of(done.stderr)] == ["--timeout", "CSM_OTEL_HEALTH"]
