"""Sockets of senders: this process's, and those of processes started for it."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from csm_otel.csm.events import Peer

if TYPE_CHECKING:
    from collections.abc import Generator

SENDER = """
import os, socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print(sock.getsockname()[1], os.fstat(sock.fileno()).st_ino, flush=True)
input()
"""
"""A process that prints the port and the inode of its socket, and ends with its standard input."""


@contextmanager
def own_socket() -> Generator[Peer]:
    """Yield the peer of a socket of this process."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield Peer("127.0.0.1", sock.getsockname()[1])


def closed_port() -> Peer:
    """Return a peer without a socket: no system assigns its port, and no other test binds its address."""
    return Peer("127.9.8.7", 1)
