"""The receiver over real sockets, on this system and without Linux's extensions."""

from __future__ import annotations

import errno
import select
import socket
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from loopback import HAS_IPV6, with_ipv6
from platforms import ON_LINUX, on_linux

from csm_otel.csm.events import Peer
from csm_otel.errors import ListenError, address_text
from csm_otel.intake import binding, receiver
from csm_otel.intake.binding import bind_socket
from csm_otel.intake.receiver import Datagram, Receiver

if TYPE_CHECKING:
    from collections.abc import Generator

DEADLINE_SECONDS = 60.0
MANY = 1000
NO_OPTION = 9999
"""No socket has an option of this number."""

with_each_family = pytest.mark.parametrize(
    "host",
    [pytest.param("127.0.0.1", id="ipv4"), with_ipv6("::1")],
)


@pytest.fixture(
    params=[
        pytest.param("this", id="this-system"),
        pytest.param("other", id="other-system"),
        pytest.param("old", id="kernel-without-the-options"),
    ]
)
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Simulate this system, one other than Linux, and a Linux that refuses the options."""
    if request.param == "other":
        monkeypatch.setattr(receiver, "_ON_LINUX", False)
        monkeypatch.setattr(binding, "_ON_LINUX", False)
    elif request.param == "old":
        monkeypatch.setattr(receiver, "_SO_MEMINFO", NO_OPTION)
        monkeypatch.setattr(receiver, "_SO_TIMESTAMPNS", NO_OPTION)
        monkeypatch.setattr(binding, "_SO_RCVBUFFORCE", NO_OPTION)
    name: str = request.param
    return name


@pytest.fixture
def listening(system: str) -> Generator[Receiver]:
    """Yield a receiver on a free port of 127.0.0.1."""
    del system
    with closing(Receiver.bind("127.0.0.1", 0)) as one:
        yield one


@pytest.fixture
def sender() -> Generator[socket.socket]:
    """Yield a socket that can send the largest datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
        yield sock


def receive(listening: Receiver, count: int) -> list[Datagram]:
    """Return that many datagrams as soon as they are there."""
    datagrams: list[Datagram] = []
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(datagrams) < count:
        left = deadline - time.monotonic()
        assert select.select([listening], [], [], max(left, 0))[0], f"{len(datagrams)} of {count} datagrams came"
        datagrams += listening.receive(count - len(datagrams))
    return datagrams


@with_each_family
@pytest.mark.usefixtures("system")
def test_datagram(host: str) -> None:
    """A datagram comes with its payload, its sender and the time of its receipt."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(Receiver.bind(host, 0)) as listening, socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.bind((host, 0))
        before_ns = time.time_ns()
        sender.sendto(b'{"Type":"ApiCall"}', listening.address)
        (datagram,) = receive(listening, 1)
        after_ns = time.time_ns()

        assert datagram.payload == b'{"Type":"ApiCall"}'
        assert Peer(host, sender.getsockname()[1]) == datagram.peer
        assert datagram.peer.is_loopback
        assert before_ns <= datagram.received_ns <= after_ns


@on_linux
def test_the_kernels_receive_time(sender: socket.socket) -> None:
    """The time is the kernel's receipt, however late the datagram is read."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    lag_ns = 1
    with closing(Receiver.bind("127.0.0.1", 0)) as listening:
        # the kernel begins to record times a moment after the first socket on the machine has asked for them
        while lag_ns > 0:
            assert time.monotonic() < deadline
            sender.sendto(b"x", listening.address)
            sent_ns = time.time_ns()
            lag_ns = receive(listening, 1)[0].received_ns - sent_ns


def test_order_and_distinct_senders(listening: Receiver) -> None:
    """Datagrams keep their order and their own senders."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second,
    ):
        for number in range(10):
            (first if number % 2 else second).sendto(b"%d" % number, listening.address)
        datagrams = receive(listening, 10)
        ports = [second.getsockname()[1], first.getsockname()[1]] * 5

    assert [b"%d" % number for number in range(10)] == [datagram.payload for datagram in datagrams]
    assert ports == [datagram.peer.port for datagram in datagrams]


@pytest.mark.parametrize(
    "size_bytes",
    [
        pytest.param(0, id="empty"),
        pytest.param(1, id="one-byte"),
        pytest.param(8192, id="botocores-limit"),
        pytest.param(65_507, id="the-largest"),
    ],
)
def test_size(size_bytes: int, listening: Receiver, sender: socket.socket) -> None:
    """Datagrams of any size come whole, PHP's empty ones and those of nearly 64 KiB as well."""
    payload = bytes(place % 251 for place in range(size_bytes))
    sender.sendto(payload, listening.address)
    sender.sendto(b"next", listening.address)

    assert [payload, b"next"] == [datagram.payload for datagram in receive(listening, 2)]


def test_no_more_than_asked_for(listening: Receiver, sender: socket.socket) -> None:
    """No more is read at once than requested, however much there is."""
    for _ in range(5):
        sender.sendto(b"x", listening.address)

    assert [2, 2, 1, 0] == [len(list(listening.receive(2))) for _ in range(4)]


def test_a_closed_receiver_gives_nothing(listening: Receiver, sender: socket.socket) -> None:
    """Reading a closed receiver yields nothing, and raises nothing."""
    sender.sendto(b"x", listening.address)
    listening.close()

    assert not list(listening.receive(10))


@on_linux
@pytest.mark.usefixtures("system")
def test_an_error_of_the_network_is_no_end(sender: socket.socket) -> None:
    """An ICMP error that the kernel reports in the place of a datagram hides none of those behind it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()
    sock = bind_socket("127.0.0.1", 0, buffer_bytes=65_536)
    sock.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR: report errors on unconnected sockets, too
    with closing(Receiver(sock)) as listening:
        sock.sendto(b"x", nobody)
        sender.sendto(b"after", listening.address)

        assert [datagram.payload for datagram in listening.receive(10)] == [b"after"]


@on_linux
def test_every_loss_is_counted(sender: socket.socket) -> None:
    """The datagrams received and those dropped by the kernel add up to those sent."""
    with closing(Receiver.bind("127.0.0.1", 0, buffer_bytes=4096)) as listening:
        assert listening.kernel_drops == 0
        for _ in range(MANY):
            sender.sendto(b"x" * 1000, listening.address)
        received = len(list(listening.receive(MANY + 1)))
        drops = listening.kernel_drops

        assert received > 0
        assert drops is not None
        assert drops > 0
        assert received + drops == MANY


@on_linux
def test_drops_before_this_process(sender: socket.socket) -> None:
    """What a socket that was handed over had dropped before is counted apart, and what it drops now from zero."""
    with closing(Receiver.bind("127.0.0.1", 0, buffer_bytes=4096)) as first:
        for _ in range(MANY):
            sender.sendto(b"x" * 1000, first.address)
        before = first.kernel_drops
        again = Receiver.take(first._socket.dup(), buffer_bytes=4096)
        with closing(again):
            assert (again.counters.dropped_by_kernel, again.counters.dropped_before) == (0, before)
            for _ in range(MANY):
                sender.sendto(b"x" * 1000, first.address)
            assert again.counters.dropped_by_kernel == MANY
            assert again.counters.dropped_before == before
            assert again.is_handed_over
        assert first.counters.dropped_before == 0


@on_linux
def test_what_waited_keeps_its_time(sender: socket.socket) -> None:
    """What arrived before this process took the socket has the time of its arrival, where the unit asks for it."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    lag_ns = 1
    while lag_ns > 0:  # the kernel begins to record times a moment after the first socket has asked for them
        assert time.monotonic() < deadline
        sock = bind_socket("127.0.0.1", 0, buffer_bytes=65_536)
        sock.setsockopt(socket.SOL_SOCKET, receiver._SO_TIMESTAMPNS, 1)
        sender.sendto(b"x", sock.getsockname())
        sent_ns = time.time_ns()
        with closing(Receiver.take(sock)) as listening:
            lag_ns = receive(listening, 1)[0].received_ns - sent_ns


@on_linux
def test_options_that_a_socket_comes_with(sender: socket.socket) -> None:
    """Options that a socket unit may set do not hide the time of the receipt."""
    sock = bind_socket("127.0.0.1", 0, buffer_bytes=2**20)
    sock.setsockopt(socket.SOL_SOCKET, 29, 1)  # SO_TIMESTAMP: microseconds
    sock.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
    with closing(Receiver.take(sock)) as listening:
        for many in (2, 100, 2):  # one by one, and in bursts
            before_ns = time.time_ns()
            for _ in range(many):
                sender.sendto(b"x", listening.address)
            datagrams = receive(listening, many)
            after_ns = time.time_ns()
            assert all(before_ns <= datagram.received_ns <= after_ns for datagram in datagrams)


@pytest.mark.parametrize("count", [pytest.param(1, id="one"), pytest.param(100, id="burst")])
@pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 here")
@pytest.mark.may_skip("containers may lack IPv6")
def test_ipv4_over_a_socket_of_ipv6(count: int, sender: socket.socket) -> None:
    """Senders over IPv4 have their address of IPv4, whatever the socket's family."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", 0))
    with closing(Receiver.take(sock)) as listening, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
        for _ in range(2):  # the second time in bursts
            for number in range(2 * count):
                if number % 2:
                    other.sendto(b"x", ("::1", listening.address[1]))
                else:
                    sender.sendto(b"x", ("127.0.0.1", listening.address[1]))
            peers = {datagram.peer for datagram in receive(listening, 2 * count)}
            assert peers == {
                Peer("127.0.0.1", sender.getsockname()[1]),
                Peer("::1", other.getsockname()[1]),
            }


@on_linux
@with_each_family
def test_counters_are_exact(host: str) -> None:
    """Each of two sockets counts its reads and its drops by the kernel, and reports its buffer."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        closing(Receiver.bind(host, 0, buffer_bytes=4096)) as small,
        closing(Receiver.bind(host, 0, buffer_bytes=16_384)) as larger,
        socket.socket(family, socket.SOCK_DGRAM) as sender,
    ):
        sent: Counter[tuple[str, int]] = Counter()
        for burst in range(50):
            for one in (small, larger):
                for _ in range(burst):
                    sender.sendto(b"x" * 700, one.address)
                    sent[one.address] += 1
                # not all of it, so that the next burst finds less room
                assert len(list(one.receive(5))) <= 5
        for one in (small, larger):
            assert len(list(one.receive(MANY))) < MANY
            counters = one.counters
            assert counters.dropped_by_kernel
            assert counters.read + counters.dropped_by_kernel == sent[one.address]
            assert (counters.address, counters.buffer_bytes) == (one.address, one.buffer_bytes)
        assert small.counters.read < larger.counters.read


def test_was_empty(listening: Receiver, sender: socket.socket) -> None:
    """A socket was empty once there was nothing left to read."""
    sender.sendto(b"x", listening.address)
    assert len(listening.receive(1)) == 1
    assert not listening.was_empty
    assert listening.receive(1) == []
    assert listening.was_empty


def test_counters_on_every_system(listening: Receiver, sender: socket.socket, system: str) -> None:
    """Reads are counted everywhere, drops only if the system counts them."""
    sender.sendto(b"x", listening.address)
    receive(listening, 1)

    assert listening.counters.read == 1
    assert listening.counters.dropped_by_kernel == (0 if system == "this" and ON_LINUX else None)


@pytest.mark.parametrize("is_forced", [True, False], ids=["forced", "not-allowed-to"])
def test_capped(is_forced: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # ruff: ignore[boolean-type-hint-positional-argument] - a column of the table
    """A buffer is capped if the system grants less than requested; a forced one never is."""
    if not is_forced:
        monkeypatch.setattr(binding, "_SO_RCVBUFFORCE", NO_OPTION)
    with closing(Receiver.bind("127.0.0.1", 0, buffer_bytes=65_536)) as modest:
        assert not modest.is_capped(65_536)
        assert modest.is_capped(2 * 65_536 + 1)
    with closing(Receiver.bind("127.0.0.1", 0, buffer_bytes=2**30)) as greedy:
        may_force = is_forced and ON_LINUX and greedy.buffer_bytes == 2**31 - 2
        limit = Path("/proc/sys/net/core/rmem_max")
        if may_force or not limit.exists() or int(limit.read_text(encoding="ascii")) < 2**30 - 1:
            assert greedy.is_capped(2**30) == (not may_force)


def test_unknown_drops(listening: Receiver, system: str) -> None:
    """Where the system does not count drops they are unknown, not zero."""
    assert (listening.kernel_drops is None) == (system != "this" or not ON_LINUX)


@pytest.mark.usefixtures("system")
def test_buffer() -> None:
    """The kernel grants the requested buffer, or twice that."""
    with closing(Receiver.bind("127.0.0.1", 0, buffer_bytes=65_536)) as listening:
        assert 65_536 <= listening.buffer_bytes <= 2 * 65_536


@pytest.mark.usefixtures("system")
def test_the_largest_buffer() -> None:
    """The largest buffer that can be asked for, which hardly any system grants, is no error."""
    with closing(Receiver.bind("127.0.0.1", 0, buffer_bytes=2**30)) as listening:
        assert listening.buffer_bytes > 0


@with_each_family
@pytest.mark.usefixtures("system")
def test_port_in_use(host: str) -> None:
    """A port in use is one line with the address, and the system's reason."""
    with closing(Receiver.bind(host, 0)) as first:
        port = first.address[1]
        with pytest.raises(ListenError) as caught:
            Receiver.bind(host, port)

    assert str(caught.value) == f"cannot listen on {address_text(host, port)}: address already in use"
    assert caught.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        pytest.param("192.0.2.1", errno.EADDRNOTAVAIL, id="not-ours"),
        pytest.param("fe80::1%no-such-interface", None, id="unresolvable"),
        pytest.param("a..b", None, id="empty-label"),
        pytest.param("x" * 64, None, id="label-too-long"),
    ],
)
def test_unusable_host(host: str, reason: int | None) -> None:
    """A host that cannot be listened on is one line that names it."""
    with pytest.raises(ListenError) as caught:
        Receiver.bind(host, 0)

    assert str(caught.value).startswith(f"cannot listen on {address_text(host, 0)}: ")
    assert "\n" not in str(caught.value)
    assert reason == caught.value.errno


@pytest.mark.parametrize("host", [with_ipv6("::", id="every-address"), with_ipv6("::1", id="loopback")])
def test_both_families_share_a_port(host: str) -> None:
    """A port of IPv6 leaves that of IPv4 free, so that both can be listened on."""
    with closing(Receiver.bind(host, 0)) as first, closing(Receiver.bind("127.0.0.1", first.address[1])) as second:
        assert second.address == ("127.0.0.1", first.address[1])


def test_remembered_peers_are_bounded(
    listening: Receiver, sender: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Datagrams of one sender share their peer, and those of ever new senders are remembered up to a bound."""
    monkeypatch.setattr(receiver, "_MAX_PEERS", 3)
    for _ in range(2):
        sender.sendto(b"x", listening.address)
    first, second = receive(listening, 2)
    assert first.peer is second.peer
    for _ in range(10):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            other.sendto(b"x", listening.address)
            assert [datagram.peer for datagram in receive(listening, 1)] == [Peer(*other.getsockname())]
        assert len(listening._peers) <= 3
