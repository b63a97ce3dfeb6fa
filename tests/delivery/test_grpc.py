"""Delivery over gRPC to the published protobuf service."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
from concurrent import futures
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from delivery.samples import CALL
from forward_proxy import ForwardProxy
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import SpanLimits
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS, Answer, Certificate, GrpcBackend, HttpBackend, wait_until
from platforms import on_linux

from csm_otel import __version__
from csm_otel.delivery.destination import Destination
from csm_otel.delivery.encoding import encode
from csm_otel.delivery.grpc import GrpcDeliverer
from csm_otel.delivery.outcome import Delivered, Outcome, Refused, TooLarge, Unavailable
from csm_otel.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_REQUEST = encode([CALL], limits=SpanLimits())
_TIMEOUT_SECONDS = DEADLINE_SECONDS
_SHORT_SECONDS = 0.2
_ELSEWHERE = "collector.invalid:4317"
_ONLY_IDENTITY = (("grpc.compression_enabled_algorithms_bitset", 1),)
"""Makes a gRPC server reject compressed messages."""


pytestmark = pytest.mark.usefixtures("no_proxy")


@pytest.fixture
def backend() -> Iterator[GrpcBackend]:
    """Run a back end without TLS."""
    with GrpcBackend() as backend:
        yield backend


def _deliver(url: str, *, timeout_seconds: float = _TIMEOUT_SECONDS, **settings: Any) -> Outcome:
    deliverer = GrpcDeliverer(Destination(url=url, protocol="grpc", **settings))
    with contextlib.closing(deliverer):
        return deliverer.deliver(_REQUEST, timeout_seconds=timeout_seconds)


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_the_request_arrives_as_it_was_encoded(backend: GrpcBackend, compression: str) -> None:
    """With any compression, the back end receives the same message and our user agent."""
    assert _deliver(backend.url, compression=compression) == Delivered()
    assert [ExportTraceServiceRequest.FromString(_REQUEST)] == backend.accepted
    assert backend.headers[0]["user-agent"].startswith(f"csm-otel/{__version__} grpc-python/")


@pytest.mark.parametrize(
    ("compression", "is_taken"),
    [
        pytest.param("none", True, id="none"),
        pytest.param("gzip", False, id="gzip"),
        pytest.param("deflate", False, id="deflate"),
    ],
)
def test_compression_is_on_the_wire(compression: str, *, is_taken: bool) -> None:
    """A server without compression rejects compressed requests only, with a line that says what to check."""
    with GrpcBackend(options=_ONLY_IDENTITY) as backend:
        outcome = _deliver(backend.url, compression=compression)
    where = backend.url.removeprefix("http://")
    refused = Refused(
        f"gRPC UNIMPLEMENTED from {where}: check OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_COMPRESSION"
    )
    assert outcome == (Delivered() if is_taken else refused)


def test_an_answer_that_cannot_be_read_is_a_success() -> None:
    """The status says that the spans were accepted, so they are neither sent again nor counted as lost."""
    server = grpc.server(futures.ThreadPoolExecutor(1))

    def answer(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        return b"\xff"

    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    handlers: dict[str, Any] = {"Export": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        assert _deliver(f"http://127.0.0.1:{port}") == Delivered()
    finally:
        server.stop(grace=None).wait(DEADLINE_SECONDS)


def test_what_a_back_end_repeats_of_headers_is_not_shown(backend: GrpcBackend) -> None:
    """A header's value is not in the line about rejected spans."""
    backend.script(Answer(rejected_spans=1, message="not for hunter2"))
    outcome = _deliver(backend.url, headers=(("authorization", "Bearer hunter2"),))
    assert outcome == Delivered(1, "not for ***")


def test_configured_headers_are_metadata(backend: GrpcBackend) -> None:
    """OTEL_EXPORTER_OTLP_HEADERS arrive, their names in lower case as HTTP/2 asks."""
    _deliver(backend.url, headers=(("X-Tenant", "a b"),))
    assert backend.headers[0]["x-tenant"] == "a b"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(Answer(), Delivered(), id="ok"),
        pytest.param(Answer(rejected_spans=1, message="too\nold"), Delivered(1, "too old"), id="partial-success"),
        pytest.param(
            Answer(code=grpc.StatusCode.CANCELLED),
            Unavailable("gRPC CANCELLED from HOST", may_have_arrived=True),
            id="CANCELLED",
        ),
        pytest.param(
            Answer(code=grpc.StatusCode.DEADLINE_EXCEEDED),
            Unavailable(f"no answer within {_TIMEOUT_SECONDS:g} s: HOST", may_have_arrived=True),
            id="DEADLINE_EXCEEDED",
        ),
        pytest.param(
            Answer(code=grpc.StatusCode.ABORTED),
            Unavailable("gRPC ABORTED from HOST", may_have_arrived=True),
            id="ABORTED",
        ),
        pytest.param(
            Answer(code=grpc.StatusCode.OUT_OF_RANGE),
            Unavailable("gRPC OUT_OF_RANGE from HOST", may_have_arrived=True),
            id="OUT_OF_RANGE",
        ),
        pytest.param(Answer(code=grpc.StatusCode.UNAVAILABLE), Unavailable("gRPC UNAVAILABLE: HOST"), id="UNAVAILABLE"),
        pytest.param(
            Answer(code=grpc.StatusCode.UNAVAILABLE, retry_after_seconds=1.5),
            Unavailable("gRPC UNAVAILABLE: HOST", 1.5),
            id="UNAVAILABLE-with-RetryInfo",
        ),
        pytest.param(
            Answer(code=grpc.StatusCode.DATA_LOSS),
            Unavailable("gRPC DATA_LOSS from HOST", may_have_arrived=True),
            id="DATA_LOSS",
        ),
        pytest.param(
            Answer(code=grpc.StatusCode.RESOURCE_EXHAUSTED, retry_after_seconds=2),
            Unavailable("gRPC RESOURCE_EXHAUSTED from HOST", 2.0, may_have_arrived=True),
            id="RESOURCE_EXHAUSTED-with-RetryInfo",
        ),
        pytest.param(
            Answer(code=grpc.StatusCode.RESOURCE_EXHAUSTED),
            Refused("gRPC RESOURCE_EXHAUSTED from HOST"),
            id="RESOURCE_EXHAUSTED",
        ),
        pytest.param(
            Answer(code=grpc.StatusCode.RESOURCE_EXHAUSTED, message="Received message larger than max (9 vs. 4)"),
            TooLarge("gRPC RESOURCE_EXHAUSTED from HOST: a single span is too large for the back end"),
            id="RESOURCE_EXHAUSTED-by-size",
        ),
        pytest.param(
            Answer(code=grpc.StatusCode.UNAUTHENTICATED),
            Refused("gRPC UNAUTHENTICATED from HOST: check OTEL_EXPORTER_OTLP_HEADERS"),
            id="UNAUTHENTICATED",
        ),
        pytest.param(
            Answer(code=grpc.StatusCode.PERMISSION_DENIED),
            Refused("gRPC PERMISSION_DENIED from HOST: check OTEL_EXPORTER_OTLP_HEADERS"),
            id="PERMISSION_DENIED",
        ),
        pytest.param(
            Answer(code=grpc.StatusCode.INVALID_ARGUMENT),
            Refused("gRPC INVALID_ARGUMENT from HOST"),
            id="INVALID_ARGUMENT",
        ),
        pytest.param(
            Answer(code=grpc.StatusCode.INTERNAL, retry_after_seconds=1),
            Refused("gRPC INTERNAL from HOST"),
            id="INTERNAL-is-final-even-with-RetryInfo",
        ),
        pytest.param(
            Answer(code=grpc.StatusCode.NOT_FOUND, message="hunter2"),
            Refused("gRPC NOT_FOUND from HOST"),
            id="details-are-not-repeated",
        ),
    ],
)
def test_the_outcome_of_an_answer(backend: GrpcBackend, answer: Answer, expected: Outcome) -> None:
    """Each status is delivered, refused or unavailable, as OTLP specifies."""
    backend.script(answer)
    if not isinstance(expected, Delivered):
        reason = expected.reason.replace("HOST", backend.url.removeprefix("http://"))
        expected = replace(expected, reason=reason)
    assert expected == _deliver(backend.url)


@pytest.mark.parametrize(
    "details",
    [
        pytest.param(b"\xff", id="no-protobuf"),
        pytest.param(b"", id="empty"),
    ],
)
def test_status_details_that_cannot_be_read_ask_for_nothing(backend: GrpcBackend, details: bytes) -> None:
    """Odd status details are no reason to fail, nor to wait."""
    backend.script(Answer(code=grpc.StatusCode.UNAVAILABLE, status_details=details))
    assert _deliver(backend.url) == Unavailable(f"gRPC UNAVAILABLE: {backend.url.removeprefix('http://')}")


@pytest.mark.parametrize("form", ["unix:{}", "unix://{}"])
def test_a_unix_socket_is_a_back_end(tmp_path_factory: pytest.TempPathFactory, form: str) -> None:
    """By both spellings of its path; without a socket there, the line says so."""
    url = form.format(tmp_path_factory.mktemp("s") / "otlp.sock")

    assert _deliver(url) == Unavailable(f"no such socket: {url}")
    with GrpcBackend(target=url) as backend:
        assert _deliver(url) == Delivered()
        assert [ExportTraceServiceRequest.FromString(_REQUEST)] == backend.accepted


@on_linux
def test_an_abstract_socket_is_a_back_end() -> None:
    """One that is in no file system, as Linux has."""
    url = f"unix-abstract:csm-otel-{os.getpid()}"

    with GrpcBackend(target=url) as backend:
        assert _deliver(url) == Delivered()
        assert len(backend.accepted) == 1


def test_a_closed_port_is_connection_refused() -> None:
    """A closed port is unavailable, in words."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{free.getsockname()[1]}"
        assert _deliver(f"http://{where}") == Unavailable(f"connection refused: {where}")


def test_a_back_end_that_comes_up_late_is_found() -> None:
    """The channel reconnects: the request is delivered once the port is open."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    deliverer = GrpcDeliverer(Destination(url=f"http://127.0.0.1:{port}", protocol="grpc"))
    with contextlib.closing(deliverer):
        assert isinstance(deliverer.deliver(_REQUEST, timeout_seconds=_TIMEOUT_SECONDS), Unavailable)
        with GrpcBackend(port=port):
            wait_until(lambda: deliverer.deliver(_REQUEST, timeout_seconds=_TIMEOUT_SECONDS) == Delivered())


def test_a_back_end_that_hangs_is_no_answer(backend: GrpcBackend) -> None:
    """The timeout ends a delivery that is never answered."""
    backend.script(Answer(delay_seconds=FOREVER_SECONDS))
    where = backend.url.removeprefix("http://")
    assert _deliver(backend.url, timeout_seconds=_SHORT_SECONDS) == Unavailable(
        f"no answer within 0.2 s: {where}", may_have_arrived=True
    )


def test_an_http_port_is_recognised() -> None:
    """GRPC sent to an HTTP port gives the hint that the protocol is wrong."""
    with HttpBackend() as other:
        outcome = _deliver(other.endpoint)
    assert isinstance(outcome, Unavailable)
    assert "check OTEL_EXPORTER_OTLP_PROTOCOL" in outcome.reason


@pytest.mark.parametrize("form", ["text", "path"])
def test_tls_with_both_certificates(certificate: Certificate, form: str) -> None:
    """Server and client authenticate each other, whether the settings hold paths or the PEM text itself."""
    own, key = (
        (certificate.text, certificate.key_text)
        if form == "text"
        else (str(certificate.path), str(certificate.key_path))
    )
    with GrpcBackend(certificate=certificate) as backend:
        assert _deliver(backend.url, certificate=own, client_key=key, client_certificate=own) == Delivered()


@pytest.mark.parametrize(
    ("variable", "is_folder"),
    [
        pytest.param("SSL_CERT_FILE", False, id="file"),
        pytest.param("SSL_CERT_DIR", True, id="folder"),
        pytest.param("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", False, id="grpc"),
    ],
)
def test_authorities_of_the_environment(
    certificate: Certificate, hashed_folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str, *, is_folder: bool
) -> None:
    """A back end is trusted if a variable of the system or of gRPC names its authority."""
    monkeypatch.setenv(variable, str(hashed_folder if is_folder else certificate.path))
    with GrpcBackend(certificate=certificate) as backend:
        outcome = _deliver(backend.url, client_certificate=certificate.text, client_key=certificate.key_text)
    assert outcome == Delivered()


def test_tls_for_another_host(tmp_path: Path) -> None:
    """A certificate that is trusted, but names another host, is one clear line."""
    other = Certificate.make(tmp_path, host="collector.example")
    with GrpcBackend(certificate=other) as backend:
        outcome = _deliver(
            backend.url, certificate=other.text, client_certificate=other.text, client_key=other.key_text
        )
        port = backend.url.rpartition(":")[2]
    assert outcome == Unavailable(f"TLS failed, the certificate is for another host: 127.0.0.1:{port}")


def test_tls_that_fails_is_unavailable(certificate: Certificate) -> None:
    """A server whose certificate is not known is one clear line."""
    with GrpcBackend(certificate=certificate) as backend:
        outcome = _deliver(backend.url)
    where = backend.url.removeprefix("https://")
    assert outcome == Unavailable(
        "TLS failed, check OTEL_EXPORTER_OTLP_CERTIFICATE and the scheme of OTEL_EXPORTER_OTLP_ENDPOINT: " + where
    )


@pytest.mark.parametrize(
    ("key", "is_usable"),
    [
        pytest.param("x-api.key_1", True, id="usable"),
        pytest.param("x y", False, id="blank"),
        pytest.param("x-bin", False, id="binary"),
        pytest.param("grpc-timeout", False, id="reserved"),
        pytest.param("", False, id="empty"),
    ],
)
def test_a_header_that_grpc_cannot_send_is_a_settings_error(key: str, *, is_usable: bool) -> None:
    """The fault is reported at the start, by name and without the value."""
    destination = Destination(url="http://127.0.0.1:1", protocol="grpc", headers=((key, "hunter2"),))
    if is_usable:
        GrpcDeliverer(destination).close()
        return
    with pytest.raises(SettingsError) as caught:
        GrpcDeliverer(destination)
    assert f"OTEL_EXPORTER_OTLP_HEADERS: {key!r} is no name that gRPC can send" == str(caught.value)


def test_closing_ends_a_delivery_under_way(backend: GrpcBackend) -> None:
    """A delivery that hangs returns when the deliverer is closed from another thread."""
    backend.script(Answer(delay_seconds=FOREVER_SECONDS))
    deliverer = GrpcDeliverer(Destination(url=backend.url, protocol="grpc"))
    with futures.ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(deliverer.deliver, _REQUEST, timeout_seconds=FOREVER_SECONDS)
        backend.wait_for_requests(1)
        deliverer.close()
        assert isinstance(outcome.result(DEADLINE_SECONDS), Unavailable)


def test_delivery_through_a_proxy(backend: GrpcBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is asked for a tunnel to the back end, with the user and the password of its own."""
    with ForwardProxy(backend.url) as proxy:
        monkeypatch.setenv("https_proxy", proxy.endpoint.replace("//", "//user:p%40ss@"))
        assert _deliver(f"http://{_ELSEWHERE}") == Delivered()
    head = proxy.heads[0].split("\r\n")
    assert head[0] == f"CONNECT {_ELSEWHERE} HTTP/1.1"
    assert "Proxy-Authorization: Basic " + base64.b64encode(b"user:p@ss").decode() in head


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_a_back_end_on_this_machine_is_not_reached_through_a_proxy(
    backend: GrpcBackend, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """No proxy could reach this machine's loopback."""
    monkeypatch.setenv("grpc_proxy", "http://127.0.0.1:1")
    assert _deliver(backend.url.replace("127.0.0.1", host)) == Delivered()


@pytest.mark.parametrize(
    ("variables", "chosen"),
    [
        pytest.param(["http_proxy"], "http_proxy", id="http"),
        pytest.param(["http_proxy", "https_proxy"], "https_proxy", id="https"),
        pytest.param(["https_proxy", "grpc_proxy"], "grpc_proxy", id="own"),
        pytest.param(["ALL_PROXY", "http_proxy"], "http_proxy", id="read-ones-win"),
    ],
)
def test_the_variable_of_the_proxy(monkeypatch: pytest.MonkeyPatch, variables: list[str], chosen: str) -> None:
    """GRPC's own variable wins, then those of HTTP; the line has the proxy, without its user and password."""
    for port, name in enumerate(variables, 1):
        monkeypatch.setenv(name, f"http://user:hunter2@127.0.0.1:{port}")
    port = variables.index(chosen) + 1
    assert _deliver(f"http://{_ELSEWHERE}") == Unavailable(
        f"connection refused: proxy http://127.0.0.1:{port}, for {_ELSEWHERE}"
    )


@pytest.mark.parametrize(
    ("variable", "proxy", "expected"),
    [
        pytest.param("ALL_PROXY", "socks5h://u:hunter2@h:1", "socks5h://h:1: SOCKS is not supported", id="socks"),
        pytest.param("https_proxy", "socks5://h", "socks5://h: SOCKS is not supported", id="socks-of-grpc"),
        pytest.param("https_proxy", "https://h", "https://h: only http proxies are supported", id="https"),
        pytest.param("HTTPS_PROXY", "http://h", "http://h: gRPC does not read HTTPS_PROXY", id="upper-case"),
        pytest.param("all_proxy", "h:1", "http://h:1: gRPC does not read all_proxy", id="all"),
        pytest.param("http_proxy", "http://[", "of the environment: not a URL like http://proxy:3128", id="no-url"),
    ],
)
def test_a_proxy_that_grpc_cannot_use_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, proxy: str, expected: str
) -> None:
    """The connection is direct, and if it fails, the line says what it was made without."""
    monkeypatch.setenv(variable, proxy)
    outcome = _deliver("http://collector.invalid:4317")
    assert outcome == Unavailable(f"host name cannot be resolved: collector.invalid:4317, without the proxy {expected}")


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy", "no_grpc_proxy"])
def test_no_proxy_excepts_back_ends(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """An excepted back end is reached directly, and the line does not mention the proxy."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv(variable, "elsewhere.example,.invalid")
    assert _deliver(f"http://{_ELSEWHERE}") == Unavailable(f"host name cannot be resolved: {_ELSEWHERE}")


def test_exceptions_of_grpc_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where gRPC's own variable is set, the general one excepts nothing."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_grpc_proxy", "elsewhere.example")
    monkeypatch.setenv("no_proxy", ".invalid")
    reason = f"connection refused: proxy http://127.0.0.1:1, for {_ELSEWHERE}"
    assert _deliver(f"http://{_ELSEWHERE}") == Unavailable(reason)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "HTTP 407: proxy PROXY, for HOST, check the user and the password in its URL",
            id="password",
        ),
        pytest.param(b"HTTP/1.1 503 No\r\n\r\n", "HTTP 503: proxy PROXY, for HOST", id="tunnel-refused"),
        pytest.param(b"\x05\xff\r\n", "answer is not HTTP: proxy PROXY, for HOST", id="not-http"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n\r\n",
            "connection closed without an answer: HOST, through the proxy PROXY",
            id="closed-tunnel",
        ),
    ],
)
def test_what_a_proxy_answers(monkeypatch: pytest.MonkeyPatch, answer: bytes, expected: str) -> None:
    """A failure before the back end is the proxy's; where it may be either's, the line names both; nothing was sent."""
    with ForwardProxy(answer=answer) as proxy:
        monkeypatch.setenv("http_proxy", proxy.endpoint.replace("//", "//user:hunter2@"))
        outcome = _deliver(f"http://{_ELSEWHERE}")
    assert outcome == Unavailable(expected.replace("PROXY", proxy.endpoint).replace("HOST", _ELSEWHERE))
