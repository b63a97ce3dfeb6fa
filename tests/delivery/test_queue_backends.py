"""The queue before a real back end, over HTTP and over gRPC, with a network that fails.

The law of all these tests: a batch is gone only when the back end has accepted it, in order, and each span is counted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from configured import given
from delivery.queue_runs import Run
from delivery.samples import CALL, changed
from faulty_proxy import BLACK_HOLE, REFUSED, FaultyProxy, Flow, Plan
from opentelemetry.sdk.trace import SpanLimits
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS, Answer, Certificate, GrpcBackend, HttpBackend, wait_until

from csm_otel.config.configuration import configure
from csm_otel.delivery.deliverer import open_deliverer
from csm_otel.delivery.destination import Destination
from csm_otel.delivery.encoding import encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from csm_otel.delivery.deliverer import Deliverer

pytestmark = pytest.mark.usefixtures("no_proxy")

Backend = HttpBackend | GrpcBackend
_NAMES = [f"call {number}" for number in range(4)]
_CALLS = [changed(CALL, name=name) for name in _NAMES]
_REQUESTS = [encode([call], limits=SpanLimits()) for call in _CALLS]
_LARGE = 20_000
"""More bytes than the small server below accepts at once, and fewer than two of them."""


@pytest.fixture(params=[HttpBackend, GrpcBackend])
def backend_type(request: pytest.FixtureRequest) -> type[Backend]:
    """Give one protocol after the other."""
    kind: type[Backend] = request.param
    return kind


@pytest.fixture
def backend(backend_type: type[Backend]) -> Iterator[Backend]:
    """Run a back end."""
    with backend_type() as backend:
        yield backend


@pytest.fixture
def proxy(backend: Backend) -> Iterator[FaultyProxy]:
    """Stand in front of it."""
    with FaultyProxy(backend.endpoint) as proxy:
        yield proxy


def _deliverer_to(endpoint: str, backend: Backend | type[Backend], **settings: Any) -> Deliverer:
    if backend is GrpcBackend or isinstance(backend, GrpcBackend):
        return open_deliverer(Destination(url=endpoint, protocol="grpc", **settings))
    return open_deliverer(Destination(url=f"{endpoint}/v1/traces", **settings))


def _delivered(backend: Backend) -> list[str]:
    return [span.name for span in backend.spans]


def _spans_of(backend: Backend) -> list[tuple[str, bytes, bytes]]:
    """Return name and ids of every span of every request received."""
    return [
        (span.name, span.trace_id, span.span_id)
        for request in backend.requests
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def _answer(backend: Backend, status: int, code: grpc.StatusCode, retry_after_seconds: float | None = None) -> Answer:
    if isinstance(backend, GrpcBackend):
        return Answer(code=code, retry_after_seconds=retry_after_seconds)
    return Answer(status=status, headers={"Retry-After": f"{retry_after_seconds:g}"} if retry_after_seconds else {})


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(REFUSED, id="reset-at-once"),
        pytest.param(BLACK_HOLE, id="black-hole"),
        pytest.param(Plan(request=Flow(end_after_bytes=60)), id="reset-in-the-request"),
        pytest.param(Plan(request=Flow(end_after_bytes=60, ending="close")), id="closed-in-the-request"),
        pytest.param(Plan(request=Flow(end_after_bytes=60, ending="hang")), id="stuck-in-the-request"),
        pytest.param(Plan(answer=Flow(end_after_bytes=5)), id="reset-in-the-answer"),
        pytest.param(Plan(answer=Flow(end_after_bytes=5, ending="close")), id="closed-in-the-answer"),
        pytest.param(Plan(answer=Flow(end_after_bytes=5, ending="hang")), id="stuck-in-the-answer"),
        pytest.param(Plan(answer=Flow(byte_seconds=60)), id="dripping-answer"),
    ],
)
def test_a_network_fault_loses_nothing(backend: Backend, proxy: FaultyProxy, plan: Plan) -> None:
    """With any fault of the first connections all arrives, in order, with repeats counted as such."""
    proxy.script(plan, plan)
    run = Run(_deliverer_to(proxy.endpoint, backend), timeout_seconds=0.4)
    run.put(*_REQUESTS)
    wait_until(lambda: run.tally.spans_delivered == len(_REQUESTS))
    run.close()
    arrived = _delivered(backend)
    assert list(dict.fromkeys(arrived)) == _NAMES
    assert len(arrived) - len(_NAMES) <= run.tally.spans_repeated
    assert run.dropped == {}


def test_a_slow_network_repeats_nothing(backend: Backend, proxy: FaultyProxy) -> None:
    """A slow but timely answer causes no repeat."""
    proxy.plan = Plan(delay_seconds=0.1)
    run = Run(_deliverer_to(proxy.endpoint, backend), timeout_seconds=DEADLINE_SECONDS)
    run.put(*_REQUESTS)
    wait_until(lambda: run.tally.spans_delivered == len(_REQUESTS))
    run.close()
    assert _delivered(backend) == _NAMES
    assert (run.tally.spans_repeated, run.dropped) == (0, {})


def test_a_reset_after_the_request_was_received_is_a_repeat(backend: Backend, proxy: FaultyProxy) -> None:
    """No answer is no refusal: it is sent again with the same ids, and counted as a repeat."""
    backend.script(Answer(delay_seconds=FOREVER_SECONDS))
    run = Run(_deliverer_to(proxy.endpoint, backend))
    run.put(_REQUESTS[0])
    backend.wait_for_requests(1)
    proxy.end_connections("reset")
    wait_until(lambda: run.tally.spans_delivered == 1)
    run.close()
    first, second = _spans_of(backend)
    assert first == second
    assert (run.tally.spans_repeated, run.dropped) == (1, {})


def test_a_back_end_that_goes_away_and_comes_back(backend: Backend, proxy: FaultyProxy) -> None:
    """Requests put while the port is closed wait and arrive in order, none of them as a repeat."""
    run = Run(_deliverer_to(proxy.endpoint, backend))
    run.put(_REQUESTS[0])
    wait_until(lambda: run.tally.spans_delivered == 1)
    proxy.refuse()
    proxy.end_connections("close")
    run.put(*_REQUESTS[1:])
    wait_until(lambda: any("unavailable" in line for line in run.logged))
    proxy.listen()
    wait_until(lambda: run.tally.spans_delivered == len(_REQUESTS))
    run.close()
    assert _delivered(backend) == _NAMES
    assert run.dropped == {}


@pytest.mark.parametrize("retry_after_seconds", [None, 1])
@pytest.mark.parametrize(
    ("status", "code"),
    [
        pytest.param(429, grpc.StatusCode.UNAVAILABLE, id="429"),
        pytest.param(502, grpc.StatusCode.ABORTED, id="502"),
        pytest.param(503, grpc.StatusCode.UNAVAILABLE, id="503"),
        pytest.param(504, grpc.StatusCode.DEADLINE_EXCEEDED, id="504"),
    ],
)
def test_an_overloaded_back_end_is_tried_again(
    backend: Backend, status: int, code: grpc.StatusCode, retry_after_seconds: float | None
) -> None:
    """Requests refused for now are accepted later, not before the requested delay, and in order."""
    backend.script(_answer(backend, status, code, retry_after_seconds))
    run = Run(_deliverer_to(backend.endpoint, backend))
    tried: list[float] = []
    deliver = run.queue._deliverer.deliver

    def noting(request: bytes, *, timeout_seconds: float) -> Any:
        tried.append(run.queue._clock())
        return deliver(request, timeout_seconds=timeout_seconds)

    run.queue._deliverer.deliver = noting  # type: ignore[method-assign]
    run.put(*_REQUESTS)
    wait_until(lambda: run.tally.spans_delivered == len(_REQUESTS))
    run.close()
    assert _delivered(backend) == _NAMES
    assert tried[1] - tried[0] >= (retry_after_seconds or 0)


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        pytest.param(400, grpc.StatusCode.INVALID_ARGUMENT, "", id="400"),
        pytest.param(401, grpc.StatusCode.UNAUTHENTICATED, "check OTEL_EXPORTER_OTLP_HEADERS", id="401"),
        pytest.param(403, grpc.StatusCode.PERMISSION_DENIED, "check OTEL_EXPORTER_OTLP_HEADERS", id="403"),
        pytest.param(404, grpc.StatusCode.UNIMPLEMENTED, "check OTEL_EXPORTER_OTLP_ENDPOINT", id="404"),
    ],
)
def test_refused_requests_are_sent_once(backend: Backend, status: int, code: grpc.StatusCode, hint: str) -> None:
    """They are dropped and counted, with one line for any number of them; later ones are delivered."""
    refusal = _answer(backend, status, code)
    backend.script(refusal, refusal)
    run = Run(_deliverer_to(backend.endpoint, backend))
    run.put(*_REQUESTS)
    run.close()
    assert _delivered(backend) == _NAMES[2:]
    assert len(backend.requests) == 4
    assert run.dropped == {"refused": 2}
    (line,) = run.logged
    assert line.startswith("back end refused spans: ")
    assert hint in line


def test_a_redirection_is_a_failure() -> None:
    """It is one clear line, and its spans are dropped and counted: its target was not configured."""
    with HttpBackend() as backend:
        backend.script(*[Answer(status=308, headers={"Location": "https://other/v1/traces"})] * 2)
        run = Run(_deliverer_to(backend.endpoint, backend))
        run.put(*_REQUESTS)
        run.close()
        assert _delivered(backend) == _NAMES[2:]
        (line,) = run.logged
        assert line.endswith(
            f"HTTP 308 from {backend.url} redirects to https://other: check OTEL_EXPORTER_OTLP_ENDPOINT"
        )
    assert run.dropped == {"refused": 2}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(rejected_spans=1, message="too old"), id="own-form"),
        pytest.param(
            Answer(
                rejected_spans=1,
                message="too old",
                body=b'{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "too old"}}',
                headers={"Content-Type": "application/json"},
            ),
            id="json-over-http",
        ),
    ],
)
def test_rejected_spans_are_counted_with_the_reason(backend: Backend, answer: Answer) -> None:
    """A partial success is delivered except for rejected spans, in the back end's words, and not sent again."""
    backend.script(answer)
    run = Run(_deliverer_to(backend.endpoint, backend))
    run.put(encode(_CALLS, limits=SpanLimits()), spans=4)
    run.close()
    assert (run.tally.spans_delivered, run.tally.spans_rejected, run.dropped) == (3, 1, {})
    assert run.logged == ["back end rejected 1 of 4 spans: too old"]
    assert len(backend.requests) == 1


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_requests_too_large_for_a_grpc_server_are_split(compression: Any) -> None:
    """A server with a small limit for messages gets them in pieces, in order; a span that is too large is counted."""
    calls = [changed(CALL, name=f"{number} {'x' * _LARGE}") for number in range(5)]
    calls.insert(2, changed(CALL, name="y" * 3 * _LARGE))
    options = (("grpc.max_receive_message_length", _LARGE * 3 // 2),)
    with GrpcBackend(options=options) as backend:
        run = Run(_deliverer_to(backend.endpoint, backend, compression=compression))
        run.put(encode(calls, limits=SpanLimits()), spans=6)
        run.put(_REQUESTS[0])
        run.close()
        assert [name[0] for name in _delivered(backend)] == ["0", "1", "2", "3", "4", "c"]
    assert (run.tally.spans_delivered, run.dropped) == (6, {"too_large": 1})


def test_requests_too_large_over_http_are_split() -> None:
    """After a 413 the halves are sent, in order."""
    with HttpBackend() as backend:
        backend.script(Answer(status=413), Answer(), Answer(status=413))
        run = Run(_deliverer_to(backend.endpoint, backend))
        run.put(encode(_CALLS, limits=SpanLimits()), spans=4)
        run.close()
        assert _delivered(backend) == _NAMES
        assert len(backend.requests) == 5
    assert (run.tally.spans_delivered, run.dropped) == (4, {})


def test_a_large_request_passes_any_limit_of_ours() -> None:
    """Nothing on our side bounds a message: one of 8 MB, twice what gRPC takes by default, goes out whole."""
    request = encode([changed(CALL, name="x" * 8_000_000)], limits=SpanLimits())
    with GrpcBackend(options=(("grpc.max_receive_message_length", -1),)) as backend:
        run = Run(_deliverer_to(backend.endpoint, backend), limit_bytes=10_000_000)
        run.put(request)
        run.close()
        assert len(backend.requests) == 1
    assert run.tally.spans_delivered == 1


def test_a_server_that_closes_its_connections_is_tried_again() -> None:
    """A gRPC server that ends its connections (GOAWAY), as on a rolling restart, loses nothing."""
    options = (("grpc.max_connection_age_ms", 20), ("grpc.max_connection_age_grace_ms", 20))
    with GrpcBackend(options=options) as backend:
        run = Run(_deliverer_to(backend.endpoint, backend))
        for count, request in enumerate(_REQUESTS * 5, start=1):
            run.put(request)
            wait_until(lambda: run.tally.spans_delivered == count)  # ruff: ignore[function-uses-loop-variable]
        run.close()
        assert len(set(backend.peers)) > 1
        assert len(backend.accepted) - 20 <= run.tally.spans_repeated
    assert run.dropped == {}


@pytest.mark.parametrize(("port", "kind"), [("4317", GrpcBackend), ("4318", HttpBackend)])
def test_the_variables_of_jenkins(port: str, kind: type[Backend], certificate: Certificate) -> None:
    """An endpoint without a protocol, a certificate as text, a timeout in milliseconds: spans arrive, or time runs out.

    The port is changed after the settings are read, as another process may listen on the real one.
    """
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": certificate.text,
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": certificate.text,
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": certificate.key_text,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "400",
    }
    configuration, faults = configure("serve", given(variables))
    destination = configuration.traces
    assert destination is not None
    with kind(certificate=certificate) as backend, FaultyProxy(backend.endpoint) as proxy:
        proxy.script(BLACK_HOLE)
        url = destination.url.replace(f"127.0.0.1:{port}", proxy.endpoint.removeprefix("https://"))
        deliverer = open_deliverer(replace(destination, url=url))
        run = Run(deliverer, timeout_seconds=destination.timeout_seconds)
        run.put(*_REQUESTS)
        wait_until(lambda: run.tally.spans_delivered == len(_REQUESTS))
        run.close()
        assert list(dict.fromkeys(_delivered(backend))) == _NAMES
    assert "no answer within 0.4 s" in run.logged[0]
    assert (faults, configuration.warnings) == ([], ())


def test_a_certificate_that_is_corrected_is_used(
    backend_type: type[Backend], certificate: Certificate, tmp_path: Path
) -> None:
    """While TLS fails spans are kept and one line says why; with the right certificate they arrive, not as repeats."""
    settings = {
        "certificate": certificate.text,
        "client_certificate": certificate.text,
        "client_key": certificate.key_text,
    }
    with backend_type(certificate=Certificate.make(tmp_path)) as other, FaultyProxy(other.endpoint) as proxy:
        run = Run(_deliverer_to(proxy.endpoint, backend_type, **settings), timeout_seconds=DEADLINE_SECONDS)
        run.put(*_REQUESTS)
        wait_until(lambda: run.logged)
        with backend_type(certificate=certificate) as backend:
            proxy.target(backend.endpoint)
            wait_until(lambda: run.tally.spans_delivered == len(_REQUESTS))
            run.close()
            assert _delivered(backend) == _NAMES
        assert other.requests == []
    assert run.logged[0].startswith("back end unavailable, trying again: TLS failed, ")
    assert "check OTEL_EXPORTER_OTLP_CERTIFICATE" in run.logged[0]
    assert (run.tally.spans_repeated, run.dropped) == (0, {})


def test_closing_ends_a_delivery_that_hangs(backend: Backend, proxy: FaultyProxy) -> None:
    """At the deadline the network releases the thread, whatever the timeout; what it held is counted."""
    proxy.plan = BLACK_HOLE
    run = Run(_deliverer_to(proxy.endpoint, backend), timeout_seconds=FOREVER_SECONDS)
    run.put(*_REQUESTS)
    wait_until(lambda: proxy.connections)
    run.close(0.1)
    run.queue._threads[0].join(DEADLINE_SECONDS)
    assert not run.queue._threads[0].is_alive()
    assert run.dropped == {"shutdown": 4}
