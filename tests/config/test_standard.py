"""The standard OpenTelemetry variables, as specified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from configured import given

from csm_otel.config.standard import VARIABLES, StandardVariables, service_name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csm_otel.errors import Fault

NOT_PAIRS = "not a list of key=value"


def read(variables: Mapping[str, str]) -> StandardVariables:
    """Return what is read where only these variables are set, all of which can be used; names begin behind OTEL_."""
    found = given({f"OTEL_{name}": value for name, value in variables.items()})
    assert not found.variable_faults
    return found.variables


def fault_of(name: str, text: str) -> Fault:
    """Return the fault of a variable, which leaves its default."""
    found = given({f"OTEL_{name}": text})
    (fault,) = found.variable_faults.values()
    assert fault.name == f"OTEL_{name}"
    assert found.variables == StandardVariables()
    return fault


def test_nothing_set() -> None:
    """Without variables, and with empty ones, the defaults apply."""
    assert read({}) == StandardVariables()
    assert read(dict.fromkeys((setting.variable[5:] for setting in VARIABLES.values()), "")) == StandardVariables()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", None, id="unset"),
        pytest.param(" , ", None, id="empty-list"),
        pytest.param("otlp", ("otlp",), id="otlp"),
        pytest.param(" OTLP , console,otlp", ("otlp", "console"), id="list"),
        pytest.param("none", (), id="none"),
        pytest.param("logging", ("console",), id="the-old-name-of-console"),
        pytest.param("console,Logging", ("console",), id="both-names-of-console"),
        pytest.param("otlp_proto_http", ("otlp_proto_http",), id="otlp-with-its-protocol"),
    ],
)
def test_exporters(text: str, expected: tuple[str, ...] | None) -> None:
    """Exporters are a list of names in any case; ``none`` is an empty list, which is not the same as unset."""
    assert read({"TRACES_EXPORTER": text}).traces_exporter == expected


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("TRACES_EXPORTER", "otlp,zipkin", "'zipkin' is none of otlp, console, none"),
        (
            "TRACES_EXPORTER",
            "otlp/stdout",
            "'otlp/stdout' is not an exporter here, use --file for OTLP JSON lines (- is stdout)",
        ),
        (
            "TRACES_EXPORTER",
            "logging-otlp",
            "'logging-otlp' is not an exporter here, use --file for OTLP JSON lines (- is stdout)",
        ),
        (
            "TRACES_EXPORTER",
            "otlp_proto_http,otlp_proto_grpc",
            "otlp_proto_http and otlp_proto_grpc are two protocols, name one",
        ),
        ("METRICS_EXPORTER", "otlp,statsd", "'statsd' is none of otlp, prometheus, none"),
        ("PYTHON_ID_GENERATOR", "snowflake", "'snowflake' is none of random, xray"),
        ("METRICS_EXPORTER", "otlp/stdout", "'otlp/stdout' is none of otlp, prometheus, none"),
        ("METRICS_EXPORTER", "logging", "'logging' is none of otlp, prometheus, none"),
    ],
)
def test_unknown_names(name: str, text: str, why: str) -> None:
    """The name of what csm-otel does not have is a fault, which says what it has."""
    assert fault_of(name, text).text == why


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param("a=b", {"a": "b"}, id="one"),
        pytest.param(" a.b = c , d=e,", {"a.b": "c", "d": "e"}, id="blanks-and-last-comma"),
        pytest.param("a=b=c", {"a": "b=c"}, id="equals-in-value"),
        pytest.param("a%20b=%2C%3D%C3%A9", {"a b": ",=é"}, id="percent-decoded"),
        pytest.param("a%2Cb=1,a%2cb=2", {"a,b": "2"}, id="one-key-in-two-spellings"),
        pytest.param("a=", {"a": ""}, id="empty-value"),
        pytest.param("a=1,a=2", {"a": "2"}, id="the-last-holds"),
        pytest.param("a%252Cb=c%252Cd", {"a%2Cb": "c%2Cd"}, id="encoded-twice-is-decoded-once"),
        pytest.param("a%2Cb=1,a%252Cb=2", {"a,b": "1", "a%2Cb": "2"}, id="encoded-twice-is-another-key"),
        pytest.param("zones=a%2Cb%2Cc,x=y", {"zones": "a,b,c", "x": "y"}, id="commas-in-value"),
        pytest.param(",a=1,, ,b=2,", {"a": "1", "b": "2"}, id="empty-pairs"),
        pytest.param(",", {}, id="only-empty-pairs"),
        pytest.param("share=50%,x=%zz", {"share": "50%", "x": "%zz"}, id="percent-of-nothing"),
        pytest.param("a=%FF", {"a": "\ufffd"}, id="not-utf-8"),
    ],
)
def test_resource_attributes(text: str, expected: dict[str, str]) -> None:
    """Resource attributes are a list of key=value, both percent-decoded, with each key once."""
    assert read({"RESOURCE_ATTRIBUTES": text}).resource_attributes == tuple(expected.items())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a", id="no-equals"),
        pytest.param("=b", id="no-key"),
        pytest.param("=", id="no-key-and-no-value"),
        pytest.param("zones=a,b", id="comma-that-is-not-encoded"),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_one_malformed_attribute(text: str, *, before: bool) -> None:
    """If one pair is malformed the whole list is discarded, as specified."""
    assert fault_of("RESOURCE_ATTRIBUTES", f"ok=1,{text}" if before else f"{text},ok=1").text == NOT_PAIRS


@pytest.mark.parametrize(
    ("service_name", "attributes", "expected"),
    [
        ("", (), ""),
        ("a", (("service.name", "b"),), "a"),
        ("", (("x", "y"), ("service.name", "b")), "b"),
    ],
)
def test_service_name(service_name: str, attributes: tuple[tuple[str, str], ...], expected: str) -> None:
    """Its own variable wins over the resource attribute."""
    assert service_name_of(service_name, attributes) == expected


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
    assert read({"SDK_DISABLED": text}).sdk_disabled is expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        pytest.param("PROPAGATORS", "b3, tracecontext", ("b3", "tracecontext"), id="propagators"),
        pytest.param("PROPAGATORS", " ", ("tracecontext", "baggage"), id="blank-propagators"),
        pytest.param("PROPAGATORS", ",", (), id="no-propagators"),
        pytest.param("SEMCONV_STABILITY_OPT_IN", "http,rpc/dup", ("http", "rpc/dup"), id="conventions"),
        pytest.param("TRACES_SAMPLER", " always_off ", "always_off", id="sampler"),
        pytest.param("PYTHON_ID_GENERATOR", " XRay", "xray", id="ids-of-xray"),
        pytest.param("PYTHON_ID_GENERATOR", "random", "random", id="random-ids"),
        pytest.param("PYTHON_ID_GENERATOR", " ", "random", id="blank-ids"),
        pytest.param("EXPORTER_OTLP_PROTOCOL", " gRPC ", "grpc", id="protocol"),
        pytest.param("EXPORTER_OTLP_TIMEOUT", "0", 0.0, id="no-timeout"),
        pytest.param("EXPORTER_OTLP_TIMEOUT", " ", None, id="blank-timeout"),
        pytest.param("EXPORTER_OTLP_INSECURE", "1", False, id="only-true-is-insecure"),
        pytest.param("EXPORTER_OTLP_HEADERS", "A=b%20", (("a", "b"),), id="headers"),
        pytest.param("BSP_SCHEDULE_DELAY", "5000.0", 5000, id="whole-number-with-a-point"),
        pytest.param("BSP_EXPORT_TIMEOUT", "0", 2**31 - 1, id="zero-is-no-batch-timeout"),
        pytest.param("METRIC_EXPORT_TIMEOUT", "0", 2**31 - 1, id="zero-is-no-metric-timeout"),
        pytest.param("SPAN_EVENT_COUNT_LIMIT", " 0 ", 0, id="limit"),
        pytest.param("ATTRIBUTE_COUNT_LIMIT", " ", None, id="blank-limit"),
        pytest.param("METRICS_EXPORTER", "none", (), id="no-metrics"),
    ],
)
def test_values(name: str, text: str, expected: Any) -> None:
    """Each variable has the value of its text."""
    assert getattr(read({name: text}), name.lower()) == expected


@pytest.mark.parametrize(
    ("name", "lowest"),
    [
        pytest.param("BSP_SCHEDULE_DELAY", 0, id="delay"),
        pytest.param("BSP_EXPORT_TIMEOUT", 0, id="timeout"),
        pytest.param("BSP_MAX_QUEUE_SIZE", 1, id="queue"),
        pytest.param("BSP_MAX_EXPORT_BATCH_SIZE", 1, id="batch"),
        pytest.param("METRIC_EXPORT_INTERVAL", 1, id="metric-interval"),
        pytest.param("METRIC_EXPORT_TIMEOUT", 0, id="metric-timeout"),
    ],
)
def test_numbers_are_bounded(name: str, lowest: int) -> None:
    """A whole number has inclusive bounds; one beyond is a fault that names them."""
    largest = 2**31 - 1
    assert getattr(read({name: str(largest)}), name.lower()) == largest
    assert getattr(read({name: "7"}), name.lower()) == 7
    for text in (str(largest + 1), "9" * 40, "x", "-1", "1.5"):
        assert fault_of(name, text).text == f"{text!r} is not a whole number from {lowest} to {largest}"
    for digits in (400, 5_000):
        assert fault_of(name, "9" * digits).text.startswith(f"'{'9' * 40}'... is not a whole number")


@pytest.mark.parametrize("field", [field for field in VARIABLES if field.endswith("_limit")])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("many", "'many' is not a number", id="word"),
        pytest.param("-1", "'-1' is not a number", id="negative"),
        pytest.param("1.5", "'1.5' is not a number", id="fraction"),
        pytest.param("²", "'²' is not a number", id="digit-that-is-no-number"),
        pytest.param("9" * 5_000, f"'{'9' * 40}'... is too large a number", id="more-digits-than-python-reads"),
    ],
)
def test_limit_faults(field: str, text: str, why: str) -> None:
    """A limit that is not a number is a fault."""
    assert fault_of(field.upper(), text).text == why


def test_a_large_limit() -> None:
    """A large limit is accepted."""
    assert read({"ATTRIBUTE_COUNT_LIMIT": "9" * 400}).attribute_count_limit == int("9" * 400)


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
    """Possible headers in the wrong variable are a fault without its text; a long text is cut."""
    fault = fault_of(name, "authorization=Bearer hunter2")
    assert fault.text.startswith("a text with '=' is n")
    assert "hunter2" not in fault.text
    assert fault_of(name, "x" * 5_000).text.startswith(f"'{'x' * 40}'... is n")
