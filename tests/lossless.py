"""Sending datagrams no faster than they are read, so that none is lost in a small receive buffer.

Standard library only: commands under `exec` run it as a program, ``lossless.py FILE``, which sends each line of a file
of hexadecimal digits to AWS_CSM_PORT.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# `make test-portable` hides /proc from csm-otel, and keeps it here for those who send to it.
_PROC = Path("/proc/.kept") if Path("/proc/.kept").is_dir() else Path("/proc")
# Linux allows 212,992 bytes by default, and counts 768 or more for each datagram.
_DATAGRAMS_AT_ONCE = 100
_BYTES_AT_ONCE = 64_000
_DEADLINE_SECONDS = 60.0
_POLL_SECONDS = 0.002
_PAUSE_SECONDS = 0.02


def send(address: tuple[str, int], payloads: Iterable[bytes]) -> None:
    """Send from one socket, and regularly wait until all has been read; where this is unknown, for a moment.

    Raises:
        TimeoutError: the receiver has stopped reading.
    """
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sent = sent_bytes = 0
        for payload in payloads:
            if sent >= _DATAGRAMS_AT_ONCE or sent_bytes + len(payload) > _BYTES_AT_ONCE:
                wait_until_read(address[1])
                sent = sent_bytes = 0
            sock.sendto(payload, address)
            sent += 1
            sent_bytes += len(payload)


def wait_until_read(port: int, *, but_for_bytes: int = 0, deadline_seconds: float = _DEADLINE_SECONDS) -> None:
    """Wait until at most ``but_for_bytes`` are unread in the receive buffers of a UDP port, as the kernel counts them.

    Raises:
        TimeoutError: the receiver has stopped reading.
    """
    if unread_bytes(port) is None:
        time.sleep(_PAUSE_SECONDS)
    end = time.monotonic() + deadline_seconds
    while (unread_bytes(port) or 0) > but_for_bytes:
        if time.monotonic() > end:
            raise TimeoutError("the receiver has stopped reading")
        time.sleep(_POLL_SECONDS)


def unread_bytes(port: int) -> int | None:
    """Return the number of unread bytes in the receive buffers of a UDP port, None where it is unknown."""
    unread = 0
    for table in ("udp", "udp6"):
        try:
            lines = (_PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            if table == "udp":
                return None
            continue  # no IPv6 here
        for line in lines:
            words = line.split()
            if int(words[1].rpartition(":")[2], 16) == port:
                unread += int(words[4].partition(":")[2], 16)
    return unread


if __name__ == "__main__":
    send(
        ("127.0.0.1", int(os.environ["AWS_CSM_PORT"])),
        map(bytes.fromhex, Path(sys.argv[1]).read_text(encoding="ascii").split("\n")[:-1]),
    )
