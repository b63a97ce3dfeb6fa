"""An HTTP server in a thread of its own, for probes and scrapes: `HttpServer`."""

from __future__ import annotations

import socket
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from csm_otel.errors import ListenError, address_text, reason_of
from csm_otel.process.waker import Waker
from csm_otel.service.clients import Clients
from csm_otel.service.routes import Routes, encode, plain_response

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from csm_otel.service.clients import Client
    from csm_otel.service.routes import Response

_UNAVAILABLE = HTTPStatus.SERVICE_UNAVAILABLE
_WAIT_SECONDS = 60.0
_CLOSE_SECONDS = 0.2  # a thread that hangs must not hold up the end; it is a daemon


class HttpServer:
    """Answers by its routes, those that are added later included."""

    def __init__(
        self, host: str, port: int, *, setting: str, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Listen on a port of ``host``, 0: any free one.

        ``setting`` is the flag or variable to name if that fails, ``name`` that of the thread. ``clock`` returns
        monotonic seconds.

        Raises:
            ListenError: the address cannot be listened on.
        """
        listener = _listen(host, port, setting)
        self.url = f"http://{address_text(*listener.getsockname()[:2])}"
        self.routes = Routes()
        """What is answered; its functions are called in the thread, and must not block it."""
        self._waker = Waker()
        self._clients = Clients(listener, terminator=b"\r\n\r\n", waker=self._waker, clock=clock)
        self._waiting: list[tuple[Client, Future[Response]]] = []
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def close(self, *, join_seconds: float = _CLOSE_SECONDS) -> None:
        """Stop the thread and close the socket."""
        self._is_closed = True
        self._waker.wake()
        self._thread.join(join_seconds)
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
                has_body = not client.request.startswith(b"HEAD ")  # RFC 9110, 9.3.2
                answer = plain_response(_UNAVAILABLE) if response.cancelled() else response.result()
                self._clients.answer(client, encode(answer, has_body=has_body))
            else:
                continue
            self._waiting.remove((client, response))


def _listen(host: str, port: int, setting: str) -> socket.socket:
    """Return a socket that listens; on ``::`` it accepts IPv4, too.

    Raises:
        ListenError: the address cannot be listened on.
    """
    text = f"{setting}: cannot listen on {address_text(host, port)}"
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
