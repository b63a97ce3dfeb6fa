"""`csm-otel serve` under hostile senders: bounded log lines, allowed networks."""

from __future__ import annotations

import contextlib
import socket
from collections import Counter

import pytest
from datagrams import call
from e2e.programs import environment, has_traceback, lines_of, serving
from loopback import send_from_anywhere
from lossless import wait_until_read

ROUNDS = 20
GARBAGE = (
    b"",
    b"\xff\xfe",
    b'{"STRANGER',
    b"[" * 60_000,
    b'{"a":' * 8_000,
    b'"STRANGER"',
    b'{"Type":"STRANGER"}',
    b'{"Type":"ApiCall"}',
    b"{}" * 2_000,
    b"9" * 5_000,
    call() + b"STRANGER",
    call(Latency=10**400, Timestamp="9" * 5_000, Api="A" * 50_000),
)


def test_a_flood_is_reported_at_intervals() -> None:
    """Garbage from ever new ports is logged once a minute for each kind, without any of its content."""
    with serving("--pending-events", "50", env=environment(OTEL_TRACES_EXPORTER="none")) as daemon:
        for payload in GARBAGE * ROUNDS:
            send_from_anywhere(payload, daemon.address)
            wait_until_read(daemon.address[1])
        assert daemon.stop() == 0
    lines = Counter(lines_of(daemon.rest))
    assert f"{len(GARBAGE) * ROUNDS} datagrams received".encode() in daemon.rest
    assert set(lines.values()) == {1}
    assert 5 <= sum("no CSM events" in line for line in lines) <= len(GARBAGE)
    assert b"STRANGER" not in daemon.rest
    assert not has_traceback(daemon.rest)


def _own_address() -> str:
    """Return an address of this machine that is not loopback, or ""; connecting UDP sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.connect(("192.0.2.1", 9))
        host = str(sock.getsockname()[0])
        return "" if host.startswith("127.") or host == "0.0.0.0" else host
    return ""


OWN = _own_address()
OTHERS = "198.51.100.0/24" if OWN.startswith("203.") else "203.0.113.0/24"
"""A network that no machine has."""


@pytest.mark.skipif(not OWN, reason="no network here")
@pytest.mark.may_skip("a machine without a network has loopback addresses only")
@pytest.mark.parametrize("networks", [OTHERS, f"{OTHERS},{OWN}"], ids=["others", "own"])
def test_allowed_networks(networks: str) -> None:
    """Datagrams from outside the networks are counted, reported once and not decoded; loopback is always allowed."""
    flags = ("--host", "0.0.0.0", "--allow-remote", "--allow-from", networks)
    with serving(*flags, env=environment(OTEL_TRACES_EXPORTER="none")) as daemon:
        port = daemon.address[1]
        for payload in (call(AttemptCount=0), b"STRANGER") * 3:
            send_from_anywhere(payload, (OWN, port), host=OWN)
        send_from_anywhere(call(AttemptCount=0), ("127.0.0.1", port))
        assert daemon.stop() == 0
    line = "csm-otel: received datagrams from outside the networks of --allow-from"
    assert b"7 datagrams received" in daemon.rest
    if OWN in networks:
        assert b"4 calls" in daemon.rest
        assert b"3 malformed" in daemon.rest
        assert line not in lines_of(daemon.rest)
    else:
        assert b"1 call with" in daemon.rest
        assert b"6 datagrams not decoded" in daemon.rest
        assert lines_of(daemon.rest).count(line) == 1
