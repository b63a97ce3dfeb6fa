"""Shared by the tests of a daemon's life: what is sent to it, load that does not stop, back ends that hang."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from e2e.programs import DEADLINE_SECONDS
from lossless import send

if TYPE_CHECKING:
    from collections.abc import Generator

    from e2e.programs import Serving

_CALL = (
    '{{"Version":1,"ClientId":"","Type":"ApiCall","Service":"S3","Api":"Call{0}","Timestamp":1795458108269,'
    '"AttemptCount":0,"Latency":2,"MaxRetriesExceeded":0}}'
)
_ATTEMPT = (
    '{{"Version":1,"ClientId":"{0}","Type":"ApiCallAttempt","Service":"S3","Api":"GetObject","Timestamp":1795458108268,'
    '"AttemptLatency":2,"Fqdn":"s3.amazonaws.com","UserAgent":"Boto3/1.35.0 Botocore/1.35.0","HttpStatusCode":200}}'
)


def send_calls(daemon: Serving, count: int) -> None:
    """Send calls without attempts, each with its own name."""
    send(daemon.address, (_CALL.format(number).encode() for number in range(count)))


def send_attempts(daemon: Serving, count: int) -> None:
    """Send attempts without their calls."""
    send(daemon.address, (_ATTEMPT.format(number % 100).encode() for number in range(count)))


@contextlib.contextmanager
def flood(daemon: Serving) -> Generator[None]:
    """Send faster than the daemon reads, from a separate process, until the block ends."""
    program = Path(__file__).with_name("datagram_flood.py")
    command = [sys.executable, str(program), str(daemon.address[1])]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"flooding\n"
            yield
        finally:
            process.kill()


@contextlib.contextmanager
def broken_backend(kind: Literal["hangs", "drips"]) -> Generator[str]:
    """Run a back end that never answers, or answers byte by byte without an end; yield its endpoint."""
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer(sock: socket.socket) -> None:
            with sock, contextlib.suppress(OSError):
                sock.recv(65_536)
                if kind == "drips":
                    sock.sendall(b"HTTP/1.1 503 Service Unavailable\r\nX-Long: ")
                while not is_over.wait(0.05):
                    if kind == "drips":
                        sock.sendall(b"x")

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    threading.Thread(target=answer, args=[sock], daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            is_over.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(DEADLINE_SECONDS)


def counts_in(text: str) -> dict[str, object]:
    """Parse a line of JSON."""
    counts = json.loads(text)
    assert isinstance(counts, dict)
    return counts


def probe(daemon: Serving, path: str) -> tuple[int, dict[str, object]]:
    """Return the status and the body of the daemon's answer to a probe."""
    found = re.search(r"health at (http://127\.0\.0\.1:\d+)/healthz and /readyz\n", daemon.line)
    assert found, daemon.line
    address = urlsplit(found[1])
    with contextlib.closing(
        http.client.HTTPConnection(str(address.hostname), address.port, timeout=DEADLINE_SECONDS)
    ) as client:
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, counts_in(answer.read().decode())
