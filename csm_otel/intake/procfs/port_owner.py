"""Which process has a UDP port bound, where /proc shows it."""

from __future__ import annotations

from csm_otel.intake.procfs.process import kernel_name
from csm_otel.intake.procfs.sockets import newest_first, socket_inodes, udp_sockets


def owner_of_port(port: int) -> str | None:
    """Return ``name (pid 123)`` of a process that has the UDP port bound, or None where that cannot be known."""
    inodes = {row.inode for row in udp_sockets({port})}
    for pid in reversed(newest_first()) if inodes else ():
        if not inodes.isdisjoint(socket_inodes(pid)):
            return f"{kernel_name(pid) or 'a process'} (pid {pid})"
    return None
