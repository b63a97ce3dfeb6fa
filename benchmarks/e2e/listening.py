"""What the plain bridge and the limit have in common: `serve`, a loop over a UDP socket until SIGTERM."""

from __future__ import annotations

import contextlib
import json
import selectors
import signal
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_DATAGRAM_BYTES = 65_535
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h; needs CAP_NET_ADMIN


def serve(receive: Callable[[bytes], object], *, buffer_bytes: int) -> None:
    """Call a function for each datagram that arrives on a free port, until SIGTERM and the socket is empty.

    Prints a line with the port, and at the end one with the number of datagrams.
    """
    sock = _bound(buffer_bytes)
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno())
    signal.signal(signal.SIGTERM, lambda *_: None)
    print(json.dumps({"port": sock.getsockname()[1]}), flush=True)
    count = 0
    is_over = False
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while not is_over:
            is_over = any(key.fileobj is woken for key, _ in selector.select())
            with contextlib.suppress(BlockingIOError):
                while True:
                    receive(sock.recv(_DATAGRAM_BYTES))
                    count += 1
    print(json.dumps({"received": count}), flush=True)


def _bound(buffer_bytes: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_bytes)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock
