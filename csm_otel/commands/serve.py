"""``csm-otel serve``: receive from every script on this machine until a signal stops it."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import signal
import socket
import sys
import time
from functools import cache
from typing import TYPE_CHECKING

from csm_otel.errors import ControlError, Fault, ListenError, SettingsError, address_text
from csm_otel.intake.procfs.port_owner import owner_of_port
from csm_otel.intake.receiver import Receiver
from csm_otel.process.garbage import begin_collection
from csm_otel.process.stop import StopSignal
from csm_otel.report.tally import render_tally
from csm_otel.service.control_socket import default_path, is_off
from csm_otel.service.health import Health
from csm_otel.service.sd_notify import ServiceManager

if TYPE_CHECKING:
    from csm_otel.commands.live import Live
    from csm_otel.config.configuration import Configuration
    from csm_otel.config.settings import Settings
    from csm_otel.engine.bridge import Bridge
    from csm_otel.process.speaker import Speaker
    from csm_otel.report.stdout import Stdout
    from csm_otel.service.control import Control

_IPV4, _IPV6 = "127.0.0.1", "::1"
# docs/settings.md has the table. The rest of what would end a process by default is ignored.
_ENDING = tuple(
    signal.Signals[name]
    for name in ("SIGTERM", "SIGINT", "SIGQUIT", "SIGALRM", "SIGXCPU", "SIGPWR")
    if name in signal.Signals.__members__
)
_LEFT_ALONE = {  # faults, and what stops, continues or does nothing
    *(signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP),
    *(signal.SIGKILL, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT),
    *(signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH),
}
_FLUSH_SECONDS = 10.0  # as `csm-otel flush` has by default


def serve(configuration: Configuration, speaker: Speaker) -> int:
    """Run the daemon and return 0 once a signal, SIGTERM or SIGINT say, has ended it.

    Raises:
        SettingsError: a file, certificate or sampler that is asked for cannot be used.
        ListenError: an address cannot be listened on.
    """
    manager = ServiceManager(os.environ)
    settings = configuration.settings
    stop = _handle_signals()
    _check_addresses(settings)
    receivers = _bind(settings, speaker)
    health = None if settings.health is None else Health(*settings.health)
    from csm_otel.commands.wiring import build_bridge  # ruff: ignore[import-outside-top-level] - a port in use is reported at once
    from csm_otel.engine.source import Source  # ruff: ignore[import-outside-top-level]
    from csm_otel.service.heartbeat import Heartbeat  # ruff: ignore[import-outside-top-level]
    from csm_otel.service.requests import SignalRequests  # ruff: ignore[import-outside-top-level]

    @cache
    def stdout() -> Stdout:
        from csm_otel.report.stdout import Stdout  # ruff: ignore[import-outside-top-level]

        return Stdout(say=speaker.warn, environ=os.environ)

    live = _live(settings)
    faults: list[Fault] = []
    bridge = build_bridge(
        configuration,
        source=Source(receivers=receivers),
        speaker=speaker,
        show=lambda spans: stdout().show(spans),
        observers=[live.add] if live is not None else (),
        faults=faults,
    )
    if faults:
        raise SettingsError(faults)
    if bridge.outlets.shows:
        stdout()  # loaded now rather than with the first batch
    control = _open_control(settings, receivers, bridge, speaker)
    if health is not None:
        speaker.say(f"health at {health.url}/healthz and /readyz")
    speaker.say(f"listening on {_addresses(receivers)}, exporting to {bridge.outlets.description}")
    started = time.monotonic()
    heartbeat = Heartbeat(
        bridge,
        health=health,
        manager=manager,
        report_seconds=settings.report_seconds,
        say=speaker.say,
        now=started,
    )
    requests = SignalRequests(bridge, take=stop.take_requests, timeout_seconds=_FLUSH_SECONDS, say=speaker.say)
    begin_collection()
    manager.ready()
    bridge.run(until=stop.is_set, wake=stop, services=[heartbeat, requests, *([control] if control else [])])
    # From the signal on, however late the loop noticed it.
    deadline = stop.received_at + configuration.drain_seconds
    manager.stopping()
    if health is not None:
        health.stop(deadline=deadline)
    requests.close()
    if control is not None:
        control.close()
    bridge.close(deadline=deadline)
    if live is not None:
        live.close(say=speaker.say)
    if bridge.outlets.shows:
        stdout().flush()
    if health is not None:
        health.close()
    speaker.write(render_tally(bridge.tally, seconds=time.monotonic() - started))
    return 0


def _handle_signals() -> StopSignal:
    """Give each signal its meaning for a daemon, before anything is opened."""
    requests = (signal.SIGHUP, signal.SIGUSR1)
    stop = StopSignal(*_ENDING, requests=requests)
    for number in signal.valid_signals() - _LEFT_ALONE - {*_ENDING, *requests}:
        signal.signal(number, signal.SIG_IGN)
    return stop


def _live(settings: Settings) -> Live | None:
    if not settings.live:
        return None
    from csm_otel.commands.live import open_live  # ruff: ignore[import-outside-top-level]

    return open_live(sys.stderr, os.environ, start_ns=None)


def _open_control(settings: Settings, receivers: list[Receiver], bridge: Bridge, speaker: Speaker) -> Control | None:
    """Return the server of `csm-otel flush`, or None if it is switched off or cannot be opened."""
    if is_off(settings.control):
        return None
    from csm_otel.service.control import Control  # ruff: ignore[import-outside-top-level]

    try:
        return Control.open(settings.control or default_path(receivers[0].address[1]), bridge)
    except ControlError as error:
        speaker.say(f"`csm-otel flush` will not work: {error}")
        return None


def _check_addresses(settings: Settings) -> None:
    """Raise if other hosts could reach what they are not allowed to.

    Raises:
        SettingsError: an address is not loopback.
    """
    asked = (("--host", settings.host), ("--health", settings.health.host if settings.health else ""))
    faults = [
        Fault(flag, f"{host} is no loopback address; allow it with --allow-remote")
        for flag, host in asked
        if host and not _is_loopback(host)
    ]
    if faults and not settings.allow_remote:
        raise SettingsError(faults)


def _bind(settings: Settings, speaker: Speaker) -> list[Receiver]:
    hosts = [settings.host or _IPV4]
    if settings.host and not _is_loopback(settings.host):
        speaker.say(f"warning: {settings.host} accepts unauthenticated datagrams with credentials in clear text")
    if not settings.host and settings.port and socket.has_ipv6:
        hosts.append(_IPV6)
    receivers = []
    for host in hosts:
        try:
            receivers.append(Receiver.bind(host, settings.port, buffer_bytes=settings.receive_buffer_bytes))
        except ListenError as error:
            if receivers and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue  # built with IPv6, run without it
            for receiver in receivers:
                receiver.close()
            raise _with_owner(error, settings.port) from error
    return receivers


def _with_owner(error: ListenError, port: int) -> ListenError:
    owner = owner_of_port(port) if error.errno == errno.EADDRINUSE else None
    return ListenError(f"{error}, by {owner}" if owner else str(error), errno=error.errno)


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host.lower() == "localhost"


def _addresses(receivers: list[Receiver]) -> str:
    shown = [address_text(*receiver.address) for receiver in receivers]
    size = min(receiver.buffer_bytes for receiver in receivers)
    return f"{' and '.join(shown)} (receive buffer {size:,} bytes{' in all' if sys.platform == 'linux' else ''})"
