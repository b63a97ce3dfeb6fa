"""Which process has a UDP port bound, where /proc shows it."""

from __future__ import annotations

from csm_otel.intake.procfs.process import kernel_name
from csm_otel.intake.procfs.sockets import newest_first, socket_inodes, udp_sockets

SERVICE_MANAGER = "systemd"
"""The kernel's name of what binds the sockets of socket units."""


def owner_of_port(port: int) -> str | None:
    """Return ``name (pid 123)`` of a process that has the UDP port bound, or None where that cannot be known.

    It is the oldest such process, but for systemd, which keeps a socket that it has handed over.
    """
    inodes = {row.inode for row in udp_sockets({port})}
    keeper = None
    for pid in reversed(newest_first()) if inodes else ():
        if not inodes.isdisjoint(socket_inodes(pid)):
            name = kernel_name(pid) or "a process"
            if name != SERVICE_MANAGER:
                return f"{name} (pid {pid})"
            keeper = f"{name} (pid {pid})"
    return keeper
