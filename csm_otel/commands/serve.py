"""``csm-otel serve``: receive from every script on this machine until a signal stops it."""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import cache
from typing import TYPE_CHECKING

from csm_otel.commands.listening import addresses_text, check_addresses, open_receivers
from csm_otel.commands.ports import Ports
from csm_otel.errors import ControlError, Fault, SettingsError
from csm_otel.intake.activation import take_sockets
from csm_otel.process.garbage import begin_collection
from csm_otel.process.stop import StopSignal
from csm_otel.report.tally import render_tally
from csm_otel.service.control_socket import default_path, is_off
from csm_otel.service.sd_notify import ServiceManager

if TYPE_CHECKING:
    from csm_otel.commands.live import Live
    from csm_otel.config.configuration import Configuration
    from csm_otel.config.settings import Settings
    from csm_otel.engine.bridge import Bridge
    from csm_otel.intake.receiver import Receiver
    from csm_otel.process.speaker import Speaker
    from csm_otel.report.stdout import Stdout
    from csm_otel.service.control import Control
    from csm_otel.service.health import Health
    from csm_otel.service.network_flush import FlushRequests, NetworkFlush

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
        ListenError: an address cannot be listened on, or a socket that was handed over cannot be used.
    """
    handed_over = take_sockets(os.environ)
    manager = ServiceManager(os.environ)
    settings = configuration.settings
    stop = _handle_signals()
    check_addresses(configuration, handed_over)
    receivers = open_receivers(settings, handed_over, speaker)
    ports = Ports(configuration, speaker)
    flush_requests = _accept_flushes(settings, ports.health, speaker)
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
        scraped=ports.reader,
        faults=faults,
    )
    if faults:
        raise SettingsError(faults)
    if bridge.outlets.shows:
        stdout()  # loaded now rather than with the first batch
    flushers = [
        SignalRequests(bridge, take=stop.take_requests, timeout_seconds=_FLUSH_SECONDS, say=speaker.say),
        *_open_flushers(settings, receivers, bridge, speaker, flush_requests),
    ]
    ports.start()
    speaker.say(f"listening on {addresses_text(receivers)}, exporting to {bridge.outlets.description}")
    started = time.monotonic()
    heartbeat = Heartbeat(
        bridge,
        health=ports.health,
        manager=manager,
        report_seconds=settings.report_seconds,
        say=speaker.say,
        now=started,
    )
    report = cache(lambda: speaker.write(render_tally(bridge.tally, seconds=time.monotonic() - started)))
    stop.on_second(bridge.cancel, report)
    begin_collection()
    manager.ready()
    bridge.run(until=stop.is_set, wake=stop, services=[heartbeat, *flushers])
    # From the signal on, however late the loop noticed it.
    deadline = stop.received_at + configuration.drain_seconds
    manager.stopping()
    ports.stop(deadline=deadline)
    for flusher in flushers:
        flusher.close()
    bridge.close(deadline=deadline)
    if live is not None:
        live.close(say=speaker.say)
    if bridge.outlets.shows:
        stdout().flush()
    ports.close()
    report()
    stop.end_by_second()
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


def _accept_flushes(settings: Settings, health: Health | None, speaker: Speaker) -> FlushRequests | None:
    """Accept flushes at the health port from now on, if that is asked for: they wait for the loop.

    Raises:
        SettingsError: there is no health port.
    """
    if not settings.flush_over_health:
        return None
    if health is None:
        raise SettingsError([Fault("--flush-over-health", "it needs the port of --health")])
    from csm_otel.intake.allowed import AllowedNetworks  # ruff: ignore[import-outside-top-level]
    from csm_otel.service.network_flush import FlushRequests  # ruff: ignore[import-outside-top-level]

    requests = FlushRequests(is_allowed=AllowedNetworks(settings.allow_from) if settings.allow_from else None)
    health.routes.add("POST", "/flush", requests.ask)
    speaker.say(f"flushes are accepted at {health.url}/flush")
    return requests


def _open_flushers(
    settings: Settings,
    receivers: list[Receiver],
    bridge: Bridge,
    speaker: Speaker,
    requests: FlushRequests | None,
) -> list[Control | NetworkFlush]:
    """Return the servers of `csm-otel flush`, but those that are switched off or cannot be opened."""
    flushers: list[Control | NetworkFlush] = []
    if not is_off(settings.control):
        from csm_otel.service.control import Control  # ruff: ignore[import-outside-top-level]

        try:
            flushers.append(Control.open(settings.control or default_path(receivers[0].address[1]), bridge))
        except ControlError as error:
            speaker.say(f"`csm-otel flush` will not work: {error}")
    if requests is not None:
        from csm_otel.service.network_flush import NetworkFlush  # ruff: ignore[import-outside-top-level]

        flushers.append(NetworkFlush(requests, bridge))
    return flushers
