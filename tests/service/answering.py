"""A daemon that has one answer, at a control socket."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from otlp_backend import DEADLINE_SECONDS

from csm_otel.service.control_socket import open_control_socket

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@contextmanager
def answering(path: Path, answer: bytes) -> Generator[list[bytes]]:
    """Listen at a path, answer one connection, and yield a list that receives its request."""
    asked: list[bytes] = []
    sock = open_control_socket(path)
    sock.settimeout(DEADLINE_SECONDS)

    def serve() -> None:
        connection, _ = sock.accept()
        with connection:
            connection.settimeout(DEADLINE_SECONDS)
            asked.append(connection.recv(1000))
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield asked
    finally:
        thread.join(DEADLINE_SECONDS)
        sock.close()
