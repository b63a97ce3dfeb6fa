"""UDP sockets as /proc lists them: which socket has a port, and which processes hold it open.

Where there is no /proc, or it may not be read, nothing is found, and nothing raises.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_PROC = Path("/proc")
_LOCAL_ADDRESS, _INODE, _DROPS = 1, 9, 12  # columns of /proc/net/udp
_MAPPED_IPV4 = bytes(10) + b"\xff\xff"
_LAST_PID = 4  # word of /proc/loadavg


class UdpSocket(NamedTuple):
    """A row of the socket tables: its address, its inode, and the datagrams that the kernel has dropped."""

    host: bytes
    """In network byte order, of 4 bytes for IPv4, else of 16."""
    port: int
    inode: int
    drops: int = 0


class LatestPids:
    """The last assigned pids that may be in use, by processes or by threads.

    Most belong to nobody any more. Each is returned once, in case it is about to be used, and from then on while it is.
    """

    def __init__(self, count: int) -> None:
        """Consider the last ``count`` pids."""
        self._count = count
        self._last = 0
        self._pids: list[int] = []

    def newest_first(self) -> list[int]:
        """Return the pids, the latest first."""
        last = _last_pid()
        oldest = max(last - self._count, 0)
        used = [pid for pid in self._pids if oldest < pid <= last and (_PROC / str(pid)).exists()]
        seen = self._last if oldest < self._last <= last else oldest  # they wrap
        self._last, self._pids = last, [*range(last, seen, -1), *used]
        return self._pids


def is_available() -> bool:
    """Return whether this system lists its sockets and who holds them."""
    return (_PROC / "net" / "udp").exists()


def udp_sockets(ports: Collection[int]) -> list[UdpSocket]:
    """Return the sockets of this network namespace that are bound to one of the ports."""
    return [row for table in ("udp", "udp6") for row in _rows(table, ports)]


def inode_of_sender(host: str, port: int, sockets: Collection[UdpSocket]) -> int | None:
    """Return the inode of the socket that sends from this address, or None.

    Sockets of one port may differ in their address, so one that is bound to exactly this address comes before one that
    is bound to any. A socket of IPv6 may send over IPv4.
    """
    address = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    ranked = [
        (rank, row.inode) for row in sockets if row.port == port and (rank := _rank(row.host, address)) is not None
    ]
    return min(ranked)[1] if ranked else None


def newest_first() -> list[int]:
    """Return the pids of all processes, the latest first: pids are assigned in turn, and wrap."""
    try:
        pids = [int(entry) for entry in os.listdir(_PROC) if entry.isdecimal()]  # ruff: ignore[os-listdir] - half the cost
    except OSError:
        return []
    last = _last_pid()
    return sorted(pids, key=lambda pid: (pid > last, -pid))


def socket_inodes(pid: int) -> Iterator[int]:
    """Yield the inodes of the sockets that a process holds open; none where these may not be read."""
    folder = f"{_PROC}/{pid}/fd"
    try:
        descriptors = os.listdir(folder)  # ruff: ignore[os-listdir]
    except OSError:
        return
    for descriptor in descriptors:
        try:
            link = os.readlink(f"{folder}/{descriptor}")  # ruff: ignore[os-readlink] - the target is no path
        except OSError:
            continue
        if link.startswith("socket:["):
            yield int(link[len("socket:[") : -1])


def _rows(table: str, ports: Collection[int]) -> Iterator[UdpSocket]:
    try:
        lines = (_PROC / "net" / table).read_bytes().splitlines()[1:]
    except OSError:
        return
    wanted = {b"%04X" % port for port in ports}
    for line in lines:
        host, _, port = line.split(None, _LOCAL_ADDRESS + 1)[_LOCAL_ADDRESS].rpartition(b":")
        if port not in wanted:
            continue
        row = line.split()
        if inode := int(row[_INODE]):  # 0: closed, and on its way out
            yield UdpSocket(_address(host), int(port, 16), inode, int(row[_DROPS]))


def _last_pid() -> int:
    try:
        return int((_PROC / "loadavg").read_bytes().split()[_LAST_PID])
    except (OSError, ValueError, IndexError):
        return 0


def _address(text: bytes) -> bytes:
    """Return an address that the kernel printed as words of 32 bits, each in the machine's own byte order."""
    address = b"".join(struct.pack("=I", int(text[at : at + 8], 16)) for at in range(0, len(text), 8))
    return address.removeprefix(_MAPPED_IPV4)


def _rank(bound: bytes, address: bytes) -> int | None:
    if bound == address:
        return 0
    if any(bound):  # to another address
        return None
    return 1 if len(bound) == len(address) else 2
