"""What the loopback interface of this machine has."""

from __future__ import annotations

import socket

import pytest


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:  # built without it, or run in a container without it
        return False
    return True


HAS_IPV6 = _has_ipv6()
"""Whether ::1 can be bound."""


def with_ipv6(*values: object, id: str = "ipv6") -> object:  # ruff: ignore[builtin-argument-shadowing] - as pytest.param
    """Return the row of a table that needs IPv6, which containers may lack."""
    marks = [pytest.mark.skipif(not HAS_IPV6, reason="no IPv6 here"), pytest.mark.may_skip("containers may lack IPv6")]
    return pytest.param(*values, id=id, marks=marks)
