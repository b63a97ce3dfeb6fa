"""The table of routes: bytes of a request in, bytes of its response out."""

from __future__ import annotations

import json
from concurrent.futures import Future
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.service.routes import Request, Response, Routes, encode, json_response

if TYPE_CHECKING:
    from collections.abc import Callable


def always(response: Response) -> Callable[[Request], Response]:
    """Return a function that answers all with one response."""
    return lambda _: response


def routes_of(*answers: tuple[str, str, Response]) -> Routes:
    """Return a table with these answers."""
    routes = Routes()
    for method, path, response in answers:
        routes.add(method, path, always(response))
    return routes


def respond(routes: Routes, request: bytes) -> bytes:
    """Return a response that is known at once."""
    response = routes.respond(request, host="192.0.2.1")
    assert isinstance(response, bytes)
    return response


TEXT = Response(HTTPStatus.OK, b"\x00\xffhi", "text/plain; version=1")
ROUTES = routes_of(
    ("GET", "/page", TEXT),
    ("GET", "/both", TEXT),
    ("POST", "/both", json_response(HTTPStatus.ACCEPTED, {"is": "posted"})),
    ("POST", "/only", TEXT),
)


@pytest.mark.parametrize(
    ("request_line", "status", "allow", "body"),
    [
        pytest.param("GET /page HTTP/1.1", 200, None, b"\x00\xffhi", id="a route"),
        pytest.param("GET /page?x=1 HTTP/1.0", 200, None, b"\x00\xffhi", id="a query is not part of the path"),
        pytest.param("GET HTTP://h:1/page?x HTTP/1.1", 200, None, b"\x00\xffhi", id="the form for proxies"),
        pytest.param("HEAD /page HTTP/1.1", 200, None, b"", id="HEAD has no body"),
        pytest.param("POST /both HTTP/1.1", 202, None, b'{"is": "posted"}\n', id="another method"),
        pytest.param("GET / HTTP/1.1", 404, None, b'{"status": "not found"}\n', id="no route"),
        pytest.param("GET http://h?/page HTTP/1.1", 404, None, b'{"status": "not found"}\n', id="no path"),
        pytest.param("POST /page HTTP/1.1", 405, "GET, HEAD", b'{"status": "method not allowed"}\n', id="not posted"),
        pytest.param("GET /only HTTP/1.1", 405, "POST", b'{"status": "method not allowed"}\n', id="only posted"),
        pytest.param("HEAD /only HTTP/1.1", 405, "POST", b"", id="HEAD is GET"),
        pytest.param("PUT /both HTTP/1.1", 405, "GET, POST, HEAD", b'{"status": "method not allowed"}\n', id="either"),
        pytest.param("GET /page", 400, None, b'{"status": "bad request"}\n', id="HTTP/0.9"),
        pytest.param("", 400, None, b'{"status": "bad request"}\n', id="nothing"),
    ],
)
def test_responses(request_line: str, status: int, allow: str | None, body: bytes) -> None:
    """A request is answered by the route of its method and path, with its body's type and length."""
    head, _, sent = respond(ROUTES, f"{request_line}\r\nHost: x\r\n\r\nignored".encode()).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert (f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", body) == (first, sent)
    assert allow == headers.get("Allow")
    assert headers["Content-Type"] == ("text/plain; version=1" if status == 200 else "application/json")
    if not request_line.startswith("HEAD"):
        assert len(body) == int(headers["Content-Length"])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], {}, id="none"),
        pytest.param(["Accept: a", "ACCEPT:b "], {"accept": "a, b"}, id="repeated"),
        pytest.param(["X: a:b", "odd"], {"x": "a:b", "odd": ""}, id="odd"),
    ],
)
def test_headers(lines: list[str], expected: dict[str, str]) -> None:
    """A function gets the path, the query and the headers."""
    seen: list[Request] = []
    routes = Routes()
    routes.add("GET", "/x", lambda request: seen.append(request) or TEXT)  # type: ignore[func-returns-value]
    respond(routes, "\r\n".join(["GET /x?a=b?c HTTP/1.1", *lines, "", ""]).encode())
    assert seen == [Request("/x", "a=b?c", expected, "192.0.2.1")]


def test_a_response_that_is_given_later() -> None:
    """A future is passed on, and its response is encoded as every other."""
    future: Future[Response] = Future()
    routes = Routes()
    routes.add("POST", "/x", lambda _: future)
    assert routes.respond(b"POST /x HTTP/1.1\r\n\r\n", host="") is future
    assert encode(TEXT) == respond(ROUTES, b"GET /page HTTP/1.1\r\n\r\n")


def test_a_route_that_fails() -> None:
    """A defect of a function is a response, without a word about it."""

    def fail(_: Request) -> Response:
        raise RuntimeError("a secret")

    routes = Routes()
    routes.add("GET", "/x", fail)
    response = respond(routes, b"GET /x HTTP/1.1\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert json.loads(response.partition(b"\r\n\r\n")[2]) == {"status": "internal server error"}


@given(st.binary(max_size=200))
def test_any_bytes(request: bytes) -> None:
    """Whatever is sent, there is a response."""
    assert respond(ROUTES, request).startswith(b"HTTP/1.1 ")
