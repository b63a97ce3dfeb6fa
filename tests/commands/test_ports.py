"""The TCP ports of a daemon: those that are configured, and nothing without one."""

from __future__ import annotations

import io
import sys
from contextlib import closing

import pytest
from configured import given
from opentelemetry.sdk.metrics import MeterProvider

from csm_otel.commands.ports import Ports
from csm_otel.config.configuration import configure
from csm_otel.config.setting import Address
from csm_otel.process.speaker import Speaker

ANY_PORT = Address("127.0.0.1", 0)
PROMETHEUS = {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": "0"}


def opened(variables: dict[str, str], health: Address | None) -> tuple[Ports, io.StringIO]:
    """Return the ports by these settings, and stderr."""
    configuration, faults = configure("serve", given(variables, flags={"health": health}))
    assert not faults
    stderr = io.StringIO()
    return Ports(configuration, Speaker(stderr)), stderr


@pytest.mark.parametrize(
    ("variables", "health", "lines"),
    [
        pytest.param({}, None, [], id="none"),
        pytest.param({}, ANY_PORT, ["health at"], id="health"),
        pytest.param(PROMETHEUS, None, ["metrics at"], id="prometheus"),
        pytest.param(PROMETHEUS, ANY_PORT, ["health at", "metrics at"], id="both"),
    ],
)
def test_what_is_open(variables: dict[str, str], health: Address | None, lines: list[str]) -> None:
    """A line reports each, and only metrics for Prometheus need a reader."""
    ports, stderr = opened(variables, health)
    with closing(ports):
        assert (ports.health is not None) == (health is not None)
        assert (ports.reader is not None) == bool(variables)
        if ports.reader is not None:
            MeterProvider([ports.reader], shutdown_on_exit=False)
        ports.start()
        ports.stop(deadline=0.0)

    logged = [line.removeprefix("csm-otel: ") for line in stderr.getvalue().splitlines()]
    assert [" ".join(line.split()[:2]) for line in logged] == lines


def test_nothing_is_loaded_without_prometheus(monkeypatch: pytest.MonkeyPatch) -> None:
    """What renders metrics is imported only where they are asked for."""
    monkeypatch.setitem(sys.modules, "csm_otel.commands.scraping", None)
    ports, _ = opened({}, ANY_PORT)
    ports.close()
    with pytest.raises(ImportError):
        opened(PROMETHEUS, None)
