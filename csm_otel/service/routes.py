"""HTTP as far as probes need it: the bytes of a request in, those of its response out, by a table of `Routes`.

One request a connection; the body of a request is ignored. HEAD is answered as GET is, without the body.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

JSON = "application/json"
_WORDS_OF_A_REQUEST = 3  # RFC 9112, 3: method, target, version


class Request(NamedTuple):
    """A request, without its body."""

    path: str
    query: str
    """What follows the ``?``; empty if there is none."""
    headers: Mapping[str, str]
    """By name in lower case; values of one name are joined by commas (RFC 9110, 5.3)."""
    host: str
    """The client's IP address."""


class Response(NamedTuple):
    """What a route answers."""

    status: HTTPStatus
    body: bytes
    content_type: str = JSON
    content_encoding: str = ""
    """Empty if the body is not compressed."""


def json_response(status: HTTPStatus, body: object) -> Response:
    """Return a response whose body is a line of JSON."""
    return Response(status, f"{json.dumps(body)}\n".encode())


class Routes:
    """Which function answers a request. Add routes in one thread, and respond in any."""

    def __init__(self) -> None:
        self._answers: dict[str, dict[str, Callable[[Request], Response | Future[Response]]]] = {}

    def add(self, method: str, path: str, answer: Callable[[Request], Response | Future[Response]]) -> None:
        """Answer requests for a path; its query is not part of it.

        A response that is not known yet is a future, which is cancelled if the client hangs up; but not to GET.
        """
        self._answers = {**self._answers, path: {**self._answers.get(path, {}), method: answer}}

    def respond(self, request: bytes, *, host: str) -> bytes | Future[Response]:
        """Return the response to a request, which has its whole head, of a client at ``host``, or a future of it."""
        lines = request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != _WORDS_OF_A_REQUEST or not words[2].startswith("HTTP/1."):
            return encode(plain_response(HTTPStatus.BAD_REQUEST))
        method, has_body = words[0], words[0] != "HEAD"  # RFC 9110, 9.3.2
        target, _, query = words[1].partition("?")
        path = _path_of(target)
        answers = self._answers.get(path)
        if answers is None:
            return encode(plain_response(HTTPStatus.NOT_FOUND), has_body=has_body)
        answer = answers.get("GET" if method == "HEAD" else method)
        if answer is None:
            allowed = [*answers, *(["HEAD"] if "GET" in answers else [])]
            header = f"Allow: {', '.join(allowed)}\r\n"
            return encode(plain_response(HTTPStatus.METHOD_NOT_ALLOWED), header, has_body=has_body)
        try:
            response = answer(Request(path, query, _headers_in(lines[1:]), host))
        except Exception:  # ruff: ignore[blind-except] - a defect of one route must not end the thread that answers probes
            response = plain_response(HTTPStatus.INTERNAL_SERVER_ERROR)
        return encode(response, has_body=has_body) if isinstance(response, Response) else response


def _path_of(target: str) -> str:
    """Return the path of a request's target, which may also be a whole URL (RFC 9112, 3.2.2)."""
    if target[:7].lower() == "http://":
        _, slash, path = target[7:].partition("/")
        return slash + path
    return target


def _headers_in(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def plain_response(status: HTTPStatus) -> Response:
    """Return a response that says no more than its status."""
    return json_response(status, {"status": status.phrase.lower()})


def encode(response: Response, header: str = "", *, has_body: bool = True) -> bytes:
    """Return the bytes of a response; ``header`` is more of its head, in lines."""
    if response.content_encoding:
        header += f"Content-Encoding: {response.content_encoding}\r\n"
    head = (
        f"HTTP/1.1 {response.status.value} {response.status.phrase}\r\nContent-Type: {response.content_type}\r\n"
        f"Content-Length: {len(response.body)}\r\nCache-Control: no-store\r\nConnection: close\r\n{header}\r\n"
    )
    return head.encode() + (response.body if has_body else b"")
