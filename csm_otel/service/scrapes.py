"""Answers Prometheus: `Scrapes`.

Thousands of series take seconds to render, so that is done in a thread of its own: probes, which other threads answer,
and the loop get their turn meanwhile.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING

from csm_otel.service.routes import Response, plain_response

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from csm_otel.delivery.prometheus import Exposition
    from csm_otel.service.routes import Request

_MAX_WAITING = 4  # two servers of Prometheus that watch each other, and a person with curl


class Scrapes:
    """Renders an exposition for those who ask, one after the other."""

    def __init__(self, exposition: Exposition, *, say: Callable[[str], None]) -> None:
        """Render ``exposition``; ``say`` is called with a line for the operator, in the thread that renders."""
        self._exposition = exposition
        self._say = say
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="metrics")
        self._lock = threading.Lock()
        self._unanswered: list[Future[Response]] = []

    def ask(self, request: Request) -> Response | Future[Response]:
        """Have the current values rendered; a route of any HTTP server."""
        with self._lock:
            self._unanswered = [response for response in self._unanswered if not response.done()]
            if len(self._unanswered) >= _MAX_WAITING:
                return plain_response(HTTPStatus.SERVICE_UNAVAILABLE)
            response = self._executor.submit(self._render, request)
            self._unanswered.append(response)
        return response

    def close(self) -> None:
        """Render nothing more; once no server asks."""
        self._executor.shutdown(wait=False, cancel_futures=True)

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
