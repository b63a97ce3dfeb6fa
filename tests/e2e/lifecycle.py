"""What the tests of a daemon's life share: what is sent to it, load that does not stop, back ends that hang."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from e2e.programs import DEADLINE_SECONDS
from otlp_backend import wait_until

if TYPE_CHECKING:
    import signal
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
_BURST = 100  # which every receive buffer has room for


def send_calls(daemon: Serving, count: int) -> None:
    """Send calls without attempts, each with a name of its own."""
    _send(daemon, [_CALL.format(number) for number in range(count)])


def send_attempts(daemon: Serving, count: int) -> None:
    """Send attempts whose calls never come."""
    _send(daemon, [_ATTEMPT.format(number % 100) for number in range(count)])


def _send(daemon: Serving, texts: list[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number, text in enumerate(texts):
            sock.sendto(text.encode(), daemon.address)
            if number % _BURST == 0:
                wait_until(lambda: _queued_bytes(daemon.address[1]) == 0)


def _queued_bytes(port: int) -> int:
    """Return what waits in the socket of a port; 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/udp").read_text(encoding="ascii").splitlines()[1:]:
            words = line.split()
            if int(words[1].partition(":")[2], 16) == port:
                return int(words[4].partition(":")[2], 16)
    return 0


@contextlib.contextmanager
def flood(daemon: Serving) -> Generator[None]:
    """Send more than it can take, from a process of its own, until the block ends."""
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
    """Run what takes requests and never answers, or answers a byte at a time and never ends; yield its endpoint."""
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


def seconds_to_stop(daemon: Serving, number: signal.Signals) -> float:
    """End the daemon in order, and return how long that took."""
    began = time.monotonic()
    assert daemon.stop(number) == 0
    return time.monotonic() - began


def counts_in(text: str) -> dict[str, object]:
    """Return a line of JSON."""
    counts = json.loads(text)
    assert isinstance(counts, dict)
    return counts


def probe(daemon: Serving, path: str) -> tuple[int, dict[str, object]]:
    """Return the status and the body that the daemon answers with."""
    found = re.search(r"health at (http://127\.0\.0\.1:\d+)/healthz and /readyz\n", daemon.line)
    assert found, daemon.line
    address = urlsplit(found[1])
    with contextlib.closing(
        http.client.HTTPConnection(str(address.hostname), address.port, timeout=DEADLINE_SECONDS)
    ) as client:
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, counts_in(answer.read().decode())
