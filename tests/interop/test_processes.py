"""Processes without tracing, each one trace in Jaeger: scripts, the AWS CLI, Go with two sessions."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from e2e.programs import DEADLINE_SECONDS, environment, serving
from interop.exactness import compare
from interop.sdks import Sdk, sdks
from interop.sending import Scenario, command_of, send
from platforms import on_linux

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from e2e.programs import Serving
    from interop.jaeger import Jaeger, ShownSpan

INTERNAL = 1
TICK_NS = 20_000_000  # /proc has a start in ticks of 10 ms, after a boot time that is rounded as well
NOTICED_NS = 1_000_000_000  # the daemon notices an end as soon as it is scheduled

# Continues after its last call, until its input ends.
SCRIPT = """
import boto3, sys, time
s3 = boto3.client("s3")
s3.list_buckets()
s3.list_buckets()
sys.stdin.read()
print(time.time_ns())
"""
SCRIPTS = ("nightly_report.py", "stock_check.py")
NEW_SESSION = Scenario(name="new-session", calls=4, halfway=("NewSession",))


@contextmanager
def grouping(jaeger: Jaeger) -> Generator[Serving]:
    """Run a daemon with a trace for each process that exports to Jaeger with almost no delay."""
    exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_http, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with serving("--group", "process", env=environment(**exporting)) as daemon:
        yield daemon


def installed(name: str) -> Sdk:
    """Return an SDK, or skip the test if it is not installed."""
    (sdk,) = (sdk for sdk in sdks() if sdk.name == name)
    if reason := sdk.why_not():
        pytest.skip(reason)
    return sdk


def started(*command: str | Path, env: dict[str, str]) -> tuple[subprocess.Popen[bytes], range]:
    """Start a process and return it with the times around its start."""
    before_ns = time.time_ns()
    process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return process, range(before_ns - TICK_NS, time.time_ns() + TICK_NS)


def ended(process: subprocess.Popen[bytes]) -> tuple[bytes, int]:
    """End a process's input, wait for its end, and return what it printed and when it had ended."""
    printed, _ = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0
    return printed, time.time_ns()


def wait_for_calls(jaeger: Jaeger, service: str, count: int) -> None:
    """Wait until so many calls of a service are shown."""
    _wait_for(jaeger, service, lambda spans: len(calls_in(spans)) >= count)


def wait_for_root(jaeger: Jaeger, service: str) -> None:
    """Wait until the process itself is shown, whose end has been noticed by then."""
    _wait_for(jaeger, service, lambda spans: any(span.attributes.get("csm.synthetic") for span in spans))


def _wait_for(jaeger: Jaeger, service: str, holds: Callable[[list[ShownSpan]], bool]) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not holds([span for trace in jaeger.traces_of(service).values() for span in trace]):
        assert time.monotonic() < end, f"of {service} Jaeger has {jaeger.traces_of(service)}"
        select.select([], [], [], 0.05)


def calls_in(spans: list[ShownSpan]) -> list[ShownSpan]:
    """Return the spans of calls."""
    return [span for span in spans if "rpc.system" in span.attributes]


def root_of_all_calls(jaeger: Jaeger, service: str, pid: int, *, calls: int) -> ShownSpan:
    """Return the root of the one trace of a service, with all its calls below it, each with its one attempt."""
    ((_, trace),) = jaeger.traces_of(service).items()
    (root,) = (span for span in trace if not span.parent_id)
    assert (service, INTERNAL, True) == (root.name, root.kind, root.attributes["csm.synthetic"])
    assert [root.span_id] * calls == [call.parent_id for call in calls_in(trace)]
    attempts = [span for span in trace if span.name.endswith(" attempt")]
    assert {call.span_id for call in calls_in(trace)} == {attempt.parent_id for attempt in attempts}
    assert 1 + 2 * calls == len(trace)
    assert {(service, pid)} == {(span.resource["service.name"], span.resource["process.pid"]) for span in trace}
    assert "csm.process.end" not in root.attributes
    return root


@on_linux
def test_three_processes_at_once(jaeger: Jaeger, moto_port: int, tmp_path: Path) -> None:
    """Two scripts and an ``aws`` command are three services by name and three traces, each as long as its process."""
    aws = installed("awscli-v1").folder / "venv" / "bin" / "aws"
    with grouping(jaeger) as daemon:
        env = environment(moto_port, **daemon.csm())
        running = {}
        for name in SCRIPTS:
            (tmp_path / name).write_text(SCRIPT, encoding="utf-8")
            running[name] = started(sys.executable, tmp_path / name, env=env)
        running["aws"] = started(aws, "s3", "ls", env=env)
        ends = {"aws": ended(running["aws"][0])}
        for name in SCRIPTS:
            wait_for_calls(jaeger, name, 2)
        ends |= {name: ended(running[name][0]) for name in SCRIPTS}
        for name in running:
            wait_for_root(jaeger, name)
        assert daemon.stop() == 0

    assert running.keys() <= jaeger.services()
    roots = {
        name: root_of_all_calls(jaeger, name, process.pid, calls=1 if name == "aws" else 2)
        for name, (process, _) in running.items()
    }
    assert 3 == len({root.trace_id for root in roots.values()})
    for name, root in roots.items():
        printed, ended_ns = ends[name]
        last_calls_ns = max(call.end_ns for call in calls_in(jaeger.trace(root.trace_id)))
        last_ns = int(printed) if name in SCRIPTS else last_calls_ns
        assert root.start_ns in running[name][1]
        assert last_ns <= root.end_ns <= ended_ns + NOTICED_NS


def run_go(env: dict[str, str], moto_port: int) -> int:
    """Make the Go sender switch to a new session halfway, and return its pid."""
    command = command_of(installed("go-v1"), NEW_SESSION, moto_port)
    process, _ = started(*command, env={**env, "AWS_REGION": "us-east-1"})
    printed, _ = ended(process)
    assert 8 == len(printed.splitlines())
    return process.pid


def test_a_new_session_of_go_has_a_port_of_its_own(moto_port: int) -> None:
    """The Go SDK's second session sends from another port than the first, a condition of the tests below."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        csm = {"AWS_CSM_ENABLED": "true", "AWS_CSM_PORT": str(listener.getsockname()[1])}
        run_go(environment(moto_port, **csm), moto_port)
        ports = [listener.recvfrom(65_536)[1][1] for _ in range(16)]
    assert [ports[0]] * 8 + [ports[-1]] * 8 == ports
    assert ports[0] != ports[-1]


@on_linux
def test_a_go_process_with_two_sessions_is_one_trace(jaeger: Jaeger, moto_port: int) -> None:
    """A Go program with a new session halfway is one trace, with both sessions' calls below its root."""
    with grouping(jaeger) as daemon:
        pid = run_go(environment(moto_port, **daemon.csm()), moto_port)
        wait_for_root(jaeger, "sender")
        assert daemon.stop() == 0
    root_of_all_calls(jaeger, "sender", pid, calls=8)


def test_the_calls_of_both_sessions_are_exact(moto_port: int, tmp_path: Path) -> None:
    """Under ``exec`` each call has its own attempt, in either session."""
    sent = send(installed("go-v1"), NEW_SESSION, moto_port=moto_port, folder=tmp_path)
    comparison = compare(sent.made, sent.spans)
    assert (8, 8) == (comparison.calls, comparison.attempts)
    assert ({}, []) == (comparison.differences, comparison.left_over)
