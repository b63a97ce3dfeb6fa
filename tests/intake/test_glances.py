"""Glances: the process behind a port at once, where it is a late one, and seldom enough."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

from children.processes import next_line, python, started
from platforms import on_linux

from csm_otel.csm.events import Peer
from csm_otel.intake import glances
from csm_otel.intake.glances import Glances
from csm_otel.intake.procfs.sockets import udp_sockets

if TYPE_CHECKING:
    import pytest

SENDER = """
import os, socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print(sock.getsockname()[1], os.fstat(sock.fileno()).st_ino, flush=True)
input()
"""


@on_linux
def test_one_of_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has just been started is found by its port, with its socket."""
    monkeypatch.setattr(glances, "_LATEST_PIDS", 10_000)  # others may start as many in between
    with started(python(SENDER)) as process:
        port, inode = map(int, next_line(process.stdout).split())
        glimpse = Glances().glance(Peer("127.0.0.1", port), now=0.0)
    assert glimpse is not None
    assert (inode, process.pid) == (glimpse.inode, glimpse.origin.pid)


@on_linux
def test_none_of_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older process is not found, nor what is behind a port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        monkeypatch.setattr(glances, "latest_pids", lambda _: [2**22 + 1])
        assert Glances().glance(Peer("127.0.0.1", port), now=0.0) is None
    monkeypatch.setattr(glances, "latest_pids", lambda _: [os.getpid()])
    assert Glances().glance(Peer("127.0.0.1", port), now=0.0) is None


@on_linux
def test_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a glance there is none until a hundred times as long has passed, whatever comes."""
    looks = []

    def counted(ports: set[int]) -> object:
        looks.append(ports)
        return udp_sockets(ports)

    monkeypatch.setattr(glances, "udp_sockets", counted)
    some = Glances()
    before = time.thread_time()
    some.glance(Peer("127.0.0.1", 1), now=0.0)
    took = time.thread_time() - before
    assert looks == [{1}]
    for port in range(2, 1000):
        some.glance(Peer("127.0.0.1", port), now=0.000_1)
    assert looks == [{1}]
    some.glance(Peer("127.0.0.1", 1000), now=100 * took)
    assert looks == [{1}, {1000}]
