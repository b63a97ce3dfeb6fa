"""`csm-otel serve --group process`: real processes, each one trace from its actual start to its actual end."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from children.processes import next_line, started
from e2e.programs import DEADLINE_SECONDS, environment, run, serving, spans_in
from platforms import on_linux

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from e2e.programs import Serving

SENDER = Path(__file__).parent / "scripted_sender.py"
AS_ON_MACOS = Path(__file__).parent.parent / "as_on_macos"
AT_ONCE = {"OTEL_TRACES_EXPORTER": "none", "OTEL_BSP_SCHEDULE_DELAY": "50"}
TICK_NS = 20_000_000  # two kernel ticks
CARRIED = "etl;00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

# All scripts wait for the end of their input before they end: an ended process cannot be looked up.
CALLS = """
import boto3, sys, time
s3 = boto3.client("s3")
s3.list_buckets()
s3.list_buckets()
sys.stdin.read()
print(time.time_ns(), flush=True)
"""
ONE_CALL = """
import boto3, sys, time
boto3.client("s3").list_buckets()
sys.stdin.read()
print(time.time_ns(), flush=True)
"""
# Prints the times around the start of its child, and its pid.
LAUNCHER = """
import os, sys, time
before_ns = time.time_ns()
if not (pid := os.fork()):
    print(before_ns, time.time_ns(), os.getpid(), flush=True)
    os.execv(sys.argv[1], sys.argv[1:])
os.waitpid(pid, 0)
"""
# The first call opens the socket, before there are children.
FORKED = """
import boto3, os, sys
s3 = boto3.client("s3")
s3.list_buckets()
children = []
for _ in range(2):
    if not (pid := os.fork()):
        s3.list_buckets()
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
sys.stdin.read()
"""
SESSIONS = """
import boto3, sys
for _ in range(3):
    boto3.Session().client("s3").list_buckets()
sys.stdin.read()
"""


@contextmanager
def sender(daemon: Serving, *own_port: str) -> Generator[tuple[subprocess.Popen[bytes], str]]:
    """Run a process that sends events on request, and yield it with its port."""
    with started([sys.executable, str(SENDER), str(daemon.address[1]), *own_port]) as process:
        yield process, next_line(process.stdout)


def send_events(process: subprocess.Popen[bytes], *events: str) -> None:
    """Make it send these events."""
    assert process.stdin is not None
    for event in events:
        process.stdin.write(f"{event}\n".encode())
        process.stdin.flush()
        assert next_line(process.stdout) == "sent"


def wait_for(
    file: Path, count: int, which: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Return the roots or the calls in the file as soon as there are that many."""
    end = time.monotonic() + DEADLINE_SECONDS
    while len(found := which(spans_in(file) if file.exists() else [])) < count:
        assert time.monotonic() < end, f"only {len(found)}"
        select.select([], [], [], 0.02)
    return found


def roots_in(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the spans of processes."""
    return [span for span in spans if span["attributes"].get("csm.synthetic")]


def calls_in(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the spans of calls."""
    return [span for span in spans if span["name"] == "S3.ListBuckets"]


def orphans_in(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the spans of orphan attempts."""
    return [span for span in spans if "csm.orphan" in span["attributes"]]


def run_script(tmp_path: Path, text: str, env: dict[str, str], *, file: Path, calls: int) -> None:
    """Run a script called job.py, and let it end when that many calls are in the file."""
    script = tmp_path / "job.py"
    script.write_text(text, encoding="utf-8")
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            wait_for(file, calls, calls_in)
            process.communicate(timeout=DEADLINE_SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0


@on_linux
def test_two_scripts_and_a_command_at_once(moto_port: int, tmp_path: Path) -> None:
    """Three programs without tracing are three services by name, three traces, each as long as its process."""
    file = tmp_path / "out.jsonl"
    truth = {}
    with serving("--group", "process", "--file", file, env=environment(**AT_ONCE)) as daemon:
        processes = {}
        for name, text in (("nightly.py", CALLS), ("backup.py", CALLS), ("aws", ONE_CALL)):
            command = tmp_path / name
            command.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
            command.chmod(0o700)
            processes[name] = subprocess.Popen(
                [sys.executable, "-c", LAUNCHER, command, "s3", "ls"],
                env=environment(moto_port, **daemon.csm()),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        wait_for(file, 5, calls_in)
        for name, process in processes.items():
            out, _ = process.communicate(timeout=DEADLINE_SECONDS)
            truth[name] = [int(word) for word in out.split()]
        wait_for(file, 3, roots_in)
        ended_ns = time.time_ns()
        assert daemon.stop() == 0
    spans = spans_in(file)
    assert b"could not be identified" not in daemon.rest
    assert {root["name"] for root in roots_in(spans)} == truth.keys()
    for root in roots_in(spans):
        before_ns, started_ns, pid, last_line_ns = truth[root["name"]]
        assert "parentSpanId" not in root or not root["parentSpanId"]
        assert root["kind"] == 1
        assert before_ns - TICK_NS <= int(root["startTimeUnixNano"]) <= started_ns
        assert last_line_ns <= int(root["endTimeUnixNano"]) <= ended_ns
        assert "csm.process.end" not in root["attributes"]
        family = [span for span in spans if span["traceId"] == root["traceId"]]
        calls = 1 if root["name"] == "aws" else 2
        assert [call["parentSpanId"] for call in calls_in(family)] == [root["spanId"]] * calls
        assert len(family) == 1 + 2 * calls
        for span in family:
            assert span["resource"]["service.name"] == root["name"]
            assert int(span["resource"]["process.pid"]) == pid
            assert span["resource"]["process.executable.name"] == Path(sys.executable).resolve().name


@on_linux
@pytest.mark.parametrize(
    "script", [pytest.param(FORKED, id="forked-children"), pytest.param(SESSIONS, id="sessions-with-own-ports")]
)
def test_one_process_is_one_trace(moto_port: int, tmp_path: Path, script: str) -> None:
    """Children that share the socket are in their parent's trace, and so are sessions with their own sockets."""
    file = tmp_path / "out.jsonl"
    with serving("--group", "process", "--file", file, env=environment(**AT_ONCE)) as daemon:
        run_script(tmp_path, script, environment(moto_port, **daemon.csm()), file=file, calls=3)
        wait_for(file, 1, roots_in)
        assert daemon.stop() == 0
    spans = spans_in(file)
    (root,) = roots_in(spans)
    assert [call["parentSpanId"] for call in calls_in(spans)] == [root["spanId"]] * 3
    assert {span["resource"]["service.name"] for span in spans} == {"job.py"}
    assert len({span["resource"]["process.pid"] for span in spans}) == 1


@on_linux
def test_service_names_without_it(moto_port: int, tmp_path: Path) -> None:
    """Each call is a trace by default, and still has its script as its service."""
    file = tmp_path / "out.jsonl"
    with serving("--file", file, env=environment(**AT_ONCE)) as daemon:
        run_script(tmp_path, CALLS, environment(moto_port, **daemon.csm()), file=file, calls=2)
        assert daemon.stop() == 0
    spans = spans_in(file)
    assert len({span["traceId"] for span in spans}) == 2
    assert roots_in(spans) == []
    assert {span["resource"]["service.name"] for span in spans} == {"job.py"}


@on_linux
def test_a_context_in_the_client_id_wins(moto_port: int, tmp_path: Path) -> None:
    """A call that names its trace is in that trace, and its process gets no root for it."""
    file = tmp_path / "out.jsonl"
    with serving("--group", "process", "--file", file, env=environment(**AT_ONCE)) as daemon:
        env = environment(moto_port, **daemon.csm(), AWS_CSM_CLIENT_ID=CARRIED)
        run_script(tmp_path, CALLS, env, file=file, calls=2)
        assert daemon.stop() == 0
    spans = spans_in(file)
    assert {span["traceId"] for span in spans} == {CARRIED.split("-")[1]}
    assert {call["parentSpanId"] for call in calls_in(spans)} == {CARRIED.split("-")[2]}
    assert {span["resource"]["service.name"] for span in spans} == {"etl"}
    assert all("process.pid" in span["resource"] for span in spans)


@on_linux
def test_a_sender_that_is_killed(tmp_path: Path) -> None:
    """The root ends at the kill, and by then the orphan attempt is in its trace, also when replayed."""
    file, kept, again = (tmp_path / name for name in ("out.jsonl", "rec", "again.jsonl"))
    with serving("--group", "process", "--file", file, "--record", kept, env=environment(**AT_ONCE)) as daemon:
        with sender(daemon) as (process, _):
            send_events(process, "attempt", "call", "attempt")
            wait_for(file, 1, calls_in)
            before_ns = time.time_ns()
            process.send_signal(signal.SIGKILL)
            process.wait(DEADLINE_SECONDS)
        (root,) = wait_for(file, 1, roots_in)
        spans = spans_in(file)
        assert daemon.stop() == 0
    assert {span["traceId"] for span in spans} == {root["traceId"]}
    (orphan,) = orphans_in(spans)
    assert orphan["parentSpanId"] == root["spanId"]
    assert int(root["endTimeUnixNano"]) >= before_ns
    orphan_line = b"1 of the orphan attempts are from a process that ended before its call did"
    assert orphan_line in daemon.rest
    replayed = run("replay", "--group", "process", "--file", again, kept, env=environment(**AT_ONCE))
    assert orphan_line in replayed.stderr
    assert [_without_ids(span) for span in spans_in(again)] == [_without_ids(span) for span in spans]


def _without_ids(span: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in span.items() if not key.endswith("Id")}


@on_linux
def test_a_child_goes_on_with_the_socket(tmp_path: Path) -> None:
    """An attempt waits for its call while any process holds the socket that it came from, and no longer."""
    file = tmp_path / "out.jsonl"
    with serving("--group", "process", "--file", file, env=environment(**AT_ONCE)) as daemon:
        with sender(daemon) as (process, _):
            send_events(process, "attempt", "call")
            wait_for(file, 1, calls_in)
            send_events(process, "attempt", "fork")
            process.wait(DEADLINE_SECONDS)
            wait_for(file, 1, roots_in)
            send_events(process, "call", "attempt")
            first, second = wait_for(file, 2, calls_in)
        (orphan,) = wait_for(file, 1, orphans_in)
        assert daemon.stop() == 0
    assert "csm.attempts_missing" not in second["attributes"]
    assert first["resource"]["process.pid"] != second["resource"]["process.pid"]
    assert orphan["traceId"] == second["traceId"]


@on_linux
def test_the_console_shows_it_whole(tmp_path: Path) -> None:
    """A process has one waterfall, printed when it has ended, however many batches its calls were in."""
    file = tmp_path / "out.jsonl"
    env = environment(OTEL_TRACES_EXPORTER="console", OTEL_BSP_SCHEDULE_DELAY="50")
    with serving("--group", "process", "--file", file, env=env) as daemon:
        with sender(daemon) as (process, _):
            for count in (1, 2):
                send_events(process, "attempt", "call")
                wait_for(file, count, calls_in)
        shown = [next_line(daemon.process.stdout) for _ in range(4)]
        daemon.process.send_signal(signal.SIGTERM)
        rest, _ = daemon.process.communicate(timeout=DEADLINE_SECONDS)
    (root,) = roots_in(spans_in(file))
    assert len(file.read_text("utf-8").splitlines()) == 3
    assert re.fullmatch(rf"scripted_sender\.py  .* trace {root['traceId']}", shown[0])
    assert ["S3.ListBuckets" in line for line in shown] == [False, True, True, False]
    assert shown[3].startswith("2 calls, 0 failed; ")
    assert rest == b""


@on_linux
def test_a_reused_port(tmp_path: Path) -> None:
    """A port that a second process uses right after the first has ended is another trace."""
    file = tmp_path / "out.jsonl"
    with serving("--group", "process", "--file", file, env=environment(**AT_ONCE)) as daemon:
        with sender(daemon) as (first, port):
            send_events(first, "attempt", "call")
            wait_for(file, 1, calls_in)
        wait_for(file, 1, roots_in)
        with sender(daemon, port) as (second, same_port):
            assert same_port == port
            send_events(second, "attempt", "call")
            wait_for(file, 2, calls_in)
        wait_for(file, 2, roots_in)
        assert daemon.stop() == 0
    calls = calls_in(spans_in(file))
    assert [int(call["resource"]["process.pid"]) for call in calls] == [first.pid, second.pid]
    assert len({call["traceId"] for call in calls}) == 2


@on_linux
def test_a_process_that_never_ends(tmp_path: Path) -> None:
    """At shutdown the root of a running process is exported up to its last call, and marked so."""
    file = tmp_path / "out.jsonl"
    with (
        serving("--group", "process", "--file", file, env=environment(**AT_ONCE)) as daemon,
        sender(daemon) as (process, _),
    ):
        send_events(process, "attempt", "call")
        assert daemon.stop() == 0
        spans = spans_in(file)
        assert process.poll() is None
    (root,) = roots_in(spans)
    (call,) = calls_in(spans)
    assert call["parentSpanId"] == root["spanId"]
    assert root["endTimeUnixNano"] == call["endTimeUnixNano"]
    assert root["attributes"]["csm.process.end"] == "last_event"


@on_linux
def test_without_pidfd(tmp_path: Path) -> None:
    """Without notice of process ends, an ended process is found later, and its root ends with its last call."""
    file = tmp_path / "out.jsonl"
    env = environment(**AT_ONCE, PYTHONPATH=os.pathsep.join([str(AS_ON_MACOS), os.environ.get("PYTHONPATH", "")]))
    with serving("--group", "process", "--file", file, env=env) as daemon:
        with sender(daemon) as (process, _):
            send_events(process, "attempt", "call")
            wait_for(file, 1, calls_in)
        (root,) = wait_for(file, 1, roots_in)
        assert daemon.stop() == 0
    (call,) = calls_in(spans_in(file))
    assert root["endTimeUnixNano"] == call["endTimeUnixNano"]
    assert root["attributes"]["csm.process.end"] == "last_event"


@pytest.mark.parametrize("ratio", ["0", "1"])
@on_linux
def test_a_trace_is_sampled_as_a_whole(tmp_path: Path, ratio: str) -> None:
    """Root, calls and attempts of a trace are all exported or none of them."""
    file = tmp_path / "out.jsonl"
    env = environment(**AT_ONCE, OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG=ratio)
    with (
        serving("--group", "process", "--file", file, env=env) as daemon,
        sender(daemon) as (process, _),
    ):
        send_events(process, "attempt", "call", "attempt", "call")
        assert daemon.stop() == 0
    assert len(spans_in(file)) == (5 if ratio == "1" else 0)
    assert b"5 spans not sampled" in daemon.rest or ratio == "1"


HIDE_PROC = 'mount -t tmpfs none /proc && exec "$@"'


def _may_hide_proc() -> bool:
    command = ["unshare", "--mount", "sh", "-c", HIDE_PROC, "sh", "true"]
    return shutil.which("unshare") is not None and subprocess.call(command, stderr=subprocess.DEVNULL) == 0


@pytest.mark.skipif(not _may_hide_proc(), reason="/proc cannot be hidden here")
@pytest.mark.may_skip("hiding /proc needs the right to mount")
def test_without_proc(tmp_path: Path) -> None:
    """Without /proc it says so once, each call is a trace, and its sender is unknown."""
    file = tmp_path / "out.jsonl"
    under = ["unshare", "--mount", "sh", "-c", HIDE_PROC, "sh"]
    with serving("--group", "process", "--file", file, env=environment(**AT_ONCE), under=under) as daemon:
        with sender(daemon) as (process, _):
            send_events(process, "attempt", "call", "attempt", "call")
        assert daemon.stop() == 0
    assert "each call is a trace" in daemon.line
    assert b"each call is a trace" not in daemon.rest
    assert b"2 of the calls and orphans are from a process that could not be identified" in daemon.rest
    spans = spans_in(file)
    assert len({span["traceId"] for span in spans}) == 2
    assert {span["resource"]["service.name"] for span in spans} == {"unknown_service"}
