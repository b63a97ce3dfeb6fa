"""Events forwarded to another CSM listener, each in a datagram of its own: `Tee`.

The listener is one that understands CSM alone, such as iamlive. No event waits for it: what cannot be sent at once is
counted, and that is all. What another csm-otel has forwarded is not forwarded again, so that nothing goes round in
circles.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
from typing import TYPE_CHECKING

from csm_otel.csm.encoding import encode_event
from csm_otel.errors import Fault, SettingsError, address_text, reason_of
from csm_otel.intake.binding import udp_address

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from csm_otel.csm.decoding import Decoded
    from csm_otel.tally import Tally

_FLAG = "--tee"
_OTHERWISE = "unreachable"
_REASONS = {
    errno.ECONNREFUSED: "not_listening",
    errno.EMSGSIZE: "oversized",
    errno.EAGAIN: "buffer_full",
    errno.ENOBUFS: "buffer_full",
}


class Tee:
    """Forwards events over a connected UDP socket, and counts them in the tally; it never blocks and never raises."""

    def __init__(self, sock: socket.socket, tally: Tally, *, messages: bool, warn: Callable[..., None]) -> None:
        """Take ownership of a connected socket; ``messages``: forward error messages as well.

        ``warn`` takes a line for the operator and its ``kind``, see `Speaker.warn`.
        """
        sock.setblocking(False)
        self._socket = sock
        self._tally = tally
        self._messages = messages
        self._warn = warn
        self.shown = address_text(*sock.getpeername()[:2])
        """The listener's address."""
        self.is_failing = False
        """Whether the last event could not be forwarded."""

    @classmethod
    def open(
        cls,
        host: str,
        port: int,
        tally: Tally,
        *,
        own: Collection[tuple[str, int]],
        allow_remote: bool,
        messages: bool,
        warn: Callable[..., None],
    ) -> Tee:
        """Forward to ``host``, resolved once, and ``port``; ``own`` are the addresses that this process receives at.

        Raises:
            SettingsError: the host is unknown, another machine's and not allowed, or the address is our own.
        """
        sock = _connect(host, port)
        fault = _fault_of(sock, own, allow_remote=allow_remote)
        if fault:
            sock.close()
            raise SettingsError([Fault(_FLAG, fault)])
        return cls(sock, tally, messages=messages, warn=warn)

    def forward(self, decoded: Decoded) -> None:
        """Forward the events of a datagram, unless another csm-otel has forwarded it."""
        if decoded.is_forwarded:
            return
        for event in decoded.events:
            number = self._send(encode_event(event, messages=self._messages))
            self.is_failing = bool(number)
            if number:
                self._tally.events_not_forwarded[_REASONS.get(number, _OTHERWISE)] += 1
                self._warn(f"{_FLAG} {self.shown}: {os.strerror(number).lower()}", kind=f"tee:{number}")
            else:
                self._tally.events_forwarded += 1

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send(self, payload: bytes) -> int:
        """Send a datagram, and return the errno of its failure, 0 for none.

        Of this machine Linux knows at once that nobody listens; of another one it may report it with a later datagram.
        """
        try:
            with contextlib.suppress(ConnectionRefusedError):
                self._socket.send(payload)
                return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._socket.send(payload)
        except OSError as error:
            return error.errno or errno.EIO
        return 0


def _connect(host: str, port: int) -> socket.socket:
    """Return a UDP socket that sends there.

    Raises:
        SettingsError: the host is unknown, or there is no way to it.
    """
    sock = None
    try:
        family, address = udp_address(host, port)
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.connect(address)
    except (OSError, UnicodeError) as error:
        if sock is not None:
            sock.close()
        why = reason_of(error) if isinstance(error, OSError) else "not a host name"
        raise SettingsError([Fault(_FLAG, f"{address_text(host, port)}: {why}")]) from error
    return sock


def _fault_of(sock: socket.socket, own: Collection[tuple[str, int]], *, allow_remote: bool) -> str:
    """Return why events must not be sent to where a socket is connected to; "" if they may be."""
    host, port = sock.getpeername()[:2]
    address = _address(host)
    if not address.is_loopback and not allow_remote:
        return f"{host} is no loopback address; allow it with --allow-remote"
    is_here = address.is_loopback or sock.getsockname()[0] == host
    for own_host, own_port in own:
        own_address = _address(own_host)
        if own_port == port and (own_address == address or (is_here and own_address.is_unspecified)):
            return f"{address_text(host, port)} is where csm-otel itself receives"
    return ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address of a socket, that of IPv4 over IPv6 (RFC 4291, 2.5.5.2) as the one of IPv4 that it is."""
    address = ipaddress.ip_address(host)
    return (address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None) or address
