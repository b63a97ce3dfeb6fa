"""Peers depart when their process has ended and no process holds their socket: real sockets, real children."""

from __future__ import annotations

import socket
import subprocess
from typing import Self

import msgspec
import pytest
from children.processes import DEADLINE_SECONDS, python
from platforms import on_linux

from csm_otel.csm.events import Origin, Peer, ProcessEnd
from csm_otel.intake.departures import Departures
from csm_otel.intake.procfs.sockets import inode_of_sender, udp_sockets

ENDED = Origin(pid=7, start_ticks=70, start_ns=0, name="nightly.py")
ALIVE = msgspec.structs.replace(ENDED, pid=8)


class Socket:
    """A bound socket and its peer."""

    def __init__(self, generation: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.peer = Peer("127.0.0.1", self.socket.getsockname()[1], generation)
        inode = inode_of_sender(self.peer.host, self.peer.port, udp_sockets({self.peer.port}))
        assert inode is not None
        self.inode = inode

    def __enter__(self) -> Self:
        """Return it, open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.socket.close()


def end_of(origin: Origin) -> ProcessEnd:
    """Return the end of a process."""
    return ProcessEnd(origin, 1, is_exact=True)


@on_linux
def test_all_of_a_process() -> None:
    """With its process each of its peers has departed, once; those of others have not."""
    departures = Departures()
    with Socket(1) as first, Socket(2) as second, Socket(3) as other:
        for origin, one in ((ENDED, first), (ENDED, second), (ALIVE, other)):
            departures.add(origin, one.peer, one.inode)
    assert departures.next_check() is None
    assert departures.check(now=10.0) == []

    departures.end([end_of(ENDED)])

    assert departures.next_check() == pytest.approx(0.0)
    assert departures.check(now=10.0) == sorted([first.peer, second.peer])
    assert departures.next_check() is None
    departures.end([end_of(ENDED), end_of(ALIVE)])
    assert departures.check(now=10.0) == [other.peer]


@on_linux
def test_a_socket_that_a_child_holds() -> None:
    """A peer whose socket a child still has is checked every second, and has departed when the child has ended."""
    departures = Departures()
    with Socket(1) as shared, Socket(2) as own:
        child = subprocess.Popen(python("input()"), stdin=subprocess.PIPE, pass_fds=[shared.socket.fileno()])
        for one in (shared, own):
            departures.add(ENDED, one.peer, one.inode)
    with child:
        departures.end([end_of(ENDED)])
        assert departures.check(now=10.0) == [own.peer]
        assert departures.next_check() == pytest.approx(11.0)
        assert departures.check(now=11.0) == []
        assert departures.next_check() == pytest.approx(12.0)
        child.communicate(b"\n", timeout=DEADLINE_SECONDS)
    assert departures.check(now=12.0) == [shared.peer]
    assert departures.next_check() is None


@on_linux
def test_its_capacity() -> None:
    """Beyond the capacity the peers that were found first are forgotten."""
    departures = Departures(capacity=1)
    with Socket(1) as first, Socket(2) as second:
        for one in (first, second):
            departures.add(ENDED, one.peer, one.inode)

    departures.end([end_of(ENDED)])

    assert departures.check(now=0.0) == [second.peer]
