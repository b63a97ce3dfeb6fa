"""A daemon as its observers see it: health probes, a service manager, readers of its log."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest
from e2e.lifecycle import probe, send_attempts, send_calls
from e2e.programs import DEADLINE_SECONDS, environment, lines_of, read_until, run, serving
from otlp_backend import Answer, HttpBackend, wait_until

if TYPE_CHECKING:
    from pathlib import Path


def test_probes() -> None:
    """It is alive and ready once it listens, with current counts; while stopping it is alive but not ready."""
    with HttpBackend() as backend:
        backend.script(Answer(delay_seconds=60))
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint)
        with serving("--health", "0", "--drain-seconds", "30", env=env) as daemon:
            assert probe(daemon, "/healthz")[0] == 200
            wait_until(lambda: probe(daemon, "/readyz")[0] == 200)
            send_calls(daemon, 3)
            wait_until(lambda: probe(daemon, "/readyz")[1].get("datagrams_received") == 3)
            daemon.process.terminate()
            wait_until(lambda: probe(daemon, "/readyz")[0] == 503)
            status, body = probe(daemon, "/healthz")
            assert (200, "stopping") == (status, body["status"])


@pytest.mark.parametrize(
    ("flag", "exporter", "status", "word", "trouble"),
    [
        pytest.param("--spool", "otlp", 200, "degraded", "spool cannot be used", id="spool"),
        pytest.param("--record", "console", 200, "degraded", "recording cannot be written", id="recording"),
        pytest.param("--file", "console", 200, "degraded", "file cannot be written", id="file"),
        pytest.param("--file", "none", 503, "failing", "file cannot be written", id="file-alone"),
    ],
)
def test_troubles(flag: str, exporter: str, status: int, word: str, trouble: str) -> None:
    """If a requested destination fails it is degraded; if no span can be exported anywhere it is not ready."""
    env = environment(OTEL_TRACES_EXPORTER=exporter, OTEL_BSP_SCHEDULE_DELAY="1")
    with serving("--health", "0", "--drain-seconds", "0", flag, "/dev/full", env=env) as daemon:
        send_calls(daemon, 1)
        wait_until(lambda: probe(daemon, "/readyz")[1]["status"] == word)
        got, body = probe(daemon, "/readyz")
        assert (status, [trouble]) == (got, body["troubles"])
        assert probe(daemon, "/healthz")[0] == 200


def test_a_health_port_in_use() -> None:
    """If the port belongs to another program, it does not start: it exits with 1 and one line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--port", "0", "--health", str(port), env=environment(OTEL_TRACES_EXPORTER="none"))
    assert done.returncode == 1
    assert lines_of(done.stderr) == [
        f"csm-otel: --health: cannot listen on 127.0.0.1:{port}: address already in use",
    ]


def test_a_service_manager_is_notified(tmp_path: Path) -> None:
    """It is notified of readiness, heartbeats, counts and the shutdown."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(DEADLINE_SECONDS)
        env = environment(OTEL_TRACES_EXPORTER="none", NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000")
        with serving(env=env) as daemon:
            assert manager.recv(4096) == b"READY=1"
            send_calls(daemon, 3)
            sent: list[str] = []
            while sent[-2:] != ["WATCHDOG=1"] * 2 or not any("STATUS=3 datagrams received, " in one for one in sent):
                sent.append(manager.recv(4096).decode())
            assert all(one.startswith("WATCHDOG=1") for one in sent)
            counts = [one for one in sent if one != "WATCHDOG=1"]
            assert len(counts) == len(set(counts))  # no status is repeated
            assert daemon.stop() == 0
            last = b""
            while last != b"STOPPING=1":
                last = manager.recv(4096)
                assert last.startswith((b"WATCHDOG=1", b"STOPPING=1"))


def test_a_periodic_line() -> None:
    """A line is printed if something has changed since the last one."""
    env = environment(OTEL_TRACES_EXPORTER="none", OTEL_BSP_SCHEDULE_DELAY="1")
    with serving("--report-seconds", "0.2", "--health", "0", env=env) as daemon:
        send_attempts(daemon, 2)
        line = read_until(daemon.process, b"pending")
        wait_until(lambda: probe(daemon, "/readyz")[1].get("datagrams_received") == 2)
        assert daemon.stop() == 0
    lines = [one for one in (line + daemon.rest.decode()).splitlines() if "pending" in one]
    assert len(lines) == len(set(lines)) <= 2
    assert re.fullmatch(
        r"csm-otel: 2 datagrams received, (0 dropped by the kernel|kernel drops unknown), 0 malformed, "
        r"2 events pending, 0 spans delivered, 0 waiting, 0 dropped",
        lines[-1],
    )


def test_no_periodic_line() -> None:
    """With --report-seconds 0 only the tally is printed."""
    env = environment(OTEL_TRACES_EXPORTER="none")
    with serving("--report-seconds", "0", "--health", "0", env=env) as daemon:
        send_attempts(daemon, 2)
        wait_until(lambda: probe(daemon, "/readyz")[1].get("datagrams_received") == 2)
        assert daemon.stop() == 0
    assert b"pending" not in daemon.rest
