"""`csm-otel flush --to` beside a running daemon."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from e2e.lifecycle import broken_backend, probe, send_attempts, send_calls
from e2e.programs import CSM_OTEL, DEADLINE_SECONDS, environment, has_traceback, lines_of, run, serving
from loopback import answering_once
from otlp_backend import HttpBackend, wait_until

if TYPE_CHECKING:
    from e2e.programs import Serving

LATER = "60000"  # milliseconds: no batch leaves because of its age
ACCEPTING = ("--health", "0", "--flush-over-health")


def port_of(daemon: Serving) -> str:
    """Return the health port."""
    found = re.search(r"flushes are accepted at http://127\.0\.0\.1:(\d+)/flush\n", daemon.line)
    assert found, daemon.line
    return found[1]


def post(port: str, target: str, headers: dict[str, str]) -> tuple[int, dict[str, object]]:
    """Return the status and the body of the answer to a POST."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=DEADLINE_SECONDS)) as client:
        client.request("POST", target, headers=headers, body=b"ignored")
        response = client.getresponse()
        return response.status, json.loads(response.read())


def test_everything_is_delivered() -> None:
    """When it has returned 0, the back end has everything that had arrived; it prints what `flush` prints."""
    with HttpBackend() as backend:
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint, OTEL_BSP_SCHEDULE_DELAY=LATER)
        with serving(*ACCEPTING, env=env) as daemon:
            send_calls(daemon, 300)
            send_attempts(daemon, 700)
            done = run("flush", "--to", port_of(daemon), env=env)
            assert len(backend.spans) == 1000
            again = run("flush", env={**env, "CSM_OTEL_TO": f"localhost:{port_of(daemon)}"})
            assert daemon.stop() == 0
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"1,000 datagrams received, ")
    assert done.stdout.endswith(b" 0 malformed, 0 events pending, 1,000 spans delivered, 0 waiting, 0 dropped\n")
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert not has_traceback(daemon.rest)


def test_not_delivered() -> None:
    """It returns 1 and says why when the back end has not accepted everything in time; probes have their answers."""
    with broken_backend("hangs") as endpoint:
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        with serving(*ACCEPTING, "--drain-seconds", "0", env=env) as daemon:
            send_calls(daemon, 5)
            command = [*CSM_OTEL, "flush", "--to", port_of(daemon), "--timeout", "60"]
            with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as waiting:
                wait_until(lambda: probe(daemon, "/readyz")[1].get("spans_waiting") == 5)
                done = run("flush", "--to", port_of(daemon), "--timeout", "0.5", env=env)
                assert probe(daemon, "/healthz")[0] == 200
                assert waiting.poll() is None
                assert daemon.stop() == 0
                _, err = waiting.communicate(timeout=DEADLINE_SECONDS)
    assert (done.returncode, waiting.returncode) == (1, 1)
    assert lines_of(done.stderr) == ["csm-otel: not all was delivered: not within 0.5 s"]
    assert lines_of(err) == ["csm-otel: not all was delivered: the daemon is being stopped"]
    assert done.stdout.startswith(b"5 datagrams received")
    assert not has_traceback(daemon.rest)


def test_it_is_off_by_default() -> None:
    """Without the flag nobody can flush over the health port, and the line says how to switch it on."""
    env = environment(OTEL_TRACES_EXPORTER="none")
    with serving("--health", "0", env=env) as daemon:
        found = re.search(r"health at (http://127\.0\.0\.1:\d+)/", daemon.line)
        assert found
        done = run("flush", "--to", str(urlsplit(found[1]).port), env=env)
        assert daemon.stop() == 0
    assert done.returncode == 1
    assert lines_of(done.stderr) == [
        f"csm-otel: {found[1]}: flushing over the network is off; serve --flush-over-health"
    ]


def test_what_is_refused() -> None:
    """Requests of web pages, from outside the allowed networks and with a bad timeout are; a body is ignored."""
    env = environment(OTEL_TRACES_EXPORTER="none")
    with serving(*ACCEPTING, "--allow-from", "192.0.2.0/24", env=env) as daemon:
        port = port_of(daemon)
        page = post(port, "/flush", {"Origin": f"http://127.0.0.1:{port}", "Content-Type": "text/plain"})
        unusable = post(port, "/flush?timeout=x", {})
        accepted = post(port, "/flush", {})
    assert (403, {"error": "requests of web pages are refused"}) == page
    assert (400, {"error": "timeout is no number from 0 to 3600"}) == unusable
    assert (200, True) == (accepted[0], accepted[1]["delivered"])


def test_clients_that_hang_up_keep_nobody_out() -> None:
    """Clients that ask for a long flush and hang up free their places for others."""
    with broken_backend("hangs") as endpoint:
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        with serving(*ACCEPTING, "--drain-seconds", "0", env=env) as daemon:
            send_calls(daemon, 1)
            for _ in range(70):  # more than there are places
                with socket.create_connection(("127.0.0.1", int(port_of(daemon)))) as sock:
                    sock.sendall(b"POST /flush?timeout=3600 HTTP/1.1\r\n\r\n")
            wait_until(lambda: post(port_of(daemon), "/flush?timeout=0", {})[1].get("calls") == 1)
            assert daemon.stop() == 0
    assert not has_traceback(daemon.rest)


def test_nobody_is_there() -> None:
    """A port at which nobody listens, and a server that is no csm-otel, are one line each."""
    env = environment()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    refused = run("flush", "--to", f"127.0.0.1:{free}", env=env)
    with answering_once(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n<h1>no</h1>") as other:
        foreign = run("flush", "--to", f"127.0.0.1:{other}", env=env)
    unnamed = run("flush", "--to", "no-such-host.invalid:1", env=env)
    assert [done.returncode for done in (refused, foreign, unnamed)] == [1, 1, 1]
    assert refused.stderr.decode() == (f"csm-otel: no daemon answers: http://127.0.0.1:{free}: connection refused\n")
    assert foreign.stderr.decode() == (
        f"csm-otel: http://127.0.0.1:{other}: what answers there is no csm-otel, or an older one\n"
    )
    (line,) = unnamed.stderr.decode().splitlines()
    assert line.startswith("csm-otel: no daemon answers: http://no-such-host.invalid:1: ")


@pytest.mark.parametrize(
    ("command", "flags", "name"),
    [
        pytest.param("flush", ["--to", "here"], "--to", id="no port"),
        pytest.param("flush", ["--to", "127.0.0.1:0"], "--to", id="port 0"),
        pytest.param("flush", ["--to", "http://127.0.0.1:1"], "--to", id="a URL"),
        pytest.param("serve", ["--flush-over-health"], "--flush-over-health", id="no health port"),
    ],
)
def test_bad_settings(command: str, flags: list[str], name: str) -> None:
    """It exits with 2 and a line that names the flag."""
    done = run(command, *flags, env=environment(OTEL_TRACES_EXPORTER="none"))
    assert done.returncode == 2
    assert [line.split(": ")[1] for line in lines_of(done.stderr)] == [name]


BURSTS = (1, 400, 60)
ROUNDS = 3


@pytest.mark.parametrize("door", ["control", "network"])
def test_a_kill_after_a_flush_loses_nothing(door: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Everything sent before a flush that succeeded is at the back end, though SIGKILL comes right after it."""
    for _ in range(ROUNDS):
        control = tmp_path_factory.mktemp("control") / "folder/sock"
        with HttpBackend() as backend:
            env = environment(
                OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint,
                OTEL_BSP_SCHEDULE_DELAY=LATER,
                CSM_OTEL_CONTROL=str(control),
            )
            with serving(*ACCEPTING, env=env) as daemon:
                for burst in BURSTS:
                    send_calls(daemon, burst)
                    send_attempts(daemon, burst)
                    done = run("flush", *(["--to", port_of(daemon)] if door == "network" else []), env=env)
                    assert (done.returncode, done.stderr) == (0, b"")
                assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
            assert 2 * sum(BURSTS) == len(backend.spans)
