"""One request to a real back end, and what its answer means."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import pytest
from forward_proxy import ForwardProxy
from loopback import answering_once
from otlp_backend import DEADLINE_SECONDS, OK, Answer, Certificate, GrpcBackend, HttpBackend

from csm_otel.delivery.destination import Destination
from csm_otel.doctor.back_end import check_back_end, check_clock
from csm_otel.doctor.canary import SERVICE, canary_request
from csm_otel.spans.data import TraceContext

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from csm_otel.doctor.finding import Checked

CANARY = canary_request(TraceContext(trace_id=0xA1, span_id=0xB2), now_ns=1_700_000_000_000_000_000)


def check(destination: Destination, request: bytes = b"") -> Checked:
    """Check a back end, without a limit that a slow machine could reach."""
    return check_back_end(destination, request, timeout_seconds=DEADLINE_SECONDS)


def http(url: str) -> Destination:
    """Return a destination with a secret."""
    headers = (("authorization", "Bearer S3CR3T"),)
    return Destination(url=url, headers=headers, timeout_seconds=DEADLINE_SECONDS)


@contextmanager
def one_answer(response: bytes) -> Generator[str]:
    """Answer one connection, and yield the URL."""
    with answering_once(response) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("answer", "codes"),
    [
        pytest.param(OK, [], id="accepted"),
        pytest.param(Answer(status=401), ["otlp-unauthorized"], id="401"),
        pytest.param(Answer(status=403), ["otlp-unauthorized"], id="403"),
        pytest.param(Answer(status=404), ["otlp-path"], id="404"),
        pytest.param(Answer(status=415), ["otlp-protocol"], id="415"),
        pytest.param(Answer(status=400), ["otlp-protocol"], id="400"),
        pytest.param(Answer(status=503), ["otlp-refused"], id="503"),
        pytest.param(Answer(headers={"Content-Type": "text/html"}, body=b"<html>"), ["otlp-path"], id="web-page"),
        pytest.param(Answer(rejected_spans=1, message="old"), ["otlp-rejected"], id="rejected"),
    ],
)
def test_answers(answer: Answer, codes: list[str]) -> None:
    """Each answer has its finding, without the header's secret."""
    with HttpBackend() as backend:
        backend.script(answer)
        checked = check(http(backend.url), CANARY)

    assert [one.code for one in checked.findings] == codes
    assert "S3CR3T" not in repr(checked)
    assert ("accepted a canary span" in checked.state) is (not codes)


def test_the_canary() -> None:
    """It is one span of a service of its own; without it nothing is stored."""
    with HttpBackend() as backend:
        assert not check(http(backend.url)).findings
        assert not backend.spans
        assert not check(http(backend.url), CANARY).findings
        (span,) = backend.spans
    assert span.name == "canary"
    assert SERVICE.encode() in CANARY


def test_over_grpc() -> None:
    """The same request goes over gRPC."""
    with GrpcBackend() as backend:
        destination = Destination(url=backend.url, protocol="grpc", timeout_seconds=DEADLINE_SECONDS)
        assert not check(destination, CANARY).findings


def test_as_json() -> None:
    """The same requests go as JSON."""
    with HttpBackend() as backend:
        destination = Destination(url=backend.url, protocol="http/json", timeout_seconds=DEADLINE_SECONDS)
        assert not check(destination).findings
        assert not check(destination, CANARY).findings
        assert len(backend.spans) == 1


def test_http_to_a_grpc_port() -> None:
    """It is the protocol that is wrong."""
    with GrpcBackend() as backend:
        (finding,) = check(http(f"{backend.url}/v1/traces")).findings

    assert finding.code == "otlp-protocol"


def test_nobody_listens() -> None:
    """A refused connection is a back end that is not reached."""
    (finding,) = check(http(f"http://127.0.0.1:{closed_port()}/v1/traces")).findings

    assert finding.code == "otlp-unreachable"


def test_no_answer() -> None:
    """A back end that does not answer is one that times out."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        destination = http(f"http://127.0.0.1:{listener.getsockname()[1]}")
        (finding,) = check_back_end(destination, b"", timeout_seconds=0.01).findings

    assert finding.code == "otlp-timeout"


def test_an_unknown_authority(tmp_path: Path) -> None:
    """A certificate that no trusted authority has signed is a finding about TLS."""
    with HttpBackend(certificate=Certificate.make(tmp_path)) as backend:
        (finding,) = check(http(backend.url)).findings

    assert finding.code == "otlp-tls"


def test_a_certificate_that_does_not_exist() -> None:
    """A variable that cannot be used is named, and nothing is sent."""
    destination = Destination(url="https://127.0.0.1:1/", certificate="/nowhere/ca.pem")
    (finding,) = check(destination).findings

    assert finding.code == "setting-invalid"


def closed_port() -> int:
    """Return a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that fails is blamed, without its password."""
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://user:S3CR3T@127.0.0.1:{closed_port()}")
    (finding,) = check(http("http://back-end.test/v1/traces")).findings

    assert (finding.code, finding.fix) == ("otlp-proxy", "correct http_proxy, or name the back end in NO_PROXY")
    assert "S3CR3T" not in repr(finding)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize(("no_proxy", "is_used"), [("", True), ("collector.invalid", False)], ids=["used", "excepted"])
def test_a_proxy_in_use(
    protocol: Literal["http/protobuf", "grpc"], no_proxy: str, monkeypatch: pytest.MonkeyPatch, *, is_used: bool
) -> None:
    """The proxy on the way to the back end is named, even if it works; NO_PROXY takes it off the way."""
    for name in ("grpc_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    kind = HttpBackend if protocol == "http/protobuf" else GrpcBackend
    with kind() as backend, ForwardProxy(backend.endpoint) as proxy:
        monkeypatch.setenv("http_proxy", proxy.endpoint)
        monkeypatch.setenv("no_proxy", no_proxy)
        destination = Destination(
            url="http://collector.invalid:4318/v1/traces", protocol=protocol, timeout_seconds=DEADLINE_SECONDS
        )
        checked = check_back_end(destination, CANARY, timeout_seconds=DEADLINE_SECONDS)

        assert (f" through the proxy {proxy.endpoint}" in checked.state) is is_used
    assert [one.code for one in checked.findings] == ([] if is_used else ["otlp-unreachable"])


def test_a_proxy_that_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    """SOCKS is not supported."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
    (finding,) = check(http("http://back-end.test/v1/traces")).findings

    assert finding.code == "otlp-proxy"


def test_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that names no certificates is a finding of its own."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    findings = check(http(f"https://127.0.0.1:{closed_port()}/v1/traces")).findings

    assert "authorities-missing" in [one.code for one in findings]


def test_no_endpoint() -> None:
    """Without an endpoint there is nothing to check."""
    assert check_back_end(None, b"", timeout_seconds=1).findings == ()
    assert check_clock(None, now=0, timeout_seconds=1).findings == ()


@pytest.mark.parametrize(
    ("ahead_seconds", "codes"),
    [(0, []), (299, []), (-299, []), (301, ["clock-skew"]), (-301, ["clock-skew"])],
)
def test_clock(ahead_seconds: float, codes: list[str]) -> None:
    """Five minutes are too much, in either direction."""
    date = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    response = f"HTTP/1.1 404 Not Found\r\nDate: {date:%a, %d %b %Y %H:%M:%S} GMT\r\nContent-Length: 0\r\n\r\n"
    with one_answer(response.encode()) as url:
        now = date.timestamp() + ahead_seconds
        checked = check_clock(http(url), now=now, timeout_seconds=DEADLINE_SECONDS)

    assert [one.code for one in checked.findings] == codes
    assert checked.state.startswith(f"{abs(ahead_seconds)} s ")


def test_no_date() -> None:
    """An answer without a date, or of another protocol, says nothing about the clock."""
    for response in (b"HTTP/1.1 200 OK\r\n\r\n", b"220 mail.test\r\n", b"HTTP/1.1 200 OK\r\nDate: soon\r\n\r\n"):
        with one_answer(response) as url:
            assert not check_clock(http(url), now=0, timeout_seconds=DEADLINE_SECONDS).findings
