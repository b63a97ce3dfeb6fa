"""Regular reports on numbers: to probes and the service manager each second, to the operator when counts change."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from service.bridges import bridge_to, receive_attempt
from service.health_runs import running_health

from csm_otel.report.status import render_status
from csm_otel.service.heartbeat import Heartbeat
from csm_otel.service.sd_notify import ServiceManager

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from csm_otel.engine.bridge import Bridge

NOBODY = ServiceManager({})


@pytest.fixture
def bridge() -> Bridge:
    """Return a pipeline without sockets."""
    return bridge_to([])


@pytest.fixture
def notifications(tmp_path: Path) -> Generator[socket.socket]:
    """Yield the socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        yield sock


def received(sock: socket.socket) -> list[str]:
    """Return the notifications received."""
    notified = []
    while True:
        try:
            notified.append(sock.recv(4096).decode())
        except BlockingIOError:
            return notified


def test_reports_to_the_operator(bridge: Bridge) -> None:
    """At each interval the counts are reported, but only if they have changed."""
    logged: list[str] = []
    heartbeat = Heartbeat(bridge, health=None, manager=NOBODY, report_seconds=60.0, say=logged.append, now=100.0)
    assert heartbeat.next_deadline() == pytest.approx(160.0)
    receive_attempt(bridge, now=100.0)

    for now in (159.9, 160.0, 200.0, 220.0):
        heartbeat.poll(now=now)

    assert logged == [render_status(bridge.snapshot())]
    assert heartbeat.next_deadline() == pytest.approx(280.0)
    receive_attempt(bridge, now=220.0)
    heartbeat.poll(now=280.0)
    assert logged[1:] == [render_status(bridge.snapshot())]


def test_no_receiver_of_reports(bridge: Bridge) -> None:
    """Without a service manager, probes or reports the loop is never woken for it."""
    heartbeat = Heartbeat(bridge, health=None, manager=NOBODY, report_seconds=0.0, say=pytest.fail, now=100.0)
    heartbeat.poll(now=1000.0)
    assert (heartbeat.next_deadline(), heartbeat.fileno()) == (None, -1)


@pytest.mark.parametrize(
    ("watchdog", "interval_seconds"),
    [
        pytest.param({}, 1.0, id="no-watchdog"),
        pytest.param({"WATCHDOG_USEC": "10000000"}, 1.0, id="watchdog-of-10-s"),
        pytest.param({"WATCHDOG_USEC": "500000"}, 0.25, id="watchdog-of-half-a-second"),
    ],
)
def test_the_service_manager(
    bridge: Bridge, notifications: socket.socket, watchdog: dict[str, str], interval_seconds: float
) -> None:
    """The service manager has the status at once, then each second, or twice in the watchdog's timeout."""
    manager = ServiceManager({"NOTIFY_SOCKET": notifications.getsockname(), **watchdog})
    heartbeat = Heartbeat(bridge, health=None, manager=manager, report_seconds=0.0, say=pytest.fail, now=100.0)
    assert heartbeat.next_deadline() == pytest.approx(100.0)

    heartbeat.poll(now=100.0)

    assert received(notifications)[0].endswith(f"STATUS={render_status(bridge.snapshot())}")
    assert heartbeat.next_deadline() == pytest.approx(100.0 + interval_seconds)
    heartbeat.poll(now=100.0 + interval_seconds / 2)
    assert received(notifications) == []
    heartbeat.poll(now=100.0 + interval_seconds)
    assert received(notifications) == (["WATCHDOG=1"] if watchdog else [])


def test_probes(bridge: Bridge) -> None:
    """Probes have the counts of the last heartbeat."""
    with running_health() as health:
        heartbeat = Heartbeat(bridge, health=health, manager=NOBODY, report_seconds=0.0, say=pytest.fail, now=100.0)
        for now, attempts in ((100.0, 0), (100.9, 0), (101.0, 2), (102.0, 3)):
            heartbeat.poll(now=now)
            with urlopen(f"{health.url}/healthz", timeout=60) as response:
                assert json.load(response)["attempts"] == attempts
            receive_attempt(bridge, now=now)
