"""A bound UDP socket with the receive buffer asked for.

Standard library only: `exec` binds before anything else is loaded.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import TYPE_CHECKING, Any

from csm_otel.errors import ListenError, address_text, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_BUFFER_BYTES = 4 * 1024 * 1024  # holds some 4,000 datagrams of 1 kB; the kernel's default holds 92

_ON_LINUX = sys.platform == "linux"
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h; needs CAP_NET_ADMIN, and is not capped at net.core.rmem_max


def bind_socket(host: str, port: int, *, buffer_bytes: int) -> socket.socket:
    """Return a UDP socket bound to ``host`` and ``port`` with the receive buffer asked for.

    Raises:
        ListenError: the address cannot be listened on.
    """
    try:
        family, address = udp_address(host, port)
        sock = socket.socket(family, socket.SOCK_DGRAM)
    except UnicodeError as error:  # a name that has no form in DNS: an empty or too long label
        raise ListenError(f"cannot listen on {address_text(host, port)}: not a host name") from error
    except OSError as error:
        raise ListenError(f"cannot listen on {address_text(host, port)}: {reason_of(error)}") from error
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _request_buffer(sock, buffer_bytes)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise ListenError(
            f"cannot listen on {address_text(host, port)}: {reason_of(error)}", errno=error.errno
        ) from error
    return sock


def udp_address(
    host: str, port: int, *, resolve: Callable[..., list[Any]] = socket.getaddrinfo
) -> tuple[socket.AddressFamily, Any]:
    """Return the family and the address of a host for UDP; a name stands for its IPv4 address, if it has one.

    boto3 and others send over IPv4 only, and other listeners for CSM are where those send; but the first address of
    localhost is ::1 on many systems. ``resolve`` is called as `socket.getaddrinfo`.

    Raises:
        OSError: it is unknown.
        UnicodeError: the name has no form in DNS.
    """
    flags = socket.AI_PASSIVE | socket.AI_NUMERICSERV
    found = resolve(_without_idna(host), port, type=socket.SOCK_DGRAM, flags=flags)
    family, _, _, _, address = next((one for one in found if one[0] == socket.AF_INET), found[0])
    return family, address


def grow_buffer(sock: socket.socket, buffer_bytes: int) -> None:
    """Request a receive buffer for a UDP socket that may already have a larger one, which it keeps."""
    with socket.socket(sock.family, socket.SOCK_DGRAM) as probe:
        _request_buffer(probe, buffer_bytes)
        granted = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if granted > sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF):
        _request_buffer(sock, buffer_bytes)


def _request_buffer(sock: socket.socket, buffer_bytes: int) -> None:
    if not (_ON_LINUX and try_option(sock, _SO_RCVBUFFORCE, buffer_bytes)):
        try_option(sock, socket.SO_RCVBUF, buffer_bytes)


def _without_idna(host: str) -> str | bytes:
    """Return an IPv4 address as bytes: a text is encoded by IDNA, whose tables take a millisecond to load."""
    return host.encode() if host and not host.strip("0123456789.") else host


def try_option(sock: socket.socket, option: int, value: int) -> bool:
    """Set a socket option and return whether the system accepted it."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, option, value)
        return True
    return False
