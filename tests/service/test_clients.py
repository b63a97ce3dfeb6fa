"""The clients of a socket: each gets its response, and none delays another."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

import pytest
from loopback import with_ipv6
from otlp_backend import wait_until

from csm_otel.process.waker import Waker
from csm_otel.service.clients import Client, Clients

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

DEADLINE_SECONDS = 60.0


class Reception:
    """Clients at a socket, the connections to it, and the current time."""

    def __init__(self, path: Path) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        listener.listen(200)
        self.path = path
        self.now = 100.0
        self.waker = Waker()
        self.clients = Clients(
            listener, terminator=b"\n", timeout_seconds=5.0, waker=self.waker, clock=lambda: self.now
        )
        self.stack = ExitStack()

    def connect(self, sent: bytes = b"") -> socket.socket:
        """Return a connection with data sent on it."""
        sock = self.stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        sock.connect(str(self.path))
        sock.settimeout(DEADLINE_SECONDS)
        sock.sendall(sent)
        return sock

    def complete(self, count: int) -> list[Client]:
        """Wait until that many requests are complete."""
        complete: list[Client] = []

        def is_enough() -> bool:
            complete.extend(self.clients.wait(0))
            return len(complete) >= count

        wait_until(is_enough)
        return complete


@pytest.fixture
def reception(tmp_path: Path) -> Generator[Reception]:
    """Run one."""
    reception = Reception(tmp_path / "sock")
    with reception.stack, closing(reception.clients), closing(reception.waker):
        yield reception


def test_one_after_the_other(reception: Reception) -> None:
    """A request in pieces is complete with its terminator, and answered; both hang up."""
    slow = reception.connect(b"he")
    quick = reception.connect(b"hi\n")
    (first,) = reception.complete(1)
    assert first.request == b"hi\n"
    reception.clients.answer(first, b"you, too\n")
    assert quick.recv(100) == b"you, too\n"
    assert quick.recv(100) == b""
    slow.sendall(b"llo\n")
    (second,) = reception.complete(1)
    assert second.request == b"hello\n"
    reception.clients.answer(second, b"\n")
    assert slow.recv(100) == b"\n"


def test_a_response_arrives_though_more_was_sent(reception: Reception) -> None:
    """Data after the terminator is discarded, and the client gets its response nevertheless."""
    sock = reception.connect(b"hi\nand more" + b"x" * 5000)
    (client,) = reception.complete(1)
    sock.sendall(b"y" * 5000)
    reception.clients.answer(client, b"you, too\n")
    reception.clients.wait(0)
    assert sock.recv(100) == b"you, too\n"


@pytest.mark.parametrize("sent", [b"", b"x" * 8193], ids=["hangs-up", "too-much"])
def test_no_request(reception: Reception, sent: bytes) -> None:
    """A client that hangs up, or sends too much, is disconnected without a response; the next is answered."""
    sock = reception.connect(sent)
    sock.shutdown(socket.SHUT_WR)
    reception.connect(b"hi\n")
    (client,) = reception.complete(1)
    assert client.request == b"hi\n"
    reception.clients.wait(0)
    with suppress(ConnectionResetError):  # if something was unread
        assert sock.recv(100) == b""


def test_a_long_response(reception: Reception) -> None:
    """A response that the socket has no room for is sent as the client reads; another client is served meanwhile."""
    response = b"x" * 5_000_000
    slow = reception.connect(b"hi\n")
    (client,) = reception.complete(1)
    reception.clients.answer(client, response)
    assert client.unsent
    reception.connect(b"hello\n")
    assert [one.request for one in reception.complete(1)] == [b"hello\n"]

    slow.setblocking(False)
    received = bytearray()

    def is_whole() -> bool:
        reception.clients.wait(0)
        with suppress(BlockingIOError):
            received.extend(slow.recv(1_000_000))
        return len(received) >= len(response)

    wait_until(is_whole)
    assert received == response
    assert slow.recv(100) == b""


def test_a_long_response_that_nobody_reads(reception: Reception) -> None:
    """A client that does not take its response in time is disconnected."""
    reception.connect(b"hi\n")
    (client,) = reception.complete(1)
    reception.clients.answer(client, b"x" * 5_000_000)
    assert reception.clients.next_deadline() == pytest.approx(105.0)

    reception.now = 105.0
    reception.clients.wait(0)

    assert client.is_gone
    assert reception.clients.next_deadline() is None


def test_a_response_to_a_client_that_has_hung_up(reception: Reception) -> None:
    """A response to a client that has hung up meanwhile raises nothing, and frees its slot."""
    sock = reception.connect(b"hi\n")
    (client,) = reception.complete(1)
    sock.close()
    reception.clients.answer(client, b"you, too\n")
    assert reception.clients.wait(0) == []
    assert reception.clients.next_deadline() is None


def test_hanging_up_frees_the_slot(reception: Reception) -> None:
    """A client that hangs up while it waits is removed; one that only shuts down its sending side is not."""
    leaving, staying = reception.connect(b"one\n"), reception.connect(b"two\n")
    clients = sorted(reception.complete(2), key=lambda client: bytes(client.request))
    staying.shutdown(socket.SHUT_WR)
    leaving.close()
    reception.clients.wait(0)
    assert [client.is_gone for client in clients] == [True, False]
    assert reception.clients._clients == [clients[1]]
    for client in clients:
        reception.clients.answer(client, b"you, too\n")
    assert staying.recv(100) == b"you, too\n"


def test_the_timeout(reception: Reception) -> None:
    """A client that sends a byte at a time is disconnected in time; one that waits for its response is not."""
    waiting = reception.connect(b"hi\n")
    (client,) = reception.complete(1)
    assert reception.clients.next_deadline() is None
    dripping = reception.connect(b"x")
    wait_until(lambda: not reception.clients.wait(0) and reception.clients.next_deadline() is not None)
    assert reception.clients.next_deadline() == pytest.approx(105.0)

    reception.now = 104.9
    dripping.sendall(b"x")
    reception.clients.wait(0)
    assert len(reception.clients._clients) == 2
    reception.now = 105.0
    reception.clients.wait(0)

    assert reception.clients._clients == [client]
    with suppress(ConnectionResetError):
        assert dripping.recv(100) == b""
    reception.clients.answer(client, b"you, too\n")
    assert waiting.recv(100) == b"you, too\n"


def test_the_lingering_close(reception: Reception) -> None:
    """After its response a client has a second to hang up."""
    sock = reception.connect(b"hi\n")
    (client,) = reception.complete(1)
    reception.clients.answer(client, b"you, too\n")
    assert reception.clients.next_deadline() == pytest.approx(101.0)

    reception.now = 101.0
    reception.clients.wait(0)

    assert reception.clients.next_deadline() is None
    assert client.is_gone
    assert sock.recv(100) == b"you, too\n"


def test_a_crowd(reception: Reception) -> None:
    """Of more silent clients than there are slots the first ones make room."""
    crowd = [reception.connect() for _ in range(150)]
    reception.connect(b"hi\n")
    (client,) = reception.complete(1)
    assert client.request == b"hi\n"
    assert crowd[0].recv(100) == b""
    assert len(reception.clients._clients) == 64


def test_a_waiting_client_keeps_its_slot(reception: Reception) -> None:
    """While every slot belongs to a client that waits for its response, further ones are rejected."""
    for _ in range(64):
        reception.connect(b"hi\n")
    waiting = reception.complete(64)
    late = reception.connect()
    reception.clients.wait(0)

    assert late.recv(100) == b""
    assert reception.clients._clients == waiting


def test_no_descriptor_left(reception: Reception, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no connection can be accepted, the next attempt is a second later."""

    def fail(_: socket.socket) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    sock = reception.connect(b"hi\n")
    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "accept", fail)
        assert reception.clients.wait(0) == []
    assert reception.clients.next_deadline() == pytest.approx(101.0)
    assert reception.clients.wait(0) == []
    reception.now = 101.0
    reception.clients.wait(0)
    (client,) = reception.complete(1)
    reception.clients.answer(client, b"you, too\n")
    assert sock.recv(100) == b"you, too\n"


def test_it_can_be_woken(reception: Reception) -> None:
    """A waker ends a wait, once."""
    reception.waker.wake()
    assert reception.clients.wait(DEADLINE_SECONDS) == []
    assert reception.clients.wait(0) == []


def test_closing(reception: Reception) -> None:
    """When it is closed every client is disconnected, answered or not."""
    silent, waiting = reception.connect(), reception.connect(b"hi\n")
    (client,) = reception.complete(1)
    reception.clients.close()
    reception.clients.answer(client, b"too late\n")
    assert client.is_gone
    assert [sock.recv(100) for sock in (silent, waiting)] == [b"", b""]


@pytest.mark.parametrize(
    ("family", "host", "to"),
    [
        pytest.param(socket.AF_INET, "127.0.0.1", "127.0.0.1", id="IPv4"),
        with_ipv6(socket.AF_INET6, "::", "127.0.0.1", id="IPv4 of a socket for both"),
        with_ipv6(socket.AF_INET6, "::", "::1", id="IPv6"),
    ],
)
def test_tcp(family: socket.AddressFamily, host: str, to: str) -> None:
    """The client's address is known, and one that hangs up while it waits ends the wait."""
    listener = socket.create_server((host, 0), family=family, dualstack_ipv6=family is socket.AF_INET6)
    with closing(Clients(listener, terminator=b"\n")) as clients:
        with socket.create_connection((to, listener.getsockname()[1])) as sock:
            sock.sendall(b"hi\nand more")
            complete: list[Client] = []
            wait_until(lambda: complete.extend(clients.wait(DEADLINE_SECONDS)) or complete)  # type: ignore[func-returns-value]
            (client,) = complete
            assert client.host == to
        wait_until(lambda: clients.wait(DEADLINE_SECONDS) == [] and client.is_gone)
        clients.answer(client, b"too late\n")
