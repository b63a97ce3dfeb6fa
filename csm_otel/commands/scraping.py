"""Where Prometheus scrapes ``csm-otel serve``: `Scraping`. Loaded only where it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.service.http_server import HttpServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.metrics.export import MetricReader

    from csm_otel.config.configuration import PrometheusExport
    from csm_otel.service.health import Health

_PATH = "/metrics"
_SETTING = "OTEL_EXPORTER_PROMETHEUS_HOST or _PORT"


class Scraping:
    """The exposition of metrics, with the servers that have it."""

    def __init__(self, export: PrometheusExport, health: Health | None, *, say: Callable[[str], None]) -> None:
        """Listen where ``export`` says; ``health`` is to answer as well. ``say`` is called from any thread.

        Raises:
            ListenError: the address cannot be listened on.
        """
        self._server: HttpServer | None = None
        if export.address is not None:  # first: a port in use is reported at once
            self._server = HttpServer(*export.address, setting=_SETTING, name="metrics")
        self._health = health
        self._say = say
        from csm_otel.delivery.prometheus import Exposition  # ruff: ignore[import-outside-top-level]
        from csm_otel.service.scrapes import Scrapes  # ruff: ignore[import-outside-top-level]

        exposition = Exposition()
        self.reader: MetricReader = exposition.reader
        """For the metrics of this run."""
        self._scrapes = Scrapes(exposition, say=say)

    def start(self) -> None:
        """Answer from now on; the reader is in use."""
        servers = [server for server in (self._health and self._health.server, self._server) if server is not None]
        for server in servers:
            server.routes.add("GET", _PATH, self._scrapes.ask)
        if self._server is not None:
            self._server.start()
        self._say(f"metrics at {' and '.join(f'{server.url}{_PATH}' for server in servers)}")

    def close(self) -> None:
        """Answer no more; the server of health is closed by its owner."""
        if self._server is not None:
            self._server.close()
        self._scrapes.close()
