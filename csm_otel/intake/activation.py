"""Sockets that the service manager has bound and hands over: `take_sockets`.

Source: sd_listen_fds(3). Descriptors are counted from 3; ``LISTEN_PID`` names the process that they are for. A process
that started another one without these variables being removed would lead it to believe that they are its own.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from csm_otel.errors import ListenError, quoted, reason_of

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
_MOST_DIGITS = 9
_IP = (socket.AF_INET, socket.AF_INET6)


def take_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """Return the UDP sockets that are handed over to this process, and remove their variables from ``environ``.

    They are not inherited by children. Call it before anything is opened, as it goes by the numbers of descriptors.

    Raises:
        ListenError: one of them is not a bound UDP socket.
    """
    values = {name: environ.pop(name, "") for name in _VARIABLES}
    if values["LISTEN_PID"] != str(os.getpid()):
        return []
    count = values["LISTEN_FDS"]
    if not (count.isascii() and count.isdecimal() and len(count) <= _MOST_DIGITS):
        raise ListenError(f"LISTEN_FDS: {quoted(count)} is not a number of sockets")
    names = dict(enumerate(values["LISTEN_FDNAMES"].split(":"), _FIRST_DESCRIPTOR))
    with ExitStack() as opened:
        sockets = [
            opened.enter_context(_take(descriptor, names.get(descriptor, "")))
            for descriptor in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count))
        ]
        opened.pop_all()
    return sockets


def _take(descriptor: int, name: str) -> socket.socket:
    shown = f"descriptor {descriptor}" + (f", {quoted(name)}," if name else "")
    try:
        sock = socket.socket(fileno=descriptor)  # finds out family, type and protocol
    except OSError as error:
        raise ListenError(f"LISTEN_FDS: {shown} is not a socket: {reason_of(error)}", errno=error.errno) from error
    fault = ""
    if sock.family not in _IP or sock.type != socket.SOCK_DGRAM or sock.proto != socket.IPPROTO_UDP:
        fault = "is not a UDP socket: use ListenDatagram= with an IP address"
    elif not sock.getsockname()[1]:
        fault = "is not bound to a port"
    if fault:
        sock.close()
        raise ListenError(f"LISTEN_FDS: {shown} {fault}")
    sock.set_inheritable(False)
    return sock
