"""The owner of a UDP port, if the system shows it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from children.processes import next_line, python, started
from loopback import with_ipv6
from platforms import on_linux

from csm_otel.intake.procfs import sockets
from csm_otel.intake.procfs.port_owner import owner_of_port

NAMED = r"""
import socket
open("/proc/self/comm", "wb").write(b"a\x1b[31m\nb")
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
input()
"""


KEEPER = r"""
import os, socket
open("/proc/self/comm", "wb").write(b"systemd")
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
input()
ready, write = os.pipe()
pid = os.fork()
if not pid:
    open("/proc/self/comm", "wb").write(b"service")
    os.write(write, b"x")
    input()
    os._exit(0)
os.read(ready, 1)
print(pid, flush=True)
os.waitpid(pid, 0)
"""


def bound(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """Return a socket on a free loopback port."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    return sock


@on_linux
@pytest.mark.parametrize("family", [pytest.param(socket.AF_INET, id="ipv4"), with_ipv6(socket.AF_INET6)])
def test_this_process(family: socket.AddressFamily) -> None:
    """The owner is found by its name and pid."""
    name = Path("/proc/self/comm").read_text("utf-8").strip()
    with bound(family) as sock:
        assert f"{name} (pid {os.getpid()})" == owner_of_port(sock.getsockname()[1])


@on_linux
def test_another_process() -> None:
    """Another process is found, and its name, which may be anything, is printed as one harmless line."""
    with started(python(NAMED)) as process:
        port = int(next_line(process.stdout))

        assert f"a?[31m?b (pid {process.pid})" == owner_of_port(port)


@on_linux
def test_systemd_keeps_what_it_hands_over() -> None:
    """Systemd is the owner of a socket only while nobody else has it, though it is the older process."""
    with started(python(KEEPER)) as process:
        port = int(next_line(process.stdout))
        assert owner_of_port(port) == f"systemd (pid {process.pid})"
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.flush()
        pid = int(next_line(process.stdout))
        assert owner_of_port(port) == f"service (pid {pid})"


def test_a_free_port() -> None:
    """A port that is free has no owner."""
    with bound() as sock:
        port = sock.getsockname()[1]

    assert owner_of_port(port) is None


def test_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /proc, as on macOS, the owner is not known."""
    monkeypatch.setattr(sockets, "_PROC", tmp_path / "proc")

    with bound() as sock:
        assert owner_of_port(sock.getsockname()[1]) is None


@on_linux
def test_another_users_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port whose owner hides its descriptors, being another user's, has no known owner."""
    (tmp_path / "net").mkdir()
    (tmp_path / str(os.getpid())).mkdir()
    monkeypatch.setattr(sockets, "_PROC", tmp_path)

    with bound() as sock:
        (tmp_path / "net" / "udp").write_bytes(Path("/proc/net/udp").read_bytes())

        assert owner_of_port(sock.getsockname()[1]) is None
