"""Liveness and readiness over HTTP: `Health`.

``/healthz`` is 200 while the loop runs, ``/readyz`` while it also receives and a destination accepts spans. A back end
always does: while it is unavailable, they are queued. The body is JSON: ``status`` (one of `csm_otel.service.state`),
``troubles`` and the counts.
A separate thread answers, so that a hanging loop is noticed. HTTP as far as probes need it: one request a connection.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from csm_otel.errors import ListenError, address_text, reason_of
from csm_otel.process.waker import Waker
from csm_otel.service.clients import Clients
from csm_otel.service.state import is_alive, is_ready, running_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csm_otel.tally import Snapshot

_STALL_SECONDS = 5.0  # without a heartbeat; the loop has one a second, and a turn of it takes a tenth
_WAIT_SECONDS = 60.0
_CLOSE_SECONDS = 0.2  # a thread that hangs must not hold up the end; it is a daemon
_WORDS_OF_A_REQUEST = 3  # RFC 9112, 3: method, target, version


class Health:
    """Answers probes from the last heartbeat of the loop; `beat` and `stop` are for the loop."""

    def __init__(self, host: str, port: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Listen on a port of ``host``, 0: any free one. ``clock`` returns monotonic seconds.

        Raises:
            ListenError: the address cannot be listened on.
        """
        listener = _listen(host, port)
        self._clock = clock
        self.url = f"http://{address_text(*listener.getsockname()[:2])}"
        self._waker = Waker()
        self._clients = Clients(listener, terminator=b"\r\n\r\n", waker=self._waker, clock=clock)
        # Written by the loop, read by the thread; each is replaced as a whole.
        self._beat_at = clock()
        self._counts: dict[str, int | None] = {}
        self._troubles: Sequence[str] = ()
        self._can_deliver = True
        self._has_beaten = self._is_stopping = self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._thread.start()

    def beat(self, snapshot: Snapshot, *, troubles: Sequence[str], can_deliver: bool) -> None:
        """Record a heartbeat: the counts, what does not work, and whether a destination accepts spans."""
        self._counts, self._troubles, self._can_deliver = snapshot._asdict(), troubles, can_deliver
        self._beat_at = self._clock()
        self._has_beaten = True

    def stop(self, *, deadline: float) -> None:
        """Record that the daemon is stopping, by ``deadline`` in monotonic seconds; until then it has not stalled."""
        self._is_stopping = True
        self._beat_at = deadline

    def close(self) -> None:
        """Stop the thread and close the socket."""
        self._is_closed = True
        self._waker.wake()
        self._thread.join(_CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._clients.close()
            self._waker.close()

    def _run(self) -> None:
        while not self._is_closed:
            for client in self._clients.wait(_WAIT_SECONDS):
                self._clients.answer(client, self._response(bytes(client.request)))

    def _response(self, request: bytes) -> bytes:
        words = request.partition(b"\r\n")[0].split(b" ")
        if len(words) != _WORDS_OF_A_REQUEST or not words[2].startswith(b"HTTP/1."):
            return _http(HTTPStatus.BAD_REQUEST)
        method, has_body = words[0], words[0] != b"HEAD"  # RFC 9110, 9.3.2: as GET, but without the body
        path = _path_of(words[1])
        if path not in (b"/healthz", b"/readyz"):
            return _http(HTTPStatus.NOT_FOUND, has_body=has_body)
        if method not in (b"GET", b"HEAD"):
            return _http(HTTPStatus.METHOD_NOT_ALLOWED, "Allow: GET, HEAD\r\n")
        status = self._status()
        is_well = is_alive(status) if path == b"/healthz" else is_ready(status)
        body = {"status": status, "troubles": list(self._troubles), **self._counts}
        return _http(HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE, body=body, has_body=has_body)

    def _status(self) -> str:
        if self._clock() - self._beat_at > _STALL_SECONDS:
            return "stalled"
        if self._is_stopping:
            return "stopping"
        if not self._has_beaten:
            return "starting"
        return running_state(self._troubles, can_deliver=self._can_deliver)


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; on ``::`` it accepts IPv4, too.

    Raises:
        ListenError: the address cannot be listened on.
    """
    text = f"--health: cannot listen on {address_text(host, port)}"
    try:
        # a name stands for its IPv4 address
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise ListenError(f"{text}: {reason_of(error)}", errno=error.errno) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, port))
        listener.listen()
    except UnicodeError as error:  # a name that has no form in DNS: an empty or too long label
        listener.close()
        raise ListenError(f"{text}: not a host name") from error
    except OSError as error:
        listener.close()
        raise ListenError(f"{text}: {reason_of(error)}", errno=error.errno) from error
    return listener


def _path_of(target: bytes) -> bytes:
    """Return the path of a request's target, which may also be a whole URL (RFC 9112, 3.2.2)."""
    target = target.partition(b"?")[0]
    if target[:7].lower() == b"http://":
        _, slash, path = target[7:].partition(b"/")
        return slash + path
    return target


def _http(status: HTTPStatus, header: str = "", *, body: object = None, has_body: bool = True) -> bytes:
    text = json.dumps({"status": status.phrase.lower()} if body is None else body) + "\n"
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
        f"Cache-Control: no-store\r\nConnection: close\r\n{header}\r\n"
    )
    return (head + (text if has_body else "")).encode()
