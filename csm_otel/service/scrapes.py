"""Answers Prometheus: `Scrapes`.

Thousands of series take seconds to render, so that is done in a thread of its own: probes, which other threads answer,
and the loop get their turn meanwhile.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from http import HTTPStatus
from queue import SimpleQueue
from typing import TYPE_CHECKING

from csm_otel.service.routes import Response, plain_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.delivery.prometheus import Exposition
    from csm_otel.service.routes import Request

_MAX_WAITING = 4  # two servers of Prometheus that watch each other, and a person with curl


class Scrapes:
    """Renders an exposition for those who ask, one after the other."""

    def __init__(self, exposition: Exposition, *, say: Callable[[str], None]) -> None:
        """Render ``exposition``; ``say`` is called with a line for the operator, in the thread that renders."""
        self._exposition = exposition
        self._say = say
        self._lock = threading.Lock()
        self._unanswered: list[Future[Response]] = []
        self._asked: SimpleQueue[tuple[Request, Future[Response]] | None] = SimpleQueue()
        # no executor: its threads would have to end before this process can
        threading.Thread(target=self._run, name="scrapes", daemon=True).start()

    def ask(self, request: Request) -> Response | Future[Response]:
        """Have the current values rendered; a route of any HTTP server."""
        with self._lock:
            self._unanswered = [response for response in self._unanswered if not response.done()]
            if len(self._unanswered) >= _MAX_WAITING:
                return plain_response(HTTPStatus.SERVICE_UNAVAILABLE)
            response: Future[Response] = Future()
            self._unanswered.append(response)
        self._asked.put((request, response))
        return response

    def close(self) -> None:
        """Begin to render nothing more; once no server asks."""
        with self._lock:
            for response in self._unanswered:
                response.cancel()
        self._asked.put(None)

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            request, response = asked
            if response.set_running_or_notify_cancel():
                response.set_result(self._render(request))

    def _render(self, request: Request) -> Response:
        headers = request.headers
        try:
            body, content_type, content_encoding = self._exposition.render(
                accept=headers.get("accept", ""), accept_encoding=headers.get("accept-encoding", "")
            )
        except Exception as error:  # ruff: ignore[blind-except] - a defect here costs a scrape, nothing else
            self._say(f"metrics cannot be rendered for Prometheus: {type(error).__name__}")
            return plain_response(HTTPStatus.INTERNAL_SERVER_ERROR)
        return Response(HTTPStatus.OK, body, content_type, content_encoding)
