"""The HTTP server of probes and scrapes: real connections; tests/service/test_health.py has those of probes."""

from __future__ import annotations

import http.client
import threading
from concurrent.futures import Future
from contextlib import closing, contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from otlp_backend import DEADLINE_SECONDS, wait_until

from csm_otel.errors import ListenError
from csm_otel.service.http_server import HttpServer
from csm_otel.service.routes import Request, Response

if TYPE_CHECKING:
    from collections.abc import Generator

TEXT = Response(HTTPStatus.OK, b"text", "text/plain")


@contextmanager
def serving(answer: Response | Future[Response]) -> Generator[HttpServer]:
    """Yield a server with one answer, at /x."""
    server = HttpServer("127.0.0.1", 0, setting="THE_SETTING", name="x")
    server.routes.add("GET", "/x", lambda _: answer)
    server.start()
    try:
        yield server
    finally:
        server.close(join_seconds=DEADLINE_SECONDS)


def connection(server: HttpServer) -> http.client.HTTPConnection:
    """Return a connection."""
    address = urlsplit(server.url)
    return http.client.HTTPConnection(str(address.hostname), address.port, timeout=DEADLINE_SECONDS)


@pytest.mark.parametrize(("method", "body"), [("GET", b"text"), ("HEAD", b"")])
def test_a_response_that_comes_later(method: str, body: bytes) -> None:
    """It is sent once it is known, to HEAD without the body, and others are answered meanwhile."""
    later: Future[Response] = Future()
    with serving(later) as server, closing(connection(server)) as client, closing(connection(server)) as other:
        client.request(method, "/x")
        other.request("GET", "/y")
        assert other.getresponse().status == 404
        later.set_result(TEXT)
        answer = client.getresponse()

        assert (answer.status, answer.headers["Content-Length"], answer.read()) == (200, "4", body)


def test_a_client_that_hangs_up() -> None:
    """Its response is cancelled, and the next client has its own."""
    later: Future[Response] = Future()
    asked = threading.Event()

    def answer_later(_: Request) -> Future[Response]:
        asked.set()
        return later

    with serving(TEXT) as server:
        server.routes.add("GET", "/later", answer_later)
        client = connection(server)
        client.request("GET", "/later")
        assert asked.wait(DEADLINE_SECONDS)
        client.close()

        def is_cancelled() -> bool:
            with closing(connection(server)) as other:
                other.request("GET", "/x")
                assert other.getresponse().read() == b"text"
            return later.cancelled()

        wait_until(is_cancelled)


def test_a_response_that_is_given_up() -> None:
    """Its client gets an error, and others are answered."""
    later: Future[Response] = Future()
    later.cancel()
    with serving(later) as server:
        for path, status in (("/x", 503), ("/y", 404)):
            with closing(connection(server)) as client:
                client.request("GET", path)
                assert client.getresponse().status == status


def test_a_long_response() -> None:
    """One that no socket has room for arrives whole, with its type and its encoding."""
    body = bytes(range(256)) * 100_000
    with serving(Response(HTTPStatus.OK, body, "text/x", "gzip")) as server, closing(connection(server)) as client:
        client.request("GET", "/x")
        answer = client.getresponse()

        assert answer.read() == body
        assert (answer.headers["Content-Type"], answer.headers["Content-Encoding"]) == ("text/x", "gzip")


def test_an_address_in_use() -> None:
    """The error names the setting and the address."""
    with serving(TEXT) as server, pytest.raises(ListenError, match=r"^THE_SETTING: cannot listen on 127\.0\.0\.1:\d+:"):
        HttpServer("127.0.0.1", urlsplit(server.url).port or 0, setting="THE_SETTING", name="y")
