"""Liveness and readiness over HTTP, on 127.0.0.1 only: `Health`.

``/healthz`` is 200 while the loop turns, ``/readyz`` while what arrives is kept. The body is JSON: ``status`` (``ok``,
``degraded``, ``starting``, ``stopping``, ``stalled`` or ``failing``), ``troubles`` and the counts. A thread of its own
answers, which is how a loop that hangs can be told from one that turns. HTTP as far as probes need it: one request a
connection.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from csm_otel.errors import ListenError, reason_of
from csm_otel.process.waker import Waker
from csm_otel.service.clients import Clients

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csm_otel.tally import Snapshot

_HOST = "127.0.0.1"
_STALE_SECONDS = 5.0  # the loop beats once a second; a turn of it takes a tenth
_LOOK_SECONDS = 60.0
_CLOSE_SECONDS = 0.2
_WORDS_OF_A_REQUEST = 3  # RFC 9112, 3: method, target, version


class Health:
    """Answers probes from what the loop has last told; `beat` and `stop` are for the loop."""

    def __init__(self, port: int, *, patience_seconds: float = _STALE_SECONDS) -> None:
        """Listen on a port of 127.0.0.1; 0 takes a free one. A loop that is silent for longer is told as stalled.

        Raises:
            ListenError: the port cannot be listened on.
        """
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((_HOST, port))
            listener.listen()
        except OSError as error:
            listener.close()
            text = f"--health: cannot listen on {_HOST}:{port}: {reason_of(error)}"
            raise ListenError(text, errno=error.errno) from error
        self._patience_seconds = patience_seconds
        self.url = f"http://{_HOST}:{listener.getsockname()[1]}"
        self._wake = Waker()
        self._clients = Clients(listener, end=b"\r\n\r\n", wake=self._wake)
        # Written by the loop, read by the thread; each is replaced as a whole.
        self._beat = time.monotonic()
        self._counts: dict[str, int | None] = {}
        self._troubles: Sequence[str] = ()
        self._keeps = True
        self._has_beaten = self._is_stopping = self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._thread.start()

    def beat(self, snapshot: Snapshot, *, troubles: Sequence[str], keeps: bool) -> None:
        """Take in that the loop turns, what it has counted, what is wrong, and whether anything that comes is kept."""
        self._counts, self._troubles, self._keeps = snapshot._asdict(), troubles, keeps
        self._beat = time.monotonic()
        self._has_beaten = True

    def stop(self, *, deadline: float) -> None:
        """Take in that nothing is received any more, and when the process will have ended, in monotonic seconds."""
        self._is_stopping = True
        self._beat = deadline

    def close(self) -> None:
        """End the thread and close the socket."""
        self._is_closed = True
        self._wake.wake()
        self._thread.join(_CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._clients.close()
            self._wake.close()

    def _run(self) -> None:
        while not self._is_closed:
            for client in self._clients.wait(_LOOK_SECONDS):
                self._clients.answer(client, self._response(bytes(client.said)))

    def _response(self, request: bytes) -> bytes:
        words = request.partition(b"\r\n")[0].split(b" ")
        if len(words) != _WORDS_OF_A_REQUEST or not words[2].startswith(b"HTTP/1."):
            return _http(HTTPStatus.BAD_REQUEST)
        path = words[1].partition(b"?")[0]
        if path not in (b"/healthz", b"/readyz"):
            return _http(HTTPStatus.NOT_FOUND, has_body=words[0] != b"HEAD")
        if words[0] != b"GET":
            return _http(HTTPStatus.METHOD_NOT_ALLOWED, "Allow: GET\r\n", has_body=words[0] != b"HEAD")
        status = self._status()
        is_well = status != "stalled" if path == b"/healthz" else status in ("ok", "degraded")
        body = {"status": status, "troubles": list(self._troubles), **self._counts}
        return _http(HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE, body=body)

    def _status(self) -> str:
        if time.monotonic() - self._beat > self._patience_seconds:
            return "stalled"
        if self._is_stopping:
            return "stopping"
        if not self._has_beaten:
            return "starting"
        if not self._keeps:
            return "failing"
        return "degraded" if self._troubles else "ok"


def _http(status: HTTPStatus, header: str = "", *, body: object = None, has_body: bool = True) -> bytes:
    text = json.dumps({"status": status.phrase.lower()} if body is None else body) + "\n"
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
        f"Cache-Control: no-store\r\nConnection: close\r\n{header}\r\n"
    )
    return (head + (text if has_body else "")).encode()
