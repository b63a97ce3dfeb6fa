"""The TCP ports of ``csm-otel serve``, for probes and for Prometheus: `Ports`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.service.health import Health

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader

    from csm_otel.commands.scraping import Scraping
    from csm_otel.config.configuration import Configuration
    from csm_otel.process.speaker import Speaker


class Ports:
    """Those that are configured; there may be none."""

    def __init__(self, configuration: Configuration, speaker: Speaker) -> None:
        """Open them; ``speaker`` reports where they are.

        Raises:
            ListenError: an address cannot be listened on.
        """
        address, prometheus = configuration.settings.health, configuration.prometheus
        self._speaker = speaker
        self.health = None if address is None else Health(*address)
        self._scraping: Scraping | None = None
        if prometheus is not None:
            from csm_otel.commands.scraping import Scraping  # ruff: ignore[import-outside-top-level]

            self._scraping = Scraping(prometheus, self.health, say=speaker.warn)

    @property
    def reader(self) -> MetricReader | None:
        """What Prometheus is to get the metrics of; None if they are not for it."""
        return None if self._scraping is None else self._scraping.reader

    def start(self) -> None:
        """Report where they are, and answer scrapes from now on: the reader is in use."""
        if self.health is not None:
            self._speaker.say(f"health at {self.health.url}/healthz and /readyz")
        if self._scraping is not None:
            self._scraping.start()

    def stop(self, *, deadline: float) -> None:
        """Record that the daemon is stopping; see `Health.stop`."""
        if self.health is not None:
            self.health.stop(deadline=deadline)

    def close(self) -> None:
        """Close them."""
        if self.health is not None:
            self.health.close()
        if self._scraping is not None:
            self._scraping.close()
