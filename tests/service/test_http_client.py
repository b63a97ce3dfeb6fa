"""The request to a health port: real connections to servers that answer, drip, hang or are no HTTP."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from loopback import answering_once, with_ipv6
from otlp_backend import DEADLINE_SECONDS
from service.health_runs import running_health

from csm_otel.errors import ControlError
from csm_otel.service.http_client import ask_over_http, url_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any


def ask(host: str, port: int, method: str = "GET", *, seconds: float = DEADLINE_SECONDS) -> Any:
    """Return the answer."""
    return ask_over_http(host, port, method, "/readyz?x=1", connect_seconds=seconds, answer_seconds=seconds)


@contextmanager
def dripping(head: bytes, piece: bytes) -> Generator[int]:
    """Answer one connection with a head and then with pieces that have no end; yield the port."""
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE_SECONDS)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(head)
                while not is_over.wait(0.005):
                    try:
                        connection.sendall(piece)
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            is_over.set()
            thread.join(DEADLINE_SECONDS)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", with_ipv6("::", id="[::]")])
def test_a_daemon(host: str) -> None:
    """The JSON is returned whatever its status; an address for all of a host is asked on loopback."""
    with running_health(host) as health:
        port = int(health.url.rpartition(":")[2])
        assert ask(host, port)["status"] == "starting"
        assert ask(host, port, "POST") == {"status": "method not allowed"}


def test_the_end_of_the_connection_is_not_waited_for() -> None:
    """With its length known an answer has ended."""
    with dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"x") as port:
        assert ask("127.0.0.1", port) == {}


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", b"x", id="a head without an end"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", b" ", id="a body without an end"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000, id="interim responses without a pause"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"X: y\r\n" * 200_000,
            id="trailers without a pause",
        ),
    ],
)
def test_an_answer_that_never_ends(head: bytes, piece: bytes) -> None:
    """There is one deadline for all of it."""
    with dripping(head, piece) as port, pytest.raises(ControlError) as caught:
        ask("127.0.0.1", port, seconds=0.1)
    assert str(caught.value) == f"no daemon answers: http://127.0.0.1:{port}: no answer"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"220 mail.test ESMTP\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n<html>", id="no JSON"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 60_000, id="nested"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 100_000 + b"{}", id="long"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n{}", id="a long head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}", id="a chunk of negative size"),
    ],
)
def test_another_program(answer: bytes) -> None:
    """What answers otherwise is no daemon, and nothing of it is shown."""
    with answering_once(answer) as port, pytest.raises(ControlError) as caught:
        ask("127.0.0.1", port)
    assert str(caught.value) == f"http://127.0.0.1:{port}: what answers there is no csm-otel, or an older one"


def test_a_daemon_that_is_killed() -> None:
    """A connection that ends without an answer is no sign of another program."""
    with answering_once(b"") as port, pytest.raises(ControlError) as caught:
        ask("127.0.0.1", port)
    assert str(caught.value) == f"no daemon answers: http://127.0.0.1:{port}: it hung up"


def test_nobody() -> None:
    """If nobody is there the line says why."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ControlError, match=rf"^no daemon answers: http://127\.0\.0\.1:{port}: connection refused$"):
        ask("127.0.0.1", port)
    with pytest.raises(ControlError, match=r": not a host name$"):
        ask(f"{'x' * 64}.test", 1)


def test_urls() -> None:
    """An address of IPv6 stands in brackets."""
    assert [url_of("h", 1), url_of("::1", 2)] == ["http://h:1", "http://[::1]:2"]
