"""Flushes over the health port: real connections to its thread, and a loop that a test turns."""

from __future__ import annotations

import contextlib
import http.client
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from otlp_backend import DEADLINE_SECONDS, wait_until
from service.bridges import HeldQueue, bridge_to, receive_attempt, with_queue
from service.health_runs import running_health

from csm_otel.intake.allowed import AllowedNetworks
from csm_otel.service.network_flush import FlushRequests, NetworkFlush
from csm_otel.service.routes import Request, Response

if TYPE_CHECKING:
    from collections.abc import Generator

    from csm_otel.service.health import Health

STOPPED = "the daemon is being stopped"
MOST_WAITING = 8


class Daemon:
    """A health port that accepts flushes, the pipeline behind it, and the current time."""

    def __init__(self, health: Health) -> None:
        self.address = urlsplit(health.url)
        self.now = 100.0
        self.queue = HeldQueue()
        self.bridge = with_queue(bridge_to([]), self.queue)
        self.requests = FlushRequests()
        self.flush = NetworkFlush(self.requests, self.bridge)
        health.routes.add("POST", "/flush", self.requests.ask)

    def turn(self) -> None:
        """Run one turn of the loop."""
        self.bridge.pipeline.advance(now=self.now)
        self.flush.poll(now=self.now)

    def connect(self, target: str) -> http.client.HTTPConnection:
        """Return a connection on which a flush has been requested, which has begun."""
        begun = len(self.flush._flushings)
        connection = http.client.HTTPConnection(str(self.address.hostname), self.address.port, timeout=DEADLINE_SECONDS)
        connection.request("POST", target)

        def has_begun() -> bool:
            self.turn()
            return len(self.flush._flushings) > begun

        wait_until(has_begun)
        return connection

    def answer(self, connection: http.client.HTTPConnection) -> tuple[int, dict[str, Any]]:
        """Return status and body of the answer, with turns of the loop until none is waited for any more."""

        def has_ended() -> bool:
            self.turn()
            return not self.flush._flushings

        wait_until(has_ended)
        return read(connection)


def read(connection: http.client.HTTPConnection) -> tuple[int, dict[str, Any]]:
    """Return status and body of an answer."""
    with contextlib.closing(connection):
        response = connection.getresponse()
        return response.status, json.loads(response.read())


@pytest.fixture
def daemon() -> Generator[Daemon]:
    """Run one."""
    with running_health() as health:
        daemon = Daemon(health)
        with contextlib.closing(daemon.flush):
            yield daemon


def test_a_flush(daemon: Daemon) -> None:
    """A flush is answered once the back end has everything, with the counts; probes are answered meanwhile."""
    receive_attempt(daemon.bridge, now=daemon.now)
    connection = daemon.connect("/flush?timeout=10")
    probe = http.client.HTTPConnection(str(daemon.address.hostname), daemon.address.port, timeout=DEADLINE_SECONDS)
    probe.request("GET", "/healthz")
    assert read(probe)[0] == HTTPStatus.OK
    daemon.queue.has_all = True

    status, answer = daemon.answer(connection)

    assert (HTTPStatus.OK, {"delivered": True, "why_not": "", **daemon.bridge.snapshot()._asdict()}) == (status, answer)
    assert (answer["attempts"], answer["events_pending"]) == (1, 0)


def test_timeouts(daemon: Daemon) -> None:
    """Each flush has its own, 10 s if none is given."""
    hasty, usual = daemon.connect("/flush?timeout=0.5"), daemon.connect("/flush")
    daemon.now += 0.5
    daemon.turn()
    status, answer = read(hasty)
    assert (HTTPStatus.SERVICE_UNAVAILABLE, False, "not within 0.5 s") == (
        status,
        answer["delivered"],
        answer["why_not"],
    )
    daemon.now += 9.5
    assert daemon.answer(usual)[1]["why_not"] == "not within 10 s"


def test_hanging_up_cancels_the_flush(daemon: Daemon) -> None:
    """The flush of a client that has hung up is cancelled, and another one goes on."""
    leaving, staying = daemon.connect("/flush?timeout=3600"), daemon.connect("/flush?timeout=3600")
    assert daemon.flush.next_deadline() is not None
    leaving.close()

    def is_forgotten() -> bool:
        daemon.turn()
        return len(daemon.flush._flushings) == 1

    wait_until(is_forgotten)
    daemon.queue.has_all = True
    assert daemon.answer(staying)[1]["delivered"] is True
    assert daemon.flush.next_deadline() is None


def test_stopping(daemon: Daemon) -> None:
    """A daemon that is being stopped answers those that wait, those that have not begun, and later ones."""
    waiting = daemon.connect("/flush?timeout=3600")
    late = daemon.requests.ask(Request("/flush", "", {}, "127.0.0.1"))
    assert not isinstance(late, Response)
    daemon.flush.close()
    status, answer = read(waiting)
    assert (HTTPStatus.SERVICE_UNAVAILABLE, STOPPED) == (status, answer["why_not"])
    assert json.loads(late.result().body)["why_not"] == STOPPED

    refused = daemon.requests.ask(Request("/flush", "", {}, "127.0.0.1"))
    assert isinstance(refused, Response)
    assert (HTTPStatus.SERVICE_UNAVAILABLE, {"error": STOPPED}) == (refused.status, json.loads(refused.body))


@pytest.mark.parametrize(
    ("query", "headers", "host", "status", "error"),
    [
        *(
            pytest.param(
                f"timeout={text}", {}, "127.0.0.1", 400, "timeout is no number from 0 to 3600", id=f"timeout={text}"
            )
            for text in ("", "soon", "-1", "3600.1", "nan", "inf", "1&timeout=x", "%ff")
        ),
        pytest.param("", {"origin": "http://x.test"}, "127.0.0.1", 403, "requests of web pages are refused", id="page"),
        pytest.param("", {"origin": ""}, "127.0.0.1", 403, "requests of web pages are refused", id="an empty origin"),
        pytest.param(
            "", {"sec-fetch-site": "none"}, "127.0.0.1", 403, "requests of web pages are refused", id="a browser"
        ),
        pytest.param("", {}, "192.0.2.1", 403, "the address is in none of the allowed networks", id="from elsewhere"),
    ],
)
def test_refusals(query: str, headers: dict[str, str], host: str, status: int, error: str) -> None:
    """What is refused has a status and a reason, and does not reach the loop."""
    with contextlib.closing(FlushRequests(is_allowed=AllowedNetworks("10.0.0.0/8"))) as requests:
        response = requests.ask(Request("/flush", query, headers, host))
        assert isinstance(response, Response)
        assert (status, {"error": error}) == (response.status, json.loads(response.body))
        assert requests.take() == []


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3"])
@pytest.mark.parametrize(
    ("query", "seconds"), [("", 10), ("timeout=0", 0), ("timeout=2.5&x=y", 2.5), ("timeout=3600", 3600)]
)
def test_what_is_accepted(query: str, seconds: float, host: str) -> None:
    """A timeout of up to an hour, from this machine and the allowed networks; its time is that of the request."""
    allowed = AllowedNetworks("10.0.0.0/8")
    with contextlib.closing(FlushRequests(is_allowed=allowed, wall_clock_ns=lambda: 5)) as requests:
        response = requests.ask(Request("/flush", query, {}, host))
        assert requests.take() == [(response, seconds, 5)]


def test_the_bound() -> None:
    """So many flushes are waited for at a time; those that have ended, or were cancelled, make room."""
    request = Request("/flush", "", {}, "127.0.0.1")
    with contextlib.closing(FlushRequests()) as requests:
        waiting = [requests.ask(request) for _ in range(MOST_WAITING)]
        refused = requests.ask(request)
        assert isinstance(refused, Response)
        assert (503, {"error": "too many flushes are waited for"}) == (refused.status, json.loads(refused.body))

        first = waiting[0]
        assert not isinstance(first, Response)
        first.cancel()

        assert not isinstance(requests.ask(request), Response)
        assert isinstance(requests.ask(request), Response)
