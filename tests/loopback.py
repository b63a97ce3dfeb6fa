"""The addresses of this machine's loopback interface."""

from __future__ import annotations

import socket

import pytest


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
