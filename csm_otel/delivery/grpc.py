"""Delivery over OTLP/gRPC: the encoded request goes through the published method as it is.

Source: OTLP specification 1.x, "OTLP/gRPC Response" and "Failures".
"""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING

import grpc

from csm_otel import __version__
from csm_otel.delivery.answer import PROTOBUF, partial_success
from csm_otel.delivery.authorities import authorities_of
from csm_otel.delivery.credentials import Credentials
from csm_otel.delivery.outcome import Outcome, Refused, TooLarge, Unavailable
from csm_otel.delivery.proxy import CHECK_USER, Proxy, is_excepted
from csm_otel.errors import Fault, SettingsError, quoted

if TYPE_CHECKING:
    from csm_otel.delivery.destination import Compression, Destination, Signal

_METHODS: dict[Signal, str] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
_COMPRESSION: dict[Compression, grpc.Compression] = {
    "none": grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}
_RETRYABLE = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
_HINTS = {
    grpc.StatusCode.UNAUTHENTICATED: "check OTEL_EXPORTER_OTLP_HEADERS",
    grpc.StatusCode.PERMISSION_DENIED: "check OTEL_EXPORTER_OTLP_HEADERS",
    grpc.StatusCode.UNIMPLEMENTED: "check OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_COMPRESSION",
}
# Texts of gRPC's libraries for a message that is too large; the status code alone may mean a quota.
_TOO_LARGE = re.compile(r"larger than max|message (?:is )?too large|exceeds (?:the )?max", re.IGNORECASE)
_CHECK_TLS = "TLS failed, check OTEL_EXPORTER_OTLP_CERTIFICATE and the scheme of OTEL_EXPORTER_OTLP_ENDPOINT"
_REFUSED = "connection refused"
_UNAVAILABLE = {  # pieces of gRPC's text, and our words for them: the first match
    _REFUSED: "connection refused",
    "address family not supported": "IPv6 is not available",
    "lookup failed": "host name cannot be resolved",
    "resolution failed": "host name cannot be resolved",
    "hostname verification": "TLS failed, the certificate is for another host",
    "handshake": _CHECK_TLS,
    "certificate": _CHECK_TLS,
    "expected 'h'": "answer is not HTTP",
    "parsing http/2": "answer is not gRPC, check OTEL_EXPORTER_OTLP_PROTOCOL (port 4318 is HTTP's)",
    "socket closed": "connection closed without an answer",
    "connection reset": "connection closed without an answer",
    "no such file": "no such socket",
    "permission denied": "permission denied",
}
_WANTS_USER = "407"
_PROXY_STATUS = re.compile(r"http proxy returned response code (\d{3})")
# Pieces of texts for what happens before a proxy has opened its tunnel.
_OF_A_PROXY = ("http proxy", "expected 'h'", "failed to connect to remote host", "lookup failed", "resolution failed")
# The variables that gRPC reads, in its order, in lower case only; and others that name a proxy.
_PROXY_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
_OTHER_PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
_NO_PROXY_VARIABLES = ("no_grpc_proxy", "no_proxy", "NO_PROXY")
_PROXY_SCHEMES = ("http",)
_NEVER_CONNECTED = "failed to connect to all addresses"
_AFTER_SENDING = ("socket closed", "connection reset", "stream", "goaway")  # pieces of texts: it may have arrived
# A "-bin" key would need bytes, which no variable can hold; "grpc-" is gRPC's own.
_METADATA_KEY = re.compile(r"(?!grpc-)[0-9A-Za-z_.-]+(?<!-bin)")
_RECONNECT_MILLISECONDS = 4_000  # the queue's own longest wait; gRPC's is two minutes, and it does not try before


class GrpcDeliverer:
    """Calls the service for traces, or metrics, of one back end over one channel.

    Raises:
        SettingsError: a certificate or the name of a header cannot be used.
    """

    def __init__(self, destination: Destination) -> None:
        self._proxy, other = proxies_of(destination)
        self._shown = self._proxy.passed(destination.authority) if self._proxy else destination.authority
        self._shown_where_unreachable = f"{self._shown}{other}"
        self._metadata = _metadata(destination)
        self._compression = _COMPRESSION[destination.compression]
        self._destination = destination
        self._credentials = _credentials(destination)
        self._mutex = threading.Lock()
        """Guards the two below."""
        self._channel = self._connect()
        self._is_closed = False

    def deliver(self, request: bytes, *, timeout_seconds: float) -> Outcome:
        """Send one request, within ``timeout_seconds`` altogether."""
        try:
            with self._mutex:
                # Not decoded by gRPC, for which an answer that cannot be is a failure of the call.
                export: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(
                    _METHODS[self._destination.signal], request_serializer=None, response_deserializer=None
                )
            answer = export(request, timeout=timeout_seconds, metadata=self._metadata, compression=self._compression)
        except grpc.RpcError as error:
            return self._failure(error, timeout_seconds)
        except ValueError:  # the channel was closed before the call
            return Unavailable(f"closed: {self._shown}")
        return partial_success(answer, PROTOBUF, self._destination)

    def close(self) -> None:
        """Close the channel; a delivery under way ends at once."""
        with self._mutex:
            self._is_closed = True
            self._channel.close()

    def _connect(self) -> grpc.Channel:
        if self._credentials is None:
            return grpc.insecure_channel(self._destination.authority, _options(self._proxy))
        return grpc.secure_channel(self._destination.authority, self._credentials, _options(self._proxy))

    def _reconnect(self) -> None:
        """Replace a connection that may be dead: gRPC would keep it until the system gives it up, hours later.

        Nor may it send pings to find out: servers treat more than one in five minutes as abuse.
        """
        with self._mutex:
            if not self._is_closed:
                self._channel.close()
                self._channel = self._connect()

    def _failure(self, error: grpc.RpcError, timeout_seconds: float) -> Outcome:
        assert isinstance(error, grpc.Call)
        code, details = error.code(), error.details() or ""
        wait = _retry_after_seconds(error)
        if code is grpc.StatusCode.UNAVAILABLE:
            text = details.lower()
            is_cut = _NEVER_CONNECTED not in text and any(piece in text for piece in _AFTER_SENDING)
            is_refused = _REFUSED in text
            return Unavailable(self._reason(details), wait, may_have_arrived=is_cut, is_nobody_there=is_refused)
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self._reconnect()
            reason = f"no answer within {timeout_seconds:g} s: {self._shown_where_unreachable}"
            return Unavailable(reason, wait, may_have_arrived=True)
        reason = f"gRPC {code.name} from {self._shown}"
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and wait is None and _TOO_LARGE.search(details):
            return TooLarge(f"{reason}: a single span is too large for the back end")
        if code in _RETRYABLE or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and wait is not None):
            return Unavailable(reason, wait, may_have_arrived=True)
        hint = _HINTS.get(code)
        return Refused(f"{reason}: {hint}" if hint else reason)

    def _reason(self, details: str) -> str:
        """Return the line for a back end that is unavailable."""
        text, what = details.lower(), _why_unavailable(details)
        if self._proxy is None or not any(piece in text for piece in _OF_A_PROXY):
            return f"{what}: {self._shown_where_unreachable}"
        status = _PROXY_STATUS.search(text)
        line = self._proxy.blamed(f"HTTP {status[1]}" if status else what, self._destination.authority)
        return f"{line}{CHECK_USER}" if status and status[1] == _WANTS_USER else line


def _metadata(destination: Destination) -> tuple[tuple[str, str], ...]:
    for key, _ in destination.headers:
        if not _METADATA_KEY.fullmatch(key):
            raise SettingsError([Fault("OTEL_EXPORTER_OTLP_HEADERS", f"{quoted(key)} is no name that gRPC can send")])
    return tuple((key.lower(), value) for key, value in destination.headers)


def proxies_of(destination: Destination) -> tuple[Proxy | None, str]:
    """Return the proxy that gRPC is to use, if any, and the end of a line about one that it cannot use.

    gRPC passes by a proxy that it cannot use, and connects directly; that may even work.
    """
    given = os.environ.get
    no_proxy = next(filter(None, map(given, _NO_PROXY_VARIABLES)), "")
    if destination.is_loopback or is_excepted(destination.authority, no_proxy):
        return None, ""
    for name in (*_PROXY_VARIABLES, *_OTHER_PROXY_VARIABLES):
        if value := given(name, ""):
            proxy = Proxy.of(value, schemes=_PROXY_SCHEMES)
            why = proxy.fault or (f"gRPC does not read {name}" if name in _OTHER_PROXY_VARIABLES else "")
            return (None, f", without the proxy {proxy.shown}: {why}") if why else (proxy, "")
    return None, ""


def _options(proxy: Proxy | None) -> tuple[tuple[str, str | int], ...]:
    return (
        ("grpc.primary_user_agent", f"csm-otel/{__version__}"),
        ("grpc.initial_reconnect_backoff_ms", 250),
        ("grpc.max_reconnect_backoff_ms", _RECONNECT_MILLISECONDS),
        # The variables are read here, and not by gRPC, so that lines are about the proxy in use.
        ("grpc.enable_http_proxy", 1 if proxy else 0),
        ("grpc.http_proxy", proxy.url if proxy else ""),
        # Else a new channel would be given the connection of the one before.
        ("grpc.use_local_subchannel_pool", 1),
    )


def _credentials(destination: Destination) -> grpc.ChannelCredentials | None:
    """Return the TLS credentials, if TLS is used."""
    if not destination.is_secure:
        return None
    files = Credentials(destination)
    try:
        return grpc.ssl_channel_credentials(
            root_certificates=files.certificate.read_bytes() if files.certificate else authorities_of("grpc").pem(),
            private_key=files.client_key.read_bytes() if files.client_key else None,
            certificate_chain=files.client_certificate.read_bytes() if files.client_certificate else None,
        )
    finally:
        files.close()


def _why_unavailable(details: str) -> str:
    """Return the cause in words; gRPC has it only as a text, which is no interface, so an unknown one is its code."""
    text = details.lower()
    return next((words for piece, words in _UNAVAILABLE.items() if piece in text), "gRPC UNAVAILABLE")


def _retry_after_seconds(error: grpc.Call) -> float | None:
    """Return the delay of a google.rpc.RetryInfo among the status details, or None."""
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin" or not isinstance(value, bytes):
            continue
        # Only a back end that is busy sends it: a daemon that idles is spared protobuf and its 4 MB.
        from google.protobuf.message import DecodeError  # ruff: ignore[import-outside-top-level]
        from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]  # ruff: ignore[import-outside-top-level]
            RetryInfo,
        )
        from google.rpc.status_pb2 import (  # type: ignore[import-untyped]  # ruff: ignore[import-outside-top-level]
            Status,
        )

        try:
            for detail in Status.FromString(value).details:
                info = RetryInfo()
                if detail.Unpack(info):
                    return max(float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9), 0.0)
        except DecodeError:
            return None
    return None
