"""`csm-otel flush` beside a running daemon."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from e2e.lifecycle import broken_backend, counts_in, flood, probe, send_attempts, send_calls
from e2e.programs import CSM_OTEL, DEADLINE_SECONDS, environment, has_traceback, lines_of, run, serving, spans_in
from otlp_backend import Answer, HttpBackend, wait_until
from platforms import on_linux

if TYPE_CHECKING:
    from pathlib import Path

LATER = "60000"  # milliseconds: no batch leaves because of its age


def ask(path: Path, line: bytes) -> bytes:
    """Send bytes to the daemon and return its answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(str(path))
        sock.settimeout(DEADLINE_SECONDS)
        sock.sendall(line)
        answer = b""
        while piece := sock.recv(4096):
            answer += piece
        return answer


def test_everything_is_delivered(tmp_path: Path) -> None:
    """When it has returned 0, the back end has everything that had arrived, batched or pending.

    Neither side is configured with the other's address.
    """
    with HttpBackend() as backend:
        env = environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint,
            OTEL_BSP_SCHEDULE_DELAY=LATER,
            XDG_RUNTIME_DIR=str(tmp_path),
            CSM_OTEL_CONTROL="",
        )
        with serving(env=env) as daemon:
            send_calls(daemon, 300)
            send_attempts(daemon, 700)
            port = str(daemon.address[1])
            socket_path = tmp_path / f"csm-otel/{port}.sock"
            assert stat.S_IMODE(socket_path.stat().st_mode) == 0o600
            assert stat.S_IMODE(socket_path.parent.stat().st_mode) == 0o700
            done = run("flush", "--port", port, env=env)
            assert len(backend.spans) == 1000
            assert daemon.stop() == 0
        assert not socket_path.exists()
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"1,000 datagrams received, ")
    assert done.stdout.endswith(b" 0 malformed, 0 events pending, 1,000 spans delivered, 0 waiting, 0 dropped\n")


def test_without_a_back_end(tmp_path: Path) -> None:
    """Where spans go to a file only, delivered means written to the file."""
    file, control = tmp_path / "out.jsonl", tmp_path / "folder/sock"
    env = environment(OTEL_TRACES_EXPORTER="none", OTEL_BSP_SCHEDULE_DELAY=LATER, CSM_OTEL_CONTROL=str(control))
    with serving("--file", file, env=env) as daemon:
        send_calls(daemon, 5)
        assert run("flush", env=env).returncode == 0
        assert len(spans_in(file)) == 5


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(Answer(delay_seconds=60), "not within 0.5 s", id="too slow"),
        pytest.param(Answer(rejected_spans=2), "2 spans dropped or rejected", id="rejected"),
        pytest.param(Answer(status=400), "5 spans dropped or rejected", id="refused"),
    ],
)
def test_not_delivered(answer: Answer, why: str, tmp_path: Path) -> None:
    """It returns 1 and says why when the back end has not accepted everything in time; the next flush starts over."""
    control = tmp_path / "folder/sock"
    with HttpBackend() as backend:
        backend.script(answer)
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint, CSM_OTEL_CONTROL=str(control))
        with serving("--drain-seconds", "0", env=env) as daemon:
            send_calls(daemon, 5)
            done = run("flush", "--timeout", "0.5" if answer.delay_seconds else "20", env=env)
            assert done.returncode == 1
            assert lines_of(done.stderr) == [f"csm-otel: not all was delivered: {why}"]
            assert done.stdout.startswith(b"5 datagrams received")
            if not answer.delay_seconds:
                assert run("flush", env=env).returncode == 0


def test_the_daemon_goes_on_meanwhile(tmp_path: Path) -> None:
    """While one client waits for a back end that hangs, the daemon receives and answers others."""
    control = tmp_path / "folder/sock"
    with broken_backend("hangs") as endpoint:
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, CSM_OTEL_CONTROL=str(control))
        with serving("--drain-seconds", "0", "--health", "0", env=env) as daemon:
            send_attempts(daemon, 5)
            wait_until(lambda: probe(daemon, "/readyz")[1].get("events_pending") == 5)
            command = [*CSM_OTEL, "flush", "--timeout", "60"]
            with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as waiting:
                quick = b'{"do": "flush", "timeout_seconds": 0}\n'
                wait_until(lambda: probe(daemon, "/readyz")[1].get("events_pending") == 0)  # the flush has begun
                send_attempts(daemon, 20)
                wait_until(lambda: counts_in(ask(control, quick).decode())["datagrams_received"] == 25)
                assert waiting.poll() is None
                assert daemon.stop() == 0
                out, err = waiting.communicate(timeout=DEADLINE_SECONDS)
    assert waiting.returncode == 1
    assert out.startswith(b"25 datagrams received")
    assert lines_of(err) == ["csm-otel: not all was delivered: the daemon is being stopped"]


def test_clients_that_hang_up_keep_nobody_out(tmp_path: Path) -> None:
    """Clients that ask for a long flush and hang up free their places for others."""
    control = tmp_path / "folder/sock"
    with broken_backend("hangs") as endpoint:
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, CSM_OTEL_CONTROL=str(control))
        with serving("--drain-seconds", "0", env=env) as daemon:
            send_calls(daemon, 1)
            for _ in range(70):  # more than there are places
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                    sock.connect(str(control))
                    sock.sendall(b'{"do": "flush", "timeout_seconds": 3600}\n')
            quick = b'{"do": "flush", "timeout_seconds": 0}\n'
            wait_until(lambda: counts_in(ask(control, quick).decode())["calls"] == 1)
            assert daemon.stop() == 0
    assert not has_traceback(daemon.rest)


@on_linux  # elsewhere the arrival time of a datagram that has waited is unknown
def test_load_that_does_not_stop(tmp_path: Path) -> None:
    """Everything that had arrived when the flush was requested is delivered, though more arrives than can be read."""
    control = tmp_path / "folder/sock"
    with HttpBackend() as backend:
        env = environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint,
            OTEL_BSP_SCHEDULE_DELAY=LATER,
            CSM_OTEL_CONTROL=str(control),
            CSM_OTEL_PENDING_EVENTS="2000",
            CSM_OTEL_RECEIVE_BUFFER_BYTES="200000",
        )
        with serving("--drain-seconds", "1", env=env) as daemon:
            send_calls(daemon, 50)
            with flood(daemon):
                done = run("flush", "--timeout", "50", env=env)
            names = {span.name for span in backend.spans}
    assert done.returncode == 0, done.stderr
    assert {f"S3.Call{number}" for number in range(50)} <= names


def test_clients_that_hang_or_send_garbage(tmp_path: Path) -> None:
    """Clients that hang or send garbage get an error or are disconnected, and keep nobody from flushing."""
    control = tmp_path / "folder/sock"
    env = environment(OTEL_TRACES_EXPORTER="none", CSM_OTEL_CONTROL=str(control))
    garbage = [b"\n", b"\xff\n", b"[" * 5000 + b"\n", b"1\n", b"{}\n", b'{"do": "rest"}\n', b'{"do": "flush"}\n']
    garbage += [
        json.dumps({"do": "flush", "timeout_seconds": seconds}).encode() + b"\n"
        for seconds in (-1, "1", True, None, 1e9, float("nan"), 10**400)
    ]
    with ExitStack() as stack, serving(env=env) as daemon:
        hanging = [stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) for _ in range(100)]
        for sock in hanging:
            sock.connect(str(control))
        hanging[-1].send(b'{"do": ')
        for line in garbage:
            assert ask(control, line) == b'{"error": "not understood"}\n'
        assert run("flush", env=env).returncode == 0
        assert daemon.stop() == 0
    assert not has_traceback(daemon.rest)


def test_no_daemon(tmp_path: Path) -> None:
    """It returns 1 and one line with the path."""
    done = run("flush", "--control", tmp_path / "folder/sock", env=environment())
    assert done.returncode == 1
    assert lines_of(done.stderr) == [
        f"csm-otel: no daemon answers: {tmp_path}/folder/sock: no such file or directory",
    ]


def test_something_else_answers(tmp_path: Path) -> None:
    """A server that answers differently is not taken for a daemon."""
    path = tmp_path / "sock"
    for answer in (b"", b"hello\n", b"[]\n", b"{}\n"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(path))
            listener.listen()

            def serve_one(listener: socket.socket = listener, answer: bytes = answer) -> None:
                sock, _ = listener.accept()
                with sock:
                    sock.recv(4096)
                    sock.sendall(answer)

            thread = threading.Thread(target=serve_one)
            thread.start()
            done = run("flush", "--control", path, env=environment())
            thread.join(DEADLINE_SECONDS)
        path.unlink()
        assert done.returncode == 1
        (line,) = lines_of(done.stderr)
        assert str(path) in line
        assert not has_traceback(done.stderr)


@pytest.mark.parametrize(
    ("flags", "env", "name"),
    [
        pytest.param(["--control", "none"], {}, "--control", id="switched off"),
        pytest.param([], {"CSM_OTEL_TIMEOUT": "soon"}, "CSM_OTEL_TIMEOUT", id="variable"),
    ],
)
def test_bad_settings(flags: list[str], env: dict[str, str], name: str) -> None:
    """It exits with 2 and a line that names the flag or variable."""
    done = run("flush", *flags, env=environment(**env))
    assert done.returncode == 2
    assert [line.split(": ")[1] for line in lines_of(done.stderr)] == [name]


def test_a_second_daemon_leaves_the_socket(tmp_path: Path) -> None:
    """The socket of a living daemon is left alone, that of a killed one is replaced."""
    control = tmp_path / "folder/sock"
    env = environment(OTEL_TRACES_EXPORTER="none", CSM_OTEL_CONTROL=str(control))
    with serving(env=env) as first:
        send_calls(first, 3)
        with serving(env=env) as second:
            assert f"`csm-otel flush` will not work: {control}: in use by another csm-otel\n" in second.line
            assert run("flush", env=env).stdout.startswith(b"3 datagrams")
            assert second.stop() == 0
        assert run("flush", env=env).returncode == 0
        assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    assert control.exists()
    with serving(env=env) as third:
        assert "will not work" not in third.line
        assert run("flush", env=env).stdout.startswith(b"0 datagrams")
        assert third.stop() == 0
    assert not control.exists()


def test_a_socket_that_cannot_be_created_stops_nothing(tmp_path: Path) -> None:
    """A folder that is open to others is reported in one line, and spans are exported as usual."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    control, file = tmp_path / "open/sock", tmp_path / "out.jsonl"
    with serving("--control", control, "--file", file, env=environment(OTEL_TRACES_EXPORTER="none")) as daemon:
        assert f"{tmp_path}/open is open to others, it needs mode 0700" in daemon.line
        send_calls(daemon, 1)
        assert daemon.stop() == 0
    assert len(spans_in(file)) == 1
