"""The time limit of an HTTP delivery holds for all of it: slow answers, slow readers, TLS, and an end from outside."""

from __future__ import annotations

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import pytest
from delivery.samples import CALL, changed
from faulty_proxy import BLACK_HOLE, FaultyProxy, Flow, Plan
from opentelemetry.sdk.trace import SpanLimits
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS, Answer, Certificate, HttpBackend

from csm_otel.delivery.destination import Destination
from csm_otel.delivery.encoding import encode
from csm_otel.delivery.http import HttpDeliverer
from csm_otel.delivery.outcome import Delivered, Outcome, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("no_proxy")

_REQUEST = encode([CALL], limits=SpanLimits())
# More than the buffers of both sides hold, so that who sends it has to wait for the reader.
_LONG_REQUEST = encode([changed(CALL, name=os.urandom(8_000_000).hex())], limits=SpanLimits())
_SHORT_SECONDS = 0.3
_BYTE_SECONDS = 0.05
"""Far shorter than the limit, which no single wait for a byte runs into."""
_LONG_TEXT = "x" * 10_000
"""An answer of minutes at that speed."""


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
def deliverer(proxy: FaultyProxy, certificate: Certificate) -> Iterator[HttpDeliverer]:
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
    deliverer = HttpDeliverer(Destination(url=f"{proxy.endpoint}/v1/traces", **settings))
    with contextlib.closing(deliverer):
        yield deliverer


def _timed(deliverer: HttpDeliverer, request: bytes = _REQUEST) -> tuple[Outcome, float]:
    began = time.monotonic()
    outcome = deliverer.deliver(request, timeout_seconds=_SHORT_SECONDS)
    return outcome, time.monotonic() - began


@pytest.mark.parametrize(
    ("plan", "request_bytes", "may_have_arrived"),
    [
        pytest.param(Plan(answer=Flow(byte_seconds=60)), _REQUEST, None, id="slow-answer-or-handshake"),
        pytest.param(Plan(request=Flow(byte_seconds=_BYTE_SECONDS)), _REQUEST, None, id="slow-request-or-handshake"),
        pytest.param(Plan(request=Flow(end_after_bytes=100_000, ending="hang")), _LONG_REQUEST, True, id="stuck"),
        pytest.param(BLACK_HOLE, _REQUEST, None, id="black-hole"),
    ],
)
def test_a_slow_peer_costs_the_time_limit_and_no_more(
    deliverer: HttpDeliverer, proxy: FaultyProxy, plan: Plan, request_bytes: bytes, *, may_have_arrived: bool | None
) -> None:
    """Whichever part is slow, the limit is for all of it; with TLS that never was, nothing can have arrived."""
    proxy.plan = plan
    outcome, seconds = _timed(deliverer, request_bytes)
    if may_have_arrived is None:
        may_have_arrived = proxy.endpoint.startswith("http:")
    url = f"{proxy.endpoint}/v1/traces"
    assert outcome == Unavailable(f"no answer within 0.3 s: {url}", may_have_arrived=may_have_arrived)
    assert _SHORT_SECONDS * 0.9 < seconds < DEADLINE_SECONDS / 2


def test_a_dripping_status_is_no_answer(deliverer: HttpDeliverer, proxy: FaultyProxy) -> None:
    """A status that comes byte by byte, each in time, is cut off at the limit; the next delivery connects anew."""
    assert _timed(deliverer)[0] == Delivered()
    proxy.change(Plan(answer=Flow(byte_seconds=_BYTE_SECONDS)))
    outcome, seconds = _timed(deliverer)
    assert outcome == Unavailable(f"no answer within 0.3 s: {proxy.endpoint}/v1/traces", may_have_arrived=True)
    assert _SHORT_SECONDS * 0.9 < seconds < DEADLINE_SECONDS / 2
    assert deliverer.deliver(_REQUEST, timeout_seconds=DEADLINE_SECONDS) == Delivered()
    assert proxy.connections == 2


def test_dripping_headers_are_not_waited_for(
    deliverer: HttpDeliverer, backend: HttpBackend, proxy: FaultyProxy
) -> None:
    """They are cut off at the limit, and their spans have arrived or are sent again."""
    assert _timed(deliverer)[0] == Delivered()
    proxy.change(Plan(answer=Flow(unharmed_bytes=50, byte_seconds=_BYTE_SECONDS)))
    backend.script(Answer(headers={"x-long": _LONG_TEXT}))
    outcome, seconds = _timed(deliverer)
    # The status that had come counts, or nothing does: http.client tells which by where it was.
    no_answer = Unavailable(f"no answer within 0.3 s: {proxy.endpoint}/v1/traces", may_have_arrived=True)
    assert outcome in (Delivered(), no_answer)
    assert _SHORT_SECONDS * 0.9 < seconds < DEADLINE_SECONDS / 2


def test_a_dripping_body_is_not_waited_for(deliverer: HttpDeliverer, backend: HttpBackend, proxy: FaultyProxy) -> None:
    """The status has said that the request was taken, so the rest of the answer is left at the limit."""
    assert _timed(deliverer)[0] == Delivered()
    proxy.change(Plan(answer=Flow(unharmed_bytes=1_000, byte_seconds=_BYTE_SECONDS)))
    backend.script(Answer(rejected_spans=1, message=_LONG_TEXT))
    outcome, seconds = _timed(deliverer)
    assert outcome == Delivered()
    assert _SHORT_SECONDS * 0.9 < seconds < DEADLINE_SECONDS / 2


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_body_that_is_cut_is_a_success(
    deliverer: HttpDeliverer, backend: HttpBackend, proxy: FaultyProxy, ending: Literal["close", "reset"]
) -> None:
    """A success whose body breaks off was a success; to send it again would store every span twice."""
    assert _timed(deliverer)[0] == Delivered()
    proxy.change(Plan(answer=Flow(end_after_bytes=1_000, ending=ending)))
    backend.script(Answer(rejected_spans=1, message=_LONG_TEXT))
    assert deliverer.deliver(_REQUEST, timeout_seconds=DEADLINE_SECONDS) == Delivered()


def test_closing_ends_a_delivery_under_way(deliverer: HttpDeliverer, backend: HttpBackend) -> None:
    """A delivery that hangs comes back when the deliverer is closed from another thread; none begins afterwards."""
    backend.script(Answer(delay_seconds=FOREVER_SECONDS))
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(deliverer.deliver, _REQUEST, timeout_seconds=FOREVER_SECONDS)
        backend.wait_for_requests(1)
        deliverer.close()
        assert isinstance(outcome.result(DEADLINE_SECONDS), Unavailable)
    assert isinstance(deliverer.deliver(_REQUEST, timeout_seconds=DEADLINE_SECONDS), Unavailable)
    assert len(backend.requests) == 1


def test_the_limit_of_one_delivery_ends_no_later_one(deliverer: HttpDeliverer) -> None:
    """Each delivery has its own limit, on a connection that is kept."""
    assert [_timed(deliverer)[0] for _ in range(20)] == [Delivered()] * 20


def test_through_a_proxy_the_limit_holds_too(
    backend: HttpBackend, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connections to the proxy of the environment are cut off as well."""
    del backend
    proxy.plan = Plan(answer=Flow(byte_seconds=60))
    monkeypatch.setenv("HTTP_PROXY", proxy.endpoint.replace("https", "http"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with contextlib.closing(HttpDeliverer(Destination(url="http://collector.invalid/v1/traces"))) as deliverer:
        outcome, seconds = _timed(deliverer)
    assert isinstance(outcome, Unavailable)
    assert seconds < DEADLINE_SECONDS / 2
