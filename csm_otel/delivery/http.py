"""Delivery over OTLP/HTTP with bodies of protobuf or JSON, one POST a request.

Source: OTLP specification 1.x, "OTLP/HTTP Response" and "Failures". Redirects are not followed: they would carry the
configured headers elsewhere, and requests would turn the POST into a GET that "succeeds".
"""

from __future__ import annotations

import email.utils
import functools
import gzip
import http.client
import os
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

import requests
from urllib3.exceptions import LocationValueError

from csm_otel import __version__
from csm_otel.delivery.answer import HTML, JSON, PROTOBUF, media_type, partial_success
from csm_otel.delivery.authorities import Authorities, authorities_of
from csm_otel.delivery.credentials import Credentials
from csm_otel.delivery.cutoff import Cutoff, CutoffAdapter
from csm_otel.delivery.failure import Failure, no_answer
from csm_otel.delivery.outcome import Outcome, Refused, TooLarge, Unavailable, one_line
from csm_otel.delivery.proxy import CHECK_USER, Proxy, is_excepted
from csm_otel.errors import Fault, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.delivery.destination import Compression, Destination

_RETRYABLE = frozenset({429, 502, 503, 504})
_FROM_A_GATEWAY = frozenset({502, 504})  # which does not know whether the request was processed
_PROXY_SCHEMES = ("http", "https")
_LEVEL = 3  # of 9, where spans take three times as long to be made 5 % smaller
_COMPRESS: dict[Compression, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": functools.partial(gzip.compress, compresslevel=_LEVEL),
    "deflate": functools.partial(zlib.compress, level=_LEVEL),
}
_ANSWER_BYTES = 64 * 1024  # a partial success is a sentence; anything longer is a web page
_ANSWER_CHUNK_BYTES = 4096
_HINTS = {
    400: "not understood, check OTEL_EXPORTER_OTLP_PROTOCOL and that this is an OTLP back end",
    401: "check OTEL_EXPORTER_OTLP_HEADERS",
    403: "check OTEL_EXPORTER_OTLP_HEADERS",
    404: "check OTEL_EXPORTER_OTLP_ENDPOINT",
    405: "check OTEL_EXPORTER_OTLP_ENDPOINT",
    415: "check OTEL_EXPORTER_OTLP_PROTOCOL and OTEL_EXPORTER_OTLP_COMPRESSION",
}


class HttpDeliverer:
    """Posts requests to one URL over kept-alive connections.

    The proxy variables are honoured, but for a back end on this machine. ``~/.netrc`` is not: it would replace a
    configured Authorization header.

    Raises:
        SettingsError: the URL, a header or a certificate cannot be used.
    """

    def __init__(self, destination: Destination, *, cutoff: Cutoff | None = None) -> None:
        self._destination = destination
        self._compress = _COMPRESS[destination.compression]
        self._credentials = Credentials(destination)
        self._cutoff = cutoff or Cutoff()
        self._session = _Session()
        self._session.trust_env = False  # proxies and authorities are chosen here; ~/.netrc is nobody's choice
        self._session.headers["User-Agent"] = f"csm-otel/{__version__}"
        self._session.headers.update(dict(destination.headers))
        self._is_json = destination.protocol == "http/json"
        self._session.headers["Content-Type"] = JSON if self._is_json else PROTOBUF
        if destination.compression != "none":
            self._session.headers["Content-Encoding"] = destination.compression
        self._session.auth = _authentication(destination)
        try:
            self._prepared = self._session.prepare_request(requests.Request("POST", destination.url))
        except (requests.RequestException, ValueError) as error:
            self.close()
            is_header = isinstance(error, requests.exceptions.InvalidHeader)
            name = "OTEL_EXPORTER_OTLP_HEADERS" if is_header else "OTEL_EXPORTER_OTLP_ENDPOINT"
            raise SettingsError([Fault(name, "cannot be sent over HTTP")]) from None  # its text quotes values
        self._proxy = proxy_of(destination)
        self._shown = self._proxy.passed(destination.shown) if self._proxy else destination.shown
        self._authorities = self._choose_authorities()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._cutoff, self._authorities))

    def deliver(self, request: bytes, *, timeout_seconds: float) -> Outcome:
        """Post one request, within ``timeout_seconds`` altogether; each address of a host name has that time."""
        if self._proxy and self._proxy.fault:
            return Unavailable(self._proxy.blamed(self._proxy.fault, self._destination.shown))
        proxy = self._proxy.url if self._proxy else ""
        try:
            with (
                self._cutoff.within(timeout_seconds),
                self._session.send(
                    self._prepared_for(self._compress(self._body(request))),
                    timeout=timeout_seconds,
                    allow_redirects=False,
                    stream=True,
                    cert=self._client_certificate(),
                    proxies={"http": proxy, "https": proxy},
                ) as response,
            ):
                return self._outcome(response)
        except (requests.RequestException, LocationValueError, OSError) as error:  # requests passes the second on
            return self._failure(error, timeout_seconds)

    def close(self) -> None:
        """End a delivery under way, unless it is still connecting, and release connections and temporary files."""
        self._cutoff.close()
        self._session.close()
        self._credentials.close()

    def _body(self, request: bytes) -> bytes:
        if not self._is_json:
            return request
        from csm_otel.delivery.json_body import json_body  # ruff: ignore[import-outside-top-level] - rarely needed

        return json_body(request, self._destination.signal)

    def _prepared_for(self, body: bytes) -> requests.PreparedRequest:
        """Return the request with a body, and with the cookies that answers have set."""
        prepared = self._prepared.copy()
        prepared.body = body
        prepared.headers["Content-Length"] = str(len(body))
        prepared.prepare_cookies(self._session.cookies)
        return prepared

    def _choose_authorities(self) -> Authorities:
        if self._credentials.certificate:
            return Authorities(file=str(self._credentials.certificate))
        is_tls = self._destination.is_secure or (self._proxy is not None and self._proxy.shown.startswith("https:"))
        chosen = authorities_of(self._destination.protocol) if is_tls else Authorities()
        return chosen if chosen.file or chosen.folders else chosen._replace(file=requests.utils.DEFAULT_CA_BUNDLE_PATH)

    def _client_certificate(self) -> tuple[str, str] | None:
        certificate, key = self._credentials.client_certificate, self._credentials.client_key
        return (str(certificate), str(key)) if certificate and key else None

    def _failure(self, error: Exception, timeout_seconds: float) -> Unavailable:
        is_connecting = self._cutoff.is_connecting
        failure = Failure(error)
        if failure.is_ours:
            return Unavailable(failure.what(timeout_seconds), is_ours=True)
        was_sent = not failure.is_before_reading and not is_connecting
        if self._cutoff.is_cut:
            return Unavailable(f"{no_answer(timeout_seconds)}: {self._shown}", may_have_arrived=was_sent)
        what = failure.what(timeout_seconds)
        variable = self._authorities.variable
        if self._proxy and is_connecting and failure.is_of_a_proxy(is_secure=self._destination.is_secure):
            reason = self._proxy.blamed(what, self._destination.shown) + failure.proxy_hint(variable)
        else:
            reason = f"{what}: {self._shown}{failure.hint(variable)}"
        return Unavailable(reason, may_have_arrived=was_sent, is_nobody_there=failure.is_refused)

    def _outcome(self, response: requests.Response) -> Outcome:
        status = response.status_code
        reason = f"HTTP {status} from {self._shown}"
        if status < http.HTTPStatus.MULTIPLE_CHOICES:
            media = self._media_type(response)
            if media == HTML:
                return Refused(f"{reason}, with a web page: check OTEL_EXPORTER_OTLP_ENDPOINT")
            return partial_success(_body_of(response), media, self._destination)
        if status < http.HTTPStatus.BAD_REQUEST:
            return Refused(f"{reason} redirects to {self._target(response)}: check OTEL_EXPORTER_OTLP_ENDPOINT")
        return self._error(response, reason)

    def _error(self, response: requests.Response, reason: str) -> Outcome:
        status = response.status_code
        if status == http.HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and self._proxy:
            return Unavailable(self._proxy.blamed(f"HTTP {status}", self._destination.shown) + CHECK_USER)
        # The words of the body are not shown: what refuses a header may repeat it, in any form.
        if status in _RETRYABLE:
            wait = _retry_after_seconds(response.headers.get("Retry-After", ""))
            return Unavailable(reason, wait, may_have_arrived=status in _FROM_A_GATEWAY)
        if status == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return TooLarge(f"{reason}: a single span is too large for the back end")
        hint = _HINTS.get(status)
        return Refused(f"{reason}: {hint}" if hint else reason)

    def _media_type(self, response: requests.Response) -> str:
        """Return the type of an answer; without a header it is that of the request, as specified."""
        return media_type(response.headers.get("Content-Type", ""), default=JSON if self._is_json else PROTOBUF)

    def _target(self, response: requests.Response) -> str:
        """Return the host of a redirect's target; the rest of its URL may hold a secret."""
        try:
            parts = urlsplit(urljoin(self._destination.url, response.headers.get("Location", "")))
            return one_line(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
        except ValueError:
            return "nowhere"


class _Session(requests.Session):
    """Ignores redirects: requests prepares the next request of one, odd Location and all, even if not to follow."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None."""


class _ConfiguredHeadersOnly(requests.auth.AuthBase):
    """Adds nothing; being there, it keeps requests from adding the user of the URL."""

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        return prepared


class _Adapter(CutoffAdapter):
    """Trusts the given authorities, also for TLS to a proxy, which requests does not verify for plain URLs."""

    def __init__(self, cutoff: Cutoff, authorities: Authorities) -> None:
        self._authorities = authorities
        super().__init__(cutoff)

    def cert_verify(self, conn: Any, url: str, verify: object, cert: tuple[str, str] | None) -> None:
        """Set the files for the TLS of a pool of connections, which are read for each connection."""
        del url, verify
        conn.cert_reqs = "CERT_REQUIRED"
        conn.ca_certs, conn.ca_cert_dir = self._authorities.file or None, self._authorities.folders or None
        conn.cert_file, conn.key_file = cert or (None, None)


def proxy_of(destination: Destination) -> Proxy | None:
    """Return the proxy that requests would choose, or None for a back end that is excepted."""
    no_proxy = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
    if destination.is_loopback or is_excepted(destination.authority, no_proxy):
        return None
    url = requests.utils.select_proxy(destination.url, requests.utils.get_environ_proxies(destination.url))
    return _with_usable_user(Proxy.of(url, schemes=_PROXY_SCHEMES)) if url else None


def _with_usable_user(proxy: Proxy) -> Proxy:
    """Return a proxy with a fault if requests could not encode its user and password: it would be a mere ValueError."""
    try:
        "".join(requests.utils.get_auth_from_url(proxy.url)).encode("latin-1")
    except UnicodeEncodeError:
        return proxy._replace(fault=proxy.fault or "its user or password is not in ISO 8859-1")
    return proxy


def _authentication(destination: Destination) -> requests.auth.AuthBase:
    """Return basic authentication for a user name in the URL, unless a header is configured."""
    parts = urlsplit(destination.url)
    if parts.username is None or any(key.lower() == "authorization" for key, _ in destination.headers):
        return _ConfiguredHeadersOnly()
    return requests.auth.HTTPBasicAuth(unquote(parts.username), unquote(parts.password or ""))


def _body_of(response: requests.Response) -> bytes:
    """Return the body of an answer; nothing of one that is cut off, never ends, or cannot be decompressed.

    It is no failure: the status says already whether the request was accepted, and sending it again would store every
    span twice.
    """
    body = bytearray()
    try:
        for chunk in response.iter_content(_ANSWER_CHUNK_BYTES):
            body += chunk
            if len(body) > _ANSWER_BYTES:
                return b""
    except (requests.RequestException, OSError):
        return b""
    return bytes(body)


def _retry_after_seconds(text: str) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3: seconds or a date), or None."""
    if text.strip().isdecimal():
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max((date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0.0)
