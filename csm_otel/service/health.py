"""Liveness and readiness over HTTP: `Health`.

``/healthz`` is 200 while the loop runs, ``/readyz`` while it also receives and a destination accepts spans. A back end
always does: while it is unavailable, they are queued. The body is JSON: ``status`` (one of `csm_otel.service.state`),
``troubles`` and the counts. A separate thread answers, so that a hanging loop is noticed. What else the port answers
is added to its `Health.routes`.
"""

from __future__ import annotations

import socket
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from csm_otel.errors import ListenError, address_text, reason_of
from csm_otel.process.waker import Waker
from csm_otel.service.clients import Clients
from csm_otel.service.routes import Routes, encode, json_response
from csm_otel.service.state import is_alive, is_ready, running_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from csm_otel.service.clients import Client
    from csm_otel.service.routes import Request, Response
    from csm_otel.tally import Snapshot

_STALL_SECONDS = 5.0  # without a heartbeat; the loop has one a second, and a turn of it takes a tenth
_WAIT_SECONDS = 60.0
_CLOSE_SECONDS = 0.2  # a thread that hangs must not hold up the end; it is a daemon


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
        self.routes = Routes()
        """What is answered; its functions are called in the thread, and must not block it."""
        self.routes.add("GET", "/healthz", lambda _: self._probe(is_alive))
        self.routes.add("GET", "/readyz", lambda _: self._probe(is_ready))
        self.routes.add("POST", "/flush", _refuse_flush)
        self._waiting: list[tuple[Client, Future[Response]]] = []
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
                response = self.routes.respond(bytes(client.request), host=client.host)
                if isinstance(response, bytes):
                    self._clients.answer(client, response)
                else:
                    self._waiting.append((client, response))
                    response.add_done_callback(lambda _: self._waker.wake())
            self._answer_waiting()

    def _answer_waiting(self) -> None:
        for client, response in list(self._waiting):
            if client.is_gone:
                response.cancel()
            elif response.done():
                self._clients.answer(client, encode(response.result()))
            else:
                continue
            self._waiting.remove((client, response))

    def _probe(self, is_well: Callable[[str], bool]) -> Response:
        status = self._status()
        body = {"status": status, "troubles": list(self._troubles), **self._counts}
        return json_response(HTTPStatus.OK if is_well(status) else HTTPStatus.SERVICE_UNAVAILABLE, body)

    def _status(self) -> str:
        if self._clock() - self._beat_at > _STALL_SECONDS:
            return "stalled"
        if self._is_stopping:
            return "stopping"
        if not self._has_beaten:
            return "starting"
        return running_state(self._troubles, can_deliver=self._can_deliver)


def _refuse_flush(_: Request) -> Response:
    return json_response(HTTPStatus.FORBIDDEN, {"error": "flushing over the network is off; serve --flush-over-health"})


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
