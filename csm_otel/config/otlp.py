"""The destination of OTLP, from the ``OTEL_EXPORTER_OTLP_`` variables: `destination_of`.

The variables are parsed already; this module decides which of them apply, and whether they are consistent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from csm_otel.config.standard import LARGEST, VARIABLES
from csm_otel.delivery.destination import Destination
from csm_otel.errors import Fault, quoted

if TYPE_CHECKING:
    from csm_otel.config.environment import Given
    from csm_otel.delivery.destination import Protocol, Signal

_HTTP: Final = "http/protobuf"
_GRPC: Final = "grpc"
_DEFAULT_ENDPOINTS = {_HTTP: "http://localhost:4318", _GRPC: "http://localhost:4317"}
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
    protocol: Protocol = variables.pick("protocol")[1] or _default_protocol(endpoint)
    insecure = variables.pick("insecure")[1] or False
    url = _url(endpoint, protocol, insecure=insecure)
    if url is None:
        # not the text itself, which may contain a password
        variables.faults.append(Fault(endpoint_name, f"not a URL like {_DEFAULT_ENDPOINTS[protocol]}"))
    elif protocol == _HTTP and endpoint_name != f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT":
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


def _default_protocol(endpoint: str) -> Protocol:
    # Jenkins sets a :4317 endpoint and no protocol; nothing but gRPC listens there
    return _GRPC if _port(endpoint) == _GRPC_PORT else _HTTP


def _port(endpoint: str) -> int | None:
    try:
        return urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").port
    except ValueError:
        return None


def _url(endpoint: str, protocol: str, *, insecure: bool) -> str | None:
    """Return the URL of an endpoint, the protocol's default if it is empty; None if it is not a URL."""
    url = endpoint or _DEFAULT_ENDPOINTS[protocol]
    if protocol == _GRPC and "://" not in url:
        url = f"{'http' if insecure else 'https'}://{url}"
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:
        return None
    return url if is_usable else None


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
