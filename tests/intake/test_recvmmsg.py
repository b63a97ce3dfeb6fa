"""Bursts over real sockets: the same datagrams as one at a time."""

from __future__ import annotations

import socket
import sys
import time
from contextlib import ExitStack, closing
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from loopback import with_ipv6
from platforms import on_linux

from csm_otel.intake import receiver, recvmmsg
from csm_otel.intake.binding import bind_socket
from csm_otel.intake.receiver import Receiver
from csm_otel.intake.recvmmsg import BurstReader, host_and_port

if TYPE_CHECKING:
    from collections.abc import Generator

    from csm_otel.csm.events import Peer
    from csm_otel.intake.receiver import Datagram

SIZES_BYTES = [0, 1, 700, 8192, 60_000, 0, 65_507, 2]
MANY = 150
"""Datagrams, more than are read at once."""

with_each_family = pytest.mark.parametrize(
    "host",
    [pytest.param("127.0.0.1", id="ipv4"), with_ipv6("::1")],
)


@pytest.fixture
def listening() -> Generator[Receiver]:
    """Yield a receiver that reads bursts."""
    with closing(Receiver.bind("127.0.0.1", 0)) as one:
        read_bursts(one)
        yield one


@pytest.fixture
def sender() -> Generator[socket.socket]:
    """Yield a socket of IPv4."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        yield sock


def read_bursts(one: Receiver) -> None:
    """Make a receiver read bursts, as one does after the first."""
    one._read_bursts()
    assert isinstance(getattr(one._read, "__self__", None), BurstReader)


@on_linux
@with_each_family
def test_the_same_as_one_at_a_time(host: str) -> None:
    """Datagrams of all sizes and several senders come whole, in order, each with its sender and its time."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as stack:
        listening = stack.enter_context(closing(Receiver.bind(host, 0)))
        senders = [stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)) for _ in range(3)]
        for one in senders:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)

        def rounds() -> tuple[list[tuple[bytes, Peer]], list[int]]:
            times_ns = [time.time_ns()]
            for number, size_bytes in enumerate(SIZES_BYTES):
                payload = bytes(place % 251 for place in range(size_bytes))
                senders[number % len(senders)].sendto(payload, listening.address)
            datagrams = listening.receive(100)
            times_ns += [datagram.received_ns for datagram in datagrams]
            return [(datagram.payload, datagram.peer) for datagram in datagrams], [*times_ns, time.time_ns()]

        singly, _ = rounds()
        read_bursts(listening)
        bursts, times_ns = rounds()

    assert SIZES_BYTES == [len(payload) for payload, _ in singly]
    assert singly == bursts
    assert times_ns == sorted(times_ns)


@on_linux
def test_the_kernels_receive_time(listening: Receiver, sender: socket.socket) -> None:
    """The times are those of the kernel's receipt, however late a burst is read."""
    lag_ns = 1
    deadline = time.monotonic() + 60.0
    # the kernel begins to record times a moment after the first socket on the machine has asked for them
    while lag_ns > 0:
        assert time.monotonic() < deadline
        for _ in range(3):
            sender.sendto(b"x", listening.address)
        sent_ns = time.time_ns()
        lag_ns = max(datagram.received_ns for datagram in listening.receive(3)) - sent_ns


@on_linux
def test_without_timestamps(sender: socket.socket) -> None:
    """Where the kernel has no timestamps the time is that of the reading, also after one with them."""
    sock = bind_socket("127.0.0.1", 0, buffer_bytes=65_536)
    with sock:
        reader = BurstReader(sock)
        for wants_timestamps in (1, 0):
            sock.setsockopt(socket.SOL_SOCKET, receiver._SO_TIMESTAMPNS, wants_timestamps)
            sender.sendto(b"x", sock.getsockname())
            ((payload, name, received_ns),) = reader.read(10)
            assert (payload, host_and_port(name)[0]) == (b"x", "127.0.0.1")
            assert bool(received_ns) == bool(wants_timestamps)


@on_linux
def test_more_than_is_read_at_once(listening: Receiver, sender: socket.socket) -> None:
    """Larger bursts are read to their end, or up to the limit."""
    for number in range(MANY):
        sender.sendto(b"%d" % number, listening.address)
    parts = [listening.receive(limit) for limit in (1, 70, MANY, MANY)]

    assert [1, 70, MANY - 71, 0] == [len(part) for part in parts]
    assert [b"%d" % number for number in range(MANY)] == [one.payload for part in parts for one in part]
    assert listening.counters.read == MANY


@on_linux
@pytest.mark.parametrize("before", [0, 1, 3])
def test_an_error_of_the_network_is_no_end(before: int, sender: socket.socket) -> None:
    """An ICMP error that the kernel reports in the place of a datagram hides none of those around it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()
    sock = bind_socket("127.0.0.1", 0, buffer_bytes=65_536)
    sock.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR: report errors on unconnected sockets, too
    with closing(Receiver(sock)) as listening:
        read_bursts(listening)
        for _ in range(before):
            sender.sendto(b"before", listening.address)
        sock.sendto(b"x", nobody)
        sender.sendto(b"after", listening.address)

        assert [b"before"] * before + [b"after"] == [datagram.payload for datagram in listening.receive(10)]


@on_linux
def test_a_closed_receiver_gives_nothing(listening: Receiver, sender: socket.socket) -> None:
    """Reading a closed receiver yields nothing, and raises nothing."""
    sender.sendto(b"x", listening.address)
    listening.close()

    assert listening.receive(10) == []


@on_linux
def test_it_begins_with_a_burst(sender: socket.socket) -> None:
    """A few datagrams are read one at a time, and all after a burst in bursts."""
    with closing(Receiver.bind("127.0.0.1", 0)) as listening:

        def receive(count: int) -> list[Datagram]:
            for _ in range(count):
                sender.sendto(b"x", listening.address)
            return listening.receive(MANY)

        assert len(receive(receiver._BURST - 1)) == receiver._BURST - 1
        assert listening._read == listening._read_one
        first = receive(receiver._BURST)
        assert len(first) == receiver._BURST
        assert listening._read != listening._read_one
        assert [datagram.peer for datagram in receive(1)] == [first[0].peer]


@pytest.mark.parametrize("lacking", ["ctypes", "recvmmsg", "permission", "memory", "64-bit"])
def test_where_something_is_lacking(lacking: str, sender: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what it needs, bursts are read one datagram at a time."""

    def raise_(error: Exception) -> None:
        raise error

    if lacking == "ctypes":
        monkeypatch.setitem(sys.modules, "ctypes", None)
    elif lacking == "recvmmsg":
        monkeypatch.setattr("ctypes.CDLL", lambda *_args, **_options: object())
    elif lacking == "permission":
        monkeypatch.setattr("ctypes.CDLL", lambda *_args, **_options: SimpleNamespace(recvmmsg=lambda *_arguments: -1))
    elif lacking == "memory":
        monkeypatch.setattr("mmap.mmap", lambda *_args, **_options: raise_(OSError(12, "")))
    else:
        monkeypatch.setattr(recvmmsg, "_IS_64_BIT", False)
    monkeypatch.setattr(receiver, "_BURST", 1)
    with closing(Receiver.bind("127.0.0.1", 0)) as listening:
        for _ in range(2):
            sender.sendto(b"x", listening.address)
            assert [datagram.payload for datagram in listening.receive(10)] == [b"x"]
        assert listening._read == listening._read_one


@pytest.mark.parametrize(
    ("family", "rest", "expected"),
    [
        pytest.param(socket.AF_INET, "9c40 7f000001 0000000000000000", ("127.0.0.1", 40_000), id="ipv4"),
        pytest.param(socket.AF_INET6, f"0050 00000000 {'00' * 15}01 00000000", ("::1", 80), id="ipv6"),
        pytest.param(
            socket.AF_INET6, f"ffff 00000007 fe80{'00' * 13}09 00000002", ("fe80::9", 65_535), id="flow-and-scope"
        ),
    ],
)
def test_host_and_port(family: int, rest: str, expected: tuple[str, int]) -> None:
    """Host and port are those that Python has for an address."""
    assert expected == host_and_port(family.to_bytes(2, sys.byteorder) + bytes.fromhex(rest))
