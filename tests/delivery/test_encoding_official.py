"""Why delivery is our own: the defects of the official exporters, each pinned against a real server.

A test that fails here is good news: its docstring says which code of ours can be removed.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from delivery.official import readable
from delivery.samples import CALL
from faulty_proxy import FaultyProxy, Flow, Plan
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace.export import SpanExportResult
from otlp_backend import Answer, Certificate, GrpcBackend, HttpBackend

from csm_otel.delivery.encoding import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("no_proxy", "silence")

_SPANS = [readable(CALL, SpanLimits())]
_SECONDS = 0.5
Exporter = HttpExporter | GrpcExporter


@pytest.fixture
def silence() -> Iterator[None]:
    """Hide the log of the exporters."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _export(exporter: Exporter) -> SpanExportResult:
    try:
        return exporter.export(_SPANS)
    finally:
        exporter.shutdown()


def _exporter_to(backend: HttpBackend | GrpcBackend, timeout: float = 5) -> Exporter:
    if isinstance(backend, GrpcBackend):
        return GrpcExporter(backend.url, insecure=True, timeout=timeout)
    return HttpExporter(backend.url, timeout=timeout)


@pytest.mark.parametrize("backend_type", [HttpBackend, GrpcBackend])
def test_they_accept_spans_only(backend_type: type[HttpBackend | GrpcBackend]) -> None:
    """When this fails they can deliver encoded bytes, and may replace `HttpDeliverer` and `GrpcDeliverer`.

    A spool holds bytes of an ended process, not its spans.
    """
    with backend_type() as backend:
        exporter = _exporter_to(backend)
        public = [name for name in dir(exporter) if not name.startswith("_")]
        assert public == ["export", "force_flush", "shutdown"]
        bytes_of_spans: Any = encode([CALL], limits=SpanLimits())
        try:
            result = exporter.export(bytes_of_spans)
        except (AttributeError, TypeError):
            result = SpanExportResult.FAILURE
        exporter.shutdown()
        assert result is SpanExportResult.FAILURE
        assert backend.requests == []


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_to_nothing_counts_as_success(status: int) -> None:
    """When this fails a 3xx is a failure for them too, and `HttpDeliverer._target` can be removed."""
    with HttpBackend() as backend:
        backend.script(Answer(status=status))
        assert _export(_exporter_to(backend)) is SpanExportResult.SUCCESS
        assert len(backend.accepted) == 0


@pytest.mark.parametrize("backend_type", [HttpBackend, GrpcBackend])
def test_a_partial_success_is_ignored(backend_type: type[HttpBackend | GrpcBackend]) -> None:
    """When this fails they report rejected spans, and `Delivered.rejected_spans` may come from them."""
    with backend_type() as backend:
        backend.script(Answer(rejected_spans=1, message="too old"))
        assert _export(_exporter_to(backend)) is SpanExportResult.SUCCESS
        assert len(backend.requests) == 1


@pytest.mark.parametrize("exporter", [HttpExporter, GrpcExporter])
def test_the_timeout_is_read_as_seconds(exporter: type[Exporter], monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails OTEL_EXPORTER_OTLP_TIMEOUT is milliseconds for them too, and `_timeout_seconds` can go."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "300")
    made: Any = exporter(endpoint="http://127.0.0.1:1")
    timeout = made._client._timeout if exporter is HttpExporter else made._timeout
    made.shutdown()
    assert timeout == pytest.approx(300.0)


@pytest.mark.parametrize(
    ("backend_type", "answer"),
    [
        pytest.param(HttpBackend, Answer(status=503), id="http"),
        pytest.param(GrpcBackend, Answer(code=grpc.StatusCode.UNAVAILABLE), id="grpc"),
    ],
)
def test_they_give_up_at_their_deadline(backend_type: type[HttpBackend | GrpcBackend], answer: Answer) -> None:
    """When this fails they keep a batch until it is delivered, and may replace `DeliveryQueue`."""
    with backend_type() as backend:
        backend.script(*[answer] * 1000)  # more than anything tries before its deadline
        assert _export(_exporter_to(backend, timeout=_SECONDS)) is SpanExportResult.FAILURE
        assert backend.accepted == []


@pytest.mark.parametrize(
    ("backend_type", "answer"),
    [
        pytest.param(HttpBackend, Answer(status=413), id="http"),
        pytest.param(
            GrpcBackend,
            Answer(code=grpc.StatusCode.RESOURCE_EXHAUSTED, message="Received message larger than max"),
            id="grpc",
        ),
    ],
)
def test_too_large_requests_are_given_up(backend_type: type[HttpBackend | GrpcBackend], answer: Answer) -> None:
    """When this fails they send it in pieces, and `split` can be removed."""
    with backend_type() as backend:
        backend.script(answer)
        exporter = _exporter_to(backend, timeout=_SECONDS)
        assert exporter.export(_SPANS * 2) is SpanExportResult.FAILURE
        exporter.shutdown()
        assert backend.accepted == []


def test_their_http_timeout_is_for_each_read() -> None:
    """When this fails they have one time limit for the whole of a delivery, and `Cutoff` can be removed."""
    with HttpBackend() as backend, FaultyProxy(backend.endpoint) as proxy:
        proxy.plan = Plan(answer=Flow(byte_seconds=0.02))
        began = time.monotonic()
        _export(HttpExporter(f"{proxy.endpoint}/v1/traces", timeout=_SECONDS))
    assert time.monotonic() - began > 2 * _SECONDS


@pytest.mark.parametrize("exporter", [HttpExporter, GrpcExporter])
def test_pem_text_is_read_as_a_path(
    exporter: type[Exporter], certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When this fails they accept PEM text, as Jenkins gives it, and `Credentials._path` can be removed."""
    backend_type = HttpBackend if exporter is HttpExporter else GrpcBackend
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", certificate.text)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", str(certificate.path))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", str(certificate.key_path))
    with backend_type(certificate=certificate) as backend:
        try:
            result = _export(exporter(endpoint=backend.url, timeout=_SECONDS))
        except OSError:
            return
        assert result is SpanExportResult.FAILURE
