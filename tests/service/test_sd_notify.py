"""Notifications to a service manager, at a real unix datagram socket."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from csm_otel.service.sd_notify import ServiceManager

if TYPE_CHECKING:
    from pathlib import Path

ABSTRACT = pytest.param(
    "@",
    id="abstract",
    marks=[
        pytest.mark.skipif(sys.platform != "linux", reason="abstract addresses are Linux's"),
        pytest.mark.may_skip("abstract addresses are Linux's"),
    ],
)


@pytest.mark.parametrize("kind", [pytest.param("/", id="path"), ABSTRACT])
def test_notifications(kind: str, tmp_path: Path) -> None:
    """Each notification is a datagram; the status only when it has changed, the watchdog each time."""
    name = str(tmp_path / "notify") if kind == "/" else f"@csm-otel-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(60)
        sock.bind(name.replace("@", "\0", 1) if kind == "@" else name)
        manager = ServiceManager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "3000000"})
        manager.ready()
        manager.keep_alive("1 datagram")
        manager.keep_alive("1 datagram")
        manager.keep_alive("2 datagrams")
        manager.stopping()
        received = [sock.recv(4096).decode() for _ in range(5)]
    assert manager.is_present
    assert manager.watchdog_seconds == 3
    assert received == [
        "READY=1",
        "WATCHDOG=1\nSTATUS=1 datagram",
        "WATCHDOG=1",
        "WATCHDOG=1\nSTATUS=2 datagrams",
        "STOPPING=1",
    ]


@pytest.mark.parametrize(
    ("environ", "is_present"),
    [
        pytest.param({}, False, id="nobody"),
        pytest.param({"NOTIFY_SOCKET": ""}, False, id="empty"),
        pytest.param({"NOTIFY_SOCKET": "/no/such/socket"}, True, id="gone"),
        pytest.param({"NOTIFY_SOCKET": "x" * 500}, True, id="too-long"),
    ],
)
def test_no_service_manager(environ: dict[str, str], *, is_present: bool) -> None:
    """Without a service manager, or one that cannot be reached, nothing happens."""
    manager = ServiceManager(environ)
    manager.ready()
    manager.keep_alive("1 datagram")
    manager.stopping()
    assert is_present == manager.is_present


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        pytest.param({"WATCHDOG_USEC": "500000"}, 0.5, id="ours"),
        pytest.param({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5, id="ours-by-pid"),
        pytest.param({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, 0.0, id="another-process's"),
        pytest.param({"WATCHDOG_USEC": "soon"}, 0.0, id="no-number"),
        pytest.param({}, 0.0, id="none"),
    ],
)
def test_whose_watchdog(environ: dict[str, str], seconds: float) -> None:
    """The watchdog is used only if it is meant for this process."""
    assert seconds == ServiceManager({"NOTIFY_SOCKET": "/no/such/socket", **environ}).watchdog_seconds
