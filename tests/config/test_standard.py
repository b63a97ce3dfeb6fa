"""The standard OpenTelemetry variables, as the specification words them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.config.standard import (
    StandardVariables,
    destination_of,
    exporters_of,
    exports_metrics,
    metric_preferences_of,
    prepare_limits,
    read_standard_variables,
    resource_attributes_of,
    rpc_conventions_of,
)
from csm_otel.errors import SettingsError
from csm_otel.spans.options import RpcConventions

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from csm_otel.delivery.destination import Destination

pytestmark = pytest.mark.usefixtures("no_variables")

NO_LIST = "OTEL_EXPORTER_OTLP_HEADERS: not a list of key=value"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"


@pytest.fixture(scope="module")
def no_variables() -> Generator[None]:
    """Take the standard variables out of this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.upper().startswith("OTEL_")]:
            patch.delenv(name)
        yield


def read(variables: Mapping[str, str]) -> StandardVariables:
    """Return what is read where only these variables are set; their names begin behind ``OTEL_``."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(f"OTEL_{name}", value)
        return read_standard_variables()


def otlp(**variables: str) -> Destination:
    """Return the destination that these variables give, without any warning."""
    warnings: list[str] = []
    destination = destination_of(
        read({f"EXPORTER_OTLP_{name}": value for name, value in variables.items()}), warn=warnings
    )
    assert not warnings
    return destination


def faults(read_something: Callable[[], object]) -> tuple[str, ...]:
    """Return the lines of the fault that is found."""
    with pytest.raises(SettingsError) as caught:
        read_something()
    return caught.value.faults


# Endpoint and protocol


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
    ],
)
def test_endpoint(variables: dict[str, str], protocol: str, url: str) -> None:
    """The traces endpoint is taken as it is, the general one gets the path; what is not said is HTTP, but for 4317."""
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
        pytest.param({"PROTOCOL": "http/json"}, "PROTOCOL", id="protocol"),
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
    """What cannot be used is one line with the variable's name, and without what may be a credential."""
    (fault,) = faults(lambda: otlp(**variables))

    assert fault.startswith(f"OTEL_EXPORTER_OTLP_{name}: ")
    assert "hunter2" not in fault


def test_a_line_for_each_otlp_fault() -> None:
    """All faults are told at once."""
    lines = faults(lambda: otlp(ENDPOINT="x", PROTOCOL="x", HEADERS="x", TIMEOUT="x", COMPRESSION="x"))

    assert len(lines) == 5


# The other variables of OTLP


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
    ],
)
def test_headers(text: str, expected: tuple[tuple[str, str], ...]) -> None:
    """Headers are a list of key=value, percent-decoded."""
    assert expected == otlp(HEADERS=text).headers


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40))
def test_no_header_text_raises_or_shows(text: str) -> None:
    """Whatever the text, it gives ASCII headers or one fault that does not quote it."""
    shown = NO_LIST
    headers: tuple[tuple[str, str], ...] = ()
    try:
        headers = otlp(HEADERS=f"x-secret=hunter2,{text}").headers
    except SettingsError as error:
        shown = str(error)

    assert shown == NO_LIST
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
    """The timeout is milliseconds, and one that a socket takes."""
    destination = otlp(TIMEOUT=text)

    assert seconds == destination.timeout_seconds
    with socket.socket() as sock:
        sock.settimeout(destination.timeout_seconds)


@pytest.mark.parametrize("name", [pytest.param("TIMEOUT", id="general"), pytest.param("TRACES_TIMEOUT", id="traces")])
def test_timeout_in_seconds(name: str) -> None:
    """A timeout below 100 can only be the Python habit: seconds, and a warning that says so by the variable's name."""
    warnings: list[str] = []

    destination = destination_of(read({f"EXPORTER_OTLP_{name}": "99"}), warn=warnings)

    assert destination.timeout_seconds == 99
    assert warnings == [f"OTEL_EXPORTER_OTLP_{name}=99 is taken for seconds; the variable is in milliseconds"]


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
    """Each variable has a general form and one for traces, which holds where both are set and is unset where empty."""
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


# What is not OTLP


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({}, None, id="nothing-asked-for"),
        pytest.param({"TRACES_EXPORTER": ""}, None, id="empty"),
        pytest.param({"TRACES_EXPORTER": "otlp"}, ["otlp"], id="otlp"),
        pytest.param({"TRACES_EXPORTER": " OTLP , console,otlp"}, ["otlp", "console"], id="list"),
        pytest.param({"TRACES_EXPORTER": "none"}, [], id="none"),
        pytest.param({"EXPORTER_OTLP_ENDPOINT": "http://c"}, ["otlp"], id="endpoint"),
        pytest.param({"EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, ["otlp"], id="traces-endpoint"),
        pytest.param({"TRACES_EXPORTER": "none", "EXPORTER_OTLP_ENDPOINT": "http://c"}, [], id="none-with-endpoint"),
        pytest.param({"EXPORTER_OTLP_HEADERS": "a=b"}, None, id="headers-alone"),
    ],
)
def test_exporters(variables: dict[str, str], expected: list[str] | None) -> None:
    """Exporters are what is asked for, by name or by an endpoint."""
    assert expected == exporters_of(read(variables))


def test_unknown_exporter() -> None:
    """An exporter that we do not have is a fault."""
    variables = read({"TRACES_EXPORTER": "otlp,zipkin"})

    assert faults(lambda: exporters_of(variables)) == ("OTEL_TRACES_EXPORTER: 'zipkin' is none of otlp, console, none",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param("a=b", {"a": "b"}, id="one"),
        pytest.param(" a.b = c , d=e,", {"a.b": "c", "d": "e"}, id="blanks-and-last-comma"),
        pytest.param("a=b=c", {"a": "b=c"}, id="equals-in-value"),
        pytest.param("a%20b=%2C%3D%C3%A9", {"a b": ",=é"}, id="percent-decoded"),
        pytest.param("a=", {"a": ""}, id="empty-value"),
        pytest.param("a=1,a=2", {"a": "2"}, id="the-last-holds"),
    ],
)
def test_resource_attributes(text: str, expected: dict[str, str]) -> None:
    """Resource attributes are a list of key=value, percent-decoded."""
    assert expected == resource_attributes_of(read({"RESOURCE_ATTRIBUTES": text}))


@pytest.mark.parametrize("text", [pytest.param("a", id="no-equals"), pytest.param("=b", id="no-key")])
def test_resource_attributes_fault(text: str) -> None:
    """Resource attributes that are no such list are a fault."""
    variables = read({"RESOURCE_ATTRIBUTES": f"ok=1,{text}"})

    assert faults(lambda: resource_attributes_of(variables)) == ("OTEL_RESOURCE_ATTRIBUTES: not a list of key=value",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", RpcConventions.OLD_WITH_SYSTEM_NAME, id="empty"),
        pytest.param("rpc", RpcConventions.NEW, id="new"),
        pytest.param("rpc/dup", RpcConventions.NEW_AND_OLD, id="both"),
        pytest.param("http, rpc/dup ,rpc", RpcConventions.NEW_AND_OLD, id="both-first"),
        pytest.param("http,database/dup", RpcConventions.OLD_WITH_SYSTEM_NAME, id="other-conventions"),
    ],
)
def test_rpc_conventions(text: str, expected: RpcConventions) -> None:
    """The opt-in list chooses the names of RPC attributes; the rest of it is none of ours."""
    assert expected == rpc_conventions_of(read({"SEMCONV_STABILITY_OPT_IN": text}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("true", True, id="true"),
        pytest.param("TRUE", True, id="capitals"),
        pytest.param("", False, id="empty"),
        pytest.param("false", False, id="false"),
        pytest.param("1", False, id="one"),
        pytest.param("yes", False, id="yes"),
    ],
)
def test_sdk_disabled(text: str, expected: bool) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
    """Only "true" is true."""
    assert expected is read({"SDK_DISABLED": text}).sdk_disabled


@pytest.mark.parametrize(
    ("name", "field", "default"),
    [
        pytest.param("BSP_SCHEDULE_DELAY", "bsp_schedule_delay", None, id="delay"),
        pytest.param("BSP_EXPORT_TIMEOUT", "bsp_export_timeout", 30_000, id="timeout"),
        pytest.param("BSP_MAX_QUEUE_SIZE", "bsp_max_queue_size", None, id="queue"),
        pytest.param("BSP_MAX_EXPORT_BATCH_SIZE", "bsp_max_export_batch_size", 512, id="batch"),
    ],
)
def test_batch_variables(name: str, field: str, default: int | None) -> None:
    """The batch variables are whole numbers with the specification's defaults, faults by name where they are not."""
    assert default == getattr(read({}), field)
    assert default == getattr(read({name: ""}), field)
    assert getattr(read({name: "7"}), field) == 7
    for text in ("x", "-1", "1.5"):
        (fault,) = faults(lambda text=text: read({name: text}))  # type: ignore[misc]
        assert fault.startswith(f"OTEL_{name}: {text!r} is not a whole number from ")


@pytest.mark.parametrize(
    ("field", "lowest"),
    [
        pytest.param("bsp_schedule_delay", 0, id="delay"),
        pytest.param("bsp_export_timeout", 0, id="timeout"),
        pytest.param("bsp_max_queue_size", 1, id="queue"),
        pytest.param("bsp_max_export_batch_size", 1, id="batch"),
        pytest.param("metric_export_interval", 1, id="metric-interval"),
        pytest.param("metric_export_timeout", 0, id="metric-timeout"),
    ],
)
def test_numbers_are_bounded(field: str, lowest: int) -> None:
    """A whole number is one that whatever waits for it can take; one beyond is a fault that says how far it may go."""
    name = field.upper()
    assert getattr(read({name: str(2**31 - 1)}), field) == 2**31 - 1
    for text in (str(2**31), "9" * 40):
        assert faults(lambda text=text: read({name: text})) == (  # type: ignore[misc]
            f"OTEL_{name}: {text!r} is not a whole number from {lowest} to 2147483647",
        )
    for digits in (400, 5_000):
        assert faults(lambda digits=digits: read({name: "9" * digits})) == (  # type: ignore[misc]
            f"OTEL_{name}: '{'9' * 40}'... is not a whole number from {lowest} to 2147483647",
        )


SECRET = "authorization=Bearer hunter2"


@pytest.mark.parametrize(
    "name",
    [
        "BSP_SCHEDULE_DELAY",
        "METRIC_EXPORT_INTERVAL",
        "TRACES_EXPORTER",
        "METRICS_EXPORTER",
        "EXPORTER_OTLP_TIMEOUT",
        "EXPORTER_OTLP_PROTOCOL",
        "EXPORTER_OTLP_COMPRESSION",
        "EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    ],
)
def test_headers_in_another_variable_are_not_shown(name: str) -> None:
    """What looks like the headers, put into the wrong variable, is a fault without its text; a long text is cut."""

    def use(text: str) -> None:
        variables = read({name: text})
        exporters_of(variables)
        exports_metrics(variables)
        metric_preferences_of(variables)
        destination_of(variables, warn=[])

    (fault,) = faults(lambda: use(SECRET))
    assert fault.startswith(f"OTEL_{name}: a text with '=' is n")
    assert "hunter2" not in fault
    (fault,) = faults(lambda: use("x" * 5_000))
    assert fault.startswith(f"OTEL_{name}: '{'x' * 40}'... is n")


def test_zero_export_timeout() -> None:
    """An export timeout of 0 is none, as the specification has it."""
    assert read({"BSP_EXPORT_TIMEOUT": "0"}).bsp_export_timeout == 2**31 - 1


# Limits, which the SDK reads on import

LIMITS = (
    "ATTRIBUTE_COUNT_LIMIT",
    "ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "SPAN_ATTRIBUTE_COUNT_LIMIT",
    "SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "SPAN_EVENT_COUNT_LIMIT",
    "SPAN_LINK_COUNT_LIMIT",
    "EVENT_ATTRIBUTE_COUNT_LIMIT",
    "LINK_ATTRIBUTE_COUNT_LIMIT",
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("many", id="word"),
        pytest.param("-1", id="negative"),
        pytest.param("1.5", id="fraction"),
        pytest.param("²", id="digit-that-is-no-number"),
    ],
)
def test_limit_faults(text: str) -> None:
    """Limits that are no numbers are taken out and told, a line each; the rest of the environment stays."""
    environ = {f"OTEL_{name}": text for name in LIMITS} | {"OTEL_SERVICE_NAME": "x", "A_LIMIT": text}
    lines: list[str] = []

    prepare_limits(environ, faults=lines)

    assert [f"OTEL_{name}: {text!r} is not a number" for name in LIMITS] == lines
    assert environ == {"OTEL_SERVICE_NAME": "x", "A_LIMIT": text}


def test_limits_that_are_too_large() -> None:
    """One with more digits than Python reads is taken out and told; one that is merely large stays."""
    environ = {"OTEL_SPAN_EVENT_COUNT_LIMIT": "9" * 5_000, "OTEL_ATTRIBUTE_COUNT_LIMIT": "9" * 400}
    lines: list[str] = []

    prepare_limits(environ, faults=lines)

    assert environ == {"OTEL_ATTRIBUTE_COUNT_LIMIT": "9" * 400}
    assert lines == [f"OTEL_SPAN_EVENT_COUNT_LIMIT: '{'9' * 40}'... is too large a number"]


def test_limit_faults_are_raised() -> None:
    """Where nobody collects the lines they are an error."""
    assert faults(lambda: prepare_limits({"OTEL_SPAN_LINK_COUNT_LIMIT": "x"})) == (
        "OTEL_SPAN_LINK_COUNT_LIMIT: 'x' is not a number",
    )


def test_good_limits() -> None:
    """Numbers stay, and an empty limit is unset."""
    good = {"OTEL_SPAN_EVENT_COUNT_LIMIT": "0", "OTEL_SPAN_LINK_COUNT_LIMIT": "128"}
    environ = {**good, "OTEL_ATTRIBUTE_COUNT_LIMIT": ""}

    prepare_limits(environ)

    assert good == environ


@pytest.mark.parametrize(
    "text",
    [pytest.param(text, id=ascii(text)) for text in ("x", "-1", "²", " ", "", "7")]
    + [pytest.param("9" * 5_000, id="long")],
)
def test_sdk_can_be_imported(text: str) -> None:
    """Whatever the limits are, the SDK can be imported once they have been prepared."""
    program = (
        "import os; from csm_otel.config.standard import prepare_limits; prepare_limits(os.environ, faults=[]);"
        "from opentelemetry.sdk.trace import SpanLimits; print(SpanLimits().max_events)"
    )
    environ = {**os.environ, **{f"OTEL_{name}": text for name in LIMITS}}

    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False, timeout=60
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert ("7" if text == "7" else "128") == done.stdout.strip()


# Metrics


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", False, id="unset-is-none"),
        pytest.param("none", False, id="none"),
        pytest.param("otlp", True, id="otlp"),
        pytest.param(" OTLP , none", True, id="list"),
    ],
)
def test_metrics_are_on_where_asked_for(text: str, expected: bool) -> None:  # ruff: ignore[boolean-type-hint-positional-argument] - a column of the table
    """Nothing but otlp switches metrics on."""
    assert exports_metrics(read({"METRICS_EXPORTER": text})) is expected


def test_unknown_metrics_exporter() -> None:
    """An exporter that there is not is a fault."""
    assert faults(lambda: exports_metrics(read({"METRICS_EXPORTER": "otlp,prometheus"}))) == (
        "OTEL_METRICS_EXPORTER: 'prometheus' is none of otlp, none",
    )


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
    """Metrics have variables of their own, and share the general ones with traces."""
    given = read({f"EXPORTER_OTLP_{name}": value for name, value in variables.items()})

    assert destination_of(given, warn=[], signal="metrics").url == url


def test_metrics_timeout_and_headers() -> None:
    """Milliseconds and percent-decoded pairs, as for traces."""
    given = read(
        {
            "EXPORTER_OTLP_METRICS_TIMEOUT": "1500",
            "EXPORTER_OTLP_TIMEOUT": "9000",
            "EXPORTER_OTLP_METRICS_HEADERS": "k=a%20b",
        }
    )
    destination = destination_of(given, warn=[], signal="metrics")

    assert (destination.timeout_seconds, destination.headers) == (1.5, (("k", "a b"),))
