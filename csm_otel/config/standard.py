"""The standard OpenTelemetry variables, as the specification words them.

The official exporters read some of them in their own way (seconds for milliseconds, gRPC as the default protocol, paths
only for certificates), so they are read here and handed over as values.
Source: OpenTelemetry specification, "Environment Variable Specification" and "OTLP Exporter".
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from csm_otel.config.flags import fault_of_number
from csm_otel.delivery.destination import Destination, Signal
from csm_otel.errors import SettingsError, quoted
from csm_otel.spans.options import RpcConventions

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_HTTP, _GRPC = "http/protobuf", "grpc"
_PROTOCOLS = (_HTTP, _GRPC)
_COMPRESSIONS = {_HTTP: ("none", "gzip", "deflate"), _GRPC: ("none", "gzip")}
_EXPORTERS = ("otlp", "console", "none")
_TEMPORALITIES = ("cumulative", "delta", "lowmemory")
_HISTOGRAMS = ("explicit_bucket_histogram", "base2_exponential_bucket_histogram")
_DEFAULT_ENDPOINTS = {_HTTP: "http://localhost:4318", _GRPC: "http://localhost:4317"}
_GRPC_PORT = 4317
_DEFAULT_TIMEOUT_MS = 10_000.0
# OTEL_EXPORTER_OTLP_TIMEOUT is milliseconds; the Python SDK has always read seconds. Nobody means under 0.1 s.
_SHORTEST_TIMEOUT_MS = 100.0
# No socket takes a longer timeout. It is the largest int of other SDKs as well, which is what some set for "never".
_LARGEST = 2**31 - 1
# A timeout of 0 is none; the specification allows "a very long time" for it.
_NO_TIMEOUT_MS = _LARGEST
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")  # RFC 9110, 5.6.2; others end in an error at every delivery
_LONGEST_LIMIT = 1_000  # digits; Python itself reads 4,300 of them
_LIMIT = re.compile(r"OTEL_(?:ATTRIBUTE|SPAN|EVENT|LINK)_\w*LIMIT")


class StandardVariables(BaseSettings):
    """The ``OTEL_`` variables in use, as text; empty means unset."""

    model_config = SettingsConfigDict(env_prefix="OTEL_", env_ignore_empty=True, frozen=True, extra="ignore")

    sdk_disabled: bool = False
    service_name: str = ""
    resource_attributes: str = ""
    propagators: str = "tracecontext,baggage"
    semconv_stability_opt_in: str = ""

    traces_sampler: str = "parentbased_always_on"
    traces_sampler_arg: str = ""
    traces_exporter: str = ""

    bsp_schedule_delay: int | None = Field(default=None, ge=0, le=_LARGEST)
    bsp_export_timeout: int = Field(default=30_000, ge=0, le=_LARGEST)
    bsp_max_queue_size: int | None = Field(default=None, ge=1, le=_LARGEST)
    bsp_max_export_batch_size: int = Field(default=512, ge=1, le=_LARGEST)

    exporter_otlp_endpoint: str = ""
    exporter_otlp_traces_endpoint: str = ""
    exporter_otlp_protocol: str = ""
    exporter_otlp_traces_protocol: str = ""
    exporter_otlp_headers: str = ""
    exporter_otlp_traces_headers: str = ""
    exporter_otlp_timeout: str = ""
    exporter_otlp_traces_timeout: str = ""
    exporter_otlp_compression: str = ""
    exporter_otlp_traces_compression: str = ""
    exporter_otlp_certificate: str = ""
    exporter_otlp_traces_certificate: str = ""
    exporter_otlp_client_key: str = ""
    exporter_otlp_traces_client_key: str = ""
    exporter_otlp_client_certificate: str = ""
    exporter_otlp_traces_client_certificate: str = ""
    exporter_otlp_insecure: str = ""
    exporter_otlp_traces_insecure: str = ""

    metrics_exporter: str = ""
    metric_export_interval: int = Field(default=60_000, ge=1, le=_LARGEST)
    metric_export_timeout: int = Field(default=30_000, ge=0, le=_LARGEST)
    exporter_otlp_metrics_endpoint: str = ""
    exporter_otlp_metrics_protocol: str = ""
    exporter_otlp_metrics_headers: str = ""
    exporter_otlp_metrics_timeout: str = ""
    exporter_otlp_metrics_compression: str = ""
    exporter_otlp_metrics_certificate: str = ""
    exporter_otlp_metrics_client_key: str = ""
    exporter_otlp_metrics_client_certificate: str = ""
    exporter_otlp_metrics_insecure: str = ""
    exporter_otlp_metrics_temporality_preference: str = ""
    exporter_otlp_metrics_default_histogram_aggregation: str = ""

    @field_validator("sdk_disabled", mode="before")
    @classmethod
    def _only_true_is_true(cls, value: object) -> bool:
        return str(value).strip().lower() == "true"

    @field_validator("bsp_export_timeout", "metric_export_timeout")
    @classmethod
    def _zero_is_no_timeout(cls, value: int) -> int:
        return value or _NO_TIMEOUT_MS

    def otlp(self, name: str, signal: Signal = "traces") -> tuple[str, str]:
        """Return the name and value of an OTLP variable, the signal's own form first."""
        for field in (f"exporter_otlp_{signal}_{name}", f"exporter_otlp_{name}"):
            if value := str(getattr(self, field)).strip():
                return f"OTEL_{field.upper()}", value
        return f"OTEL_EXPORTER_OTLP_{name.upper()}", ""


def read_standard_variables() -> StandardVariables:
    """Return the standard variables of the environment.

    Raises:
        SettingsError: a line for each that is no number where one is needed.
    """
    try:
        return StandardVariables()
    except ValidationError as error:
        raise SettingsError([_fault(str(fault["loc"][0]), str(fault["input"])) for fault in error.errors()]) from error


def _fault(field: str, text: str) -> str:
    bounds = StandardVariables.model_fields[field].metadata
    lowest = next((bound.ge for bound in bounds if hasattr(bound, "ge")), 0)
    why = fault_of_number(text, int, lowest=lowest, highest=_LARGEST)
    return f"OTEL_{field.upper()}: {why or f'{quoted(text)} cannot be used'}"


def exporters_of(variables: StandardVariables) -> list[str] | None:
    """Return the exporters asked for, or None where neither an exporter nor an endpoint is set.

    Raises:
        SettingsError: an exporter is unknown.
    """
    names = [name.strip().lower() for name in variables.traces_exporter.split(",") if name.strip()]
    if unknown := [name for name in names if name not in _EXPORTERS]:
        raise SettingsError([f"OTEL_TRACES_EXPORTER: {quoted(unknown[0])} is none of {', '.join(_EXPORTERS)}"])
    if names:
        return [name for name in dict.fromkeys(names) if name != "none"]
    return ["otlp"] if variables.otlp("endpoint")[1] else None


def exports_metrics(variables: StandardVariables) -> bool:
    """Return whether metrics are asked for.

    Raises:
        SettingsError: an exporter is unknown.
    """
    names = [name.strip().lower() for name in variables.metrics_exporter.split(",") if name.strip()]
    if unknown := [name for name in names if name not in ("otlp", "none")]:
        raise SettingsError([f"OTEL_METRICS_EXPORTER: {quoted(unknown[0])} is none of otlp, none"])
    return "otlp" in names


def metric_preferences_of(variables: StandardVariables) -> tuple[str, str]:
    """Return how metrics are added up: their temporality, and the kind of their histograms.

    Raises:
        SettingsError: a line for each that is unknown.
    """
    faults: list[str] = []
    chosen = []
    for field, known in (
        ("exporter_otlp_metrics_temporality_preference", _TEMPORALITIES),
        ("exporter_otlp_metrics_default_histogram_aggregation", _HISTOGRAMS),
    ):
        text = str(getattr(variables, field))
        chosen.append(text.strip().lower() or known[0])
        if chosen[-1] not in known:
            faults.append(f"OTEL_{field.upper()}: {quoted(text)} is none of {', '.join(known)}")
    if faults:
        raise SettingsError(faults)
    return chosen[0], chosen[1]


def destination_of(variables: StandardVariables, *, warn: list[str], signal: Signal = "traces") -> Destination:
    """Return where OTLP goes. Lines for what is read otherwise than it looks are added to ``warn``.

    Raises:
        SettingsError: a line for each variable that cannot be used.
    """
    faults: list[str] = []
    endpoint_name, endpoint = variables.otlp("endpoint", signal)
    protocol = _protocol(*variables.otlp("protocol", signal), endpoint, faults)
    insecure = variables.otlp("insecure", signal)[1].lower() == "true"
    url = _url(endpoint_name, endpoint, protocol, insecure=insecure, faults=faults)
    if protocol == _HTTP and not faults and endpoint_name != f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT":
        url = _with_path(url, f"v1/{signal}")
    destination = Destination(
        url=url,
        signal=signal,
        protocol=protocol,  # type: ignore[arg-type]
        headers=_headers(*variables.otlp("headers", signal), faults),
        timeout_seconds=_timeout_seconds(*variables.otlp("timeout", signal), faults, warn),
        compression=_compression(*variables.otlp("compression", signal), protocol, faults),  # type: ignore[arg-type]
        certificate=variables.otlp("certificate", signal)[1] or None,
        client_key=variables.otlp("client_key", signal)[1] or None,
        client_certificate=variables.otlp("client_certificate", signal)[1] or None,
    )
    if faults:
        raise SettingsError(faults)
    return destination


def resource_attributes_of(variables: StandardVariables) -> dict[str, str]:
    """Return the attributes of ``OTEL_RESOURCE_ATTRIBUTES``, percent-decoded.

    Raises:
        SettingsError: it is no list of ``key=value``.
    """
    attributes = {}
    for pair in filter(None, (part.strip() for part in variables.resource_attributes.split(","))):
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise SettingsError(["OTEL_RESOURCE_ATTRIBUTES: not a list of key=value"])
        attributes[unquote(key.strip())] = unquote(value.strip())
    return attributes


def rpc_conventions_of(variables: StandardVariables) -> RpcConventions:
    """Return which RPC attribute names are wanted; values about other conventions are none of ours."""
    wanted = {value.strip() for value in variables.semconv_stability_opt_in.split(",")}
    for choice in (RpcConventions.NEW_AND_OLD, RpcConventions.NEW):
        if choice.value in wanted:
            return choice
    return RpcConventions.OLD_WITH_SYSTEM_NAME


def _protocol(name: str, protocol: str, endpoint: str, faults: list[str]) -> str:
    if not protocol:
        # Jenkins sets a :4317 endpoint and no protocol; nothing but gRPC listens there
        return _GRPC if _port(endpoint) == _GRPC_PORT else _HTTP
    if protocol.lower() not in _PROTOCOLS:
        faults.append(f"{name}: {quoted(protocol)} is none of {', '.join(_PROTOCOLS)}")
        return _HTTP
    return protocol.lower()


def _port(endpoint: str) -> int | None:
    try:
        return urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").port
    except ValueError:
        return None


def _url(name: str, endpoint: str, protocol: str, *, insecure: bool, faults: list[str]) -> str:
    url = endpoint or _DEFAULT_ENDPOINTS[protocol]
    if protocol == _GRPC and "://" not in url:
        url = f"{'http' if insecure else 'https'}://{url}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:
        usable = False
    if not usable:
        faults.append(f"{name}: not a URL like {_DEFAULT_ENDPOINTS[protocol]}")  # it may hold a password
        return url
    return url


def _with_path(url: str, path: str) -> str:
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{path}").geturl()


def _headers(name: str, text: str, faults: list[str]) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = []
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = pair.partition("=")
        key, value = unquote(key.strip()).lower(), unquote(value).strip()
        if not equals or not _HEADER_NAME.fullmatch(key) or not value.isprintable() or not value.isascii():
            faults.append(f"{name}: not a list of key=value")  # never the text itself: it holds credentials
            break
        headers.append((key, value))
    return tuple(headers)


def _timeout_seconds(name: str, text: str, faults: list[str], warn: list[str]) -> float:
    try:
        milliseconds = float(text) if text else _DEFAULT_TIMEOUT_MS
    except ValueError:
        milliseconds = -1.0
    if not math.isfinite(milliseconds) or milliseconds < 0:
        faults.append(f"{name}: {quoted(text)} is not a number of milliseconds")
        return _DEFAULT_TIMEOUT_MS / 1000
    if not milliseconds:
        return _NO_TIMEOUT_MS / 1000
    if milliseconds < _SHORTEST_TIMEOUT_MS:
        warn.append(f"{name}={milliseconds:g} is taken for seconds; the variable is in milliseconds")
        return milliseconds
    return min(milliseconds, _NO_TIMEOUT_MS) / 1000


def _compression(name: str, text: str, protocol: str, faults: list[str]) -> str:
    compression = text.lower() or "none"
    if compression not in _COMPRESSIONS[protocol]:
        faults.append(f"{name}: {quoted(text)} is none of {', '.join(_COMPRESSIONS[protocol])}")
        return "none"
    return compression


def prepare_limits(environ: MutableMapping[str, str], *, faults: list[str] | None = None) -> None:
    """Take out of ``environ`` the ``OTEL_*_LIMIT`` variables that the SDK, which reads them on import, would choke on.

    Empty ones mean unset. A line for each that is no number is added to ``faults``.

    Raises:
        SettingsError: there are such lines, and no ``faults`` to add them to.
    """
    lines = []
    for name in [name for name in environ if _LIMIT.fullmatch(name)]:
        text = environ[name].strip()
        if not text.isdecimal() or len(text) > _LONGEST_LIMIT:
            del environ[name]
            if text:
                lines.append(f"{name}: {quoted(text)} is {'too large' if text.isdecimal() else 'not'} a number")
    if faults is not None:
        faults += lines
    elif lines:
        raise SettingsError(lines)
