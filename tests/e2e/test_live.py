"""`--live` as a whole: lines of finished calls before the command, or the daemon, ends."""

from __future__ import annotations

import subprocess
import sys

from e2e.programs import CSM_OTEL, DEADLINE_SECONDS, ONE_CALL_SENT, SENDER, environment, has_traceback, run, serving

# Runs the sender, and then waits for its stdin.
SENDS_AND_WAITS = f"""
import subprocess, sys
subprocess.run([sys.executable, {str(SENDER)!r}, "exit", "0"], check=True)
sys.stdin.readline()
"""


def test_a_line_while_the_command_runs() -> None:
    """A call has its line while the command still runs; the report follows after its end."""
    command = [*CSM_OTEL, "exec", "--live", "--", sys.executable, "-c", SENDS_AND_WAITS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert process.poll() is None
        _, rest = process.communicate(b"\n", timeout=DEADLINE_SECONDS)

    assert line.endswith(b"S3.ListBuckets  10 ms  200\n")
    assert b"1 call, 0 failed" in rest
    assert not has_traceback(rest)


def test_quiet() -> None:
    """With --quiet nothing is printed."""
    assert run("exec", "--live", "--quiet", "--", *ONE_CALL_SENT, env=environment()).stderr == b""


def test_a_line_of_the_daemon() -> None:
    """A line of `serve` has the time and the application."""
    with serving("--live", env=environment(OTEL_TRACES_EXPORTER="none")) as daemon:
        sent = {**environment(), **daemon.csm(), "AWS_CSM_CLIENT_ID": "nightly"}
        subprocess.run(ONE_CALL_SENT, env=sent, check=True, timeout=DEADLINE_SECONDS)
        assert daemon.process.stderr is not None
        assert daemon.process.stderr.readline().endswith(b" nightly  S3.ListBuckets  10 ms  200\n")
        assert daemon.stop() == 0
