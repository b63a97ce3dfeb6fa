"""Flushes that network peers ask for over the health port: `FlushRequests` and `NetworkFlush`.

    POST /flush?timeout=10

The answer is that of the control socket (`csm_otel.service.control`), with status 200 if everything was delivered, and
503 if not. What is refused gets ``{"error": "..."}``: 400 for a timeout that is none, 403 for a peer outside the
allowed networks, and for a web page: a browser sends ``Origin`` with each POST, whatever the name of this host was
rebound to, and nothing else that flushes does.

The thread of the health port takes requests, the loop flushes.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs

from csm_otel.csm.events import Peer
from csm_otel.process.waker import SelectableQueue
from csm_otel.service.flushing import MAX_TIMEOUT_SECONDS, STOPPED, Flushings, answer_of
from csm_otel.service.routes import Response, json_response

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from csm_otel.engine.bridge import Bridge
    from csm_otel.service.routes import Request

DEFAULT_TIMEOUT_SECONDS = 10.0
_MAX_WAITING = 8  # of the 64 clients of the port: the others stay free for probes
_SENT_BY_BROWSERS = ("origin", "sec-fetch-site")  # Fetch standard; Fetch Metadata Request Headers


class _Requested(NamedTuple):
    response: Future[Response]
    """Cancelled if the client has hung up."""
    timeout_seconds: float
    requested_ns: int


class FlushRequests:
    """Requests on their way from the thread of the health port, which calls `ask`, to that of the loop."""

    def __init__(
        self, *, is_allowed: Callable[[Peer], bool] | None = None, wall_clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        """Refuse peers that ``is_allowed`` rejects. ``wall_clock_ns`` returns epoch nanoseconds."""
        self._is_allowed = is_allowed
        self._wall_clock_ns = wall_clock_ns
        self._queue: SelectableQueue[_Requested] = SelectableQueue()
        self._lock = threading.Lock()
        self._unanswered: list[Future[Response]] = []
        self._is_closed = False

    def ask(self, request: Request) -> Response | Future[Response]:
        """Have the loop flush; a route of the health port."""
        if any(name in request.headers for name in _SENT_BY_BROWSERS):
            return _refusal(HTTPStatus.FORBIDDEN, "requests of web pages are refused")
        if self._is_allowed is not None and not self._is_allowed(Peer(request.host, 0)):
            return _refusal(HTTPStatus.FORBIDDEN, "the address is in none of the allowed networks")
        timeout_seconds = _timeout_in(request.query)
        if timeout_seconds is None:
            return _refusal(HTTPStatus.BAD_REQUEST, f"timeout is no number from 0 to {MAX_TIMEOUT_SECONDS:g}")
        with self._lock:
            if self._is_closed:
                return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, STOPPED)
            self._unanswered = [response for response in self._unanswered if not response.done()]
            if len(self._unanswered) >= _MAX_WAITING:
                return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many flushes are waited for")
            requested = _Requested(Future(), timeout_seconds, self._wall_clock_ns())
            self._unanswered.append(requested.response)
            self._queue.put(requested)
        return requested.response

    def fileno(self) -> int:
        """Return a descriptor that is readable when there may be requests."""
        return self._queue.fileno()

    def take(self) -> list[_Requested]:
        """Return the requests since the last call."""
        return self._queue.pop_all()

    def close(self) -> list[_Requested]:
        """Refuse later requests, and return those that were not taken."""
        with self._lock:
            self._is_closed = True
        not_taken = self.take()
        self._queue.close()
        return not_taken


class NetworkFlush:
    """Does what was requested; for the loop's thread, see `csm_otel.engine.agent.Service`."""

    def __init__(self, requests: FlushRequests, bridge: Bridge) -> None:
        self._requests = requests
        self._bridge = bridge
        self._flushings: Flushings[Future[Response]] = Flushings(bridge)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable with a request."""
        return self._requests.fileno()

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which a flush advances, or None."""
        return self._flushings.next_deadline()

    def poll(self, *, now: float) -> None:
        """Begin the flushes that are asked for, advance them, and answer those that have ended."""
        for response, timeout_seconds, requested_ns in self._requests.take():
            self._flushings.begin(response, timeout_seconds=timeout_seconds, now=now, requested_ns=requested_ns)
        _answer(self._flushings.advance(now=now, is_gone=Future.cancelled))

    def close(self) -> None:
        """Answer the clients that still wait, and refuse others."""
        not_begun = [(requested.response, answer_of(self._bridge, STOPPED)) for requested in self._requests.close()]
        _answer([*self._flushings.close(), *not_begun])


def _answer(ended: list[tuple[Future[Response], dict[str, Any]]]) -> None:
    for response, answer in ended:
        if response.set_running_or_notify_cancel():
            status = HTTPStatus.OK if answer["delivered"] else HTTPStatus.SERVICE_UNAVAILABLE
            response.set_result(json_response(status, answer))


def _refusal(status: HTTPStatus, why: str) -> Response:
    return json_response(status, {"error": why})


def _timeout_in(query: str) -> float | None:
    """Return the timeout of a request in seconds, or None if it is unusable."""
    (*_, text) = parse_qs(query, keep_blank_values=True).get("timeout", [str(DEFAULT_TIMEOUT_SECONDS)])
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds <= MAX_TIMEOUT_SECONDS else None
