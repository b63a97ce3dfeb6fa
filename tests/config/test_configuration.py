"""The one configuration of a command, from flags and variables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from configured import configured, given

from csm_otel.config.configuration import Configuration, PrometheusExport, configuration_of_report, configure
from csm_otel.config.environment import Given
from csm_otel.config.setting import Address
from csm_otel.config.settings import Settings
from csm_otel.config.standard import StandardVariables
from csm_otel.csm.times import TimestampMode
from csm_otel.delivery.limits import SpanLimits
from csm_otel.delivery.sampler_choice import SamplerChoice
from csm_otel.spans.options import MessageMode, RpcConventions, TraceGrouping

if TYPE_CHECKING:
    from collections.abc import Mapping


def by(command: str = "serve", **variables: str) -> Configuration:
    """Return the configuration by these variables, which can all be used; their names begin behind ``OTEL_``."""
    configuration, faults = configure(command, given({f"OTEL_{name}": text for name, text in variables.items()}))
    assert not faults
    return configuration


def faults_by(variables: Mapping[str, str], *, command: str = "serve") -> list[str]:
    """Return the names of the faults."""
    return [fault.name for fault in configure(command, given(variables))[1]]


@pytest.mark.parametrize(
    ("command", "variables", "expected"),
    [
        pytest.param("serve", {}, ("otlp",), id="serve"),
        pytest.param("exec", {}, ("console",), id="exec"),
        pytest.param("replay", {}, ("console",), id="replay"),
        pytest.param("exec", {"EXPORTER_OTLP_ENDPOINT": "http://c"}, ("otlp",), id="endpoint"),
        pytest.param("exec", {"EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, ("otlp",), id="traces-endpoint"),
        pytest.param("exec", {"EXPORTER_OTLP_HEADERS": "a=b"}, ("console",), id="headers-alone"),
        pytest.param("serve", {"TRACES_EXPORTER": "console"}, ("console",), id="asked-for"),
        pytest.param("exec", {"TRACES_EXPORTER": "otlp,console"}, ("otlp", "console"), id="both"),
        pytest.param("exec", {"TRACES_EXPORTER": "otlp_proto_http"}, ("otlp",), id="otlp-with-its-protocol"),
        pytest.param("exec", {"TRACES_EXPORTER": "otlp_proto_grpc,otlp"}, ("otlp",), id="two-names-of-one"),
        pytest.param("serve", {"TRACES_EXPORTER": "logging"}, ("console",), id="old-name"),
        pytest.param("serve", {"TRACES_EXPORTER": "none", "EXPORTER_OTLP_ENDPOINT": "http://c"}, (), id="none"),
        pytest.param("serve", {"SDK_DISABLED": "true", "TRACES_EXPORTER": "otlp"}, (), id="disabled"),
    ],
)
def test_exporters(command: str, variables: dict[str, str], expected: tuple[str, ...]) -> None:
    """Exporters are selected by name or by an endpoint, else the command's default."""
    configuration = by(command, **variables)

    assert configuration.exporters == expected
    assert (configuration.traces is not None) == ("otlp" in expected)


@pytest.mark.parametrize(
    ("command", "variables", "expected"),
    [
        pytest.param("replay", {}, (), id="replay"),
        pytest.param("replay", {"OTEL_TRACES_EXPORTER": "console"}, ("console",), id="asked-for"),
        pytest.param("replay", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, ("otlp",), id="endpoint"),
        pytest.param("exec", {}, ("console",), id="exec"),
    ],
)
def test_the_console_with_lines_to_stdout(command: str, variables: dict[str, str], expected: tuple[str, ...]) -> None:
    """By default a replay prints no waterfall where its lines go; that of exec is on stderr."""
    configuration, faults = configure(command, given(variables, flags={"file": Path("-")}))

    assert (configuration.exporters, faults) == (expected, [])


@pytest.mark.parametrize(("command", "seconds"), [("serve", 8.0), ("exec", 5.0), ("replay", 30.0)])
def test_time_for_shutdown(command: str, seconds: float) -> None:
    """Each command has a default, which the setting replaces; 0 is a setting."""
    assert configured(command).drain_seconds == seconds
    assert configured(command, drain_seconds=0).drain_seconds == 0


@pytest.mark.parametrize(
    ("spool", "asked", "expected"),
    [
        pytest.param(None, None, 5.0, id="as-specified"),
        pytest.param(Path("spool"), None, 0.2, id="soon-on-disk"),
        pytest.param(None, 20, 0.02, id="asked"),
        pytest.param(Path("spool"), 5000, 5.0, id="asked-with-a-spool"),
        pytest.param(Path("spool"), 0, 0.0, id="at-once"),
    ],
)
def test_batch_delay(spool: Path | None, asked: int | None, expected: float) -> None:
    """With a spool batches leave sooner than specified, unless a delay is set: a kill loses everything not on disk."""
    settings, variables = Settings(spool=spool), StandardVariables(bsp_schedule_delay=asked)

    assert configure("serve", Given(settings, variables))[0].batches.delay_seconds == expected


def test_batches() -> None:
    """A batch is not larger than the queue; the other values are those of the variables, in seconds."""
    assert by(BSP_MAX_QUEUE_SIZE="7", BSP_EXPORT_TIMEOUT="1500").batches == (7, 5.0, 7, 1.5)
    assert by(BSP_MAX_EXPORT_BATCH_SIZE="9").batches == (9, 5.0, None, 30.0)


def test_span_limits() -> None:
    """The limits of the specification are read."""
    assert by().span_limits == SpanLimits()
    assert by(
        ATTRIBUTE_COUNT_LIMIT="1",
        ATTRIBUTE_VALUE_LENGTH_LIMIT="2",
        SPAN_ATTRIBUTE_COUNT_LIMIT="3",
        SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT="4",
        SPAN_EVENT_COUNT_LIMIT="5",
        EVENT_ATTRIBUTE_COUNT_LIMIT="6",
    ).span_limits == SpanLimits(3, 4, 5, 6, 2)


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
    """The opt-in list chooses the names of RPC attributes; its other values are ignored."""
    assert by(SEMCONV_STABILITY_OPT_IN=text).mapping.rpc_conventions is expected


@pytest.mark.parametrize(("text", "expected"), [("", False), ("random", False), ("xray", True)])
def test_xray_trace_ids(text: str, expected: bool) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
    """Trace ids begin with their time on request."""
    assert by(PYTHON_ID_GENERATOR=text).mapping.xray_trace_ids is expected


@pytest.mark.parametrize(
    ("setting", "where", "expected"),
    [
        ({"timestamps": "end"}, lambda one: one.timestamps, TimestampMode.END),
        ({"group": "process"}, lambda one: one.group, TraceGrouping.PROCESS),
        ({"messages": "none"}, lambda one: one.mapping.messages, MessageMode.NONE),
        ({"account_id": False}, lambda one: one.mapping.account_id, False),
        ({"user_agent": True}, lambda one: one.mapping.user_agent, True),
        ({"peer_service": True}, lambda one: one.mapping.peer_service, True),
        ({"trust_remote_context": True}, lambda one: one.mapping.trust_remote_context, True),
        ({"grace_seconds": 1.5}, lambda one: one.correlator.grace_seconds, 1.5),
        ({"attempt_wait_seconds": 2.0}, lambda one: one.correlator.attempt_wait_seconds, 2.0),
        ({"pending_events": 3}, lambda one: one.correlator.pending_events, 3),
        ({"pending_bytes": 2**21}, lambda one: one.correlator.pending_bytes, 2**21),
    ],
)
def test_where_settings_are_used(setting: dict[str, Any], where: Any, expected: object) -> None:
    """Each setting reaches its user."""
    assert where(configured(**setting)) == expected
    assert where(configured()) != expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ""),
        ({"SERVICE_NAME": "a", "RESOURCE_ATTRIBUTES": "service.name=b"}, "a"),
        ({"RESOURCE_ATTRIBUTES": "service.name=b%20c"}, "b c"),
    ],
)
def test_service_name(variables: dict[str, str], expected: str) -> None:
    """The name of applications that have none."""
    assert by(**variables).mapping.service_name == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, SamplerChoice()),
        ({"TRACES_SAMPLER": "always_off"}, SamplerChoice("always_off", follows_parent=False)),
        (
            {"TRACES_SAMPLER": "parentbased_traceidratio", "TRACES_SAMPLER_ARG": "0.5"},
            SamplerChoice("traceidratio", ratio=0.5),
        ),
    ],
)
def test_sampler(variables: dict[str, str], expected: SamplerChoice) -> None:
    """The sampler is chosen by its two variables."""
    assert by(**variables).sampler == expected


def test_metrics() -> None:
    """Metrics are exported if selected, with the numbers of their variables."""
    assert by().metrics is None
    assert by(METRICS_EXPORTER="none").metrics is None
    export = by(
        METRICS_EXPORTER="otlp",
        METRIC_EXPORT_INTERVAL="1000",
        METRIC_EXPORT_TIMEOUT="2000",
        EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="Delta",
    ).metrics

    assert export is not None
    assert export.destination.url == "http://localhost:4318/v1/metrics"
    assert export[1:] == (1.0, 2.0, "delta", "explicit_bucket_histogram", ())


@pytest.mark.parametrize(
    ("variables", "health", "expected"),
    [
        pytest.param({}, None, ("localhost", 9464), id="the-specified-address"),
        pytest.param({"HOST": "::1", "PORT": "0"}, None, ("::1", 0), id="another-address"),
        pytest.param({}, Address("127.0.0.1", 8080), None, id="the-port-of-health"),
        pytest.param({"PORT": "9465"}, Address("127.0.0.1", 8080), ("localhost", 9465), id="both-by-port"),
        pytest.param({"HOST": "10.1.2.3"}, Address("127.0.0.1", 8080), ("10.1.2.3", 9464), id="both-by-host"),
    ],
)
def test_the_address_for_prometheus(
    variables: dict[str, str], health: Address | None, expected: tuple[str, int] | None
) -> None:
    """It is the specified one, unless the port of health will do and no other is asked for."""
    names = {"OTEL_METRICS_EXPORTER": "prometheus"}
    names |= {f"OTEL_EXPORTER_PROMETHEUS_{name}": value for name, value in variables.items()}
    configuration, faults = configure("serve", given(names, flags={"health": health}))

    assert not faults
    assert configuration.metrics is None
    assert configuration.prometheus == PrometheusExport(expected and Address(*expected))


def test_metrics_for_prometheus_and_a_back_end() -> None:
    """Both are exported if both are named."""
    configuration = by(METRICS_EXPORTER="prometheus,otlp_proto_grpc")

    assert configuration.prometheus is not None
    assert configuration.metrics is not None
    assert configuration.metrics.destination.protocol == "grpc"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param(
            "exec",
            ("OTEL_METRICS_EXPORTER: prometheus is for serve; a command ends before it is scraped, use otlp",),
            id="exec",
        ),
        pytest.param("replay", (), id="replay"),
    ],
)
def test_only_a_daemon_is_scraped(command: str, expected: tuple[str, ...]) -> None:
    """A command is traced without, and a line says so; a replay has no metrics in any case."""
    variables = {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": "x"}
    configuration, faults = configure(command, given(variables))

    assert (configuration.prometheus, configuration.warnings, faults) == (None, expected, [])


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({}, "trace_based", id="default"),
        pytest.param({"METRICS_EXEMPLAR_FILTER": "always_off"}, "always_off", id="off"),
    ],
)
def test_exemplars(variables: dict[str, str], expected: str) -> None:
    """Which values become exemplars is as the variable says."""
    assert by(METRICS_EXPORTER="otlp", **variables).exemplars == expected


def test_the_shorter_timeout_of_metrics_holds() -> None:
    """That of OTLP, or that of the export."""
    export = by(METRICS_EXPORTER="otlp", EXPORTER_OTLP_TIMEOUT="1500").metrics

    assert export is not None
    assert export.timeout_seconds == pytest.approx(1.5)


def test_metrics_without_a_usable_preference() -> None:
    """An unusable preference is a fault, and there are no metrics then."""
    variables = {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "x"}
    configuration, faults = configure("serve", given(variables))

    assert configuration.metrics is None
    assert [fault.name for fault in faults] == ["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"]


def test_warnings() -> None:
    """A timeout that can only be meant in seconds is read as such, with a warning."""
    configuration = by(EXPORTER_OTLP_TIMEOUT="5")

    assert configuration.traces is not None
    assert configuration.traces.timeout_seconds == 5
    (warning,) = configuration.warnings
    assert warning == "OTEL_EXPORTER_OTLP_TIMEOUT=5 is read as seconds; the variable is in milliseconds"


def test_warnings_of_metrics() -> None:
    """Those about the variables of metrics are kept with their export, and are there only with it."""
    variables = {"METRICS_EXPORTER": "otlp", "EXPORTER_OTLP_METRICS_TIMEOUT": "5"}
    configuration = by(**variables)

    assert configuration.metrics is not None
    assert configuration.metrics.warnings == (
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT=5 is read as seconds; the variable is in milliseconds",
    )
    assert configuration.warnings == ()
    assert by(SDK_DISABLED="true", **variables).metrics is None


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({"CSM_OTEL_PORT": "x"}, ["CSM_OTEL_PORT"], id="ours"),
        pytest.param({"OTEL_RESOURCE_ATTRIBUTES": "x"}, ["OTEL_RESOURCE_ATTRIBUTES"], id="resource"),
        pytest.param({"OTEL_TRACES_EXPORTER": "zipkin"}, ["OTEL_TRACES_EXPORTER"], id="exporter"),
        pytest.param({"OTEL_PYTHON_ID_GENERATOR": "x"}, ["OTEL_PYTHON_ID_GENERATOR"], id="ids"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "x"}, ["OTEL_EXPORTER_OTLP_ENDPOINT"], id="endpoint"),
        pytest.param({"OTEL_SPAN_LINK_COUNT_LIMIT": "x"}, ["OTEL_SPAN_LINK_COUNT_LIMIT"], id="limit"),
        pytest.param(
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "x"},
            ["OTEL_TRACES_SAMPLER_ARG"],
            id="ratio",
        ),
        pytest.param({"OTEL_TRACES_SAMPLER_ARG": "x"}, [], id="ratio-of-no-sampler"),
        pytest.param({"OTEL_TRACES_EXPORTER": "console", "OTEL_EXPORTER_OTLP_HEADERS": "x"}, [], id="no-back-end"),
        pytest.param({"OTEL_EXPORTER_OTLP_METRICS_HEADERS": "x"}, [], id="no-metrics"),
        pytest.param({"OTEL_METRICS_EXEMPLAR_FILTER": "x"}, [], id="no-exemplars"),
        pytest.param(
            {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_METRICS_EXEMPLAR_FILTER": "x"},
            ["OTEL_METRICS_EXEMPLAR_FILTER"],
            id="exemplars",
        ),
        pytest.param(
            {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": "65536"},
            ["OTEL_EXPORTER_PROMETHEUS_PORT"],
            id="prometheus",
        ),
        pytest.param({"OTEL_EXPORTER_PROMETHEUS_PORT": "65536"}, [], id="no-prometheus"),
        pytest.param(
            {"OTEL_TRACES_EXPORTER": "none", "OTEL_BSP_SCHEDULE_DELAY": "x", "OTEL_METRIC_EXPORT_INTERVAL": "x"},
            ["OTEL_BSP_SCHEDULE_DELAY", "OTEL_METRIC_EXPORT_INTERVAL"],
            id="numbers-are-always-checked",
        ),
        pytest.param({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "zipkin"}, [], id="disabled"),
        pytest.param(
            {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_HEADERS": "x"},
            ["OTEL_EXPORTER_OTLP_HEADERS"],
            id="once-for-both-signals",
        ),
    ],
)
def test_faults(variables: dict[str, str], expected: list[str]) -> None:
    """A number that cannot be used is a fault, and so is any other value in use; OTLP variables not in use are not."""
    assert faults_by(variables) == expected


@pytest.mark.parametrize("command", ["serve", "exec", "replay"])
def test_defaults_replace_unusable_values(command: str) -> None:
    """With faults the configuration is valid, too, with the defaults."""
    variables = {
        "CSM_OTEL_GRACE_SECONDS": "soon",
        "CSM_OTEL_TIMESTAMPS": "middle",
        "OTEL_RESOURCE_ATTRIBUTES": "a=b,c",
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "x",
        "OTEL_TRACES_EXPORTER": "zipkin",
        "OTEL_BSP_SCHEDULE_DELAY": "soon",
    }
    configuration, faults = configure(command, given(variables))

    assert configuration == configured(command)
    assert len(faults) == 6


def test_report_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable gives a report a destination, and none of the standard ones changes it or is at fault."""
    for name, text in {
        "CSM_OTEL_FILE": "spans.jsonl",
        "CSM_OTEL_SPOOL": "spool",
        "CSM_OTEL_RECORD": "kept.ndjson",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_TRACES_SAMPLER": "always_off",
        "OTEL_BSP_SCHEDULE_DELAY": "soon",
    }.items():
        monkeypatch.setenv(name, text)
    configuration, faults = configuration_of_report({"group": "process"})
    settings = configuration.settings

    assert (configuration.traces, configuration.metrics, faults) == (None, None, [])
    assert (settings.file, settings.spool, settings.record, settings.group) == (None, None, None, "process")
    assert configuration.sampler == SamplerChoice()
