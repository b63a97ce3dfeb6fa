"""Many datagrams of a socket by one call of the system, recvmmsg(2), for which Python has no function: `BurstReader`.

To read them one by one costs twice as much, and may hand the interpreter over to another thread each time.

Source: struct mmsghdr, msghdr, iovec and cmsghdr, which are laid out the same on all 64-bit Linux systems.
"""

from __future__ import annotations

import mmap
import os
import socket
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MESSAGES = 64  # read at once; twice as many would be no faster
# Of each. The largest fits; of 4 MiB, hardly more than the first page of each is ever touched. Were it a power of two,
# their beginnings would compete for the same part of the processor's cache.
_PAYLOAD_BYTES = 65_600

_IS_64_BIT = sys.maxsize > 2**32
_IOVEC = struct.Struct("@PN")
_HEADER = struct.Struct("@PI0PPNPNi0PI0P")  # name, its length, iovec, how many, control, its length, flags; bytes
_RESULT = struct.Struct("@40xN8xI4x")  # of a header, when read: the length of control, and the bytes of the datagram
_SENDER = struct.Struct("@28s4x16xll")  # the name (sockaddr_in6 is the longest), and control: cmsghdr and timespec
_NAME_BYTES = 28
_CONTROL_AT, _CONTROL_BYTES = 32, 32
_FAMILY, _PORT = struct.Struct("@H"), struct.Struct("!H")
_IPV4_HOST, _IPV6_HOST = slice(4, 8), slice(8, 24)  # of sockaddr_in and sockaddr_in6

_SENDERS_AT = _MESSAGES * _PAYLOAD_BYTES
_HEADERS_AT = _SENDERS_AT + _MESSAGES * _SENDER.size
_IOVECS_AT = _HEADERS_AT + _MESSAGES * _HEADER.size
_END = _IOVECS_AT + _MESSAGES * _IOVEC.size


class BurstReader:
    """Reads what waits in a UDP socket, from which nothing but timestamps is asked for as ancillary data.

    Raises:
        ImportError: this Python has no ctypes.
        AttributeError: the system has no recvmmsg.
        OSError: there is no memory for it, or the system forbids the call.
    """

    def __init__(self, sock: socket.socket) -> None:
        import ctypes  # ruff: ignore[import-outside-top-level] - takes two milliseconds, and few runs need it

        self._socket = sock
        self._get_errno = ctypes.get_errno
        self._recvmmsg = ctypes.CDLL(None, use_errno=True).recvmmsg
        self._recvmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
        self._memory = memory = mmap.mmap(-1, _END, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with suppress(OSError):  # a kernel without huge pages
            memory.madvise(mmap.MADV_NOHUGEPAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for number in range(_MESSAGES):
            iovec, sender = _IOVECS_AT + number * _IOVEC.size, _SENDERS_AT + number * _SENDER.size
            _IOVEC.pack_into(memory, iovec, start + number * _PAYLOAD_BYTES, _PAYLOAD_BYTES)
            _HEADER.pack_into(
                memory,
                _HEADERS_AT + number * _HEADER.size,
                *(start + sender, _NAME_BYTES),
                *(start + iovec, 1),
                *(start + sender + _CONTROL_AT, _CONTROL_BYTES),
                *(0, 0),
            )
        self._headers = memory[_HEADERS_AT:_IOVECS_AT]
        self._headers_address = start + _HEADERS_AT
        self.read(0)  # raises where the kernel or a sandbox rejects the call

    @classmethod
    def open(cls, sock: socket.socket) -> BurstReader | None:
        """Return a reader of ``sock``, or None where Python or the system lacks something for it."""
        try:
            return cls(sock) if _IS_64_BIT else None
        except (ImportError, AttributeError, OSError):
            return None

    def read(self, limit: int) -> Iterator[tuple[bytes, bytes, int]]:
        """Return the datagrams that wait, at most ``limit`` and not always all, to be used before the next call.

        Each has its payload, the address of its sender (for `host_and_port`), and the time of its receipt in epoch
        nanoseconds, or 0 without a timestamp.

        Raises:
            OSError: as `socket.recvmsg` does.
        """
        memory = self._memory
        memory[_HEADERS_AT:_IOVECS_AT] = self._headers  # the kernel has written the lengths into them
        wanted = min(limit, _MESSAGES)
        count = self._recvmmsg(self._socket.fileno(), self._headers_address, wanted, socket.MSG_DONTWAIT, None)
        if count < 0:
            number = self._get_errno()
            raise OSError(number, os.strerror(number))
        return self._messages(count)

    def _messages(self, count: int) -> Iterator[tuple[bytes, bytes, int]]:
        memory = self._memory
        results = _RESULT.iter_unpack(memory[_HEADERS_AT : _HEADERS_AT + count * _HEADER.size])
        senders = _SENDER.iter_unpack(memory[_SENDERS_AT : _SENDERS_AT + count * _SENDER.size])
        at = 0
        for (control_bytes, size_bytes), (name, seconds, nanoseconds) in zip(results, senders, strict=True):
            received_ns = seconds * 1_000_000_000 + nanoseconds if control_bytes else 0
            yield memory[at : at + size_bytes], name, received_ns
            at += _PAYLOAD_BYTES


def host_and_port(name: bytes) -> tuple[str, int]:
    """Return host and port of an address of IPv4 or IPv6, as the system has it."""
    (family,) = _FAMILY.unpack_from(name)
    (port,) = _PORT.unpack_from(name, _FAMILY.size)
    return socket.inet_ntop(family, name[_IPV4_HOST if family == socket.AF_INET else _IPV6_HOST]), port
