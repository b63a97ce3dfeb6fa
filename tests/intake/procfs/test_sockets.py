"""UDP sockets in /proc: ports, processes and holders."""

from __future__ import annotations

import os
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from loopback import with_ipv6
from platforms import on_linux

from csm_otel.intake.procfs import sockets
from csm_otel.intake.procfs.sockets import (
    LatestPids,
    UdpSocket,
    inode_of_sender,
    is_available,
    newest_first,
    socket_inodes,
    udp_sockets,
)

if TYPE_CHECKING:
    from pathlib import Path

PORT = 40_000


def row(host: str, inode: int, port: int = PORT) -> UdpSocket:
    """Return a row of the socket tables."""
    return UdpSocket(ip_address(host).packed, port, inode)


@on_linux
@pytest.mark.parametrize(
    ("family", "target"),
    [
        pytest.param(socket.AF_INET, "127.0.0.1", id="ipv4"),
        with_ipv6(socket.AF_INET6, "::1"),
        with_ipv6(socket.AF_INET6, "::ffff:127.0.0.1", id="ipv4-by-ipv6"),
    ],
)
@pytest.mark.parametrize("is_connected", [False, True], ids=["any-address", "connected"])
def test_the_socket_of_a_sender(family: socket.AddressFamily, target: str, *, is_connected: bool) -> None:
    """The inode of a source port is that of the sending socket, whatever its family, connected or not."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        if is_connected:
            sock.connect((target, 9))
        else:
            sock.sendto(b"", (target, 9))
        port = sock.getsockname()[1]

        inode = inode_of_sender(target.removeprefix("::ffff:"), port, udp_sockets({port}))

        assert os.fstat(sock.fileno()).st_ino == inode
        assert inode in socket_inodes(os.getpid())


@pytest.mark.parametrize(
    ("host", "rows", "expected"),
    [
        pytest.param("127.0.0.1", [row("0.0.0.0", 1)], 1, id="any"),
        pytest.param("127.0.0.1", [row("::", 2)], 2, id="ipv6-any"),
        pytest.param("127.0.0.1", [row("::", 2), row("0.0.0.0", 1)], 1, id="own-family-first"),
        pytest.param("127.0.0.1", [row("0.0.0.0", 1), row("127.0.0.1", 3)], 3, id="very-address-first"),
        pytest.param("127.0.0.1", [row("10.0.0.1", 4)], None, id="another-interface"),
        pytest.param("127.0.0.1", [row("127.0.0.1", 5, PORT + 1)], None, id="another-port"),
        pytest.param("::1", [row("::1", 6), row("::", 7)], 6, id="ipv6"),
        pytest.param("::1", [], None, id="gone"),
    ],
)
def test_sockets_of_one_port(host: str, rows: list[UdpSocket], expected: int | None) -> None:
    """Of the sockets of a port, which differ in their address, the nearest is the sender's."""
    assert inode_of_sender(host, PORT, rows) == expected


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder in the place of /proc, with some processes."""
    for pid in ("1", "250", "300", "32000", "self"):
        (tmp_path / pid).mkdir()
    monkeypatch.setattr(sockets, "_PROC", tmp_path)
    return tmp_path


def assign(last_pid: int, proc: Path) -> None:
    """Make a pid the last one that was assigned."""
    (proc / "loadavg").write_text(f"0.1 0.2 0.3 1/100 {last_pid}\n", encoding="ascii")


def test_the_latest_processes_come_first(proc: Path) -> None:
    """Pids are assigned in turn and wrap: after the last one assigned come the oldest."""
    assign(300, proc)

    assert newest_first() == [300, 250, 1, 32_000]


def test_the_latest_pids(proc: Path) -> None:
    """Each is returned once, and from then on while a process has it; beyond the count only the latest."""
    latest = LatestPids(4)
    assign(300, proc)
    assert latest.newest_first() == [300, 299, 298, 297]
    assert latest.newest_first() == [300]
    assign(302, proc)
    assert latest.newest_first() == [302, 301, 300]
    (proc / "302").mkdir()
    assert latest.newest_first() == [302, 300]
    (proc / "300").rmdir()
    assert latest.newest_first() == [302]
    assign(306, proc)
    assert latest.newest_first() == [306, 305, 304, 303]


def test_the_latest_pids_wrap(proc: Path) -> None:
    """After the highest pid come the lowest, and the highest are no longer among the latest."""
    latest = LatestPids(2)
    assign(32_000, proc)
    assert latest.newest_first() == [32_000, 31_999]
    assign(3, proc)
    assert latest.newest_first() == [3, 2]


def test_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no /proc nothing is known, and nothing raises."""
    monkeypatch.setattr(sockets, "_PROC", tmp_path / "proc")

    assert not is_available()
    assert (udp_sockets({PORT}), newest_first(), list(socket_inodes(os.getpid()))) == ([], [], [])
    assert LatestPids(9).newest_first() == []


@on_linux
def test_a_process_that_is_not_there() -> None:
    """A process that has ended holds nothing."""
    assert is_available()
    assert list(socket_inodes(2**22 + 1)) == []
