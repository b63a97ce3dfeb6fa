"""Delivery over HTTP to a real server."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import gzip
import os
import socket
import threading
from dataclasses import replace
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from delivery.samples import CALL
from forward_proxy import ForwardProxy
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import SpanLimits
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS, Answer, Certificate, GrpcBackend, HttpBackend
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from csm_otel import __version__
from csm_otel.delivery import destination as destination_module
from csm_otel.delivery.destination import Destination
from csm_otel.delivery.encoding import encode
from csm_otel.delivery.http import HttpDeliverer
from csm_otel.delivery.outcome import Delivered, Outcome, Refused, TooLarge, Unavailable
from csm_otel.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from csm_otel.delivery.destination import Protocol

pytestmark = pytest.mark.usefixtures("no_proxy")

_REQUEST = encode([CALL], limits=SpanLimits())
_TIMEOUT_SECONDS = DEADLINE_SECONDS
_SHORT_SECONDS = 0.2


_ELSEWHERE = "http://collector.invalid:4318/v1/traces"


@pytest.fixture
def backend() -> Iterator[HttpBackend]:
    """Run a back end without TLS."""
    with HttpBackend() as backend:
        yield backend


def _deliver(url: str, *, timeout_seconds: float = _TIMEOUT_SECONDS, **settings: Any) -> Outcome:
    deliverer = HttpDeliverer(Destination(url=url, **settings))
    try:
        return deliverer.deliver(_REQUEST, timeout_seconds=timeout_seconds)
    finally:
        deliverer.close()


def _unknown(*_: object, **__: object) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _numeric_only(host: str, port: int, *rest: Any, _getaddrinfo: Any = socket.getaddrinfo) -> Any:
    return _getaddrinfo(host, port, *rest) if host == "127.0.0.1" else _unknown()


def _reason(outcome: Outcome) -> str:
    assert isinstance(outcome, Refused | TooLarge | Unavailable)
    return outcome.reason


@pytest.mark.parametrize(
    ("compression", "encoding"),
    [
        pytest.param("none", None, id="none"),
        pytest.param("gzip", "gzip", id="gzip"),
        pytest.param("deflate", "deflate", id="deflate"),
    ],
)
def test_the_request_arrives_as_it_was_encoded(backend: HttpBackend, compression: str, encoding: str | None) -> None:
    """With any compression, the back end receives the same message, with OTLP/HTTP headers and our user agent."""
    assert _deliver(backend.url, compression=compression) == Delivered()
    assert [ExportTraceServiceRequest.FromString(_REQUEST)] == backend.accepted
    headers = backend.headers[0]
    assert ("application/x-protobuf", encoding) == (headers["content-type"], headers.get("content-encoding"))
    assert f"csm-otel/{__version__}" == headers["user-agent"]


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_a_json_request_has_the_same_content(backend: HttpBackend, compression: str) -> None:
    """With `http/json` the back end reads the same message from JSON, which the content type says."""
    assert _deliver(backend.url, protocol="http/json", compression=compression) == Delivered()
    assert [ExportTraceServiceRequest.FromString(_REQUEST)] == backend.accepted
    assert backend.headers[0]["content-type"] == "application/json"


def test_requests_differ_in_nothing_but_their_bodies(backend: HttpBackend) -> None:
    """Each has its own length, and the cookies that earlier answers have set, as load balancers do."""
    backend.script(Answer(headers={"Set-Cookie": "node=7; Path=/"}))
    with contextlib.closing(HttpDeliverer(Destination(url=backend.url))) as deliverer:
        for request in (_REQUEST, _REQUEST + _REQUEST, _REQUEST):
            assert deliverer.deliver(request, timeout_seconds=_TIMEOUT_SECONDS) == Delivered()

    lengths, cookies = (
        [headers.pop(name, None) for headers in backend.headers] for name in ("content-length", "cookie")
    )
    assert lengths == [str(len(_REQUEST)), str(2 * len(_REQUEST)), str(len(_REQUEST))]
    assert cookies == [None, "node=7", "node=7"]
    assert backend.headers == [backend.headers[0]] * 3


def test_configured_headers_are_sent(backend: HttpBackend) -> None:
    """OTEL_EXPORTER_OTLP_HEADERS arrive, and cannot change the type of the body."""
    _deliver(backend.url, headers=(("x-tenant", "a b"), ("Content-Type", "text/plain"), ("User-Agent", "mine")))
    headers = backend.headers[0]
    assert tuple(headers[k] for k in ("x-tenant", "content-type", "user-agent")) == (
        "a b",
        "application/x-protobuf",
        "mine",
    )


def test_one_connection_serves_many_requests(backend: HttpBackend) -> None:
    """Requests in a row reuse the connection."""
    deliverer = HttpDeliverer(Destination(url=backend.url))
    with contextlib.closing(deliverer):
        for _ in range(3):
            assert deliverer.deliver(_REQUEST, timeout_seconds=_TIMEOUT_SECONDS) == Delivered()
    assert len(set(backend.peers)) == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(Answer(), Delivered(), id="200"),
        pytest.param(Answer(status=202), Delivered(), id="202"),
        pytest.param(Answer(rejected_spans=1, message="too\nold"), Delivered(1, "too old"), id="partial-success"),
        pytest.param(Answer(message="slow down"), Delivered(0, "slow down"), id="warning"),
        pytest.param(Answer(rejected_spans=-3), Delivered(), id="nonsense-partial-success"),
        pytest.param(Answer(message="x" * 5000), Delivered(0, "x" * 197 + "..."), id="long-message"),
        pytest.param(Answer(body=b""), Delivered(), id="empty"),
        pytest.param(Answer(body=b"ok"), Delivered(), id="no-protobuf"),
        pytest.param(Answer(body=b"\n" * 1_000_000), Delivered(), id="endless"),
        pytest.param(
            Answer(body=gzip.compress(b"\n\x04\x08\x02\x12\x00"), headers={"Content-Encoding": "gzip"}),
            Delivered(2),
            id="compressed-answer",
        ),
        pytest.param(
            Answer(body=b"no gzip", headers={"Content-Encoding": "gzip"}), Delivered(), id="badly-compressed-answer"
        ),
        pytest.param(
            Answer(body=b"<html>", headers={"Content-Type": "text/html; charset=utf-8"}),
            Refused("HTTP 200 from URL, with a web page: check OTEL_EXPORTER_OTLP_ENDPOINT"),
            id="web-page",
        ),
        pytest.param(
            Answer(status=400),
            Refused(
                "HTTP 400 from URL: not understood, check OTEL_EXPORTER_OTLP_PROTOCOL and that this is an OTLP back end"
            ),
            id="400",
        ),
        pytest.param(Answer(status=401), Refused("HTTP 401 from URL: check OTEL_EXPORTER_OTLP_HEADERS"), id="401"),
        pytest.param(Answer(status=403), Refused("HTTP 403 from URL: check OTEL_EXPORTER_OTLP_HEADERS"), id="403"),
        pytest.param(Answer(status=404), Refused("HTTP 404 from URL: check OTEL_EXPORTER_OTLP_ENDPOINT"), id="404"),
        pytest.param(
            Answer(status=413),
            TooLarge("HTTP 413 from URL: a single span is too large for the back end"),
            id="413",
        ),
        pytest.param(Answer(status=500), Refused("HTTP 500 from URL"), id="500"),
        pytest.param(Answer(status=429), Unavailable("HTTP 429 from URL"), id="429"),
        pytest.param(Answer(status=502), Unavailable("HTTP 502 from URL", may_have_arrived=True), id="502"),
        pytest.param(Answer(status=503), Unavailable("HTTP 503 from URL"), id="503"),
        pytest.param(Answer(status=504), Unavailable("HTTP 504 from URL", may_have_arrived=True), id="504"),
        pytest.param(
            Answer(status=503, headers={"Retry-After": "7"}), Unavailable("HTTP 503 from URL", 7.0), id="retry-after"
        ),
        pytest.param(
            Answer(status=503, headers={"Retry-After": "soon"}), Unavailable("HTTP 503 from URL"), id="odd-retry-after"
        ),
        pytest.param(
            Answer(status=503, headers={"Retry-After": f"Wed, 21 Oct {'9' * 20} 07:28:00 GMT"}),
            Unavailable("HTTP 503 from URL"),
            id="retry-after-beyond-numbers",
        ),
        pytest.param(
            Answer(status=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
            Unavailable("HTTP 503 from URL", 0.0),
            id="retry-after-in-the-past",
        ),
        pytest.param(
            Answer(ending="close"),
            Unavailable(
                "connection closed without an answer: URL, check OTEL_EXPORTER_OTLP_PROTOCOL (port 4317 is gRPC's)",
                may_have_arrived=True,
            ),
            id="closed",
        ),
        pytest.param(
            Answer(ending="reset"),
            Unavailable(
                "connection closed without an answer: URL, check OTEL_EXPORTER_OTLP_PROTOCOL (port 4317 is gRPC's)",
                may_have_arrived=True,
            ),
            id="reset",
        ),
    ],
)
def test_the_outcome_of_an_answer(backend: HttpBackend, answer: Answer, expected: Outcome) -> None:
    """Each answer is delivered, refused or unavailable, with a line that names what to check."""
    backend.script(answer)
    if not isinstance(expected, Delivered):
        reason = expected.reason.replace("URL", backend.url)
        expected = replace(expected, reason=reason)
    assert expected == _deliver(backend.url)


_PARTIAL = b'{"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}}'


@pytest.mark.parametrize(
    ("protocol", "content_type", "expected"),
    [
        pytest.param("http/protobuf", "application/json; charset=utf-8", Delivered(2, "too old"), id="json"),
        pytest.param("http/protobuf", "application/x-protobuf", Delivered(), id="not-protobuf"),
        pytest.param("http/protobuf", "text/plain", Delivered(), id="neither"),
        pytest.param("http/protobuf", "", Delivered(), id="form-of-protobuf"),
        pytest.param("http/json", "", Delivered(2, "too old"), id="form-of-json"),
    ],
)
def test_an_answer_is_read_by_its_content_type(
    backend: HttpBackend, protocol: Protocol, content_type: str, expected: Outcome
) -> None:
    """What counts is the type of the answer, and only without one the request's."""
    backend.script(Answer(body=_PARTIAL, headers={"Content-Type": content_type}))
    assert _deliver(backend.url, protocol=protocol) == expected


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
def test_rejected_data_points_are_counted(backend: HttpBackend, protocol: Protocol) -> None:
    """The partial success of metrics has names of its own in JSON."""
    body = b'{"partialSuccess": {"rejectedDataPoints": 3, "errorMessage": "too old"}}'
    backend.script_metrics(Answer(body=body, headers={"Content-Type": "application/json"}))
    destination = Destination(url=f"{backend.endpoint}/v1/metrics", signal="metrics", protocol=protocol)
    with contextlib.closing(HttpDeliverer(destination)) as deliverer:
        assert deliverer.deliver(b"", timeout_seconds=_TIMEOUT_SECONDS) == Delivered(3, "too old")


@pytest.mark.parametrize("status", [400, 401, 403, 413, 429, 503])
@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
def test_the_words_of_a_refusal_are_not_shown(backend: HttpBackend, protocol: Protocol, status: int) -> None:
    """It may repeat a header in a form that nothing can recognize; as for gRPC, the status has to do."""
    backend.script(Answer(status=status, message="no tenant 2retnuh"))
    reason = _reason(_deliver(backend.url, protocol=protocol, headers=(("x-tenant", "hunter2"),)))
    assert reason.startswith(f"HTTP {status} from {backend.url}")
    assert "tenant" not in reason


def test_what_a_back_end_repeats_of_secrets_is_not_shown(backend: HttpBackend) -> None:
    """Neither headers nor what is secret in the URL, whole or in part, in its words about rejected spans."""
    secrets = ["Bearer hunter2", "hunter2", "pa/ss", "pa%2Fss", "somebody", "a-key"]
    backend.script(Answer(message=f"not: {', '.join(secrets)}!", rejected_spans=1))
    url = backend.url.replace("//", "//somebody:pa%2Fss@") + "?key=a-key&v=1"
    outcome = _deliver(url, headers=(("authorization", "Bearer hunter2"), ("x", "1")))
    assert outcome == Delivered(1, "not: ***, ***, ***, ***, ***, ***!")


def test_an_endless_or_broken_error_is_the_error(backend: HttpBackend) -> None:
    """A body that cannot be read changes nothing about the status."""
    expected = Unavailable(f"HTTP 503 from {backend.url}")
    backend.script(
        Answer(
            status=503, body=b'{"message": "' + b"x" * 100_000 + b'"}', headers={"Content-Type": "application/json"}
        ),
        Answer(status=503, body=b"no gzip", headers={"Content-Encoding": "gzip"}),
        Answer(status=503, body=b"x", headers={"Content-Type": "text/html"}),
    )
    assert [_deliver(backend.url) for _ in range(3)] == [expected] * 3


def test_retry_after_may_be_a_date(backend: HttpBackend) -> None:
    """An HTTP date is turned into the seconds until then."""
    before = dt.datetime.now(dt.UTC)
    date = before.replace(microsecond=0) + dt.timedelta(hours=1)
    backend.script(Answer(status=503, headers={"Retry-After": format_datetime(date, usegmt=True)}))
    outcome = _deliver(backend.url)
    assert isinstance(outcome, Unavailable)
    assert outcome.retry_after_seconds is not None
    after = dt.datetime.now(dt.UTC)
    assert (date - after).total_seconds() <= outcome.retry_after_seconds <= (date - before).total_seconds()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_not_followed(backend: HttpBackend, status: int) -> None:
    """Headers and spans are not sent elsewhere; the line names the host, not the rest, which may contain a secret."""
    with HttpBackend() as elsewhere:
        location = elsewhere.url.replace("//", "//user:secret@") + "?key=secret"
        backend.script(Answer(status=status, headers={"Location": location}))
        outcome = _deliver(backend.url)
        assert outcome == Refused(
            f"HTTP {status} from {backend.url} redirects to {elsewhere.endpoint}: check OTEL_EXPORTER_OTLP_ENDPOINT"
        )
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    "location",
    [pytest.param("http://[", id="no-url"), pytest.param("/login", id="path"), pytest.param(None, id="none")],
)
def test_a_redirect_to_nowhere_is_refused_too(backend: HttpBackend, location: str | None) -> None:
    """A Location that is odd or missing is no reason to fail."""
    backend.script(Answer(status=302, headers={"Location": location} if location else {}))
    assert _reason(_deliver(backend.url)).startswith(f"HTTP 302 from {backend.url} redirects to ")


def test_a_closed_port_is_connection_refused() -> None:
    """A closed port is unavailable, in words."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1/traces"
        outcome = _deliver(url)
        assert outcome == Unavailable(f"connection refused: {url}")
        assert isinstance(outcome, Unavailable)
        assert outcome.is_nobody_there


def test_a_back_end_that_hangs_is_no_answer(backend: HttpBackend) -> None:
    """The timeout ends a delivery that is never answered, on a connection that was established before."""
    with contextlib.closing(HttpDeliverer(Destination(url=backend.url))) as deliverer:
        assert deliverer.deliver(_REQUEST, timeout_seconds=_TIMEOUT_SECONDS) == Delivered()
        backend.script(Answer(delay_seconds=FOREVER_SECONDS))
        outcome = deliverer.deliver(_REQUEST, timeout_seconds=_SHORT_SECONDS)
    assert outcome == Unavailable(f"no answer within 0.2 s: {backend.url}", may_have_arrived=True)


def test_a_grpc_port_is_recognised() -> None:
    """HTTP sent to a gRPC port gives the hint that the protocol is wrong."""
    with GrpcBackend() as other:
        reason = _reason(_deliver(f"{other.url}/v1/traces"))
    assert "check OTEL_EXPORTER_OTLP_PROTOCOL" in reason


def test_an_unknown_host_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host name that no resolver knows is unavailable: it may be known later."""
    monkeypatch.setattr(socket, "getaddrinfo", _unknown)  # asking the real resolver would leave this machine
    outcome = _deliver("http://collector.invalid:4318/v1/traces")
    assert outcome == Unavailable("host name cannot be resolved: http://collector.invalid:4318/v1/traces")


def test_netrc_does_not_replace_the_configured_authorization(
    backend: HttpBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry for the back end's host in ~/.netrc is not used: requests would prefer it to the header."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    _deliver(backend.url, headers=(("Authorization", "Bearer token"),))
    _deliver(backend.url)
    assert [headers.get("authorization") for headers in backend.headers] == ["Bearer token", None]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param((), "Basic " + base64.b64encode(b"user:p@ss").decode(), id="url"),
        pytest.param((("authorization", "Bearer token"),), "Bearer token", id="header-wins"),
    ],
)
def test_a_user_in_the_url_is_basic_authentication(
    backend: HttpBackend, headers: tuple[tuple[str, str], ...], expected: str
) -> None:
    """User and password of the URL are sent unless a header is configured."""
    _deliver(backend.url.replace("//", "//user:p%40ss@"), headers=headers)
    assert expected == backend.headers[0]["authorization"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(status=401), id="refused"),
        pytest.param(Answer(status=307, headers={"Location": "/"}), id="redirect"),
        pytest.param(Answer(status=503), id="unavailable"),
        pytest.param(Answer(ending="close"), id="closed"),
    ],
)
def test_no_reason_holds_a_secret(backend: HttpBackend, answer: Answer) -> None:
    """Neither user and query of the URL nor header values are in a line for the operator."""
    backend.script(answer)
    url = backend.url.replace("//", "//user:hunter2@") + "?api-key=hunter2"
    reason = _reason(_deliver(url, headers=(("x-token", "hunter2"),)))
    assert "hunter2" not in reason
    assert backend.url in reason


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({"url": "http://:x/"}, "OTEL_EXPORTER_OTLP_ENDPOINT: cannot be sent over HTTP", id="url"),
        pytest.param(
            {"url": "http://localhost/", "headers": (("x", "hunter2\n"),)},
            "OTEL_EXPORTER_OTLP_HEADERS: cannot be sent over HTTP",
            id="header",
        ),
    ],
)
def test_a_header_that_http_cannot_send_is_a_settings_error(settings: dict[str, Any], expected: str) -> None:
    """The fault is reported at the start, in one line, without the value."""
    with pytest.raises(SettingsError) as caught:
        HttpDeliverer(Destination(**settings))
    assert expected == str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0.0.0.0", "localhost"])
@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_back_end_on_this_machine_is_not_reached_through_a_proxy(
    backend: HttpBackend, monkeypatch: pytest.MonkeyPatch, host: str, scheme: str
) -> None:
    """HTTP_PROXY is for others: no proxy could reach this machine's loopback, however it is spelled."""
    monkeypatch.setenv("HTTP_PROXY", f"{scheme}://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:1")
    assert _deliver(backend.url.replace("127.0.0.1", host)) == Delivered()


@pytest.mark.parametrize(
    ("excepted", "is_direct"),
    [
        pytest.param("", False, id="empty"),
        pytest.param("*", True, id="all"),
        pytest.param("elsewhere.example, collector.invalid", True, id="name"),
        pytest.param(".invalid", True, id="domain"),
        pytest.param("collector.invalid:4318", True, id="port"),
        pytest.param("collector.invalid:4317", False, id="other-port"),
        pytest.param("llector.invalid", False, id="part-of-a-label"),
    ],
)
def test_no_proxy_has_its_usual_meaning(monkeypatch: pytest.MonkeyPatch, excepted: str, *, is_direct: bool) -> None:
    """NO_PROXY names back ends that are reached directly, with or without their port."""
    monkeypatch.setattr(socket, "getaddrinfo", _unknown)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", excepted)
    direct, proxied = f": {_ELSEWHERE}", f": proxy http://proxy.invalid:3128, for {_ELSEWHERE}"
    assert _deliver(_ELSEWHERE) == Unavailable(f"host name cannot be resolved{direct if is_direct else proxied}")


def test_no_proxy_may_be_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address within a network of NO_PROXY is reached directly."""
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "192.0.2.0/24,2001:db8::/32")
    hosts = ("192.0.2.7", "[2001:db8::7]", "198.51.100.7", "[2001:db9::7]")
    deliverers = [HttpDeliverer(Destination(url=f"http://{host}/")) for host in hosts]
    assert [deliverer._proxy is None for deliverer in deliverers] == [True, True, False, False]


def test_a_host_that_cannot_be_a_name_is_waited_for() -> None:
    """The spans are kept, as for a name that cannot be resolved."""
    assert _deliver("http://collector..invalid/") == Unavailable("not a host name: http://collector..invalid/")


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        pytest.param("http://127.0.0.1:1", "connection refused: proxy http://127.0.0.1:1, for BACKEND", id="refused"),
        pytest.param("127.0.0.1:1", "connection refused: proxy http://127.0.0.1:1, for BACKEND", id="no-scheme"),
        pytest.param(
            "http://user:hunter2@127.0.0.1:1", "connection refused: proxy http://127.0.0.1:1, for BACKEND", id="user"
        ),
        pytest.param(
            "http://proxy.invalid",
            "host name cannot be resolved: proxy http://proxy.invalid, for BACKEND",
            id="unknown",
        ),
        pytest.param(
            "socks5h://user:hunter2@127.0.0.1:1",
            "SOCKS is not supported: proxy socks5h://127.0.0.1:1, for BACKEND",
            id="socks5h",
        ),
        pytest.param("SOCKS4://h", "SOCKS is not supported: proxy socks4://h, for BACKEND", id="socks4"),
        pytest.param("ftp://h:1", "only http and https proxies are supported: proxy ftp://h:1, for BACKEND", id="ftp"),
        pytest.param(
            "http://hunter2:1:1", "not a URL like http://proxy:3128: proxy of the environment, for BACKEND", id="no-url"
        ),
        pytest.param("http://a..b:1", "not a host name: proxy http://a..b:1, for BACKEND", id="empty-label"),
        pytest.param(
            "http://user:%E2%82%AChunter2@127.0.0.1:1",
            "its user or password is not in ISO 8859-1: proxy http://127.0.0.1:1, for BACKEND",
            id="odd-password",
        ),
        pytest.param(
            "http://€..:1",
            "not a host name: BACKEND, through the proxy http://€..:1",
            id="odd-host",
        ),
    ],
)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_that_is_the_cause_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, proxy: str, expected: str
) -> None:
    """The line has the proxy, without its user and password; the request was not sent."""
    monkeypatch.setattr(socket, "getaddrinfo", _numeric_only)
    monkeypatch.setenv(variable, proxy)
    assert _deliver(_ELSEWHERE) == Unavailable(expected.replace("BACKEND", _ELSEWHERE))


@pytest.mark.parametrize(
    ("scheme", "answer", "expected"),
    [
        pytest.param(
            "http",
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            Unavailable("HTTP 407: proxy PROXY, for URL, check the user and the password in its URL"),
            id="password",
        ),
        pytest.param(
            "https",
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            Unavailable("HTTP 407: proxy PROXY, for URL, check the user and the password in its URL"),
            id="tunnel-password",
        ),
        pytest.param(
            "http",
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
            Refused("HTTP 403 from URL, through the proxy PROXY: check OTEL_EXPORTER_OTLP_HEADERS"),
            id="forbidden",
        ),
        pytest.param("https", b"HTTP/1.1 503 No\r\n\r\n", Unavailable("HTTP 503: proxy PROXY, for URL"), id="tunnel"),
        pytest.param(
            "https", b"", Unavailable("connection closed without an answer: proxy PROXY, for URL"), id="tunnel-closed"
        ),
        pytest.param(
            "https", b"\x05\xff\r\n", Unavailable("answer is not HTTP: proxy PROXY, for URL"), id="tunnel-not-http"
        ),
        pytest.param(
            "http",
            b"",
            Unavailable(
                "connection closed without an answer: URL, through the proxy PROXY, "
                "check OTEL_EXPORTER_OTLP_PROTOCOL (port 4317 is gRPC's)",
                may_have_arrived=True,
            ),
            id="closed-after-the-request",
        ),
    ],
)
def test_what_a_proxy_answers(
    monkeypatch: pytest.MonkeyPatch, scheme: str, answer: bytes, expected: Refused | Unavailable
) -> None:
    """A failure before the back end is the proxy's; where it may be either's, the line names both."""
    url = _ELSEWHERE.replace("http", scheme)
    with ForwardProxy(answer=answer) as proxy:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", proxy.endpoint.replace("//", "//user:hunter2@"))
        outcome = _deliver(url)
    reason = expected.reason.replace("URL", url, 1).replace("PROXY", proxy.endpoint)
    assert outcome == replace(expected, reason=reason)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_delivery_through_a_proxy_with_tls(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """The proxy's own certificate is verified, whatever the back end's scheme."""
    with (
        HttpBackend(certificate=certificate if scheme == "https" else None) as backend,
        ForwardProxy(backend.endpoint, certificate=certificate) as proxy,
    ):
        monkeypatch.setattr(destination_module, "is_this_machine", lambda _host: False)
        monkeypatch.setenv(f"{scheme}_proxy", proxy.endpoint)
        own: dict[str, Any] = {"client_certificate": certificate.text, "client_key": certificate.key_text}
        untrusted = _reason(_deliver(backend.url, **own))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
        assert _deliver(backend.url, **own) == Delivered()
    assert untrusted.startswith(f"TLS failed, self-signed certificate: proxy {proxy.endpoint}, for {backend.url}")
    assert untrusted.endswith(", check SSL_CERT_FILE")


def test_tls_that_fails_within_a_tunnel_is_not_the_proxys(
    backend: HttpBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint is about the back end, and the way to it is named."""
    url = _ELSEWHERE.replace("http", "https")
    with ForwardProxy(backend.endpoint) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.endpoint)
        reason = _reason(_deliver(url))
    assert reason.startswith("TLS failed, ")
    assert f": {url}, through the proxy {proxy.endpoint}, check OTEL_EXPORTER_OTLP_CERTIFICATE" in reason


def test_a_proxy_that_speaks_no_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheme of a proxy's URL is its own, whatever the back end's."""
    with HttpBackend() as plain:
        proxy = plain.endpoint.replace("http", "https")
        monkeypatch.setenv("HTTP_PROXY", proxy)
        reason = _reason(_deliver(_ELSEWHERE))
    assert reason.startswith("TLS failed, ")
    assert reason.endswith(f": proxy {proxy}, for {_ELSEWHERE}, check the scheme of its URL")


def test_delivery_through_a_proxy(backend: HttpBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is given the full URL, and the user and the password of its own."""
    with ForwardProxy(backend.endpoint) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.endpoint.replace("//", "//user:p%40ss@"))
        assert _deliver(_ELSEWHERE) == Delivered()
    head = proxy.heads[0].split("\r\n")
    assert head[0] == f"POST {_ELSEWHERE} HTTP/1.1"
    assert "Proxy-Authorization: Basic " + base64.b64encode(b"user:p@ss").decode() in head


def test_delivery_through_a_tunnel(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TLS the proxy is given host and port only."""
    with HttpBackend(certificate=certificate) as backend, ForwardProxy(backend.endpoint) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.endpoint)
        monkeypatch.setattr(destination_module, "is_this_machine", lambda _host: False)  # or no name would fit
        assert _deliver(backend.url, **_tls_settings(certificate, "path")) == Delivered()
    assert proxy.heads[0].startswith(f"CONNECT {backend.endpoint.removeprefix('https://')} ")


@pytest.mark.parametrize("form", ["text", "path"])
def test_tls_with_both_certificates(certificate: Certificate, form: str) -> None:
    """Server and client authenticate each other, whether the settings hold paths or the PEM text itself."""
    with HttpBackend(certificate=certificate) as backend:
        assert _deliver(backend.url, **_tls_settings(certificate, form)) == Delivered()
        assert len(backend.accepted) == 1


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({"SSL_CERT_FILE": "FILE"}, id="file"),
        pytest.param({"SSL_CERT_DIR": "FOLDER"}, id="folder"),
        pytest.param({"SSL_CERT_DIR": "/no/such/folder:FOLDER"}, id="folders"),
        pytest.param({"SSL_CERT_FILE": "OTHER", "SSL_CERT_DIR": "FOLDER"}, id="both"),
        pytest.param({"REQUESTS_CA_BUNDLE": "FILE", "SSL_CERT_FILE": "OTHER"}, id="requests"),
        pytest.param({"REQUESTS_CA_BUNDLE": "FOLDER"}, id="requests-folder"),
        pytest.param({"CURL_CA_BUNDLE": "FILE"}, id="curl"),
    ],
)
def test_authorities_of_the_environment(
    certificate: Certificate,
    hashed_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
) -> None:
    """A back end is trusted if a variable of the system or of requests names its authority."""
    paths = {"FILE": str(certificate.path), "FOLDER": str(hashed_folder), "OTHER": DEFAULT_CA_BUNDLE_PATH}
    for name, value in variables.items():
        monkeypatch.setenv(name, os.pathsep.join(paths.get(word, word) for word in value.split(os.pathsep)))
    own: dict[str, Any] = {"client_certificate": certificate.text, "client_key": certificate.key_text}
    with HttpBackend(certificate=certificate) as backend:
        assert _deliver(backend.url, **own) == Delivered()


def test_a_bundle_that_is_not_there_yet(
    certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent while the named bundle is missing, which the line says; once it is there, it is used."""
    bundle = tmp_path / "bundle.pem"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    own: dict[str, Any] = {"client_certificate": certificate.text, "client_key": certificate.key_text}
    with HttpBackend(certificate=certificate) as backend:
        deliverer = HttpDeliverer(Destination(url=backend.url, **own))
        with contextlib.closing(deliverer):
            outcome = deliverer.deliver(_REQUEST, timeout_seconds=_TIMEOUT_SECONDS)
            bundle.write_text(certificate.text)
            assert deliverer.deliver(_REQUEST, timeout_seconds=_TIMEOUT_SECONDS) == Delivered()
    assert outcome == Unavailable(f"no such file or directory: {backend.url}, check REQUESTS_CA_BUNDLE")


def test_other_authorities_of_the_environment_do_not_win(
    certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQUESTS_CA_BUNDLE does not replace the configured certificate."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(Certificate.make(tmp_path).path))
    with HttpBackend(certificate=certificate) as backend:
        assert _deliver(backend.url, **_tls_settings(certificate, "path")) == Delivered()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(
            ("client_key", "client_certificate"), "TLS failed, self-signed certificate: ", id="unknown-server"
        ),
        pytest.param(("certificate",), "TLS failed, ", id="client-not-known"),
    ],
)
def test_tls_that_fails_is_unavailable(certificate: Certificate, names: tuple[str, ...], expected: str) -> None:
    """A side that does not trust the other is one clear line, and worth another try: certificates get replaced."""
    settings = {name: value for name, value in _tls_settings(certificate, "text").items() if name in names}
    with HttpBackend(certificate=certificate) as backend:
        outcome = _deliver(backend.url, **settings)
    assert isinstance(outcome, Unavailable)
    assert outcome.reason.startswith(expected)
    assert "check OTEL_EXPORTER_OTLP_CERTIFICATE" in outcome.reason
    assert "object at" not in outcome.reason


def test_a_tls_refusal_is_no_repeat(certificate: Certificate) -> None:
    """A back end that rejects the client has read nothing, though with TLS 1.3 its alert comes after all was sent."""
    with HttpBackend(certificate=certificate) as backend:
        # Sometimes the end of the connection overtakes the alert, and then it is unknown.
        outcomes = (_deliver(backend.url, certificate=certificate.text) for _ in range(100))
        outcome = next(one for one in outcomes if isinstance(one, Unavailable) and "alert" in one.reason)
    assert not outcome.may_have_arrived


def test_https_to_a_plain_port_is_one_clear_line(backend: HttpBackend) -> None:
    """The wrong scheme is named as a possible cause."""
    reason = _reason(_deliver(backend.url.replace("http:", "https:")))
    assert "scheme of OTEL_EXPORTER_OTLP_ENDPOINT" in reason


def test_temporary_files_go_with_the_deliverer(
    certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files with PEM text are kept as long as the deliverer."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delattr(os, "memfd_create", raising=False)
    deliverer = HttpDeliverer(Destination(url="https://127.0.0.1:1/", **_tls_settings(certificate, "text")))
    (folder,) = tmp_path.iterdir()
    assert len(list(folder.iterdir())) == 3
    deliverer.close()
    assert list(tmp_path.iterdir()) == []


def _tls_settings(certificate: Certificate, form: str) -> dict[str, Any]:
    if form == "text":
        own, key = certificate.text, certificate.key_text
    else:
        own, key = str(certificate.path), str(certificate.key_path)
    return {"certificate": own, "client_key": key, "client_certificate": own}


_NO_ROOM_BYTES = 2**47  # more than there is address space


def test_no_thread_can_be_started(backend: HttpBackend) -> None:
    """Without one to end it in time nothing is sent: it is a failure of ours, and the next delivery may succeed."""
    with contextlib.closing(HttpDeliverer(Destination(url=backend.url))) as deliverer:
        before = threading.stack_size(_NO_ROOM_BYTES)
        try:
            outcome = deliverer.deliver(_REQUEST, timeout_seconds=_TIMEOUT_SECONDS)
        finally:
            threading.stack_size(before)
        assert outcome == Unavailable("no thread can be started", is_ours=True)
        assert deliverer.deliver(_REQUEST, timeout_seconds=_TIMEOUT_SECONDS) == Delivered()
    assert len(backend.spans) == 1
