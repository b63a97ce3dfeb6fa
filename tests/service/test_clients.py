"""The clients of a socket: each is heard, and none holds up another."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

import pytest
from otlp_backend import wait_until

from csm_otel.service.clients import Client, Clients

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

DEADLINE_SECONDS = 20.0


class Reception:
    """Clients at a socket, and the connections to it."""

    def __init__(self, path: Path) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        listener.listen(200)
        self.path = path
        self.clients = Clients(listener, end=b"\n", patience_seconds=0.5)
        self.stack = ExitStack()

    def connect(self, said: bytes = b"") -> socket.socket:
        """Return a connection on which something has been said."""
        sock = self.stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        sock.connect(str(self.path))
        sock.settimeout(DEADLINE_SECONDS)
        sock.sendall(said)
        return sock

    def hear(self, count: int) -> list[Client]:
        """Wait until so many clients have said what they have to say."""
        heard: list[Client] = []

        def is_enough() -> bool:
            heard.extend(self.clients.wait(0))
            return len(heard) >= count

        wait_until(is_enough)
        return heard


@pytest.fixture
def reception(tmp_path: Path) -> Generator[Reception]:
    """Run one."""
    reception = Reception(tmp_path / "sock")
    with reception.stack, closing(reception.clients):
        yield reception


def test_one_after_the_other(reception: Reception) -> None:
    """What comes in pieces is heard when its end has come, and answered; both hang up."""
    slow = reception.connect(b"he")
    quick = reception.connect(b"hi\n")
    (first,) = reception.hear(1)
    assert first.said == b"hi\n"
    reception.clients.answer(first, b"you, too\n")
    assert quick.recv(100) == b"you, too\n"
    assert quick.recv(100) == b""
    slow.sendall(b"llo\n")
    (second,) = reception.hear(1)
    assert second.said == b"hello\n"
    reception.clients.answer(second, b"\n")
    assert slow.recv(100) == b"\n"


def test_an_answer_arrives_though_more_was_said(reception: Reception) -> None:
    """What a client says behind the end is thrown away, and takes no answer back."""
    sock = reception.connect(b"hi\n" + b"x" * 5000)
    (client,) = reception.hear(1)
    sock.sendall(b"y" * 5000)
    reception.clients.answer(client, b"you, too\n")
    reception.clients.wait(0)
    assert sock.recv(100) == b"you, too\n"


@pytest.mark.parametrize("said", [b"", b"x" * 8193], ids=["hangs-up", "too-much"])
def test_who_says_nothing_of_use(reception: Reception, said: bytes) -> None:
    """Who hangs up, or says too much, is sent away without an answer; the next is heard."""
    sock = reception.connect(said)
    sock.shutdown(socket.SHUT_WR)
    reception.connect(b"hi\n")
    (client,) = reception.hear(1)
    assert client.said == b"hi\n"
    reception.clients.wait(0)
    with suppress(ConnectionResetError):  # where something was unread
        assert sock.recv(100) == b""


def test_who_has_gone_is_answered_in_vain(reception: Reception) -> None:
    """An answer to a client that has hung up meanwhile is no fault."""
    sock = reception.connect(b"hi\n")
    (client,) = reception.hear(1)
    sock.close()
    reception.clients.answer(client, b"you, too\n")
    assert reception.clients.wait(0) == []
    assert reception.clients.next_deadline() is None


def test_who_hangs_up_frees_its_place(reception: Reception) -> None:
    """A client that waits for its answer and hangs up is forgotten; one that has nothing more to say is not."""
    leaving, staying = reception.connect(b"one\n"), reception.connect(b"two\n")
    clients = sorted(reception.hear(2), key=lambda client: bytes(client.said))
    staying.shutdown(socket.SHUT_WR)
    leaving.close()
    reception.clients.wait(0)
    assert [client.is_gone for client in clients] == [True, False]
    assert reception.clients._clients == [clients[1]]
    for client in clients:
        reception.clients.answer(client, b"you, too\n")
    assert staying.recv(100) == b"you, too\n"


def test_silence_is_borne_for_a_while(reception: Reception) -> None:
    """Who drips is sent away in time, whatever it says; who waits for an answer is not."""
    waiting = reception.connect(b"hi\n")
    (client,) = reception.hear(1)
    dripping = reception.connect()

    def is_sent_away() -> bool:
        reception.clients.wait(0.01)
        try:
            dripping.sendall(b"x")
        except OSError:
            return True
        return False

    wait_until(is_sent_away)
    reception.clients.answer(client, b"you, too\n")
    assert waiting.recv(100) == b"you, too\n"


def test_a_crowd_keeps_nobody_out(reception: Reception) -> None:
    """Of more silent clients than there are places those that came first make room."""
    crowd = [reception.connect() for _ in range(150)]
    reception.connect(b"hi\n")
    (client,) = reception.hear(1)
    assert client.said == b"hi\n"
    assert crowd[0].recv(100) == b""
    assert len(reception.clients._clients) == 64
