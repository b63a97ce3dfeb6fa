"""Systems that lack what is usually there: what does not need it works, and the rest is one line."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from e2e.lifecycle import send_calls
from e2e.programs import CSM_OTEL, DEADLINE_SECONDS, ONE_CALL_SENT, environment, lines_of, serving
from otlp_backend import Certificate, HttpBackend
from platforms import on_linux

# Nothing can be written below the root and in the folders for temporary files.
READ_ONLY = """
for folder in /tmp /var/tmp /dev/shm; do
    mount --bind $folder $folder && mount -o remount,bind,ro $folder || exit
done
mount -o remount,bind,ro / && cd / && exec "$@"
"""
NO_IPV6 = 'ip link set lo up && echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6 && exec "$@"'
UNDER = {
    "read-only": ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh"],
    "no-user-name": ["unshare", "--map-user=54321", "--map-group=54321"],
    "proc-of-others": ["unshare", "--pid", "--fork", "--kill-child"],
    "no-ipv6": ["unshare", "--net", "sh", "-c", NO_IPV6, "sh"],
    "no-working-directory": ["sh", "-c", 'cd "$(mktemp -d)" && rmdir "$PWD" && exec "$@"', "sh"],
}


@functools.cache
def _is_refused(name: str) -> bool:
    command = [*UNDER[name], "true"]
    return shutil.which(command[0]) is None or subprocess.call(command, stderr=subprocess.DEVNULL) != 0


def skip_if_refused(name: str) -> None:
    """Skip a test for which this system cannot be made poor."""
    if _is_refused(name):
        pytest.skip(f"this system cannot be made one with {name}")


may_skip = pytest.mark.may_skip("namespaces and mounts need rights")


def poor_environment(**more: str) -> dict[str, str]:
    """Return an environment without the variables that lead to folders."""
    env = environment(CSM_OTEL_CONTROL="", XDG_RUNTIME_DIR="/missing", **more)
    if "PYTHONPATH" in env:  # of `make test-portable`: relative to the working directory, which some do not have
        env["PYTHONPATH"] = str(Path(env["PYTHONPATH"]).absolute())
    return {name: value for name, value in env.items() if name not in {"HOME", "TMPDIR", "TEMP", "TMP"}}


def run_under(name: str, *words: str, env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Run csm-otel on a system that is poor in one way."""
    return subprocess.run(
        [*UNDER[name], *CSM_OTEL, *words], env=env, capture_output=True, timeout=DEADLINE_SECONDS, check=False
    )


@may_skip
@on_linux
def test_serve_where_nothing_can_be_written(tmp_path: Path) -> None:
    """The daemon says that flush will not work, and delivers, also with certificates that are given as text."""
    skip_if_refused("read-only")
    certificate = Certificate.make(tmp_path)
    with HttpBackend(certificate=certificate) as backend:
        env = poor_environment(
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=backend.url,
            OTEL_EXPORTER_OTLP_CERTIFICATE=certificate.text,
            OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=certificate.text,
            OTEL_EXPORTER_OTLP_CLIENT_KEY=certificate.key_text,
            OTEL_BSP_SCHEDULE_DELAY="50",
        )
        with serving(env=env, under=UNDER["read-only"]) as daemon:
            first, second, *_ = daemon.line.splitlines()
            send_calls(daemon, 3)
            backend.wait_for_accepted(1)
            assert daemon.stop() == 0

    why = "no runtime or temporary folder can be written; name a path with --control"
    assert first == f"csm-otel: `csm-otel flush` will not work: {why}"
    assert second.startswith("csm-otel: listening on 127.0.0.1:")
    assert len(backend.spans) == 3


@may_skip
def test_flush_where_nothing_can_be_written() -> None:
    """Without a daemon, that is one line."""
    skip_if_refused("read-only")
    done = run_under("read-only", "flush", "--port", "1", env=poor_environment())

    (line,) = lines_of(done.stderr)
    assert (done.returncode, done.stdout) == (1, b"")
    assert line == f"csm-otel: no daemon answers: /tmp/csm-otel-{os.geteuid()}/1.sock: no such file or directory"


@may_skip
@pytest.mark.parametrize("name", list(UNDER))
def test_exec(name: str) -> None:
    """The command runs and is traced, without any further line."""
    skip_if_refused(name)
    done = run_under(name, "exec", "--", *ONE_CALL_SENT, env=poor_environment())

    assert done.returncode == 0
    assert b"exit 0  trace " in done.stderr
    assert [line.partition(" datagrams")[0] for line in lines_of(done.stderr)] == ["csm-otel: 2"]


@may_skip
@pytest.mark.parametrize("port", [4317, 4318])
def test_a_back_end_that_only_ipv6_reaches(port: int) -> None:
    """Without IPv6, the line names that as the cause."""
    skip_if_refused("no-ipv6")
    env = poor_environment(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://[::1]:{port}", CSM_OTEL_DRAIN_SECONDS="0.5")
    done = run_under("no-ipv6", "exec", "--", "true", env=env)

    assert done.returncode == 0
    assert b"csm-otel: back end unavailable, trying again: IPv6 is not available: " in done.stderr
