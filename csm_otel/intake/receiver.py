"""UDP sockets to datagrams, with the kernel's own receive time and its exact count of drops if available.

Numbers of socket options are Linux's (asm-generic/socket.h); Python's socket module lacks them.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.csm.events import Peer
from csm_otel.intake.binding import DEFAULT_BUFFER_BYTES, bind_socket, grow_buffer, try_option
from csm_otel.intake.recvmmsg import BurstReader, host_and_port
from csm_otel.tally import SocketCounters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_DATAGRAM_BYTES = 65_535  # botocore stops at 8 KiB, but the limit is the sender's

_SO_TIMESTAMPNS = 35
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("9I")
_MEMINFO_DROPS = 8
_TIMESPEC = struct.Struct("@ll")  # the kernel's own, of two longs
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
_ON_LINUX = sys.platform == "linux"
_MAPPED_IPV4 = "::ffff:"  # RFC 4291, 2.5.5.2
_MAX_PEERS = 4096  # remembered, so that their datagrams share an object; addresses may be a flood's
_LARGEST_BUFFER_BYTES = 2**30 - 1  # Linux halves what a signed 32-bit number holds, and doubles it again
_BURST = 64  # from so many datagrams at once on, a socket is read by `BurstReader`, which few scripts need loaded
_Address = tuple[str | int, ...] | bytes  # as `recvmsg` has it, or `BurstReader`


class Datagram(NamedTuple):
    """One UDP payload with its sender and the wall time of its receipt in epoch nanoseconds."""

    payload: bytes
    peer: Peer
    received_ns: int


class Receiver:
    """One bound, non-blocking UDP socket."""

    def __init__(self, sock: socket.socket, *, is_handed_over: bool = False) -> None:
        """Take ownership of a bound UDP socket; one ``is_handed_over`` that outlives this process.

        Then it may have dropped datagrams before, which are counted apart.
        """
        self._socket = sock
        self.is_handed_over = is_handed_over
        sock.setblocking(False)
        self._has_timestamps = _ON_LINUX and try_option(sock, _SO_TIMESTAMPNS, 1)
        self._datagrams_read = 0
        self._was_empty = False
        self._peers: dict[_Address, Peer] = {}
        self._read: Callable[[int], Iterable[tuple[bytes, _Address, int]]] = self._read_one
        self._reads_bursts = False
        host, port = sock.getsockname()[:2]
        self._address = str(host), int(port)
        self._buffer_bytes = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._dropped_before = (self._drops() or 0) if is_handed_over else 0

    @classmethod
    def bind(cls, host: str, port: int, *, buffer_bytes: int = DEFAULT_BUFFER_BYTES) -> Receiver:
        """Bind ``host`` and ``port`` (0: any free one).

        Raises:
            ListenError: the address cannot be listened on.
        """
        return cls(bind_socket(host, port, buffer_bytes=buffer_bytes))

    @classmethod
    def take(cls, sock: socket.socket, *, buffer_bytes: int = DEFAULT_BUFFER_BYTES) -> Receiver:
        """Return the receiver of a socket that the service manager has bound, and that it keeps when this one closes.

        Its buffer grows to ``buffer_bytes`` where the system allows, and never shrinks.
        """
        grow_buffer(sock, buffer_bytes)
        return cls(sock, is_handed_over=True)

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    @property
    def address(self) -> tuple[str, int]:
        """The host and port it listens on."""
        return self._address

    @property
    def buffer_bytes(self) -> int:
        """The receive buffer that the kernel granted, in its own accounting (twice the requested size, on Linux)."""
        return self._buffer_bytes

    @property
    def has_kernel_times(self) -> bool:
        """Whether the time of receipt is the kernel's; else it is that of the reading."""
        return self._has_timestamps

    @property
    def was_empty(self) -> bool:
        """Whether all that had arrived has been read at some time.

        Before that, some may have the time of the reading: those that came before the kernel was asked for times.
        """
        return self._was_empty

    @property
    def kernel_drops(self) -> int | None:
        """Datagrams that the kernel dropped because the buffer was full; None if it has no count."""
        drops = self._drops()
        return None if drops is None else drops - self._dropped_before

    def _drops(self) -> int | None:
        """Return what the kernel has dropped since the socket was opened, or None."""
        if not _ON_LINUX:
            return None
        try:
            info = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        except OSError:
            return None
        return int(_MEMINFO.unpack(info)[_MEMINFO_DROPS]) if len(info) >= _MEMINFO.size else None

    @property
    def counters(self) -> SocketCounters:
        """Datagrams read so far, and dropped by the kernel."""
        return SocketCounters(
            self.address, self._datagrams_read, self.kernel_drops, self.buffer_bytes, self._dropped_before
        )

    def is_capped(self, asked_bytes: int) -> bool:
        """Return whether the system granted less buffer than ``asked_bytes``; Linux grants twice as much."""
        factor = 2 if _ON_LINUX else 1
        return self.buffer_bytes < factor * min(asked_bytes, _LARGEST_BUFFER_BYTES)

    def receive(self, limit: int) -> list[Datagram]:
        """Return the datagrams that wait in the socket, at most ``limit``."""
        datagrams: list[Datagram] = []
        peers = self._peers
        for _ in range(limit):
            try:
                messages = self._read(limit - len(datagrams))
            except BlockingIOError:
                self._was_empty = True
                break
            except InterruptedError:
                break
            except OSError as error:  # an ICMP error that the kernel reports here is about an earlier datagram
                if error.errno in (errno.EBADF, errno.ENOTSOCK):
                    break
                continue
            for payload, address, received_ns in messages:
                peer = peers.get(address) or self._add_peer(address)
                datagrams.append(Datagram(payload, peer, received_ns or time.time_ns()))
            if len(datagrams) >= limit:
                break
        self._datagrams_read += len(datagrams)
        if len(datagrams) >= _BURST and not self._reads_bursts:
            self._read_bursts()
        return datagrams

    def _read_one(self, _limit: int) -> tuple[tuple[bytes, _Address, int]]:
        payload, ancillary, _flags, address = self._socket.recvmsg(MAX_DATAGRAM_BYTES, _ANCILLARY_BYTES)
        received_ns = 0
        # Nothing but the time was asked for; its level and kind need not be compared.
        if self._has_timestamps and ancillary and len(ancillary[0][2]) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
            received_ns = seconds * 1_000_000_000 + nanoseconds
        return ((payload, address, received_ns),)

    def _read_bursts(self) -> None:
        """Read many datagrams at once from now on, where the system can."""
        self._reads_bursts = True
        if reader := BurstReader.open(self._socket) if _ON_LINUX else None:
            self._read = reader.read

    def _add_peer(self, address: _Address) -> Peer:
        if len(self._peers) >= _MAX_PEERS:
            self._peers.clear()
        host, port = host_and_port(address) if isinstance(address, bytes) else address[:2]
        # A socket of IPv6 that also receives over IPv4 is one that was handed over.
        peer = self._peers[address] = Peer(_unmapped(str(host)), int(port))
        return peer

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _unmapped(host: str) -> str:
    """Return the address of an IPv4 host to a socket of IPv6 as one of IPv4."""
    ipv4 = host.removeprefix(_MAPPED_IPV4)
    return ipv4 if "." in ipv4 else host
