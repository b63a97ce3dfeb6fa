"""A process that sends a workload at a steady rate to a UDP port.

    python -m benchmarks.e2e.senders HOST PORT WORKLOAD PER_SECOND SECONDS SEED

It prepares everything, prints a line, and waits for a line with the monotonic second at which to start. At the end it
prints a line with what it sent and how far behind it was (`Sent`).
"""

from __future__ import annotations

import contextlib
import gc
import json
import resource
import socket
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.e2e.workload import schedule
from benchmarks.e2e.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.e2e.workload import Datagram

_SLICE_SECONDS = 0.002


class Sent(NamedTuple):
    """What was sent."""

    datagrams: int
    late_ms: float
    """How far behind schedule a slice was at most."""


def main() -> None:
    """Prepare, wait, send, report."""
    host, port, workload, per_second, seconds, seed = sys.argv[1:]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    streams = WORKLOADS[workload](float(per_second))
    datagrams = list(schedule(streams, per_second=float(per_second), seconds=float(seconds), seed=int(seed)))
    gc.disable()
    print(json.dumps({"count": len(datagrams)}), flush=True)
    line = sys.stdin.readline()
    if line:
        print(json.dumps(_send(datagrams, (host, int(port)), start=float(line))._asdict()), flush=True)


def _send(datagrams: Sequence[Datagram], address: tuple[str, int], *, start: float) -> Sent:
    """Send all datagrams, each slice of time at once."""
    while (wait := start - time.monotonic()) > 0:
        time.sleep(wait)
    # A datagram is up to a slice late. An SDK reads the end of a call after it has sent its last attempt, so that no
    # attempt may be received after that.
    began_ms = int((time.time() + _SLICE_SECONDS) * 1000)
    sockets: dict[tuple[int, int, int], socket.socket] = {}
    late_seconds = 0.0
    now = 0.0
    with contextlib.ExitStack() as stack:
        for at_seconds, template, shift_ms, port, closes_port in datagrams:
            while at_seconds > now:
                now = time.monotonic() - start
                if at_seconds > now:
                    time.sleep(min(at_seconds - now + _SLICE_SECONDS, 1.0))
            late_seconds = max(late_seconds, now - at_seconds)
            sock = sockets.get(port)
            if sock is None:
                sock = sockets[port] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                stack.callback(sock.close)
                sock.connect(address)
            with contextlib.suppress(ConnectionRefusedError):
                sock.send(template.shifted(began_ms + shift_ms))
            if closes_port:
                sock.close()
                del sockets[port]
    return Sent(len(datagrams), late_seconds * 1000)


if __name__ == "__main__":
    main()
