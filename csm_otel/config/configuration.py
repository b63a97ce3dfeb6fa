"""A command's configuration: one valid value, built once from flags and environment (`read_configuration`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from csm_otel.config.environment import Given, read_environment, read_settings
from csm_otel.config.otlp import destination_of, has_endpoint
from csm_otel.config.setting import Address
from csm_otel.config.settings import SETTINGS, Settings
from csm_otel.config.standard import (
    EXPORTER_PROTOCOLS,
    HISTOGRAMS,
    TEMPORALITIES,
    VARIABLES,
    XRAY,
    StandardVariables,
    service_name_of,
)
from csm_otel.correlation.correlator import CorrelatorLimits
from csm_otel.csm.times import TimestampMode
from csm_otel.delivery.limits import SpanLimits, limits_of
from csm_otel.delivery.sampler_choice import SamplerChoice, choose_sampler
from csm_otel.errors import collecting
from csm_otel.files.line_file import STDOUT
from csm_otel.spans.options import MappingOptions, MessageMode, RpcConventions, TraceGrouping

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from csm_otel.ci.pipelines import PipelineRun
    from csm_otel.delivery.destination import Destination
    from csm_otel.errors import Fault

_MS = 1000.0
_PROMETHEUS = Address("localhost", 9464)  # "Environment Variable Specification", Prometheus Exporter
_DELAY_MS = 5000  # as specified
# A kill -9 loses what is not on disk. More requests are the price, at most five a second.
_SPOOL_DELAY_MS = 200


class Batches(NamedTuple):
    """The batches of spans for the back end."""

    most_spans: int
    """The most spans in one request."""
    delay_seconds: float
    """The age at which a batch is sent that is not full."""
    queue_spans: int | None
    """The most that wait for the back end, besides the bound in bytes; None: any number."""
    timeout_seconds: float
    """For one delivery, besides the destination's own."""


class PrometheusExport(NamedTuple):
    """Metrics for Prometheus, which fetches them: at the port of ``--health``, where there is one."""

    address: Address | None
    """Where to listen besides; None: nowhere."""


class MetricExport(NamedTuple):
    """The export of metrics over OTLP."""

    destination: Destination
    interval_seconds: float
    timeout_seconds: float
    """For one export."""
    temporality: str
    histograms: str
    warnings: tuple[str, ...]
    """As those of `Configuration`, about the variables of this export."""


class Configuration(NamedTuple):
    """The operator's settings: valid, complete and immutable."""

    settings: Settings
    exporters: tuple[str, ...]
    """Of ``otlp`` and ``console``."""
    traces: Destination | None
    """The destination of spans; None without a back end, or if its variables are unusable."""
    metrics: MetricExport | None
    prometheus: PrometheusExport | None
    exemplars: str
    """A value of ``OTEL_METRICS_EXEMPLAR_FILTER``."""
    batches: Batches
    span_limits: SpanLimits
    sampler: SamplerChoice
    resource: Mapping[str, str]
    """Attributes of every resource."""
    pipeline_run: PipelineRun | None
    """The CI pipeline that this process is part of."""
    mapping: MappingOptions
    correlator: CorrelatorLimits
    timestamps: TimestampMode
    group: TraceGrouping
    drain_seconds: float
    """How long shutdown may take."""
    warnings: tuple[str, ...]
    """Lines about variables that are read otherwise than they look."""


def read_configuration(command: str, flags: Mapping[str, Any]) -> tuple[Configuration, list[Fault]]:
    """Return the configuration of a command, and the faults of flags and variables.

    An unusable value is replaced by its default.
    """
    return configure(command, read_environment(flags))


def configuration_of_report(flags: Mapping[str, Any]) -> tuple[Configuration, list[Fault]]:
    """Return the configuration of `report`, which sends spans nowhere, and the faults of flags and variables.

    The standard variables are not read, so that a report depends on its files and its flags.
    """
    settings, faults = read_settings(flags)
    given = Given(settings._replace(file=None, record=None, spool=None), StandardVariables(), faults)
    return configure("replay", given)


def configure(command: str, given: Given) -> tuple[Configuration, list[Fault]]:
    """Return the configuration of a command from the given values, and their faults."""
    settings, variables = given.settings, given.variables
    faults = [*given.setting_faults]
    warnings: list[str] = []
    faults += [fault for field, fault in given.variable_faults.items() if field in _ALWAYS_USED]
    exporters: tuple[str, ...] = ()
    traces = metrics = prometheus = None
    if not variables.sdk_disabled:
        exporters = _exporters(command, given, faults)
        if "otlp" in exporters:
            traces = destination_of(given, signal="traces", faults=faults, warnings=warnings)
        faults += _faults_of(given, "metrics_exporter")
        metrics = _metrics(given, faults)
        prometheus = _prometheus(command, given, faults, warnings)
        if metrics is not None or prometheus is not None:
            faults += _faults_of(given, "metrics_exemplar_filter")
    sampler = SamplerChoice()
    with collecting(faults):
        sampler = choose_sampler(variables.traces_sampler, variables.traces_sampler_arg)
    drain_seconds = settings.drain_seconds
    configuration = Configuration(
        settings=settings,
        exporters=exporters,
        traces=traces,
        metrics=metrics,
        prometheus=prometheus,
        exemplars=variables.metrics_exemplar_filter,
        batches=_batches(settings, variables),
        span_limits=_span_limits(variables),
        sampler=sampler,
        resource=dict(variables.resource_attributes),
        pipeline_run=given.pipeline_run,
        mapping=_mapping_options(settings, variables),
        correlator=CorrelatorLimits(
            grace_seconds=settings.grace_seconds,
            attempt_wait_seconds=settings.attempt_wait_seconds,
            pending_events=settings.pending_events,
            pending_bytes=settings.pending_bytes,
        ),
        timestamps=TimestampMode(settings.timestamps),
        group=TraceGrouping(settings.group),
        drain_seconds=SETTINGS["drain_seconds"].default_of(command) if drain_seconds is None else drain_seconds,
        warnings=tuple(warnings),
    )
    return configuration, faults


_ALWAYS_USED = {
    field
    for field in VARIABLES
    if field.startswith(("bsp_", "metric_export_", "resource_", "python_")) or field.endswith("_limit")
}


def _faults_of(given: Given, *fields: str) -> list[Fault]:
    return [given.variable_faults[field] for field in fields if field in given.variable_faults]


def _exporters(command: str, given: Given, faults: list[Fault]) -> tuple[str, ...]:
    unusable = _faults_of(given, "traces_exporter")
    faults += unusable
    exporters = given.variables.traces_exporter
    if exporters is None and not unusable and has_endpoint(given):
        return ("otlp",)
    default: tuple[str, ...] = VARIABLES["traces_exporter"].default_of(command)
    if command == "replay" and given.settings.file == STDOUT:
        default = ()  # for the console, as nobody has asked for it
    return default if exporters is None else _kinds(exporters)


def _kinds(exporters: tuple[str, ...]) -> tuple[str, ...]:
    """Return each exporter once; one for OTLP may name its protocol, too."""
    return tuple(dict.fromkeys("otlp" if name in EXPORTER_PROTOCOLS else name for name in exporters))


def _metrics(given: Given, faults: list[Fault]) -> MetricExport | None:
    """Return the export of metrics, or None if they are off or their back end cannot be used."""
    variables = given.variables
    if "otlp" not in _kinds(variables.metrics_exporter or ()):
        return None
    warnings: list[str] = []
    destination = destination_of(given, signal="metrics", faults=faults, warnings=warnings)
    preferences = (
        "exporter_otlp_metrics_temporality_preference",
        "exporter_otlp_metrics_default_histogram_aggregation",
    )
    unusable = _faults_of(given, *preferences)
    faults += unusable
    if destination is None or unusable:
        return None
    return MetricExport(
        destination,
        interval_seconds=variables.metric_export_interval / _MS,
        timeout_seconds=min(destination.timeout_seconds, variables.metric_export_timeout / _MS),
        temporality=variables.exporter_otlp_metrics_temporality_preference or TEMPORALITIES[0],
        histograms=variables.exporter_otlp_metrics_default_histogram_aggregation or HISTOGRAMS[0],
        warnings=tuple(warnings),
    )


def _prometheus(command: str, given: Given, faults: list[Fault], warnings: list[str]) -> PrometheusExport | None:
    """Return the export to Prometheus, or None if it is off, unusable or not for this command."""
    variables = given.variables
    if "prometheus" not in (variables.metrics_exporter or ()):
        return None
    if command != "serve":
        if command == "exec":
            warnings.append(
                "OTEL_METRICS_EXPORTER: prometheus is for serve; a command ends before it is scraped, use otlp"
            )
        return None
    unusable = _faults_of(given, "exporter_prometheus_host", "exporter_prometheus_port")
    faults += unusable
    if unusable:
        return None
    host, port = variables.exporter_prometheus_host, variables.exporter_prometheus_port
    if given.settings.health is not None and not host and port is None:
        return PrometheusExport(address=None)
    return PrometheusExport(Address(host or _PROMETHEUS.host, _PROMETHEUS.port if port is None else port))


def _batches(settings: Settings, variables: StandardVariables) -> Batches:
    delay_ms = variables.bsp_schedule_delay
    if delay_ms is None:
        delay_ms = _SPOOL_DELAY_MS if settings.spool else _DELAY_MS
    return Batches(
        most_spans=min(variables.bsp_max_export_batch_size, variables.bsp_max_queue_size or 2**31),
        delay_seconds=delay_ms / _MS,
        queue_spans=variables.bsp_max_queue_size,
        timeout_seconds=variables.bsp_export_timeout / _MS,
    )


def _span_limits(variables: StandardVariables) -> SpanLimits:
    return limits_of(
        attributes=variables.attribute_count_limit,
        attribute_length=variables.attribute_value_length_limit,
        span_attributes=variables.span_attribute_count_limit,
        span_attribute_length=variables.span_attribute_value_length_limit,
        events=variables.span_event_count_limit,
        event_attributes=variables.event_attribute_count_limit,
    )


def _mapping_options(settings: Settings, variables: StandardVariables) -> MappingOptions:
    return MappingOptions(
        rpc_conventions=_rpc_conventions(variables),
        messages=MessageMode(settings.messages),
        account_id=settings.account_id,
        user_agent=settings.user_agent,
        peer_service=settings.peer_service,
        trust_remote_context=settings.trust_remote_context,
        service_name=service_name_of(variables.service_name, variables.resource_attributes),
        xray_trace_ids=variables.python_id_generator == XRAY,
    )


def _rpc_conventions(variables: StandardVariables) -> RpcConventions:
    """Return which RPC attribute names are wanted; values about other conventions do not concern csm-otel."""
    for choice in (RpcConventions.NEW_AND_OLD, RpcConventions.NEW):
        if choice.value in variables.semconv_stability_opt_in:
            return choice
    return RpcConventions.OLD_WITH_SYSTEM_NAME
