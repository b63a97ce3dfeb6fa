"""The addresses of this machine's loopback interface, and a server there that answers once."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

_DEADLINE_SECONDS = 60.0  # a safety net


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:  # without IPv6 in the kernel or the container
        return False
    return True


HAS_IPV6 = _has_ipv6()
"""Whether ::1 can be bound."""


def with_ipv6(*values: object, id: str = "ipv6") -> object:  # ruff: ignore[builtin-argument-shadowing] - as pytest.param
    """Return the row of a table that needs IPv6, which containers may lack."""
    marks = [pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 here"), pytest.mark.may_skip("containers may lack IPv6")]
    return pytest.param(*values, id=id, marks=marks)


def _can_bind(host: str) -> bool:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
    except OSError:  # Linux has all of 127.0.0.0/8, macOS only configured addresses
        return False
    return True


HOSTS = tuple(host for host in ("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.1.2.3") if _can_bind(host))
"""Addresses of this machine to send datagrams from, 127.0.0.1 first."""


def send_from_anywhere(payload: bytes, address: tuple[str, int], *, host: str = HOSTS[0]) -> None:
    """Send a datagram from a new port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        sock.sendto(payload, address)


@contextmanager
def answering_once(response: bytes) -> Generator[int]:
    """Answer one TCP connection to 127.0.0.1 with ``response``, once it has sent something, and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_DEADLINE_SECONDS)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(_DEADLINE_SECONDS)
                connection.recv(1000)
                connection.sendall(response)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join(_DEADLINE_SECONDS)
