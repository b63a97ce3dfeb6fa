"""Running `csm-otel serve` with sockets that are handed over as systemd does."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from children.processes import CHILDREN
from e2e.programs import CSM_OTEL, DEADLINE_SECONDS, Serving, serving

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence


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
