"""Liveness and readiness over HTTP: `Health`.

``/healthz`` is 200 while the loop runs, ``/readyz`` while it also receives and a destination accepts spans. A back end
always does: while it is unavailable, they are queued. The body is JSON: ``status`` (one of `csm_otel.service.state`),
``troubles`` and the counts. A separate thread answers, so that a hanging loop is noticed. What else the port answers
is added to its `Health.routes`.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from csm_otel.service.http_server import HttpServer
from csm_otel.service.routes import json_response
from csm_otel.service.state import is_alive, is_ready, running_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csm_otel.service.routes import Request, Response
    from csm_otel.tally import Snapshot

_STALL_SECONDS = 5.0  # without a heartbeat; the loop has one a second, and a turn of it takes a tenth


class Health:
    """Answers probes from the last heartbeat of the loop; `beat` and `stop` are for the loop."""

    def __init__(self, host: str, port: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Listen on a port of ``host``, 0: any free one. ``clock`` returns monotonic seconds.

        Raises:
            ListenError: the address cannot be listened on.
        """
        self._clock = clock
        # Written by the loop, read by the thread; each is replaced as a whole.
        self._beat_at = clock()
        self._counts: dict[str, int | None] = {}
        self._troubles: Sequence[str] = ()
        self._can_deliver = True
        self._has_beaten = self._is_stopping = False
        self.server = HttpServer(host, port, setting="--health", name="health", clock=clock)
        self.url, self.routes = self.server.url, self.server.routes
        self.routes.add("GET", "/healthz", lambda _: self._probe(is_alive))
        self.routes.add("GET", "/readyz", lambda _: self._probe(is_ready))
        self.routes.add("POST", "/flush", _refuse_flush)
        self.server.start()

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
        self.server.close()

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
