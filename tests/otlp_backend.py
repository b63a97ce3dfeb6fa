"""A real OTLP back end for tests, over HTTP and over gRPC, that keeps all requests and answers by a script.

``with HttpBackend() as backend:`` then ``backend.url``, ``backend.wait_for_requests(1)``, ``backend.spans``.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import gzip
import ipaddress
import json
import re
import socket
import ssl
import struct
import threading
import time
import zlib
from concurrent import futures
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, Self

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToJson, Parse
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from google.protobuf.message import Message
    from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, NumberDataPoint
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

DEADLINE_SECONDS = 60.0
"""The timeout of a test for something that must happen."""
FOREVER_SECONDS = 3_600.0
_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {"": bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}
_MULTIPLE_CHOICES = 300
_BAD_REQUEST = 400


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The back end's answer to one request."""

    status: int = 200
    """The HTTP status."""
    code: grpc.StatusCode = grpc.StatusCode.OK
    """The gRPC status."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """The HTTP body, instead of an ExportTraceServiceResponse."""
    rejected_spans: int = 0
    message: str = ""
    """The message of the partial success, of the status of an HTTP error, or the details of a gRPC failure."""
    retry_after_seconds: float | None = None
    """A google.rpc.RetryInfo in gRPC's status details; for HTTP use ``headers``."""
    status_details: bytes | None = None
    """Instead of such a RetryInfo."""
    delay_seconds: float = 0.0
    """A delay before the answer; cut short when the back end is closed."""
    ending: Literal["answer", "close", "reset"] = "answer"
    """Over HTTP: close or reset the connection instead of answering."""


OK = Answer()


class _Backend:
    """The part of both protocols: the requests received, and the answers to give."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._answers: list[Answer] = []
        self._metric_answers: list[Answer] = []
        self._is_over = threading.Event()
        self.requests: list[ExportTraceServiceRequest] = []
        """All requests, also those not answered with success."""
        self.accepted: list[ExportTraceServiceRequest] = []
        """The requests answered with success."""
        self.metric_requests: list[ExportMetricsServiceRequest] = []
        """The requests for metrics answered with success."""
        self.headers: list[dict[str, str]] = []
        """The headers of each request; names in lower case."""
        self.peers: list[str] = []
        """The source address and port of each request."""

    def script(self, *answers: Answer) -> None:
        """Give these answers to the next requests, then success again."""
        with self._changed:
            self._answers.extend(answers)

    def script_metrics(self, *answers: Answer) -> None:
        """Do the same for requests for metrics, over HTTP, where the bodies must be given."""
        with self._changed:
            self._metric_answers.extend(answers)

    def release(self) -> None:
        """Answer all delayed requests at once, and from now on without delay."""
        self._is_over.set()

    def wait_for_requests(self, count: int, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until at least ``count`` requests have come.

        Raises:
            TimeoutError: they have not.
        """
        self._wait_for(self.requests, count, deadline_seconds)

    def wait_for_accepted(self, count: int, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until at least ``count`` requests have been accepted.

        Raises:
            TimeoutError: they have not.
        """
        self._wait_for(self.accepted, count, deadline_seconds)

    @property
    def spans(self) -> list[Span]:
        """All spans of the accepted requests, in order."""
        with self._changed:
            return [
                span
                for request in self.accepted
                for resource_spans in request.resource_spans
                for scope_spans in resource_spans.scope_spans
                for span in scope_spans.spans
            ]

    def points(self, name: str) -> list[NumberDataPoint | HistogramDataPoint]:
        """All points of a metric in the last request for metrics."""
        with self._changed:
            last = self.metric_requests[-1:]
        return [
            point
            for request in last
            for resource_metrics in request.resource_metrics
            for scope_metrics in resource_metrics.scope_metrics
            for metric in scope_metrics.metrics
            if metric.name == name
            for point in getattr(metric, str(metric.WhichOneof("data"))).data_points
        ]

    def _receive_metrics(self, request: ExportMetricsServiceRequest) -> Answer:
        with self._changed:
            self.metric_requests.append(request)
            self._changed.notify_all()
            return self._metric_answers.pop(0) if self._metric_answers else Answer(body=b"")

    def _receive_logs(self, request: ExportLogsServiceRequest) -> None:
        """Answer requests for logs with success, and ignore them."""

    def _wait_for(self, what: Sequence[ExportTraceServiceRequest], count: int, deadline_seconds: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: len(what) >= count, deadline_seconds):
                raise TimeoutError(f"{len(what)} of {count} requests came within {deadline_seconds:g} s")

    def _receive(self, request: ExportTraceServiceRequest, headers: dict[str, str], peer: str) -> Answer:
        with self._changed:
            self.requests.append(request)
            self.headers.append(headers)
            self.peers.append(peer)
            answer = self._answers.pop(0) if self._answers else OK
            self._changed.notify_all()
        if answer.delay_seconds:
            self._is_over.wait(answer.delay_seconds)
        return answer

    def _accept(self, request: ExportTraceServiceRequest) -> None:
        with self._changed:
            self.accepted.append(request)
            self._changed.notify_all()


class HttpBackend(_Backend):
    """OTLP/HTTP on a port (a free one of loopback unless given), with TLS on both sides where it has a certificate."""

    def __init__(self, *, certificate: Certificate | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__()
        self._server = _HttpServer(self, (host, port))
        scheme = "http"
        if certificate is not None:
            # Each connection's thread does its handshake: one that hangs would block all others.
            self._server.socket = certificate.server_context().wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
            scheme = "https"
        self.endpoint = f"{scheme}://127.0.0.1:{self._server.server_port}"
        """The base URL, as in OTEL_EXPORTER_OTLP_ENDPOINT."""
        self.url = f"{self.endpoint}/v1/traces"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.end_connections()
        self._thread.join(DEADLINE_SECONDS)


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, backend: HttpBackend, address: tuple[str, int]) -> None:
        super().__init__(address, _HttpHandler)
        self.backend = backend
        self._connections: dict[socket.socket, threading.Thread | None] = {}

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        self._connections[request] = threading.current_thread()
        super().process_request_thread(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: some tests are about clients that disconnect."""

    def end_connections(self) -> None:
        for connection, thread in list(self._connections.items()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            if thread is not None:
                thread.join(DEADLINE_SECONDS)


class _HttpHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _HttpServer

    def do_POST(self) -> None:
        """Receive an export."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.partition("?")[0] == "/v1/metrics":
            metrics = ExportMetricsServiceRequest()
            self._parse(body, metrics)
            self._send(self.server.backend._receive_metrics(metrics))
            return
        if self.path.partition("?")[0] == "/v1/logs":
            body = _DECOMPRESS[self.headers.get("Content-Encoding", "")](body)
            self.server.backend._receive_logs(ExportLogsServiceRequest.FromString(body))
            self._send(Answer(body=b""))
            return
        if self.path.partition("?")[0] != "/v1/traces":
            self._send(Answer(status=404, body=b""))
            return
        request = ExportTraceServiceRequest()
        self._parse(body, request)
        headers = {key.lower(): value for key, value in self.headers.items()}
        answer = self.server.backend._receive(request, headers, str(self.client_address))
        if answer.ending == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if answer.ending != "answer":
            self.close_connection = True
            self.connection.close()
            return
        if answer.status < _MULTIPLE_CHOICES:
            self.server.backend._accept(request)
        self._send(answer)

    @property
    def _is_json(self) -> bool:
        return self.headers["Content-Type"] == "application/json"

    def _parse(self, body: bytes, into: Message) -> None:
        body = _DECOMPRESS[self.headers.get("Content-Encoding", "")](body)
        if self._is_json:
            Parse(_IDS.sub(_id_in_base64, body.decode()), into)
        else:
            into.ParseFromString(body)

    def _send(self, answer: Answer) -> None:
        body = answer.body
        if body is None:  # in the form of the request, as specified
            is_error = answer.status >= _BAD_REQUEST
            response = Status(message=answer.message) if is_error else _response(answer)
            body = MessageToJson(response).encode() if self._is_json else response.SerializeToString()
        self.send_response(answer.status)
        kind = "application/json" if self._is_json else "application/x-protobuf"
        for key, value in {"Content-Type": kind, **answer.headers}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # ruff: ignore[builtin-argument-shadowing]
        """Log nothing."""


_IDS = re.compile(r'"(traceId|spanId|parentSpanId)":"([0-9a-f]+)"')
"""The ids of OTLP/JSON, which are hex there and base64 in protobuf's JSON."""


def _id_in_base64(found: re.Match[str]) -> str:
    key, digits = found.groups()
    return f"{json.dumps(key)}:{json.dumps(base64.b64encode(bytes.fromhex(digits)).decode())}"


class GrpcBackend(_Backend):
    """OTLP/gRPC on a loopback port (a free one unless given), with TLS on both sides where it has a certificate.

    With ``target`` it listens there instead, as on a Unix socket.
    """

    def __init__(
        self,
        *,
        certificate: Certificate | None = None,
        port: int = 0,
        target: str = "",
        options: Sequence[tuple[str, int | str]] = (),
    ) -> None:
        super().__init__()
        self._server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0), *options])
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call]
            _TraceService(self), self._server
        )
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(  # type: ignore[no-untyped-call]
            _MetricsService(self), self._server
        )
        if target:
            self._server.add_insecure_port(target)
            self.url = target
        elif certificate is None:
            port = self._server.add_insecure_port(f"127.0.0.1:{port}")
            self.url = f"http://127.0.0.1:{port}"
        else:
            port = self._server.add_secure_port(f"127.0.0.1:{port}", certificate.grpc_server_credentials())
            self.url = f"https://127.0.0.1:{port}"
        self.endpoint = self.url

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._server.stop(grace=None).wait(DEADLINE_SECONDS)


class _TraceService(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, backend: GrpcBackend) -> None:
        self._backend = backend

    def Export(  # ruff: ignore[invalid-function-name]
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        headers = {key: value if isinstance(value, str) else "" for key, value in context.invocation_metadata()}
        answer = self._backend._receive(request, headers, context.peer())
        if answer.code is grpc.StatusCode.OK:
            self._backend._accept(request)
            return _response(answer)
        details = _retry_details(answer) if answer.status_details is None else answer.status_details
        context.set_trailing_metadata((("grpc-status-details-bin", details),))
        return context.abort(answer.code, answer.message)


class _MetricsService(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, backend: GrpcBackend) -> None:
        self._backend = backend

    def Export(  # ruff: ignore[invalid-function-name]
        self, request: ExportMetricsServiceRequest, _context: grpc.ServicerContext
    ) -> ExportMetricsServiceResponse:
        self._backend._receive_metrics(request)
        return ExportMetricsServiceResponse()


def _response(answer: Answer) -> ExportTraceServiceResponse:
    if not answer.rejected_spans and not answer.message:
        return ExportTraceServiceResponse()
    partial = ExportTracePartialSuccess(rejected_spans=answer.rejected_spans, error_message=answer.message)
    return ExportTraceServiceResponse(partial_success=partial)


def _retry_details(answer: Answer) -> bytes:
    status = Status(code=answer.code.value[0], message=answer.message)
    if answer.retry_after_seconds is not None:
        delay = Duration()
        delay.FromMilliseconds(round(answer.retry_after_seconds * 1000))
        status.details.add().Pack(RetryInfo(retry_delay=delay))
    details: bytes = status.SerializeToString()
    return details


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1 and localhost, valid for servers and clients; both texts are PEM."""

    text: str
    key_text: str
    path: Path
    key_path: Path

    @classmethod
    def make(cls, folder: Path, *, valid_hours: float = 1, host: str = "localhost") -> Certificate:
        """Create one, and its files in ``folder``; it has expired if ``valid_hours`` is negative.

        With another ``host``, it is for that one only.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "csm-otel test")])
        now = dt.datetime.now(dt.UTC)
        names: list[x509.GeneralName] = [x509.DNSName(host)]
        if host == "localhost":
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=2))
            .not_valid_after(now + dt.timedelta(hours=valid_hours))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(key, hashes.SHA256())
        )
        text = certificate.public_bytes(serialization.Encoding.PEM).decode()
        key_text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        path, key_path = folder / "certificate.pem", folder / "key.pem"
        path.write_text(text)
        key_path.write_text(key_text)
        return cls(text, key_text, path, key_path)

    def server_context(self) -> ssl.SSLContext:
        """Return the context of a TLS server that accepts clients with this certificate only."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self.key_path)
        context.load_verify_locations(self.path)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def grpc_server_credentials(self) -> grpc.ServerCredentials:
        """Return the same as credentials of a gRPC server."""
        pair = (self.key_text.encode(), self.text.encode())
        return grpc.ssl_server_credentials([pair], self.text.encode(), require_client_auth=True)


def wait_until(condition: Callable[[], object], *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until ``condition()`` is true.

    Raises:
        TimeoutError: it never was.
    """
    end = time.monotonic() + deadline_seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {deadline_seconds:g} s")
        time.sleep(0.005)
