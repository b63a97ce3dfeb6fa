"""The destination of OTLP, from the ``OTEL_EXPORTER_OTLP_`` variables: `destination_of`.

The variables are parsed already; this module decides which of them apply, and whether they are consistent.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from csm_otel.config.standard import EXPORTER_PROTOCOLS, LARGEST, VARIABLES
from csm_otel.delivery.destination import Destination
from csm_otel.errors import Fault, quoted

if TYPE_CHECKING:
    from csm_otel.config.environment import Given
    from csm_otel.delivery.destination import Protocol, Signal

_HTTP: Final = "http/protobuf"
_GRPC: Final = "grpc"
_HTTP_ENDPOINT, _GRPC_ENDPOINT = "http://localhost:4318", "http://localhost:4317"
# Names as in "gRPC Name Resolution", which the specification allows; with nothing but a port it is a host's name.
_TARGET = re.compile(r"(?:dns|ipv4|ipv6|passthrough):(?!\d+$)(?:///)?([^/,\s]+)/?")
_SOCKET_TARGET = re.compile(r"unix(?:-abstract)?:(?!\d+$)[^\s?#]+")
_SOCKET_BYTES = 107 if sys.platform == "linux" else 103  # what a sockaddr_un holds, without the NUL
_TARGETS = f"{_GRPC_ENDPOINT}, dns:///HOST:PORT or unix:///PATH"
_GRPC_COMPRESSIONS = ("none", "gzip")
_GRPC_PORT = 4317
_DEFAULT_TIMEOUT_MS = 10_000.0
# OTEL_EXPORTER_OTLP_TIMEOUT is milliseconds; the Python SDK has always read seconds. Under 0.1 s is never meant.
_SHORTEST_TIMEOUT_MS = 100.0


def has_endpoint(given: Given) -> bool:
    """Return whether an endpoint for traces is set."""
    return bool(_Variables(given, "traces").pick("endpoint")[1])


def destination_of(given: Given, *, signal: Signal, faults: list[Fault], warnings: list[str]) -> Destination | None:
    """Return the destination of a signal, or None if a variable in use is unusable, which is added to ``faults``.

    Lines about variables that are read otherwise than they look are added to ``warnings``.
    """
    variables = _Variables(given, signal)
    endpoint_name, endpoint = variables.pick("endpoint")
    protocol = variables.protocol_of_exporter() or variables.pick("protocol")[1] or _default_protocol(endpoint)
    insecure = variables.pick("insecure")[1] or False
    url = _url(endpoint, protocol, insecure=insecure)
    if url is None:
        variables.faults.append(Fault(endpoint_name, _why_no_url(endpoint, protocol)))
    elif protocol != _GRPC and endpoint_name != f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT":
        url = _with_path(url, f"v1/{signal}")
    headers = variables.pick("headers")[1]
    timeout = variables.pick("timeout")
    compression_name, compression = variables.pick("compression")
    if protocol == _GRPC and compression and compression not in _GRPC_COMPRESSIONS:
        text = f"{quoted(compression)} is none of {', '.join(_GRPC_COMPRESSIONS)}"
        variables.faults.append(Fault(compression_name, text))
    files = {name: variables.pick(name)[1] or None for name in ("certificate", "client_key", "client_certificate")}
    faults += [fault for fault in variables.faults if fault not in faults]
    if variables.faults or url is None:
        return None
    warnings += variables.overridden()
    return Destination(
        url=url,
        signal=signal,
        protocol=protocol,
        headers=headers,
        timeout_seconds=_timeout_seconds(*timeout, warnings),
        compression=compression or "none",
        **files,
    )


class _Variables:
    """The variables of a signal: its own form of each wins over the general one."""

    def __init__(self, given: Given, signal: Signal) -> None:
        self._given = given
        self._signal = signal
        self.faults: list[Fault] = []
        """The faults of the variables picked."""

    def pick(self, name: str) -> tuple[str, Any]:
        """Return the name and value of the variable that applies; of the general one if neither is set."""
        general = VARIABLES[f"exporter_otlp_{name}"]
        for setting in (VARIABLES[f"exporter_otlp_{self._signal}_{name}"], general):
            if fault := self._given.variable_faults.get(setting.field):
                self.faults.append(fault)
                return setting.variable, setting.default
            value = getattr(self._given.variables, setting.field)
            if value != setting.default:
                return setting.variable, value
        return general.variable, general.default

    def protocol_of_exporter(self) -> Protocol | None:
        """Return the protocol that the exporter's name stands for, if it is such a name."""
        protocol: Protocol | None = EXPORTER_PROTOCOLS.get(self._exporter())  # type: ignore[assignment]
        return protocol

    def overridden(self) -> list[str]:
        """Return a line about the variable for the protocol if the name of the exporter says otherwise."""
        name, protocol = _Variables(self._given, self._signal).pick("protocol")  # its fault would not matter
        if not protocol or self.protocol_of_exporter() in (None, protocol):
            return []
        return [f"{name}={protocol} is not used: OTEL_{self._signal.upper()}_EXPORTER is {self._exporter()}"]

    def _exporter(self) -> str:
        exporters = getattr(self._given.variables, f"{self._signal}_exporter") or ()
        return next((name for name in exporters if name in EXPORTER_PROTOCOLS), "")


def _default_protocol(endpoint: str) -> Protocol:
    # Jenkins sets a :4317 endpoint and no protocol; nothing but gRPC listens there
    return _GRPC if _port(endpoint) == _GRPC_PORT or _is_target(endpoint) else _HTTP


def _is_target(endpoint: str) -> bool:
    """Whether it is what only gRPC reads."""
    return bool(_TARGET.fullmatch(endpoint) or _SOCKET_TARGET.fullmatch(endpoint))


def _port(endpoint: str) -> int | None:
    try:
        return urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").port
    except ValueError:
        return None


def _url(endpoint: str, protocol: str, *, insecure: bool) -> str | None:
    """Return the URL of an endpoint, the protocol's default if it is empty; None if it is not a URL."""
    url = endpoint or (_GRPC_ENDPOINT if protocol == _GRPC else _HTTP_ENDPOINT)
    if protocol == _GRPC:
        if _SOCKET_TARGET.fullmatch(url):
            return url if _is_short(url) else None
        target = _TARGET.fullmatch(url)
        url = target[1] if target else url
        url = url if "://" in url else f"{'http' if insecure else 'https'}://{url}"
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:
        return None
    return url if is_usable else None


def _is_short(target: str) -> bool:
    """Whether a system can bind a socket of that name: gRPC would refuse each request."""
    return len(os.fsencode(target.partition(":")[2].removeprefix("//"))) <= _SOCKET_BYTES


def _why_no_url(endpoint: str, protocol: Protocol) -> str:
    """Return what is wrong, without the text itself, which may contain a password."""
    if protocol == _GRPC:
        if _SOCKET_TARGET.fullmatch(endpoint):
            return f"the name of a Unix socket has at most {_SOCKET_BYTES} bytes"
        return f"not a URL or target like {_TARGETS}"
    if _is_target(endpoint):
        return f"a target of gRPC, which needs OTEL_EXPORTER_OTLP_PROTOCOL=grpc; for HTTP a URL like {_HTTP_ENDPOINT}"
    return f"not a URL like {_HTTP_ENDPOINT}"


def _with_path(url: str, path: str) -> str:
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{path}").geturl()


def _timeout_seconds(name: str, milliseconds: float | None, warnings: list[str]) -> float:
    if milliseconds is None:
        milliseconds = _DEFAULT_TIMEOUT_MS
    if 0 < milliseconds < _SHORTEST_TIMEOUT_MS:
        warnings.append(f"{name}={milliseconds:g} is read as seconds; the variable is in milliseconds")
        return milliseconds
    return min(milliseconds or LARGEST, LARGEST) / 1000  # 0 means no timeout
