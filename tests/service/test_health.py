"""Probes over HTTP: real connections to a real port."""

from __future__ import annotations

import http.client
import json
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from otlp_backend import wait_until

from csm_otel.errors import ListenError
from csm_otel.service.health import Health
from csm_otel.tally import Tally, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Generator

DEADLINE_SECONDS = 20.0
COUNTS = snapshot_of(Tally(datagrams_received=7), events_pending=2)


@pytest.fixture
def health() -> Generator[Health]:
    """Run one whose loop has just beaten."""
    with closing(Health(0)) as health:
        health.beat(COUNTS, troubles=(), keeps=True)
        yield health


def probe(health: Health, path: str, method: str = "GET") -> tuple[int, dict[str, object]]:
    """Return the status and the body of an answer."""
    address = urlsplit(health.url)
    with closing(http.client.HTTPConnection(str(address.hostname), address.port, timeout=DEADLINE_SECONDS)) as client:
        client.request(method, path, body=b"x" * 100 if method == "POST" else None)
        answer = client.getresponse()
        body = answer.read()
        assert answer.headers["Content-Type"] == "application/json"
        assert ("GET" if answer.status == 405 else None) == answer.headers["Allow"]
        return answer.status, json.loads(body) if body else {}


def raw(health: Health, said: bytes) -> bytes:
    """Return what is answered to bytes."""
    address = urlsplit(health.url)
    with socket.create_connection((address.hostname, address.port), timeout=DEADLINE_SECONDS) as sock:
        sock.sendall(said)
        answer = b""
        while piece := sock.recv(4096):
            answer += piece
        return answer


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/readyz?verbose"])
def test_all_is_well(health: Health, path: str) -> None:
    """Both are 200 while the loop turns and keeps what comes, with the counts and nothing else."""
    status, body = probe(health, path)
    assert status == 200
    assert body == {"status": "ok", "troubles": [], **COUNTS._asdict()}


@pytest.mark.parametrize(
    ("keeps", "ready", "word"), [(True, 200, "degraded"), (False, 503, "failing")], ids=["degraded", "failing"]
)
def test_troubles(health: Health, *, keeps: bool, ready: int, word: str) -> None:
    """What does not work is named; readiness ends where nothing is kept any more, liveness does not."""
    health.beat(COUNTS, troubles=["spool cannot be used"], keeps=keeps)
    status, body = probe(health, "/readyz")
    assert (ready, word, ["spool cannot be used"]) == (status, body["status"], body["troubles"])
    assert probe(health, "/healthz")[0] == 200


def test_starting() -> None:
    """Before the first turn of the loop it is alive, but not ready."""
    with closing(Health(0)) as health:
        status, body = probe(health, "/readyz")
        assert (503, "starting") == (status, body["status"])
        assert probe(health, "/healthz")[0] == 200


def test_stopping(health: Health) -> None:
    """From the signal on it is not ready, but alive until it should have ended."""
    health.stop(deadline=time.monotonic() + 60)
    status, body = probe(health, "/readyz")
    assert (503, "stopping") == (status, body["status"])
    assert probe(health, "/healthz")[0] == 200


def test_a_loop_that_hangs() -> None:
    """Without a beat for longer than it may take both are 503, until the next one."""
    with closing(Health(0, patience_seconds=0.3)) as health:
        wait_until(lambda: probe(health, "/healthz")[0] == 503)
        status, body = probe(health, "/readyz")
        assert (503, "stalled") == (status, body["status"])
        health.beat(COUNTS, troubles=(), keeps=True)
        assert probe(health, "/healthz")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", 404),
        ("GET", "/healthz/", 404),
        ("GET", "/metrics", 404),
        ("HEAD", "/nothing", 404),
        ("POST", "/healthz", 405),
        ("HEAD", "/readyz", 405),
        ("DELETE", "/readyz", 405),
    ],
)
def test_other_requests(health: Health, method: str, path: str, expected: int) -> None:
    """There is nothing else to be had."""
    assert expected == probe(health, path, method)[0]


@pytest.mark.parametrize(
    "said", [b"\r\n\r\n", b"\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"GET /healthz\r\n\r\n", b"GET /healthz SMTP\r\n\r\n"]
)
def test_garbage(health: Health, said: bytes) -> None:
    """What is no HTTP is told so."""
    assert raw(health, said).startswith(b"HTTP/1.1 400 ")


def test_slow_clients_hold_up_nobody(health: Health) -> None:
    """Any number of clients that say nothing, or half of it, leave room for a probe."""
    address = urlsplit(health.url)
    crowd = [socket.create_connection((address.hostname, address.port), timeout=DEADLINE_SECONDS) for _ in range(150)]
    for sock in crowd[::2]:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
    assert probe(health, "/healthz")[0] == 200
    for sock in crowd:
        sock.close()


def test_a_port_in_use() -> None:
    """A port that is taken is told with its flag."""
    with closing(Health(0)) as health, pytest.raises(ListenError, match=r"--health: cannot listen on 127\.0\.0\.1:"):
        Health(urlsplit(health.url).port or 0)
