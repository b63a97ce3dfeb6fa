"""Running `csm-otel serve` with sockets that are handed over as systemd does, and load for it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Self

from children.processes import CHILDREN
from e2e.programs import CSM_OTEL, DEADLINE_SECONDS, Serving, serving
from lossless import wait_until_read
from otlp_backend import wait_until

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence


_CALL = (
    b'{"Version":1,"ClientId":"","Type":"ApiCall","Service":"S3","Api":"Call%d","Timestamp":1795458108269,'
    b'"AttemptCount":0,"Latency":2,"MaxRetriesExceeded":0}'
)
_WAITING_BYTES = 120_000  # of the smallest buffer that Linux gives, 212,992


@contextlib.contextmanager
def activated(sockets: Sequence[socket.socket], *flags: str, env: Mapping[str, str]) -> Generator[Serving]:
    """Run the daemon with bound sockets that it does not own, until the block ends."""
    flags = ("--port", str(sockets[0].getsockname()[1]), *flags)
    descriptors = [one.fileno() for one in sockets]
    with serving(*flags, env=env, under=_activate(sockets), pass_fds=descriptors) as daemon:
        yield daemon


def run_activated(
    sockets: Sequence[socket.socket], *flags: str, env: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Run the daemon with sockets with which it cannot start."""
    return subprocess.run(
        [*_activate(sockets), *CSM_OTEL, "serve", *flags],
        env=env,
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=False,
        pass_fds=[one.fileno() for one in sockets],
    )


def _activate(sockets: Sequence[socket.socket]) -> list[str]:
    descriptors = ",".join(str(one.fileno()) for one in sockets)
    return [sys.executable, str(CHILDREN / "activate.py"), descriptors]


def bound_socket(host: str = "127.0.0.1", *, buffer_bytes: int = 2**20) -> socket.socket:
    """Return a UDP socket as a socket unit has it: bound to a free port, with a buffer of its own."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    sock.bind((host, 0))
    return sock


def call_of(number: int) -> bytes:
    """Return the datagram of a call with its own name, which needs no attempts."""
    return _CALL % number


def span_names(numbers: range) -> Counter[str]:
    """Return the names of the spans of these calls, each once."""
    return Counter(f"S3.Call{number}" for number in numbers)


class Load:
    """Sends calls from a thread, at most one a millisecond, and no more than the socket holds while nobody reads."""

    def __init__(self, address: tuple[str, int], calls: int) -> None:
        self.sent = 0
        self._address = address
        self._calls = calls
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(DEADLINE_SECONDS)

    def wait_for(self, calls: int) -> None:
        """Wait until so many have been sent."""
        wait_until(lambda: self.sent >= calls)

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(self._calls):
                if number % 50 == 0:
                    wait_until_read(self._address[1], but_for_bytes=_WAITING_BYTES)
                sender.sendto(call_of(number), self._address)
                self.sent = number + 1
                time.sleep(0.001)
