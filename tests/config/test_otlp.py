"""The destination of OTLP, by the standard variables."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import pytest
from configured import given as given_by
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.config.otlp import destination_of, has_endpoint
from csm_otel.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csm_otel.delivery.destination import Destination, Signal

NOT_PAIRS = Fault("OTEL_EXPORTER_OTLP_HEADERS", "not a list of key=value")
LINE_BREAK = "a value has a line break in it, as base64 without -w0 makes them"
LINE_BREAK_INSIDE = "a user or password has a line break in it, as echo without -n makes them"
NOT_ASCII = "a value has a character that is not printable ASCII"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"


def read(
    variables: Mapping[str, str], *, signal: Signal = "traces"
) -> tuple[Destination | None, list[Fault], list[str]]:
    """Return the destination, faults and warnings; names of variables begin behind ``OTEL_EXPORTER_OTLP_``."""
    faults: list[Fault] = []
    warnings: list[str] = []
    read_variables = given_by({f"OTEL_EXPORTER_OTLP_{name}": value for name, value in variables.items()})
    destination = destination_of(read_variables, signal=signal, faults=faults, warnings=warnings)
    return destination, faults, warnings


def otlp(**variables: str) -> Destination:
    """Return the destination by these variables, without any fault or warning."""
    destination, faults, warnings = read(variables)
    assert destination is not None
    assert (faults, warnings) == ([], [])
    return destination


@pytest.mark.parametrize(
    ("variables", "protocol", "url"),
    [
        pytest.param({}, "http/protobuf", "http://localhost:4318/v1/traces", id="default"),
        pytest.param({"ENDPOINT": ""}, "http/protobuf", "http://localhost:4318/v1/traces", id="empty"),
        pytest.param({"ENDPOINT": "http://c:4318"}, "http/protobuf", "http://c:4318/v1/traces", id="general"),
        pytest.param({"ENDPOINT": "http://c:4318/"}, "http/protobuf", "http://c:4318/v1/traces", id="general-slash"),
        pytest.param({"ENDPOINT": " http://c "}, "http/protobuf", "http://c/v1/traces", id="general-blanks"),
        pytest.param({"ENDPOINT": "https://c/otlp"}, "http/protobuf", "https://c/otlp/v1/traces", id="general-path"),
        pytest.param({"ENDPOINT": "http://c/x?a=b"}, "http/protobuf", "http://c/x/v1/traces?a=b", id="general-query"),
        pytest.param({"ENDPOINT": "http://[::1]:4318"}, "http/protobuf", "http://[::1]:4318/v1/traces", id="ipv6"),
        pytest.param({"TRACES_ENDPOINT": "http://c:1/t"}, "http/protobuf", "http://c:1/t", id="traces-as-it-is"),
        pytest.param({"TRACES_ENDPOINT": "http://c:1"}, "http/protobuf", "http://c:1", id="traces-without-path"),
        pytest.param(
            {"ENDPOINT": "http://c", "TRACES_ENDPOINT": "http://d/t"}, "http/protobuf", "http://d/t", id="traces-first"
        ),
        pytest.param(
            {"ENDPOINT": "http://c", "TRACES_ENDPOINT": ""}, "http/protobuf", "http://c/v1/traces", id="traces-empty"
        ),
        pytest.param({"PROTOCOL": "grpc"}, "grpc", "http://localhost:4317", id="grpc-default"),
        pytest.param({"PROTOCOL": "grpc", "ENDPOINT": "http://c:9"}, "grpc", "http://c:9", id="grpc"),
        pytest.param({"PROTOCOL": "gRPC"}, "grpc", "http://localhost:4317", id="protocol-in-capitals"),
        pytest.param({"PROTOCOL": "grpc", "ENDPOINT": "c:9"}, "grpc", "https://c:9", id="grpc-without-scheme"),
        pytest.param(
            {"PROTOCOL": "grpc", "ENDPOINT": "c:9", "INSECURE": "True"}, "grpc", "http://c:9", id="grpc-insecure"
        ),
        pytest.param(
            {"PROTOCOL": "grpc", "ENDPOINT": "c:9", "INSECURE": "1"}, "grpc", "https://c:9", id="only-true-is-insecure"
        ),
        pytest.param({"ENDPOINT": "https://c:4317", "INSECURE": "true"}, "grpc", "https://c:4317", id="scheme-holds"),
        pytest.param(
            {"PROTOCOL": "grpc", "TRACES_PROTOCOL": "http/protobuf"},
            "http/protobuf",
            "http://localhost:4318/v1/traces",
            id="traces-protocol-first",
        ),
        pytest.param({"ENDPOINT": "http://c:4317"}, "grpc", "http://c:4317", id="4317-is-grpc"),
        pytest.param({"TRACES_ENDPOINT": "http://c:4317"}, "grpc", "http://c:4317", id="4317-is-grpc-for-traces"),
        pytest.param({"ENDPOINT": "c:4317"}, "grpc", "https://c:4317", id="4317-without-scheme"),
        pytest.param(
            {"ENDPOINT": "http://c:4317", "PROTOCOL": "http/protobuf"},
            "http/protobuf",
            "http://c:4317/v1/traces",
            id="4317-with-protocol",
        ),
        pytest.param({"PROTOCOL": "http/json"}, "http/json", "http://localhost:4318/v1/traces", id="json"),
        pytest.param(
            {"PROTOCOL": "HTTP/JSON", "ENDPOINT": "http://c/x/"}, "http/json", "http://c/x/v1/traces", id="json-general"
        ),
        pytest.param(
            {"TRACES_PROTOCOL": "http/json", "TRACES_ENDPOINT": "http://c/t"},
            "http/json",
            "http://c/t",
            id="json-traces",
        ),
        pytest.param({"ENDPOINT": "dns:///c:4317"}, "grpc", "https://c:4317", id="dns-target"),
        pytest.param({"ENDPOINT": "dns:///c:9/", "INSECURE": "true"}, "grpc", "http://c:9", id="dns-target-insecure"),
        pytest.param(
            {"ENDPOINT": "dns:c:9", "INSECURE": "true"}, "grpc", "http://c:9", id="dns-target-without-slashes"
        ),
        pytest.param({"ENDPOINT": "passthrough:///c:9"}, "grpc", "https://c:9", id="passthrough-target"),
        pytest.param({"ENDPOINT": "ipv4:10.0.0.1:9"}, "grpc", "https://10.0.0.1:9", id="ipv4-target"),
        pytest.param({"ENDPOINT": "ipv6:[::1]:9"}, "grpc", "https://[::1]:9", id="ipv6-target"),
        pytest.param({"TRACES_ENDPOINT": "unix:///run/o.sock"}, "grpc", "unix:///run/o.sock", id="socket"),
        pytest.param({"ENDPOINT": "unix:o.sock"}, "grpc", "unix:o.sock", id="socket-of-the-folder"),
        pytest.param({"ENDPOINT": "unix-abstract:otlp"}, "grpc", "unix-abstract:otlp", id="abstract-socket"),
        pytest.param({"ENDPOINT": "dns:9", "PROTOCOL": "grpc"}, "grpc", "https://dns:9", id="host-called-dns"),
        pytest.param({"ENDPOINT": "unix:9", "PROTOCOL": "grpc"}, "grpc", "https://unix:9", id="host-called-unix"),
    ],
)
def test_endpoint(variables: dict[str, str], protocol: str, url: str) -> None:
    """The traces endpoint is used unchanged, the general one gets the path; HTTP is the default, but for port 4317."""
    destination = otlp(**variables)

    assert protocol == destination.protocol
    assert url == destination.url


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        pytest.param({"ENDPOINT": "collector"}, "ENDPOINT", id="no-scheme"),
        pytest.param({"ENDPOINT": "collector:4318"}, "ENDPOINT", id="port-without-scheme"),
        pytest.param({"ENDPOINT": "ftp://c"}, "ENDPOINT", id="scheme"),
        pytest.param({"ENDPOINT": "http://"}, "ENDPOINT", id="no-host"),
        pytest.param({"ENDPOINT": "http://[::1"}, "ENDPOINT", id="bracket"),
        pytest.param({"ENDPOINT": "http://a b"}, "ENDPOINT", id="blank-inside"),
        pytest.param({"TRACES_ENDPOINT": "http://c:99999/"}, "TRACES_ENDPOINT", id="port-too-large"),
        pytest.param({"TRACES_ENDPOINT": "http://c:0/"}, "TRACES_ENDPOINT", id="port-zero"),
        pytest.param({"ENDPOINT": "//hunter2@", "PROTOCOL": "grpc"}, "ENDPOINT", id="grpc"),
        pytest.param({"PROTOCOL": "http"}, "PROTOCOL", id="protocol"),
        pytest.param({"ENDPOINT": "dns://10.0.0.1/c:9"}, "ENDPOINT", id="dns-server"),
        pytest.param({"ENDPOINT": "xds:///c", "PROTOCOL": "grpc"}, "ENDPOINT", id="xds"),
        pytest.param({"ENDPOINT": "ipv4:10.0.0.1:9,10.0.0.2:9"}, "ENDPOINT", id="two-addresses"),
        pytest.param({"TRACES_PROTOCOL": "udp"}, "TRACES_PROTOCOL", id="traces-protocol"),
        pytest.param({"COMPRESSION": "zip"}, "COMPRESSION", id="compression"),
        pytest.param({"TRACES_COMPRESSION": "lz4"}, "TRACES_COMPRESSION", id="traces-compression"),
        pytest.param({"COMPRESSION": "deflate", "PROTOCOL": "grpc"}, "COMPRESSION", id="compression-of-http-only"),
        pytest.param({"TIMEOUT": "10s"}, "TIMEOUT", id="timeout-with-unit"),
        pytest.param({"TIMEOUT": "-1"}, "TIMEOUT", id="timeout-negative"),
        pytest.param({"TRACES_TIMEOUT": "nan"}, "TRACES_TIMEOUT", id="timeout-nan"),
        pytest.param({"TRACES_TIMEOUT": "inf"}, "TRACES_TIMEOUT", id="timeout-infinite"),
        pytest.param({"HEADERS": "hunter2"}, "HEADERS", id="header-without-value"),
        pytest.param({"HEADERS": "a=b,=hunter2"}, "HEADERS", id="header-without-name"),
        pytest.param({"HEADERS": "a b=hunter2"}, "HEADERS", id="blank-in-header-name"),
        pytest.param({"HEADERS": "a=hunter2%0D%0Ab: c"}, "HEADERS", id="header-splitting"),
        pytest.param({"TRACES_HEADERS": "a=hunter2é"}, "TRACES_HEADERS", id="header-not-ascii"),
    ],
)
def test_otlp_fault(variables: dict[str, str], name: str) -> None:
    """An unusable value is one line with the variable's name, and without possible credentials."""
    destination, (fault,), _ = read(variables)

    assert destination is None
    assert fault.name == f"OTEL_EXPORTER_OTLP_{name}"
    assert "hunter2" not in fault.text


def test_a_line_for_each_otlp_fault() -> None:
    """All faults are found at once."""
    _, faults, _ = read(dict.fromkeys(("ENDPOINT", "PROTOCOL", "HEADERS", "TIMEOUT", "COMPRESSION"), "x"))

    assert len(faults) == 5


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        pytest.param(
            {"ENDPOINT": "dns:///c:4318", "PROTOCOL": "http/protobuf"},
            "a target of gRPC, which needs OTEL_EXPORTER_OTLP_PROTOCOL=grpc; for HTTP a URL like http://localhost:4318",
            id="target-for-http",
        ),
        pytest.param(
            {"ENDPOINT": "unix:///o.sock", "PROTOCOL": "http/json"},
            "a target of gRPC, which needs OTEL_EXPORTER_OTLP_PROTOCOL=grpc; for HTTP a URL like http://localhost:4318",
            id="socket-for-http",
        ),
        pytest.param(
            {"ENDPOINT": "xds:///c", "PROTOCOL": "grpc"},
            "not a URL or target like http://localhost:4317, dns:///HOST:PORT or unix:///PATH",
            id="another-target",
        ),
        pytest.param(
            {"ENDPOINT": "c", "PROTOCOL": "http/json"}, "not a URL like http://localhost:4318", id="no-scheme"
        ),
    ],
)
def test_the_value_to_use_is_named(variables: dict[str, str], why: str) -> None:
    """An endpoint that the protocol cannot use is a fault that names the value that it can."""
    _, faults, _ = read(variables)

    assert faults == [Fault("OTEL_EXPORTER_OTLP_ENDPOINT", why)]


@pytest.mark.parametrize("form", ["unix:{}", "unix:///{}", "unix-abstract:{}"])
def test_a_socket_name_that_no_system_can_bind(form: str) -> None:
    """Its length is bounded, as gRPC would refuse every request otherwise."""
    longest = 107 if sys.platform == "linux" else 103
    assert otlp(ENDPOINT=form.format("s" * 100)).url
    _, faults, _ = read({"ENDPOINT": form.format("s" * 108)})

    assert faults == [Fault("OTEL_EXPORTER_OTLP_ENDPOINT", f"the name of a Unix socket has at most {longest} bytes")]


@pytest.mark.parametrize("signal", ["traces", "metrics"])
@pytest.mark.parametrize(
    ("exporter", "variables", "protocol", "line"),
    [
        pytest.param("otlp_proto_grpc", {}, "grpc", "", id="grpc"),
        pytest.param("OTLP_PROTO_HTTP", {"ENDPOINT": "http://c:4317"}, "http/protobuf", "", id="http"),
        pytest.param("otlp, otlp_proto_grpc", {}, "grpc", "", id="beside-the-general-name"),
        pytest.param("otlp_proto_grpc", {"PROTOCOL": "grpc"}, "grpc", "", id="said-twice"),
        pytest.param("otlp_proto_http", {"PROTOCOL": "udp"}, "http/protobuf", "", id="protocol-that-is-not-used"),
        pytest.param("otlp", {"PROTOCOL": "grpc"}, "grpc", "", id="the-general-name"),
        pytest.param(
            "otlp_proto_grpc",
            {"PROTOCOL": "http/json"},
            "grpc",
            "OTEL_EXPORTER_OTLP_PROTOCOL=http/json is not used: OTEL_{}_EXPORTER is otlp_proto_grpc",
            id="the-exporter-wins",
        ),
    ],
)
def test_the_protocol_in_the_exporters_name(
    signal: Signal, exporter: str, variables: dict[str, str], protocol: str, line: str
) -> None:
    """The Python SDK's exporter names hold a protocol, which wins; a line says so if a variable has another one."""
    name = signal.upper()
    given = {f"OTEL_{name}_EXPORTER": exporter}
    given |= {f"OTEL_EXPORTER_OTLP_{variable}": value for variable, value in variables.items()}
    warnings: list[str] = []
    destination = destination_of(given_by(given), signal=signal, faults=[], warnings=warnings)

    assert destination is not None
    assert (destination.protocol, warnings) == (protocol, [line.format(name)] if line else [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", (), id="empty"),
        pytest.param("a=b", (("a", "b"),), id="one"),
        pytest.param(" a = b , c=d,", (("a", "b"), ("c", "d")), id="blanks-and-last-comma"),
        pytest.param("Api-Key=x", (("api-key", "x"),), id="names-in-lower-case"),
        pytest.param("authorization=Basic%20dXNlcg==", (("authorization", "Basic dXNlcg=="),), id="percent-decoded"),
        pytest.param("a%2Db=%2C%25", (("a-b", ",%"),), id="percent-in-name"),
        pytest.param("a=", (("a", ""),), id="empty-value"),
        pytest.param("a=1,a=2", (("a", "1"), ("a", "2")), id="repeated"),
        pytest.param("a=b%0A", (("a", "b"),), id="line-break-at-the-end"),
        pytest.param("authorization=Basic dXNlcg", (("authorization", "Basic dXNlcg"),), id="base64-cut"),
        pytest.param("authorization=Bearer YQo=", (("authorization", "Bearer YQo="),), id="no-user-and-password"),
    ],
)
def test_headers(text: str, expected: tuple[tuple[str, str], ...]) -> None:
    """Headers are a list of key=value, percent-decoded."""
    assert expected == otlp(HEADERS=text).headers


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("a=aHVudGVy\nMg==", LINE_BREAK, id="wrapped"),
        pytest.param("authorization=Basic aHVudGVy\r\nMg==", LINE_BREAK, id="wrapped-with-carriage-return"),
        pytest.param("a=hunter2%0Ax", LINE_BREAK, id="percent-encoded"),
        pytest.param("a=hunter2%0D%0Ab: c", LINE_BREAK, id="header-splitting"),
        pytest.param("a=hunter2\nb=c", LINE_BREAK, id="pairs-without-a-comma"),
        pytest.param("authorization=Basic YTpodW50ZXIyCg==", LINE_BREAK_INSIDE, id="in-the-password"),
        pytest.param("Authorization=basic%20YTpodW50ZXIyDQo%3D", LINE_BREAK_INSIDE, id="in-the-password-encoded"),
        pytest.param("a=hunter2%00", NOT_ASCII, id="nul"),
        pytest.param("a=hunter2%C3%A9", NOT_ASCII, id="not-ascii"),
        pytest.param("a=hunter2,b c=d", NOT_PAIRS.text, id="blank-in-name"),
    ],
)
def test_why_headers_cannot_be_sent(text: str, why: str) -> None:
    """The fault says what is wrong with a value, and most of all that it has a line break; it never quotes one."""
    destination, faults, _ = read({"HEADERS": text})

    assert destination is None
    assert faults == [Fault("OTEL_EXPORTER_OTLP_HEADERS", why)]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40))
def test_no_header_text_raises_or_shows(text: str) -> None:
    """Any text gives ASCII headers or one fault that does not quote it."""
    destination, faults, _ = read({"HEADERS": f"x-secret=hunter2,{text}"})
    headers = destination.headers if destination else ()

    assert (destination is None) == bool(faults)
    assert {fault.text for fault in faults} <= {NOT_PAIRS.text, LINE_BREAK, NOT_ASCII}
    assert all((name + value).isascii() and (name + value).isprintable() for name, value in headers)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("", 10.0, id="default"),
        pytest.param("10000", 10.0, id="milliseconds"),
        pytest.param("100", 0.1, id="shortest"),
        pytest.param("2500.5", 2.5005, id="fraction"),
        pytest.param("0", 2_147_483.647, id="zero-is-no-timeout"),
        pytest.param("1e15", 2_147_483.647, id="longer-than-a-socket-takes"),
    ],
)
def test_timeout(text: str, seconds: float) -> None:
    """The timeout is milliseconds, within the range of a socket's timeout."""
    destination = otlp(TIMEOUT=text)

    assert seconds == destination.timeout_seconds
    with socket.socket() as sock:
        sock.settimeout(destination.timeout_seconds)


@pytest.mark.parametrize("name", [pytest.param("TIMEOUT", id="general"), pytest.param("TRACES_TIMEOUT", id="traces")])
def test_timeout_in_seconds(name: str) -> None:
    """A timeout below 100 can only be the Python habit: seconds, with a warning that names the variable."""
    destination, _, warnings = read({name: "99"})

    assert destination is not None
    assert destination.timeout_seconds == 99
    assert warnings == [f"OTEL_EXPORTER_OTLP_{name}=99 is read as seconds; the variable is in milliseconds"]


def test_no_warning_about_a_destination_that_is_not_used() -> None:
    """Where another variable is unusable nothing is delivered there, and the timeout does not matter."""
    assert read({"TIMEOUT": "99", "HEADERS": "x"}) == (None, [NOT_PAIRS], [])


@pytest.mark.parametrize(
    ("name", "field", "first", "second"),
    [
        pytest.param("HEADERS", "headers", ("a=b", (("a", "b"),)), ("c=d", (("c", "d"),)), id="headers"),
        pytest.param("TIMEOUT", "timeout_seconds", ("1000", 1.0), ("2000", 2.0), id="timeout"),
        pytest.param("COMPRESSION", "compression", ("gzip", "gzip"), ("none", "none"), id="compression"),
        pytest.param("CERTIFICATE", "certificate", ("/a.pem", "/a.pem"), (PEM, PEM), id="certificate"),
        pytest.param("CLIENT_KEY", "client_key", ("a.key", "a.key"), (PEM, PEM), id="client-key"),
        pytest.param("CLIENT_CERTIFICATE", "client_certificate", ("a", "a"), (PEM, PEM), id="client-certificate"),
    ],
)
def test_traces_form_first(name: str, field: str, first: tuple[str, object], second: tuple[str, object]) -> None:
    """Each variable has a general form and one for traces, which wins if both are set and counts as unset if empty."""
    (text, value), (traces_text, traces_value) = first, second

    assert value == getattr(otlp(**{name: text}), field)
    assert traces_value == getattr(otlp(**{f"TRACES_{name}": traces_text}), field)
    assert traces_value == getattr(otlp(**{name: text, f"TRACES_{name}": traces_text}), field)
    assert value == getattr(otlp(**{name: text, f"TRACES_{name}": ""}), field)


@pytest.mark.parametrize(
    ("protocol", "text", "expected"),
    [
        pytest.param("http/protobuf", "", "none", id="http-default"),
        pytest.param("http/protobuf", "GZIP", "gzip", id="http-capitals"),
        pytest.param("http/protobuf", "deflate", "deflate", id="http-deflate"),
        pytest.param("grpc", "", "none", id="grpc-default"),
        pytest.param("grpc", "gzip", "gzip", id="grpc-gzip"),
    ],
)
def test_compression(protocol: str, text: str, expected: str) -> None:
    """Each protocol has its compressions, none by default."""
    assert expected == otlp(PROTOCOL=protocol, COMPRESSION=text).compression


def test_no_certificates() -> None:
    """Certificates that are not given are None, not empty."""
    destination = otlp(CERTIFICATE="")

    assert (destination.certificate, destination.client_key, destination.client_certificate) == (None, None, None)


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        pytest.param({}, "http://localhost:4318/v1/metrics", id="default"),
        pytest.param({"ENDPOINT": "http://c/x"}, "http://c/x/v1/metrics", id="general"),
        pytest.param({"METRICS_ENDPOINT": "http://c/m"}, "http://c/m", id="as-it-is"),
        pytest.param(
            {"TRACES_ENDPOINT": "http://t/v1/traces"}, "http://localhost:4318/v1/metrics", id="traces-are-others"
        ),
        pytest.param({"TRACES_PROTOCOL": "grpc"}, "http://localhost:4318/v1/metrics", id="their-protocol-too"),
        pytest.param({"METRICS_PROTOCOL": "grpc", "ENDPOINT": "http://c:1"}, "http://c:1", id="grpc"),
    ],
)
def test_metrics_endpoint(variables: dict[str, str], url: str) -> None:
    """Metrics have their own variables, and share the general ones with traces."""
    destination, faults, _ = read(variables, signal="metrics")

    assert destination is not None
    assert (destination.url, faults) == (url, [])


def test_metrics_timeout_and_headers() -> None:
    """Milliseconds and percent-decoded pairs, as for traces."""
    variables = {"METRICS_TIMEOUT": "1500", "TIMEOUT": "9000", "METRICS_HEADERS": "k=a%20b"}
    destination, _, _ = read(variables, signal="metrics")

    assert destination is not None
    assert (destination.timeout_seconds, destination.headers) == (1.5, (("k", "a b"),))


def test_a_variable_that_is_not_used_is_no_fault() -> None:
    """A variable overridden by the signal's own form, or of the other signal, may have any value."""
    variables = {"PROTOCOL": "http/json", "TRACES_PROTOCOL": "grpc", "METRICS_HEADERS": "x"}
    destination, faults, _ = read(variables)

    assert destination is not None
    assert (destination.protocol, faults) == ("grpc", [])


def test_a_fault_is_reported_once_for_both_signals() -> None:
    """Traces and metrics share the general variables, and their faults."""
    faults: list[Fault] = []
    variables = given_by({"OTEL_EXPORTER_OTLP_HEADERS": "x"})
    signals: tuple[Signal, ...] = ("traces", "metrics")
    for signal in signals:
        destination_of(variables, signal=signal, faults=faults, warnings=[])

    assert faults == [NOT_PAIRS]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"ENDPOINT": " "}, False),
        ({"ENDPOINT": "x"}, True),
        ({"TRACES_ENDPOINT": "x"}, True),
        ({"METRICS_ENDPOINT": "x"}, False),
    ],
)
def test_endpoint_is_set(variables: dict[str, str], expected: bool) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
    """Any endpoint for traces counts; one for metrics does not."""
    read_variables = given_by({f"OTEL_EXPORTER_OTLP_{name}": value for name, value in variables.items()})

    assert has_endpoint(read_variables) is expected
