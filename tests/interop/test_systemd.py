"""The units of packaging/ under a real systemd."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from activated import Load, call_of, span_names
from e2e.programs import CSM_OTEL, LISTENING, environment, read_until, run
from interop.debian import why_not
from interop.user_manager import UserManager, substituted
from lossless import wait_until_read
from otlp_backend import DEADLINE_SECONDS, HttpBackend, wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

PACKAGING = Path(__file__).parents[2] / "packaging"
PROGRAM = Path(sys.executable).with_name("csm-otel")
CALLS = 1200
pytestmark = pytest.mark.skipif(bool(why_not("systemd-analyze")), reason=str(why_not("systemd-analyze")))


@pytest.fixture
def manager() -> Generator[UserManager]:
    """Yield a manager that is not running yet, in a folder that its units may reach."""
    if os.geteuid() != 0:
        pytest.skip("a systemd in a mount namespace of its own needs root")
    with tempfile.TemporaryDirectory(prefix="sd-") as folder:
        yield UserManager(Path(folder))


def free_port() -> int:
    """Return a UDP port that is free on both loopback addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def add_units(manager: UserManager, port: int, settings: str) -> None:
    """Add the units as they are, but for their port, their paths, and what a user's manager has no right to."""
    manager.state.joinpath("csm-otel.env").write_text(settings, encoding="utf-8")
    service = (PACKAGING / "csm-otel.service").read_text(encoding="utf-8")
    service = re.sub(r"# A user that exists while.*?(?=\n\[Install\])", "", service, flags=re.DOTALL)
    changes = {"/opt/csm-otel/bin/csm-otel": str(PROGRAM), "/etc/csm-otel.env": f"{manager.state}/csm-otel.env"}
    manager.add("csm-otel.service", substituted(service, changes))
    text = (PACKAGING / "csm-otel.socket").read_text(encoding="utf-8")
    if not Path("/proc/net/if_inet6").exists():
        text = text.replace("ListenDatagram=[::1]:31000\n", "")
    manager.add("csm-otel.socket", substituted(text, {":31000": f":{port}"}))


def test_restarts_and_a_crash_lose_nothing(manager: UserManager) -> None:
    """The first datagram starts the daemon; what is sent while it restarts, or after it was killed, waits for it."""
    port = free_port()
    control = str(manager.runtime / "csm-otel/control.sock")
    with HttpBackend() as backend, manager.running():
        add_units(manager, port, f"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT={backend.url}\n")
        manager.systemctl("daemon-reload")
        manager.systemctl("start", "csm-otel.socket")
        assert manager.show("csm-otel.service", "ActiveState") == ["inactive"]
        with Load(("127.0.0.1", port), CALLS) as load:
            for quarter in (1, 2, 3):
                load.wait_for(quarter * CALLS // 4)
                manager.systemctl("restart", "csm-otel.service")
            load.wait_for(CALLS)
        assert run("flush", "--control", control, env=environment()).returncode == 0
        assert Counter(span.name for span in backend.spans) == span_names(range(CALLS))

        (pid,) = manager.show("csm-otel.service", "MainPID")
        manager.systemctl("kill", "-s", "KILL", "csm-otel.service")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(CALLS, CALLS + 100):
                sender.sendto(call_of(number), ("127.0.0.1", port))
        wait_until(lambda: manager.show("csm-otel.service", "ActiveState", "NRestarts") == ["active", "1"])
        wait_until_read(port)
        assert manager.show("csm-otel.service", "MainPID") != [pid]
        manager.systemctl("stop", "csm-otel.socket", "csm-otel.service")
        assert Counter(span.name for span in backend.spans) == span_names(range(CALLS + 100))
        assert manager.show("csm-otel.service", "Result", "ExecMainStatus") == ["success", "0"]


def test_a_daemon_that_cannot_start_loses_nothing(manager: UserManager) -> None:
    """While the daemon fails to start, again and again, what arrives waits until it is repaired."""
    port = free_port()
    with HttpBackend() as backend, manager.running():
        settings = f"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT={backend.url}\n"
        add_units(manager, port, f"{settings}CSM_OTEL_GROUP=nonsense\n")
        manager.systemctl("daemon-reload")
        manager.systemctl("start", "csm-otel.socket")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(100):
                sender.sendto(call_of(number), ("127.0.0.1", port))
        wait_until(lambda: manager.show("csm-otel.service", "NRestarts", "ExecMainStatus") == ["2", "2"])
        manager.state.joinpath("csm-otel.env").write_text(settings, encoding="utf-8")
        wait_until(lambda: manager.show("csm-otel.service", "ActiveState") == ["active"])
        wait_until_read(port)
        manager.systemctl("stop", "csm-otel.socket", "csm-otel.service")
        assert Counter(span.name for span in backend.spans) == span_names(range(100))


def test_the_service_without_its_socket(manager: UserManager) -> None:
    """Where the socket unit is not installed the service binds its port itself."""
    port = free_port()
    with manager.running():
        add_units(manager, port, f"OTEL_TRACES_EXPORTER=none\nCSM_OTEL_PORT={port}\n")
        (manager.units / "csm-otel.socket").unlink()
        manager.systemctl("daemon-reload")
        manager.systemctl("start", "csm-otel.service")
        control = str(manager.runtime / "csm-otel/control.sock")
        assert run("health", "--check", "ready", "--control", control, env=environment()).returncode == 0


def test_systemd_socket_activate() -> None:
    """Systemd's own tool for trying such programs binds the sockets and starts the daemon with the first datagram."""
    port = free_port()
    variables = environment(OTEL_TRACES_EXPORTER="none")
    command = ["systemd-socket-activate", "--datagram", "-l", f"127.0.0.1:{port}", "--fdname=csm"]
    passed = [f"--setenv={name}={value}" for name, value in variables.items()]
    with subprocess.Popen([*command, *passed, *CSM_OTEL, "serve"], stderr=subprocess.PIPE, env=variables) as process:
        try:
            assert "Listening on" in read_until(process, rb"^Listening on ")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(call_of(0), ("127.0.0.1", port))
            line = read_until(process, LISTENING)
            assert f"listening on 127.0.0.1:{port}, handed over by the service manager" in line
            wait_until_read(port)
            process.terminate()
            _, rest = process.communicate(timeout=DEADLINE_SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0
    assert b"1 datagram received" in rest
