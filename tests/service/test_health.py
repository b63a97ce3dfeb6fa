"""Probes over HTTP: real connections to a real port."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from contextlib import closing
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from loopback import with_ipv6
from manual_clock import ManualClock
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS
from service.health_runs import running_health

from csm_otel.errors import ListenError, address_text
from csm_otel.service.health import Health
from csm_otel.service.routes import json_response
from csm_otel.tally import Tally, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from csm_otel.service.routes import Request, Response

COUNTS = snapshot_of(Tally(datagrams_received=7), events_pending=2)


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock of `health`."""
    return ManualClock()


@pytest.fixture
def health(clock: ManualClock) -> Generator[Health]:
    """Run one whose loop has just had a heartbeat."""
    with running_health(clock=clock) as health:
        health.beat(COUNTS, troubles=(), can_deliver=True)
        yield health


def probe(health: Health, path: str, method: str = "GET") -> tuple[int, dict[str, object]]:
    """Return the status and the body of an answer."""
    address = urlsplit(health.url)
    with closing(http.client.HTTPConnection(str(address.hostname), address.port, timeout=DEADLINE_SECONDS)) as client:
        client.request(method, path, body=b"x" * 100 if method == "POST" else None)
        answer = client.getresponse()
        body = answer.read()
        assert answer.headers["Content-Type"] == "application/json"
        assert ("GET, HEAD" if answer.status == 405 else None) == answer.headers["Allow"]
        return answer.status, json.loads(body) if body else {}


def raw(health: Health, sent: bytes) -> bytes:
    """Return the response to bytes."""
    address = urlsplit(health.url)
    with socket.create_connection((address.hostname, address.port), timeout=DEADLINE_SECONDS) as sock:
        sock.sendall(sent)
        answer = b""
        while piece := sock.recv(4096):
            answer += piece
        return answer


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/readyz?verbose"])
def test_all_is_well(health: Health, path: str) -> None:
    """Both are 200 while the loop runs and spans are kept, with the counts only."""
    status, body = probe(health, path)
    assert status == 200
    assert body == {"status": "ok", "troubles": [], **COUNTS._asdict()}


@pytest.mark.parametrize(
    ("can_deliver", "ready", "word"), [(True, 200, "degraded"), (False, 503, "failing")], ids=["degraded", "failing"]
)
def test_troubles(health: Health, *, can_deliver: bool, ready: int, word: str) -> None:
    """Each trouble is named; readiness ends when no span is kept any more, liveness does not."""
    health.beat(COUNTS, troubles=["spool cannot be used"], can_deliver=can_deliver)
    status, body = probe(health, "/readyz")
    assert (ready, word, ["spool cannot be used"]) == (status, body["status"], body["troubles"])
    assert probe(health, "/healthz")[0] == 200


def test_starting(clock: ManualClock) -> None:
    """Before the first heartbeat it is alive, but not ready."""
    with running_health(clock=clock) as health:
        status, body = probe(health, "/readyz")
        assert (503, "starting") == (status, body["status"])
        assert probe(health, "/healthz")[0] == 200


def test_stopping(health: Health, clock: ManualClock) -> None:
    """While the daemon is stopping it is alive, but not ready; it has stalled five seconds after its deadline."""
    health.stop(deadline=clock.now + 60)
    clock.advance(65)
    status, body = probe(health, "/readyz")
    assert (503, "stopping") == (status, body["status"])
    assert probe(health, "/healthz")[0] == 200

    clock.advance(0.1)
    status, body = probe(health, "/healthz")
    assert (503, "stalled") == (status, body["status"])


def test_a_loop_that_hangs(health: Health, clock: ManualClock) -> None:
    """Without a heartbeat for more than five seconds both are 503, until the next one."""
    clock.advance(5.0)
    assert probe(health, "/readyz")[0] == 200
    clock.advance(0.1)
    for path in ("/healthz", "/readyz"):
        status, body = probe(health, path)
        assert (503, "stalled") == (status, body["status"])

    health.beat(COUNTS, troubles=(), can_deliver=True)

    assert probe(health, "/healthz")[0] == 200


def test_a_loop_that_never_ran(clock: ManualClock) -> None:
    """A daemon that does not get to its loop has stalled, too."""
    with running_health(clock=clock) as health:
        clock.advance(5.1)
        status, body = probe(health, "/healthz")
        assert (503, "stalled") == (status, body["status"])


def test_a_whole_url_as_target(health: Health) -> None:
    """A request in the form for proxies has the same answer."""
    assert raw(health, b"GET HTTP://127.0.0.1:1/readyz?x HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert raw(health, b"GET http://127.0.0.1:1 HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("is_stalled", [False, True])
def test_head(health: Health, clock: ManualClock, path: str, *, is_stalled: bool) -> None:
    """The response to HEAD is the head of the response to GET, its length included, and nothing else."""
    if is_stalled:
        clock.advance(5.1)
    head, _, body = raw(health, f"GET {path} HTTP/1.1\r\n\r\n".encode()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 " if is_stalled else b"HTTP/1.1 200 ")
    assert f"Content-Length: {len(body)}\r\n".encode() in head

    assert raw(health, f"HEAD {path} HTTP/1.0\r\n\r\n".encode()) == head + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", 404),
        ("GET", "/healthz/", 404),
        ("GET", "/metrics", 404),
        ("HEAD", "/nothing", 404),
        ("POST", "/healthz", 405),
        ("OPTIONS", "/healthz", 405),
        ("head", "/healthz", 405),
        ("DELETE", "/readyz", 405),
    ],
)
def test_other_requests(health: Health, method: str, path: str, expected: int) -> None:
    """Other paths are not found, and other methods not allowed."""
    assert expected == probe(health, path, method)[0]


@pytest.mark.parametrize(
    "sent", [b"\r\n\r\n", b"\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"GET /healthz\r\n\r\n", b"GET /healthz SMTP\r\n\r\n"]
)
def test_garbage(health: Health, sent: bytes) -> None:
    """A request that is not HTTP is a bad one."""
    assert raw(health, sent).startswith(b"HTTP/1.1 400 ")


def test_slow_clients_block_no_probe(health: Health) -> None:
    """Any number of clients that send nothing, or half a request, leave room for a probe."""
    address = urlsplit(health.url)
    crowd = [socket.create_connection((address.hostname, address.port), timeout=DEADLINE_SECONDS) for _ in range(150)]
    for sock in crowd[::2]:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
    assert probe(health, "/healthz")[0] == 200
    for sock in crowd:
        sock.close()


def test_a_thread_that_hangs_does_not_hold_up_the_end(health: Health) -> None:
    """Closing gives it up; its sockets stay open for as long as it may use them."""
    is_answering, goes_on = threading.Event(), threading.Event()

    def hang(_: Request) -> Response:
        is_answering.set()
        goes_on.wait(FOREVER_SECONDS)
        return json_response(HTTPStatus.OK, {})

    health.routes.add("GET", "/hang", hang)
    address = urlsplit(health.url)
    with socket.create_connection((address.hostname, address.port), timeout=DEADLINE_SECONDS) as sock:
        sock.sendall(b"GET /hang HTTP/1.1\r\n\r\n")
        assert is_answering.wait(DEADLINE_SECONDS)
        health.close()
        assert health.server._thread.is_alive()
        goes_on.set()


def test_a_port_in_use() -> None:
    """A port in use is an error that names the flag and the address."""
    with running_health() as health, pytest.raises(ListenError, match=r"--health: cannot listen on 127\.0\.0\.1:"):
        Health("127.0.0.1", urlsplit(health.url).port or 0)


@pytest.mark.parametrize(
    ("host", "shown", "reached_at"),
    [
        pytest.param("0.0.0.0", "0.0.0.0", ["127.0.0.1"], id="all of IPv4"),
        pytest.param("localhost", "127.0.0.1", ["127.0.0.1"], id="a name"),
        with_ipv6("::1", "[::1]", ["::1"], id="an address of IPv6"),
        with_ipv6("::", "[::]", ["::1", "127.0.0.1"], id="all"),
    ],
)
def test_hosts(host: str, shown: str, reached_at: list[str]) -> None:
    """It listens where it is told to; on all addresses of IPv6 also on those of IPv4."""
    with running_health(host) as health:
        port = urlsplit(health.url).port
        assert health.url == f"http://{shown}:{port}"
        for address in reached_at:
            with closing(http.client.HTTPConnection(address, port, timeout=DEADLINE_SECONDS)) as client:
                client.request("GET", "/healthz")
                assert client.getresponse().status == 200


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", f"{'x' * 64}.test", "2001:db8::1"])
def test_an_address_that_cannot_be_listened_on(host: str) -> None:
    """It is an error that names the flag and the address."""
    with pytest.raises(ListenError) as caught:
        Health(host, 0)

    assert str(caught.value).startswith(f"--health: cannot listen on {address_text(host, 0)}: ")
