"""Glances: the process behind a port at once, if it is one of the latest, within a share of the time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from children.processes import next_line, python, started
from intake.sending import SENDER, closed_port, own_socket
from platforms import on_linux

from csm_otel.csm.events import Peer
from csm_otel.intake import glances
from csm_otel.intake.glances import Glances
from csm_otel.intake.procfs.sockets import LatestPids, udp_sockets

if TYPE_CHECKING:
    import pytest


@on_linux
def test_one_of_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has just been started is found by its port, with its socket."""
    monkeypatch.setattr(glances, "_LATEST_PIDS", 10_000)  # other processes may start as many in between
    with started(python(SENDER)) as process:
        port, inode = map(int, next_line(process.stdout).split())
        holder = Glances().glance(Peer("127.0.0.1", port), now=0.0)
    assert holder is not None
    assert (inode, process.pid) == (holder.inode, holder.origin.pid)


@on_linux
def test_none_of_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older process is not found, nor that of a free port."""
    with own_socket() as peer:
        monkeypatch.setattr(LatestPids, "newest_first", lambda _: [2**22 + 1])
        assert Glances().glance(peer, now=0.0) is None
    monkeypatch.setattr(LatestPids, "newest_first", lambda _: [os.getpid()])
    assert Glances().glance(closed_port(), now=0.0) is None


@on_linux
def test_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a glance there is none for two hundred times as long as it took."""
    ports: list[int] = []

    def recorded(asked: set[int]) -> object:
        ports.extend(asked)
        return udp_sockets(asked)

    monkeypatch.setattr(glances, "udp_sockets", recorded)
    monkeypatch.setattr(LatestPids, "newest_first", lambda _: [os.getpid()])  # else the latest may all have ended
    thread_times = iter([5.0, 5.25, 7.0, 7.5])
    some = Glances(thread_time=lambda: next(thread_times))
    for port, now in [(1, 0.0), (2, 0.001), (3, 49.9), (4, 50.0), (5, 149.9)]:
        some.glance(Peer("127.0.0.1", port), now=now)

    assert ports == [1, 4]
