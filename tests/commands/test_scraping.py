"""Where Prometheus scrapes; running daemons are in tests/e2e/test_prometheus.py."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from otlp_backend import DEADLINE_SECONDS
from service.health_runs import running_health

from csm_otel.commands.scraping import Scraping
from csm_otel.config.configuration import PrometheusExport
from csm_otel.config.setting import Address
from csm_otel.errors import ListenError

if TYPE_CHECKING:
    from collections.abc import Generator

    from csm_otel.service.health import Health

ANY_PORT = Address("localhost", 0)


@contextmanager
def scraping(address: Address | None, health: Health | None) -> Generator[list[str]]:
    """Run one whose reader is in use, and yield its lines."""
    logged: list[str] = []
    with closing(Scraping(PrometheusExport(address), health, say=logged.append)) as one:
        MeterProvider([one.reader], shutdown_on_exit=False).get_meter("m").create_counter("c").add(7)
        one.start()
        yield logged


def scrape(url: str) -> bytes:
    """Return the body at a URL."""
    with urlopen(url, timeout=DEADLINE_SECONDS) as answer:
        body: bytes = answer.read()
        return body


@pytest.mark.parametrize("has_address", [True, False])
def test_at_the_port_of_health(*, has_address: bool) -> None:
    """That port has the metrics in any case, one of their own as well if it is asked for; a line names both."""
    with running_health() as health, scraping(ANY_PORT if has_address else None, health) as logged:
        (line,) = logged
        urls = line.removeprefix("metrics at ").split(" and ")

        assert [url.startswith(health.url) for url in urls] == ([True, False] if has_address else [True])
        assert all(b"c_total{" in scrape(url) for url in urls)


def test_at_a_port_of_its_own() -> None:
    """Nothing else is there."""
    with scraping(ANY_PORT, None) as logged:
        (line,) = logged
        url = line.removeprefix("metrics at ")

        assert b"c_total{" in scrape(url)
        with pytest.raises(OSError, match="404"):
            scrape(url.replace("/metrics", "/healthz"))


def test_an_address_in_use() -> None:
    """The error names the variables that choose another."""
    with running_health() as health:
        address = Address("127.0.0.1", int(health.url.rpartition(":")[2]))
        with pytest.raises(ListenError, match=r"^OTEL_EXPORTER_PROMETHEUS_HOST or _PORT: cannot listen on 127\.0\."):
            Scraping(PrometheusExport(address), None, say=print)
