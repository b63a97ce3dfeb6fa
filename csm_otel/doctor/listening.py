"""Check the socket of the daemon: who listens, what the kernel dropped, and how large a buffer may be."""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.doctor.finding import Checked, Finding
from csm_otel.errors import CsmOtelError, ListenError
from csm_otel.intake.procfs.port_owner import SERVICE_MANAGER, owner_of_port
from csm_otel.intake.procfs.sockets import is_available, udp_sockets
from csm_otel.intake.receiver import Receiver
from csm_otel.service.control_client import ask, paths_to_daemon

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = "csm-otel"


class Listener(NamedTuple):
    """What listens on the daemon's port."""

    is_bound: bool
    is_ours: bool | None
    """None: the owner cannot be known, or is systemd, which waits for a datagram."""
    owner: str
    """As name and pid; empty: unknown."""
    kernel_drops: int


def find_listener(port: int, control: Path | None, *, timeout_seconds: float) -> Listener:
    """Ask the daemon by its control socket, and look for the owner of the UDP port."""
    rows = udp_sockets({port})
    drops = sum(row.drops for row in rows)
    owner = owner_of_port(port) or ""
    answers = _answers(control, port, timeout_seconds)
    is_bound = bool(rows) if is_available() else not _can_bind(port)
    if answers or owner.startswith(_PROGRAM):
        return Listener(is_bound, True, owner, drops)
    # A socket unit's is for a service that may be csm-otel, and that starts with the first datagram.
    is_for_a_service = owner.startswith(f"{SERVICE_MANAGER} (")
    return Listener(is_bound, False if owner and not is_for_a_service else None, owner, drops)


def check_listener(listener: Listener, *, port: int, is_csm_enabled: bool) -> Checked:
    """Return the findings about the daemon's port; without CSM enabled nobody needs to listen."""
    owner = f" ({listener.owner})" if listener.owner else ""
    if not listener.is_bound:
        state = f"nothing listens on UDP port {port}"
        finding = Finding(
            "nobody-listens",
            f"CSM is enabled here, but nothing listens on UDP port {port}",
            "What scripts send is lost. `exec` does not need a daemon, and is not affected.",
            "csm-otel serve",
        )
        return Checked("socket", state, (finding,) if is_csm_enabled else ())
    findings = []
    if listener.is_ours is False:
        findings.append(
            Finding(
                "port-taken",
                f"UDP port {port} is taken by a program that is not csm-otel, or has no control socket:{owner}",
                "`csm-otel serve` cannot listen there, and that program gets what scripts send.",
                f"end that program, or use another port: csm-otel serve --port {port + 1}, and AWS_CSM_PORT={port + 1}",
            )
        )
    elif listener.kernel_drops:
        findings.append(
            Finding(
                "kernel-drops",
                f"the kernel has dropped {listener.kernel_drops} datagrams of port {port}",
                "Its receive buffer was full; calls or attempts are missing in traces.",
                "sudo sysctl -w net.core.rmem_max=8388608, and csm-otel serve --receive-buffer-bytes 8388608",
            )
        )
    nobody = "a socket unit" if listener.owner else "a program that cannot be identified"
    known = {True: "csm-otel", False: "another program", None: nobody}
    return Checked("socket", f"{known[listener.is_ours]}{owner} listens on UDP port {port}", tuple(findings))


def check_buffer(buffer_bytes: int) -> Checked:
    """Return a finding if the system grants less than the receive buffer that csm-otel asks for."""
    try:
        with contextlib.closing(Receiver.bind("127.0.0.1", 0, buffer_bytes=buffer_bytes)) as receiver:
            granted, is_capped = receiver.buffer_bytes, receiver.is_capped(buffer_bytes)
    except ListenError as error:
        why = "Neither `exec` nor `serve` can receive anything."
        fix = "check the network of this container or sandbox: ip address show lo"
        return Checked("buffer", "unknown", (Finding("cannot-listen", str(error), why, fix),))
    state = f"{granted} bytes, in the kernel's own accounting"
    if not is_capped:
        return Checked("buffer", state)
    finding = Finding(
        "receive-buffer-capped",
        f"the kernel grants a receive buffer of {granted} bytes, twice {buffer_bytes} were asked for",
        "A burst of calls can fill it; what comes then is dropped. Linux caps it at net.core.rmem_max.",
        f"sudo sysctl -w net.core.rmem_max={buffer_bytes}",
    )
    return Checked("buffer", state, (finding,))


def _answers(control: Path | None, port: int, timeout_seconds: float) -> bool:
    try:
        paths = paths_to_daemon(control, port)
        ask(paths, {"do": "health"}, connect_seconds=timeout_seconds, answer_seconds=timeout_seconds)
    except CsmOtelError:
        return False
    return True


def _can_bind(port: int) -> bool:
    """Return whether nobody has bound a port; a port that this process may not bind is taken for a free one."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True
