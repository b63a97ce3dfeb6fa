"""Who listens on a UDP port, where /proc can tell."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")
_LOCAL_ADDRESS, _INODE = 1, 9  # columns of /proc/net/udp


def owner_of_port(port: int) -> str | None:
    """Return ``name (pid 123)`` of a process that has the UDP port bound, or None where that cannot be known."""
    try:
        inodes = {f"socket:[{inode}]" for table in ("udp", "udp6") for inode in _inodes(_PROC / "net" / table, port)}
        pids = sorted(int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    except OSError:
        return None
    for pid in pids:
        if inodes and _has_open(pid, inodes):
            return f"{_name(pid)} (pid {pid})"
    return None


def _inodes(table: Path, port: int) -> list[str]:
    try:
        rows = [line.split() for line in table.read_text("ascii", "replace").splitlines()[1:]]
    except OSError:
        return []
    return [row[_INODE] for row in rows if int(row[_LOCAL_ADDRESS].rpartition(":")[2], 16) == port]


def _has_open(pid: int, links: set[str]) -> bool:
    try:
        descriptors = list((_PROC / str(pid) / "fd").iterdir())
    except OSError:
        return False
    for descriptor in descriptors:
        try:
            if os.readlink(descriptor) in links:  # ruff: ignore[os-readlink] - the target is no path
                return True
        except OSError:
            continue
    return False


def _name(pid: int) -> str:
    try:
        name = (_PROC / str(pid) / "comm").read_text("ascii", "replace").removesuffix("\n")
    except OSError:
        return "a process"
    return "".join(letter if letter.isprintable() else "?" for letter in name)  # any process may name itself anything
