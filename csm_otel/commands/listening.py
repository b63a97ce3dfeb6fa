"""The sockets of ``csm-otel serve``: bound by itself, or handed over by the service manager."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import sys
from typing import TYPE_CHECKING

from csm_otel.config.settings import SETTINGS
from csm_otel.errors import Fault, ListenError, SettingsError, address_text
from csm_otel.intake.procfs.port_owner import owner_of_port
from csm_otel.intake.receiver import Receiver
from csm_otel.report.terminal import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csm_otel.config.configuration import Configuration
    from csm_otel.config.settings import Settings
    from csm_otel.process.speaker import Speaker

_IPV4, _IPV6 = "127.0.0.1", "::1"


def check_addresses(configuration: Configuration, handed_over: Sequence[socket.socket]) -> None:
    """Raise if other hosts could reach what they are not allowed to.

    Raises:
        SettingsError: an address is not loopback.
    """
    settings, prometheus = configuration.settings, configuration.prometheus
    asked = [("--host", settings.host)]
    if handed_over:  # whatever the flag says
        asked = [("LISTEN_FDS", sock.getsockname()[0]) for sock in handed_over]
    asked.append(("--health", settings.health.host if settings.health else ""))
    if prometheus is not None and prometheus.address is not None:
        asked.append(("OTEL_EXPORTER_PROMETHEUS_HOST", prometheus.address.host))
    faults = [
        Fault(flag, f"{host} is no loopback address; allow it with --allow-remote")
        for flag, host in asked
        if host and not _is_loopback(host)
    ]
    if faults and not settings.allow_remote:
        raise SettingsError(faults)


def open_receivers(settings: Settings, handed_over: Sequence[socket.socket], speaker: Speaker) -> list[Receiver]:
    """Return the receivers of the sockets that were ``handed_over``, or where there are none, of our own.

    Raises:
        ListenError: an address cannot be listened on.
    """
    if handed_over:
        receivers = [Receiver.take(sock, buffer_bytes=settings.receive_buffer_bytes) for sock in handed_over]
        ports = {receiver.address[1] for receiver in receivers}
        if settings.host or settings.port not in {*ports, SETTINGS["port"].default}:
            speaker.say("--host and --port are not used: the service manager has bound the sockets")
        if dropped := sum(receiver.counters.dropped_before for receiver in receivers):
            what = "dropped by the kernel since the sockets were bound, before this start"
            speaker.say(f"{counted(dropped, 'datagram')} {what}")
    else:
        receivers = _bind(settings)
    for host, _ in (receiver.address for receiver in receivers):
        if not _is_loopback(host):
            speaker.say(f"warning: {host} accepts unauthenticated datagrams with credentials in clear text")
    return receivers


def addresses_text(receivers: Sequence[Receiver]) -> str:
    """Return where datagrams are received, and the size of the smallest buffer, for the operator."""
    shown = " and ".join(address_text(*receiver.address) for receiver in receivers)
    size = min(receiver.buffer_bytes for receiver in receivers)
    by_whom = ", handed over by the service manager" if any(one.is_handed_over for one in receivers) else ""
    return f"{shown}{by_whom} (receive buffer {size:,} bytes{' in all' if sys.platform == 'linux' else ''})"


def _bind(settings: Settings) -> list[Receiver]:
    hosts = [settings.host or _IPV4]
    if not settings.host and settings.port and socket.has_ipv6:
        hosts.append(_IPV6)
    receivers: list[Receiver] = []
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
