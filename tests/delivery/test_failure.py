"""Failures of requests, in words."""

from __future__ import annotations

import http.client
import socket
import ssl

import pytest
import requests
from urllib3.exceptions import LocationParseError, ProtocolError

from csm_otel.delivery.failure import Failure, no_answer

_PORT = ", check OTEL_EXPORTER_OTLP_PROTOCOL (port 4317 is gRPC's)"
_SCHEME = "and the scheme of OTEL_EXPORTER_OTLP_ENDPOINT"
_TLS = f", check OTEL_EXPORTER_OTLP_CERTIFICATE {_SCHEME}"
_CHECK_USER = ", check the user and the password in its URL"


def _layered(cause: BaseException, *, kind: type[Exception] = requests.exceptions.ConnectionError) -> BaseException:
    """Return an error around a cause that it has as an argument only, as those of urllib3."""
    return kind(ProtocolError("outer", cause))


def _alert() -> ssl.SSLError:
    error = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED]")
    error.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    return error


def _unverified() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "failed")
    error.reason = "CERTIFICATE_VERIFY_FAILED"
    error.verify_message = "self-signed\ncertificate"
    return error


@pytest.mark.parametrize(
    ("cause", "what", "hint", "proxy_hint", "is_before_reading"),
    [
        pytest.param(ConnectionRefusedError(), "connection refused", "", "", True, id="refused"),
        pytest.param(socket.gaierror(), "host name cannot be resolved", "", "", True, id="unknown-host"),
        pytest.param(LocationParseError("a..b"), "not a host name", "", "", True, id="odd-host"),
        pytest.param(
            socket.gaierror(socket.EAI_ADDRFAMILY, "?"), "IPv6 is not available", "", "", True, id="ipv6-alone"
        ),
        pytest.param(ConnectionResetError(), "connection closed without an answer", _PORT, "", False, id="reset"),
        pytest.param(BrokenPipeError(), "connection closed without an answer", "", "", False, id="broken-pipe"),
        pytest.param(http.client.BadStatusLine("\x05"), "answer is not HTTP", _PORT, "", False, id="not-http"),
        pytest.param(
            OSError("Tunnel connection failed: 407 Who"), "HTTP 407", "", _CHECK_USER, False, id="tunnel-password"
        ),
        pytest.param(OSError("Tunnel connection failed: 503 No"), "HTTP 503", "", "", False, id="tunnel"),
        pytest.param(OSError("Tunnel connection failed: 1"), "connection failed", "", "", False, id="odd-tunnel"),
        pytest.param(OSError(113, "No route to host"), "no route to host", "", "", False, id="system"),
        pytest.param(TimeoutError(), "no answer within 2 s", "", "", False, id="timeout"),
        pytest.param(
            _alert(),
            "TLS failed, tlsv13 alert certificate required",
            _TLS,
            ", check the scheme of its URL",
            True,
            id="alert",
        ),
        pytest.param(
            _unverified(), "TLS failed, self-signed certificate", _TLS, ", check SSL_CERT_FILE", False, id="unverified"
        ),
        pytest.param(
            FileNotFoundError(2, "No such file"),
            "no such file",
            ", check OTEL_EXPORTER_OTLP_CERTIFICATE",
            ", check SSL_CERT_FILE",
            False,
            id="no-bundle",
        ),
        pytest.param(Exception("a secret"), "connection failed", "", "", False, id="other"),
    ],
)
def test_causes(cause: Exception, what: str, hint: str, proxy_hint: str, *, is_before_reading: bool) -> None:
    """The cause is found beneath the layers, in words of ours, with what to check."""
    failure = Failure(_layered(cause))
    assert (what, hint, proxy_hint, is_before_reading) == (
        failure.what(2.0),
        failure.hint(),
        failure.proxy_hint(),
        failure.is_before_reading,
    )


def test_the_variable_of_the_authorities_is_named() -> None:
    """The one that names them is to be checked, beside ours, which would win."""
    unverified, missing = Failure(_layered(_unverified())), Failure(_layered(FileNotFoundError()))
    assert unverified.hint("CURL_CA_BUNDLE") == (f", check OTEL_EXPORTER_OTLP_CERTIFICATE, CURL_CA_BUNDLE {_SCHEME}")
    assert unverified.proxy_hint("CURL_CA_BUNDLE") == ", check CURL_CA_BUNDLE"
    assert missing.hint("CURL_CA_BUNDLE") == missing.proxy_hint("CURL_CA_BUNDLE") == ", check CURL_CA_BUNDLE"


@pytest.mark.parametrize(
    ("error", "is_secure", "expected"),
    [
        pytest.param(_layered(ConnectionRefusedError()), True, True, id="connection"),
        pytest.param(_layered(_alert()), True, False, id="tls-in-the-tunnel"),
        pytest.param(_layered(_alert()), False, True, id="tls-to-the-proxy"),
        pytest.param(_layered(_alert(), kind=requests.exceptions.ProxyError), True, True, id="said-by-requests"),
    ],
)
def test_whose_failure_it_is(error: Exception, *, is_secure: bool, expected: bool) -> None:
    """On the way through a proxy all is the proxy's but TLS with the back end."""
    assert Failure(error).is_of_a_proxy(is_secure=is_secure) is expected


def test_causes_in_a_circle() -> None:
    """Exceptions that are causes of each other end."""
    one, other = OSError("one"), OSError("other")
    one.__cause__, other.__cause__ = other, one
    assert Failure(one).what(1.0) == "connection failed"


def test_the_limit_is_in_seconds() -> None:
    """The words for a time limit have it as it was given."""
    assert no_answer(0.25) == "no answer within 0.25 s"
