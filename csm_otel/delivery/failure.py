"""The failure of a request over HTTP: what it was, in words, and what to check (`Failure`).

In come the layered exceptions of requests, urllib3 and the standard library, whose own texts are printed Python
objects; out go pieces of a line for the operator.
"""

from __future__ import annotations

import http
import http.client
import re
import socket
import ssl
from typing import TYPE_CHECKING

import requests
from urllib3.exceptions import LocationValueError

from csm_otel.delivery.cutoff import NoThreadError
from csm_otel.delivery.outcome import one_line
from csm_otel.delivery.proxy import CHECK_USER
from csm_otel.errors import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

# With these the request was not sent.
_BEFORE_SENDING = (
    socket.gaierror,
    ConnectionRefusedError,
    requests.exceptions.ConnectTimeout,
    LocationValueError,
    requests.exceptions.InvalidURL,  # the proxy's: the back end's is checked at the start
)
_CERTIFICATE = "OTEL_EXPORTER_OTLP_CERTIFICATE"
_SYSTEM_CERTIFICATES = "SSL_CERT_FILE"
_TUNNEL_STATUS = re.compile(r"Tunnel connection failed: (\d{3})\b")  # http.client's text for an answer to CONNECT
_WORDS: dict[type[BaseException], str] = {  # the first that fits
    NoThreadError: "no thread can be started",
    socket.gaierror: "host name cannot be resolved",
    LocationValueError: "not a host name",
    ConnectionRefusedError: "connection refused",
    ConnectionError: "connection closed without an answer",
    http.client.BadStatusLine: "answer is not HTTP",
}


def no_answer(timeout_seconds: float) -> str:
    """Return the words for a time limit that has run out."""
    return f"no answer within {timeout_seconds:g} s"


class Failure:
    """An exception and its causes."""

    def __init__(self, error: BaseException) -> None:
        self._causes = list(_causes(error))

    def what(self, timeout_seconds: float) -> str:
        """Return the innermost reason in words."""
        if self._has(requests.Timeout, TimeoutError):
            return no_answer(timeout_seconds)
        words = (_words_for(cause) for cause in self._causes)
        return next((text for text in words if text), "connection failed")

    @property
    def is_before_reading(self) -> bool:
        """Whether the back end cannot have read the request; a TLS 1.3 refusal comes after it was sent."""
        alerts = (isinstance(cause, ssl.SSLError) and "ALERT" in (cause.reason or "") for cause in self._causes)
        return self._has(*_BEFORE_SENDING) or any(alerts)

    @property
    def is_ours(self) -> bool:
        """Whether nothing was tried, as this process lacks something."""
        return self._has(NoThreadError)

    @property
    def is_refused(self) -> bool:
        """Whether nothing listens at the address."""
        return self._has(ConnectionRefusedError)

    def is_of_a_proxy(self, *, is_secure: bool) -> bool:
        """Return whether an error while connecting through a proxy is the proxy's.

        TLS within its tunnel is not, as to a back end that ``is_secure``.
        """
        return not is_secure or not self._has(ssl.SSLError) or self._has(requests.exceptions.ProxyError)

    def hint(self, authorities: str = "") -> str:
        """Return what to check, as the end of a line: with ``authorities`` the variable that names those."""
        if self._has(FileNotFoundError):
            return f", check {authorities or _CERTIFICATE}"
        if self._has(ssl.SSLError):
            names = ", ".join(filter(None, (_CERTIFICATE, authorities)))
            return f", check {names} and the scheme of OTEL_EXPORTER_OTLP_ENDPOINT"
        if self._has(http.client.BadStatusLine, ConnectionResetError):
            return ", check OTEL_EXPORTER_OTLP_PROTOCOL (port 4317 is gRPC's)"
        return ""

    def proxy_hint(self, authorities: str = "") -> str:
        """Do the same for a failure of a proxy."""
        if self._has(FileNotFoundError, ssl.SSLCertVerificationError):
            return f", check {authorities or _SYSTEM_CERTIFICATES}"
        if self._has(ssl.SSLError):
            return ", check the scheme of its URL"
        statuses = map(_tunnel_status, self._causes)
        return CHECK_USER if http.HTTPStatus.PROXY_AUTHENTICATION_REQUIRED in statuses else ""

    def _has(self, *kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in self._causes)


def _words_for(cause: BaseException) -> str | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"TLS failed, {one_line(cause.verify_message)}"
    if isinstance(cause, ssl.SSLError):
        reason = cause.reason or "connection closed by the back end"
        return f"TLS failed, {one_line(reason.lower().replace('_', ' '))}"
    if status := _tunnel_status(cause):
        return f"HTTP {status}"
    if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_ADDRFAMILY:
        return "IPv6 is not available"
    for kind, words in _WORDS.items():
        if isinstance(cause, kind):
            return words
    return reason_of(cause) if isinstance(cause, OSError) and cause.strerror else None


def _tunnel_status(cause: BaseException) -> int | None:
    """Return the status with which a proxy refused CONNECT, if this is that error."""
    found = _TUNNEL_STATUS.match(str(cause)) if isinstance(cause, OSError) else None
    return int(found[1]) if found else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, each once; urllib3 keeps some only as arguments."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        reasons = (getattr(cause, "reason", None), cause.__cause__, cause.__context__, *cause.args)
        waiting += [reason for reason in reasons if isinstance(reason, BaseException)]
