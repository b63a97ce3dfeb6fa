"""`serve` with sockets that the service manager has bound: what waits in them, restarts, and what cannot be used."""

from __future__ import annotations

import re
import signal
import socket
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from activated import Load, activated, bound_socket, call_of, run_activated, span_names
from e2e.programs import Serving, environment, run
from e2e.test_spool import spans_on_disk
from loopback import with_ipv6
from lossless import unread_bytes, wait_until_read
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS, Answer, HttpBackend, wait_until
from platforms import on_linux

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CALLS, RESTARTS = 1500, 4


def send(sock: socket.socket, *numbers: int) -> None:
    """Send calls, each with its own name, to a socket of this process."""
    with socket.socket(sock.family, socket.SOCK_DGRAM) as sender:
        for number in numbers:
            sender.sendto(call_of(number), sock.getsockname())


@on_linux
@pytest.mark.parametrize("host", ["127.0.0.1", with_ipv6("::1")])
def test_what_waited_is_received(host: str) -> None:
    """What had arrived before the daemon started is received; the operator reads whose socket it is."""
    with HttpBackend() as backend, bound_socket(host) as sock:
        send(sock, 0, 1, 2)
        with activated([sock], env=environment(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=backend.url)) as daemon:
            assert daemon.address == sock.getsockname()[:2]
            assert "handed over by the service manager" in daemon.line
            assert "not used" not in daemon.line
            send(sock, 3)
            wait_until_read(daemon.address[1])
            assert daemon.stop() == 0
        assert Counter(span.name for span in backend.spans) == span_names(range(4))
    assert b"4 datagrams received" in daemon.rest


def test_several_sockets(tmp_path: Path) -> None:
    """Each is received from, and the first one's port names the control socket."""
    tmp_path.chmod(0o700)
    env = environment(OTEL_TRACES_EXPORTER="none", CSM_OTEL_CONTROL="", XDG_RUNTIME_DIR=str(tmp_path))
    with bound_socket() as first, bound_socket() as second, activated([first, second], env=env) as daemon:
        send(first, 0)
        send(second, 1)
        assert run("flush", "--port", str(first.getsockname()[1]), env=env).returncode == 0
        assert daemon.stop() == 0
    assert received_by(daemon) == 2


@on_linux
def test_a_stop_leaves_the_rest_to_the_next() -> None:
    """What arrives while the daemon ends stays in the socket, uncounted, and the next one receives it."""
    with HttpBackend() as backend, bound_socket() as sock:
        env = environment(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=backend.url)
        backend.script(Answer(delay_seconds=FOREVER_SECONDS))  # so that it does not end at once
        with activated([sock], "--drain-seconds", "60", env=env) as daemon:
            send(sock, 0)
            wait_until_read(daemon.address[1])
            daemon.process.send_signal(signal.SIGTERM)
            backend.wait_for_requests(1)
            send(sock, 1, 2)
            backend.release()
            _, daemon.rest = daemon.process.communicate(timeout=DEADLINE_SECONDS)
        assert unread_bytes(daemon.address[1])
        assert b"1 datagram received" in daemon.rest
        assert b"too late" not in daemon.rest
        with activated([sock], env=env) as daemon:
            wait_until_read(daemon.address[1])
            assert daemon.stop() == 0
        assert b"2 datagrams received" in daemon.rest
        assert Counter(span.name for span in backend.spans) == span_names(range(3))


@on_linux
def test_restarts_under_load_lose_nothing() -> None:
    """Calls that are sent while the daemon is stopped and started again, several times, all arrive, each once."""
    received = 0
    with HttpBackend() as backend, bound_socket() as sock:
        env = environment(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=backend.url)
        with Load(sock.getsockname(), CALLS) as load:
            for restart in range(1, RESTARTS + 1):
                with activated([sock], env=env) as daemon:
                    load.wait_for(restart * CALLS // RESTARTS)
                    if restart == RESTARTS:
                        wait_until_read(daemon.address[1])
                    assert daemon.stop() == 0
                received += received_by(daemon)
        assert Counter(span.name for span in backend.spans) == span_names(range(CALLS))
    assert received == CALLS


@on_linux
def test_a_kill_loses_only_what_was_in_memory(tmp_path: Path) -> None:
    """After SIGKILL in an outage the next daemon has what was spooled and what waited in the socket.

    Lost is what the killed one had received last, and it is the only gap.
    """
    folder, port = tmp_path / "spool", free_port()
    env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}")
    with bound_socket() as sock, Load(sock.getsockname(), CALLS) as load:
        with activated([sock], "--spool", str(folder), env=env) as daemon:
            wait_until(lambda: spans_on_disk(folder) >= CALLS // 4)
            assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
            sent_until = load.sent
        spooled = spans_on_disk(folder)
        with HttpBackend(port=port) as backend, activated([sock], "--spool", str(folder), env=env) as daemon:
            assert f"{spooled} spans from a previous run in {folder}" in daemon.line
            assert "the previous run was killed or has crashed: what it had received last" in daemon.line
            load.wait_for(CALLS)
            wait_until_read(daemon.address[1])
            assert daemon.stop() == 0
            arrived = Counter(int(span.name.removeprefix("S3.Call")) for span in backend.spans)
    lost = sorted(set(range(CALLS)) - arrived.keys())
    assert arrived.total() == len(arrived) == spooled + received_by(daemon)
    assert lost == list(range(spooled, spooled + len(lost)))
    assert spooled + len(lost) <= sent_until


@on_linux
def test_drops_before_the_start() -> None:
    """What the kernel dropped before the start is reported, and counted by none of the daemons that follow."""
    with bound_socket(buffer_bytes=4096) as sock:
        send(sock, *range(200))
        waiting = 0
        what = "datagrams dropped by the kernel since the sockets were bound, before this start"
        env = environment(OTEL_TRACES_EXPORTER="none")
        for _ in range(2):
            with activated([sock], "--receive-buffer-bytes", "4096", env=env) as daemon:
                assert what in daemon.line
                wait_until_read(daemon.address[1])
                assert daemon.stop() == 0
            waiting += received_by(daemon)
            assert b"0 dropped by the kernel, 0 malformed" in daemon.rest
            assert f"{200 - waiting} datagrams dropped by the kernel before this start".encode() in daemon.rest


@pytest.mark.parametrize(
    ("make", "code", "line"),
    [
        pytest.param(
            lambda: socket.create_server(("127.0.0.1", 0)),
            1,
            "LISTEN_FDS: descriptor 3 is not a UDP socket: use ListenDatagram= with an IP address",
            id="tcp",
        ),
        pytest.param(
            lambda: bound_socket("0.0.0.0"),
            2,
            "LISTEN_FDS: 0.0.0.0 is no loopback address; allow it with --allow-remote",
            id="reachable-by-others",
        ),
    ],
)
def test_a_socket_that_cannot_be_used(make: Callable[[], socket.socket], code: int, line: str) -> None:
    """It exits with one line, and 1 for a socket of another kind or 2 for an address that needs a flag."""
    with make() as sock:
        done = run_activated([sock], env=environment())
    assert (done.returncode, done.stderr.decode()) == (code, f"csm-otel: {line}\n")


@on_linux
@pytest.mark.parametrize("host", ["0.0.0.0", with_ipv6("::", id="both-families")])
def test_an_address_that_others_can_reach(host: str) -> None:
    """With --allow-remote it is used and warned about; senders of this machine are known as such."""
    with bound_socket(host) as sock:
        env = environment(OTEL_TRACES_EXPORTER="none")
        with activated([sock], "--allow-remote", "--allow-from", "192.0.2.1", env=env) as daemon:
            assert f"warning: {host} accepts unauthenticated datagrams" in daemon.line
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(call_of(0), ("127.0.0.1", daemon.address[1]))
            wait_until_read(daemon.address[1])
            assert daemon.stop() == 0
    assert b"1 call with 0 attempts" in daemon.rest


def test_flags_without_effect() -> None:
    """A --host that is set has no effect, and a line says so."""
    with bound_socket() as sock:
        env = environment(OTEL_TRACES_EXPORTER="none", CSM_OTEL_HOST="0.0.0.0")
        with activated([sock], env=env) as daemon:
            assert "csm-otel: --host and --port are not used: the service manager has bound the sockets" in daemon.line
            assert daemon.address == sock.getsockname()
            assert daemon.stop() == 0


def received_by(daemon: Serving) -> int:
    """Return how many datagrams a daemon that has ended has received, by its tally."""
    found = re.search(rb"^csm-otel: ([\d,]+) datagrams? received", daemon.rest, re.MULTILINE)
    assert found, daemon.rest
    return int(found[1].replace(b",", b""))


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
