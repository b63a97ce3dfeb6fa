"""The standard OpenTelemetry variables, declared once, as the specification words them.

The official exporters read some of them in their own way (seconds for milliseconds, gRPC as the default protocol, paths
only for certificates), so they are read here and passed on as values. Standard library only.
Source: OpenTelemetry specification, "Environment Variable Specification", "OTLP Exporter" and "Resource SDK".
"""

import math
import re
from collections.abc import Callable
from typing import Annotated, NamedTuple
from urllib.parse import unquote

from csm_otel.config.setting import CommandDefaults, Number, settings_of
from csm_otel.errors import quoted

PREFIX = "OTEL_"
TEMPORALITIES = ("cumulative", "delta", "lowmemory")
EXEMPLARS = ("trace_based", "always_off", "always_on")
HISTOGRAMS = ("explicit_bucket_histogram", "base2_exponential_bucket_histogram")
DEFAULT_PROPAGATORS = ("tracecontext", "baggage")
DEFAULT_IDS = "random"
DEFAULT_SAMPLER = "parentbased_always_on"
XRAY = "xray"
"""The trace ids of AWS X-Ray, and its propagator."""
XRAY_PROPAGATORS = (XRAY, "xray-lambda")
PROTOCOLS = ("http/protobuf", "http/json", "grpc")
EXPORTER_PROTOCOLS = {"otlp_proto_http": "http/protobuf", "otlp_proto_grpc": "grpc"}
"""The Python SDK's names of the OTLP exporters, each with the protocol that it stands for."""

# No socket takes a longer timeout. It is the largest int of other SDKs as well, which is what some set for "never".
LARGEST = 2**31 - 1
_LONGEST_LIMIT = 1_000  # digits; Python itself reads 4,300 of them
_NOT_PAIRS = "not a list of key=value"  # never the text itself: it may hold credentials
# Both are compiled when needed: the start of exec needs no headers.
_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9a-z-]+"  # RFC 9110, 5.6.2; others end in an error at every delivery
_BASIC = r"(?ai)basic +([\w+/=-]+)"
_OLD_NAMES = {"logging": "console"}  # of exporters; the specification keeps it
_OTLP_LINES = "is not an exporter here, use --file for OTLP JSON lines (- is stdout)"
_INSTEAD = dict.fromkeys(("otlp/stdout", "experimental-otlp/stdout", "logging-otlp"), _OTLP_LINES)

Names = tuple[str, ...]
Pairs = tuple[tuple[str, str], ...]


def _only_true(text: str) -> bool:
    return text.strip().lower() == "true"


def _names(text: str) -> Names:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _propagators(text: str) -> Names:
    return _names(text) if text.strip() else DEFAULT_PROPAGATORS


def _exporters(*known: str) -> Callable[[str], Names | None]:
    def read(text: str) -> Names | None:
        # without ``none``; None where the list is empty
        names = tuple(dict.fromkeys(name.lower() for name in _names(text)))
        for name in names:
            if _OLD_NAMES.get(name, name) not in {*known, *EXPORTER_PROTOCOLS}:
                why = _INSTEAD.get(name) if "console" in known else None  # other signals have no file
                raise ValueError(f"{quoted(name)} {why or 'is none of ' + ', '.join(known)}")
        if EXPORTER_PROTOCOLS.keys() <= {*names}:
            raise ValueError(f"{' and '.join(EXPORTER_PROTOCOLS)} are two protocols, name one")
        current = dict.fromkeys(_OLD_NAMES.get(name, name) for name in names)
        return tuple(name for name in current if name != "none") if names else None

    return read


def _word(*known: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        word = text.strip().lower()
        if word and word not in known:
            raise ValueError(f"{quoted(text)} is none of {', '.join(known)}")
        return word

    return read


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return the pairs of a list like ``a=b,c=d``, percent-decoded.

    Raises:
        ValueError: a part is not a pair; the whole list is rejected.
    """
    pairs = []
    for part in _names(text):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise ValueError(_NOT_PAIRS)
        pairs.append((unquote(key.strip()), unquote(value.strip())))
    return pairs


def _headers(text: str) -> Pairs:
    headers = tuple((name.lower(), value.strip()) for name, value in _pairs(text))
    for name, value in headers:
        if not re.fullmatch(_HEADER_NAME, name):
            raise ValueError(_NOT_PAIRS)
        if _has_line_break(value):
            raise ValueError("a value has a line break in it, as base64 without -w0 makes them")
        if not (value.isprintable() and value.isascii()):
            raise ValueError("a value has a character that is not printable ASCII")
        if _has_line_break(_credentials(value)):
            raise ValueError("a user or password has a line break in it, as echo without -n makes them")
    return headers


def _has_line_break(text: str) -> bool:
    return "\n" in text or "\r" in text


def _credentials(value: str) -> str:
    """Return the user and password in a value for basic authentication; "" for any other value."""
    import binascii  # ruff: ignore[import-outside-top-level] - as above

    found = re.fullmatch(_BASIC, value)
    try:
        return binascii.a2b_base64(found[1]).decode("latin-1") if found else ""
    except binascii.Error:
        return ""  # the back end's to judge


def _milliseconds(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        milliseconds = float(text)
    except ValueError:
        milliseconds = -1.0
    if not math.isfinite(milliseconds) or milliseconds < 0:
        raise ValueError(f"{quoted(text.strip())} is not a number of milliseconds")
    return milliseconds


def _limit(text: str) -> int | None:
    digits = text.strip()
    if not digits:
        return None
    if not digits.isdecimal() or len(digits) > _LONGEST_LIMIT:
        raise ValueError(f"{quoted(digits)} is {'too large' if digits.isdecimal() else 'not'} a number")
    return int(digits)


def _timeout(text: str) -> float:
    return Number(0, LARGEST)(text) or LARGEST  # 0 is no timeout; the specification allows "a very long time" for it


_OnlyTrue = Annotated[bool, _only_true]
_Trimmed = Annotated[str, str.strip]
_Limit = Annotated[int | None, _limit]
_Protocol = Annotated[str, _word(*PROTOCOLS)]
_Headers = Annotated[Pairs, _headers]
_Milliseconds = Annotated[float | None, _milliseconds]
_Compression = Annotated[str, _word("none", "gzip", "deflate")]


class StandardVariables(NamedTuple):
    """The ``OTEL_`` variables in use."""

    sdk_disabled: _OnlyTrue = False
    service_name: str = ""
    resource_attributes: Annotated[Pairs, lambda text: tuple(dict(_pairs(text)).items())] = ()
    propagators: Annotated[Names, _propagators] = DEFAULT_PROPAGATORS
    python_id_generator: Annotated[str, lambda text: _word(DEFAULT_IDS, XRAY)(text) or DEFAULT_IDS] = DEFAULT_IDS
    semconv_stability_opt_in: Annotated[Names, _names] = ()

    traces_sampler: Annotated[str, lambda text: text.strip() or DEFAULT_SAMPLER] = DEFAULT_SAMPLER
    traces_sampler_arg: str = ""
    traces_exporter: Annotated[
        Names | None,
        _exporters("otlp", "console", "none"),
        CommandDefaults(serve=("otlp",), exec=("console",), replay=("console",)),
    ] = None

    bsp_schedule_delay: Annotated[int | None, Number(0, LARGEST)] = None
    bsp_export_timeout: Annotated[int, _timeout] = 30_000
    bsp_max_queue_size: Annotated[int | None, Number(1, LARGEST)] = None
    bsp_max_export_batch_size: Annotated[int, Number(1, LARGEST)] = 512

    attribute_value_length_limit: _Limit = None
    attribute_count_limit: _Limit = None
    span_attribute_value_length_limit: _Limit = None
    span_attribute_count_limit: _Limit = None
    span_event_count_limit: _Limit = None
    event_attribute_count_limit: _Limit = None
    span_link_count_limit: _Limit = None
    link_attribute_count_limit: _Limit = None

    exporter_otlp_endpoint: _Trimmed = ""
    exporter_otlp_protocol: _Protocol = ""
    exporter_otlp_headers: _Headers = ()
    exporter_otlp_timeout: _Milliseconds = None
    exporter_otlp_compression: _Compression = ""
    exporter_otlp_certificate: _Trimmed = ""
    exporter_otlp_client_key: _Trimmed = ""
    exporter_otlp_client_certificate: _Trimmed = ""
    exporter_otlp_insecure: Annotated[bool | None, _only_true] = None

    exporter_otlp_traces_endpoint: _Trimmed = ""
    exporter_otlp_traces_protocol: _Protocol = ""
    exporter_otlp_traces_headers: _Headers = ()
    exporter_otlp_traces_timeout: _Milliseconds = None
    exporter_otlp_traces_compression: _Compression = ""
    exporter_otlp_traces_certificate: _Trimmed = ""
    exporter_otlp_traces_client_key: _Trimmed = ""
    exporter_otlp_traces_client_certificate: _Trimmed = ""
    exporter_otlp_traces_insecure: Annotated[bool | None, _only_true] = None

    metrics_exporter: Annotated[Names | None, _exporters("otlp", "prometheus", "none")] = None
    metrics_exemplar_filter: Annotated[str, lambda text: _word(*EXEMPLARS)(text) or EXEMPLARS[0]] = EXEMPLARS[0]
    metric_export_interval: Annotated[int, Number(1, LARGEST)] = 60_000
    metric_export_timeout: Annotated[int, _timeout] = 30_000
    exporter_otlp_metrics_endpoint: _Trimmed = ""
    exporter_otlp_metrics_protocol: _Protocol = ""
    exporter_otlp_metrics_headers: _Headers = ()
    exporter_otlp_metrics_timeout: _Milliseconds = None
    exporter_otlp_metrics_compression: _Compression = ""
    exporter_otlp_metrics_certificate: _Trimmed = ""
    exporter_otlp_metrics_client_key: _Trimmed = ""
    exporter_otlp_metrics_client_certificate: _Trimmed = ""
    exporter_otlp_metrics_insecure: Annotated[bool | None, _only_true] = None
    exporter_otlp_metrics_temporality_preference: Annotated[str, _word(*TEMPORALITIES)] = ""
    exporter_otlp_metrics_default_histogram_aggregation: Annotated[str, _word(*HISTOGRAMS)] = ""
    exporter_prometheus_host: _Trimmed = ""
    exporter_prometheus_port: Annotated[int | None, Number(0, 65_535)] = None


VARIABLES = settings_of(StandardVariables, prefix=PREFIX)
"""By field."""


def service_name_of(service_name: str, resource_attributes: Pairs) -> str:
    """Return the application's name by ``OTEL_SERVICE_NAME``, else by the resource attributes, else empty."""
    return service_name or dict(resource_attributes).get("service.name", "")
