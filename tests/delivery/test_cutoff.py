"""The time limit of an HTTP delivery covers all of it: slow answers, slow readers, TLS, and an end from outside.

Most tests trigger the limit; some have a real one, or a clock of their own.
"""

from __future__ import annotations

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import pytest
from delivery.samples import CALL, changed
from faulty_proxy import BLACK_HOLE, FaultyProxy, Flow, Plan
from forward_proxy import ForwardProxy
from manual_clock import ManualClock
from opentelemetry.sdk.trace import SpanLimits
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS, Answer, Certificate, HttpBackend, wait_until

from csm_otel.delivery import destination as destination_module
from csm_otel.delivery import http
from csm_otel.delivery.cutoff import Cutoff
from csm_otel.delivery.destination import Destination
from csm_otel.delivery.encoding import encode
from csm_otel.delivery.http import HttpDeliverer
from csm_otel.delivery.outcome import Delivered, Outcome, Unavailable

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from requests import Response

pytestmark = pytest.mark.usefixtures("no_proxy")

_REQUEST = encode([CALL], limits=SpanLimits())
# More than the buffers of both sides hold, so that the sender has to wait for the reader.
_LONG_REQUEST = encode([changed(CALL, name=os.urandom(8_000_000).hex())], limits=SpanLimits())
_BYTE_SECONDS = 0.05
"""Far shorter than any limit, so that no single wait for a byte runs into one."""
_LONG_TEXT = "x" * 10_000
"""An answer of minutes at that speed."""


class Limit:
    """A cutoff whose limit is triggered by a test."""

    def __init__(self) -> None:
        self.cutoff = Cutoff()

    def expire(self) -> None:
        """Do what happens at the limit of the delivery under way."""
        with self.cutoff._changed:
            self.cutoff._cut()

    def is_sending(self) -> bool:
        """Return whether a connection is established."""
        return self.cutoff._socket is not None and not self.cutoff.is_connecting


@pytest.fixture
def limit() -> Limit:
    """Return the limit of the deliverer."""
    return Limit()


@pytest.fixture(params=["plain", "tls"])
def backend(request: pytest.FixtureRequest, certificate: Certificate) -> Iterator[HttpBackend]:
    """Run a back end without and with TLS."""
    with HttpBackend(certificate=certificate if request.param == "tls" else None) as backend:
        yield backend


@pytest.fixture
def proxy(backend: HttpBackend) -> Iterator[FaultyProxy]:
    """Stand in front of it."""
    with FaultyProxy(backend.endpoint) as proxy:
        yield proxy


@pytest.fixture
def deliverer(proxy: FaultyProxy, certificate: Certificate, limit: Limit) -> Iterator[HttpDeliverer]:
    """Deliver through the proxy."""
    settings: dict[str, Any] = (
        {
            "certificate": certificate.text,
            "client_certificate": certificate.text,
            "client_key": certificate.key_text,
        }
        if proxy.endpoint.startswith("https")
        else {}
    )
    deliverer = HttpDeliverer(Destination(url=f"{proxy.endpoint}/v1/traces", **settings), cutoff=limit.cutoff)
    with contextlib.closing(deliverer):
        yield deliverer


def deliver(deliverer: HttpDeliverer, request: bytes = _REQUEST) -> Outcome:
    """Deliver, for longer than any test takes."""
    return deliverer.deliver(request, timeout_seconds=FOREVER_SECONDS)


def deliver_until(
    limit: Limit, is_reached: Callable[[], object], deliverer: HttpDeliverer, request: bytes = _REQUEST
) -> Outcome:
    """Deliver, and trigger the limit once a condition is true."""
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(deliver, deliverer, request)
        wait_until(is_reached)
        limit.expire()
        return outcome.result(DEADLINE_SECONDS)


def no_answer(proxy: FaultyProxy) -> Unavailable:
    """Return the outcome of a delivery whose limit has run out."""
    return Unavailable(f"no answer within 3600 s: {proxy.endpoint}/v1/traces", may_have_arrived=True)


_SLOW = [
    pytest.param(Plan(answer=Flow(byte_seconds=60)), _REQUEST, id="answer"),
    pytest.param(Plan(request=Flow(byte_seconds=_BYTE_SECONDS)), _LONG_REQUEST, id="request"),
    pytest.param(BLACK_HOLE, _REQUEST, id="black-hole"),
]


@pytest.mark.parametrize("backend", ["plain"], indirect=True)
@pytest.mark.parametrize(("plan", "request_bytes"), _SLOW)
def test_a_slow_peer_costs_the_time_limit_and_no_more(
    deliverer: HttpDeliverer, proxy: FaultyProxy, limit: Limit, plan: Plan, request_bytes: bytes
) -> None:
    """Whichever part is slow, the limit is for all of it."""
    proxy.plan = plan
    assert deliver_until(limit, limit.is_sending, deliverer, request_bytes) == no_answer(proxy)


@pytest.mark.parametrize("backend", ["tls"], indirect=True)
@pytest.mark.parametrize(("plan", "request_bytes"), _SLOW)
def test_a_slow_handshake_costs_the_time_limit_and_no_more(
    deliverer: HttpDeliverer, proxy: FaultyProxy, plan: Plan, request_bytes: bytes
) -> None:
    """The timeout of the socket ends it, which is for all of a handshake; nothing can have arrived then."""
    proxy.plan = plan
    outcome = deliverer.deliver(request_bytes, timeout_seconds=0.5)
    assert outcome == Unavailable(f"no answer within 0.5 s: {proxy.endpoint}/v1/traces", may_have_arrived=False)


def test_a_request_that_is_stuck_costs_the_time_limit_and_no_more(
    deliverer: HttpDeliverer, proxy: FaultyProxy, limit: Limit
) -> None:
    """A peer that stops reading is cut off; what it has read may be all."""
    proxy.plan = Plan(request=Flow(end_after_bytes=100_000, ending="hang"))
    assert deliver_until(limit, limit.is_sending, deliverer, _LONG_REQUEST) == no_answer(proxy)


def test_a_dripping_status_is_no_answer(
    deliverer: HttpDeliverer, backend: HttpBackend, proxy: FaultyProxy, limit: Limit
) -> None:
    """A status that comes byte by byte, each in time, is cut off at the limit; the next delivery connects anew."""
    assert deliver(deliverer) == Delivered()
    proxy.change(Plan(answer=Flow(byte_seconds=10.0)))
    assert deliver_until(limit, lambda: len(backend.requests) == 2, deliverer) == no_answer(proxy)
    assert deliver(deliverer) == Delivered()
    assert proxy.connections == 2


def test_dripping_headers_are_not_waited_for(
    deliverer: HttpDeliverer, backend: HttpBackend, proxy: FaultyProxy, limit: Limit
) -> None:
    """They are cut off at the limit, and their spans have arrived or are sent again."""
    assert deliver(deliverer) == Delivered()
    proxy.change(Plan(answer=Flow(unharmed_bytes=50, byte_seconds=_BYTE_SECONDS)))
    backend.script(Answer(headers={"x-long": _LONG_TEXT}))
    outcome = deliver_until(limit, lambda: len(backend.requests) == 2, deliverer)
    # The received status counts, or nothing does: that depends on the state of http.client.
    assert outcome in (Delivered(), no_answer(proxy))


def test_a_dripping_body_is_not_waited_for(
    deliverer: HttpDeliverer,
    backend: HttpBackend,
    proxy: FaultyProxy,
    limit: Limit,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The request was accepted by its status, so the rest of the answer is ignored at the limit."""
    is_reading_the_body = threading.Event()
    read_answer = http._body_of

    def reading(response: Response) -> bytes:
        is_reading_the_body.set()
        return read_answer(response)

    assert deliver(deliverer) == Delivered()
    monkeypatch.setattr(http, "_body_of", reading)
    proxy.change(Plan(answer=Flow(unharmed_bytes=1_000, byte_seconds=_BYTE_SECONDS)))
    backend.script(Answer(rejected_spans=1, message=_LONG_TEXT))
    assert deliver_until(limit, is_reading_the_body.is_set, deliverer) == Delivered()


def test_the_limit_is_in_seconds(backend: HttpBackend, proxy: FaultyProxy, certificate: Certificate) -> None:
    """By default a timer ends the delivery, though each byte of the answer comes in time."""
    proxy.plan = Plan(answer=Flow(byte_seconds=_BYTE_SECONDS))
    del backend
    destination = Destination(url=f"{proxy.endpoint}/v1/traces", certificate=certificate.text)
    with contextlib.closing(HttpDeliverer(destination)) as deliverer:
        outcome = deliverer.deliver(_REQUEST, timeout_seconds=0.5)
    assert isinstance(outcome, Unavailable)
    assert outcome.reason == f"no answer within 0.5 s: {proxy.endpoint}/v1/traces"


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_body_that_is_cut_is_a_success(
    deliverer: HttpDeliverer, backend: HttpBackend, proxy: FaultyProxy, ending: Literal["close", "reset"]
) -> None:
    """A success whose body breaks off was a success; to send it again would store every span twice."""
    assert deliver(deliverer) == Delivered()
    proxy.change(Plan(answer=Flow(end_after_bytes=1_000, ending=ending)))
    backend.script(Answer(rejected_spans=1, message=_LONG_TEXT))
    assert deliverer.deliver(_REQUEST, timeout_seconds=DEADLINE_SECONDS) == Delivered()


def test_closing_ends_a_delivery_under_way(deliverer: HttpDeliverer, backend: HttpBackend) -> None:
    """A delivery that hangs returns when the deliverer is closed from another thread; none begins afterwards."""
    backend.script(Answer(delay_seconds=FOREVER_SECONDS))
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(deliverer.deliver, _REQUEST, timeout_seconds=FOREVER_SECONDS)
        backend.wait_for_requests(1)
        deliverer.close()
        assert isinstance(outcome.result(DEADLINE_SECONDS), Unavailable)
    assert isinstance(deliverer.deliver(_REQUEST, timeout_seconds=DEADLINE_SECONDS), Unavailable)
    assert len(backend.requests) == 1


def test_the_limit_of_one_delivery_ends_no_later_one() -> None:
    """Each delivery has its own limit, which ends with it; one thread waits for them all."""
    clock = ManualClock()
    cutoff = Cutoff(clock=clock)
    with cutoff.within(10):
        watchdog = cutoff._watchdog
        assert watchdog is not None
        wait_until(lambda: cutoff._wakes_at == cutoff._deadline)  # else it may find no delivery when it begins
    clock.advance(9)
    with cutoff.within(10):
        clock.advance(9, cutoff._changed)  # past the limit of the first
        wait_until(lambda: cutoff._wakes_at == cutoff._deadline)
        assert (cutoff.is_cut, cutoff._watchdog) == (False, watchdog)
        clock.advance(1, cutoff._changed)
        wait_until(lambda: cutoff.is_cut)
    clock.advance(10, cutoff._changed)
    watchdog.join(DEADLINE_SECONDS)
    assert cutoff._watchdog is None


def test_a_limit_that_is_shorter_than_the_one_before() -> None:
    """The thread that waits for an earlier limit is notified of one that comes sooner."""
    cutoff = Cutoff()
    with cutoff.within(FOREVER_SECONDS):
        pass
    with cutoff.within(0.01):
        wait_until(lambda: cutoff.is_cut)
    cutoff.close()


def test_closing_ends_the_thread() -> None:
    """A closed cutoff leaves no thread behind."""
    cutoff = Cutoff()
    with cutoff.within(FOREVER_SECONDS):
        watchdog = cutoff._watchdog
    assert watchdog is not None
    cutoff.close()
    watchdog.join(DEADLINE_SECONDS)
    assert not watchdog.is_alive()


@pytest.mark.parametrize("backend", ["plain"], indirect=True)
def test_through_a_proxy_the_limit_holds_too(
    backend: HttpBackend, proxy: FaultyProxy, limit: Limit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connections to the proxy of the environment are cut off as well."""
    del backend
    proxy.plan = Plan(answer=Flow(byte_seconds=60))
    monkeypatch.setenv("HTTP_PROXY", proxy.endpoint.replace("https", "http"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    destination = Destination(url="http://collector.invalid/v1/traces")
    with contextlib.closing(HttpDeliverer(destination, cutoff=limit.cutoff)) as deliverer:
        outcome = deliver_until(limit, limit.is_sending, deliverer)
    assert isinstance(outcome, Unavailable)
    shown = "http://collector.invalid/v1/traces, through the proxy " + proxy.endpoint.replace("https", "http")
    assert outcome.reason == f"no answer within 3600 s: {shown}"


@pytest.mark.parametrize("backend", ["tls"], indirect=True)
def test_the_limit_holds_for_tls_within_tls(
    backend: HttpBackend, certificate: Certificate, limit: Limit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection through a proxy that is spoken to over TLS has a wrapper in place of a socket."""
    monkeypatch.setattr(destination_module, "is_this_machine", lambda _host: False)
    backend.script(Answer(delay_seconds=FOREVER_SECONDS))
    settings: dict[str, Any] = {"client_certificate": certificate.text, "client_key": certificate.key_text}
    with ForwardProxy(backend.endpoint, certificate=certificate) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.endpoint)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
        with contextlib.closing(HttpDeliverer(Destination(url=backend.url, **settings), cutoff=limit.cutoff)) as one:
            outcome = deliver_until(limit, lambda: backend.requests, one)
    assert outcome == Unavailable(
        f"no answer within 3600 s: {backend.url}, through the proxy {proxy.endpoint}", may_have_arrived=True
    )


class _LateCutoff(Cutoff):
    """Runs out while each connection is being established."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets: list[socket.socket] = []

    def connected(self, sock: socket.socket) -> None:
        self.sockets.append(sock)
        with self._changed:
            self._cut()
        super().connected(sock)


@pytest.mark.parametrize("backend", ["plain"], indirect=True)
def test_a_connection_that_is_established_too_late_is_closed(backend: HttpBackend) -> None:
    """Nothing is sent over it, and its socket does not stay open."""
    cutoff = _LateCutoff()
    with contextlib.closing(HttpDeliverer(Destination(url=backend.endpoint), cutoff=cutoff)) as deliverer:
        outcome = deliver(deliverer)
        open_sockets = [sock for sock in cutoff.sockets if sock.fileno() != -1]

    assert isinstance(outcome, Unavailable)
    assert not outcome.may_have_arrived
    assert (len(cutoff.sockets), open_sockets) == (1, [])
