"""The one place where the parts are put together."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.semconv._incubating.attributes.host_attributes import HOST_NAME
from opentelemetry.semconv._incubating.attributes.telemetry_attributes import (
    TELEMETRY_DISTRO_NAME,
    TELEMETRY_DISTRO_VERSION,
)
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME

from csm_otel import __version__
from csm_otel.config.standard import (
    StandardVariables,
    destination_of,
    exporters_of,
    exports_metrics,
    metric_preferences_of,
    resource_attributes_of,
    rpc_conventions_of,
)
from csm_otel.correlation.correlator import Correlator, CorrelatorLimits
from csm_otel.delivery.deliverer import open_deliverer
from csm_otel.delivery.sampling import HeadSampler, sampler_from
from csm_otel.engine.agent import Agent
from csm_otel.engine.batches import Batcher
from csm_otel.engine.bridge import Bridge
from csm_otel.engine.counting import Counting
from csm_otel.engine.outlets import Outlets, made, open_outlets
from csm_otel.engine.pipeline import Pipeline
from csm_otel.errors import SettingsError
from csm_otel.intake.allowed import AllowedNetworks
from csm_otel.intake.finder import OriginFinder
from csm_otel.spans.data import context_of
from csm_otel.spans.mapper import SpanMapper
from csm_otel.spans.options import MappingOptions, TraceGrouping
from csm_otel.spans.processes import ProcessTraces
from csm_otel.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from csm_otel.config.settings import Settings
    from csm_otel.delivery.metrics import Metrics
    from csm_otel.engine.source import Source
    from csm_otel.process.speaker import Speaker
    from csm_otel.spans.data import AttributeValue, SpanData

_MS = 1000.0
_DELAY_MS = 5000  # as specified
# What a kill -9 takes is what is not on disk. More requests are the price, at most five a second.
_SPOOL_DELAY_MS = 200


def build_bridge(
    *,
    settings: Settings,
    variables: StandardVariables,
    source: Source,
    speaker: Speaker,
    exporters: Sequence[str],
    show: Callable[[Sequence[SpanData]], None],
    faults: list[str] | None = None,
) -> Bridge:
    """Put the pipeline together.

    Where ``faults`` is given, a line for each part that cannot be had is added to it, and the others do without; spans
    that were to go to a back end are shown then.

    Raises:
        SettingsError: ``faults`` is not given, and there are such lines.
    """
    tally = Tally()
    found: list[str] = [] if faults is None else faults
    sampler = made(lambda: _sampler(variables), found) or _sampler(StandardVariables.model_construct())
    resource = made(lambda: resource_attributes_of(variables), found) or {}
    outlets = open_outlets(
        settings=settings,
        variables=variables,
        source=source,
        speaker=speaker,
        tally=tally,
        exporters=exporters,
        faults=found,
    )
    correlator = _correlator(settings)
    counting = Counting(tally, speaker)
    shared = _shared_resource(resource)
    host_name = source.host_name or socket.gethostname()
    metrics = None
    if source.receivers and not variables.sdk_disabled:  # what is replayed was measured when it happened
        metrics = made(
            lambda: _metrics(
                variables, tally, correlator, outlets, resource={HOST_NAME: host_name, **shared}, speaker=speaker
            ),
            found,
        )
    if found and faults is None:
        raise SettingsError(found)
    batcher = Batcher(
        sampler=sampler,
        limits=SpanLimits(),
        tally=tally,
        batch_spans=min(variables.bsp_max_export_batch_size, variables.bsp_max_queue_size or 2**31),
        delay_seconds=_delay_seconds(settings, variables),
        queue=outlets.queue,
        file=outlets.file,
        show=show if outlets.shows else None,
    )
    finder = _finder(settings, source, speaker)
    processes = _processes(settings, source, sampler)
    mapper = SpanMapper(
        ids=source.ids,
        resource=shared,
        host_name=host_name,
        options=_mapping_options(
            settings, variables, source.service_name or variables.service_name or resource.get(SERVICE_NAME, "")
        ),
        parent=context_of(source.context, source.trace_state) if source.context else None,
        processes=processes,
    )
    pipeline = Pipeline(
        correlator=correlator,
        mapper=mapper,
        batcher=batcher,
        counting=counting,
        origins=finder or source.origins,
        processes=processes,
        recorder=outlets.recorder,
        record=metrics.record if metrics is not None else None,
    )
    return Bridge(
        source=source,
        pipeline=pipeline,
        agent=Agent(
            receivers=source.receivers,
            pipeline=pipeline,
            counting=counting,
            speaker=speaker,
            origins=finder,
            buffer_bytes=settings.receive_buffer_bytes,
            is_allowed=AllowedNetworks(settings.allow_from) if settings.allow_from else None,
        ),
        mapper=mapper,
        batcher=batcher,
        outlets=outlets,
        origins=finder,
        tally=tally,
        metrics=metrics,
    )


def _metrics(
    variables: StandardVariables,
    tally: Tally,
    correlator: Correlator,
    outlets: Outlets,
    *,
    resource: Mapping[str, AttributeValue],
    speaker: Speaker,
) -> Metrics | None:
    """Return the metrics that are asked for, or None where none are.

    Raises:
        SettingsError: their back end cannot be used.
    """
    if not exports_metrics(variables):
        return None
    # they cost a tenth of a second and some megabytes
    from csm_otel.delivery.metric_exporter import OtlpMetricExporter  # ruff: ignore[import-outside-top-level]
    from csm_otel.delivery.metrics import Metrics  # ruff: ignore[import-outside-top-level]

    temporality, histograms = metric_preferences_of(variables)
    warnings: list[str] = []
    destination = destination_of(variables, warn=warnings, signal="metrics")
    for line in warnings:
        speaker.warn(line)
    exporter = OtlpMetricExporter(
        open_deliverer(destination),
        timeout_seconds=min(destination.timeout_seconds, variables.metric_export_timeout / _MS),
        say=speaker.warn,
        temporality=temporality,
        histograms=histograms,
    )
    queue = outlets.queue
    return Metrics(
        exporter,
        tally=tally,
        pending=lambda: correlator.pending_events,
        waiting=lambda: tally.spans_waiting if queue is not None else 0,
        resource=resource,
        interval_seconds=variables.metric_export_interval / _MS,
    )


def _finder(settings: Settings, source: Source, speaker: Speaker) -> OriginFinder | None:
    """Return what finds the senders of a daemon, where they are not known otherwise."""
    if source.context is not None or source.origins is not None:
        return None
    finder = OriginFinder()
    if settings.group is TraceGrouping.PROCESS and not finder.is_available:
        speaker.say("--group process: this system does not tell which process sends, so each call is a trace")
    return finder


def _processes(settings: Settings, source: Source, sampler: HeadSampler) -> ProcessTraces | None:
    if source.context is not None or settings.group is not TraceGrouping.PROCESS:
        return None
    return ProcessTraces(ids=source.ids, decide=sampler.decide)


def exporters_for(variables: StandardVariables, default: Sequence[str]) -> Sequence[str]:
    """Return the exporters in use, ``default`` where none is asked for.

    Raises:
        SettingsError: an exporter is unknown.
    """
    asked = exporters_of(variables)
    return default if asked is None else asked


def _sampler(variables: StandardVariables) -> HeadSampler:
    try:
        return HeadSampler(sampler_from(variables.traces_sampler, variables.traces_sampler_arg or None))
    except ValueError as error:
        raise SettingsError([f"OTEL_TRACES_SAMPLER: {error}"]) from error


def _correlator(settings: Settings) -> Correlator:
    limits = CorrelatorLimits(
        grace_seconds=settings.grace_seconds,
        attempt_wait_seconds=settings.attempt_wait_seconds,
        pending_events=settings.pending_events,
        pending_bytes=settings.pending_bytes,
    )
    return Correlator(limits, timestamp_mode=settings.timestamps)


def _delay_seconds(settings: Settings, variables: StandardVariables) -> float:
    delay_ms = variables.bsp_schedule_delay
    if delay_ms is None:
        delay_ms = _SPOOL_DELAY_MS if settings.spool else _DELAY_MS
    return delay_ms / _MS


def _mapping_options(settings: Settings, variables: StandardVariables, service_name: str) -> MappingOptions:
    return MappingOptions(
        rpc_conventions=rpc_conventions_of(variables),
        messages=settings.messages,
        account_id=settings.account_id,
        user_agent=settings.user_agent,
        peer_service=settings.peer_service,
        trust_remote_context=settings.trust_remote_context,
        service_name=service_name,
    )


def _shared_resource(given: dict[str, str]) -> dict[str, AttributeValue]:
    """Return what every monitored application's resource has; what detectors say of our own process is left out."""
    detected = {
        name: value
        for name, value in SdkResource.create().attributes.items()
        if isinstance(value, str | bool | int | float) and not name.startswith(("process.", "service."))
    }
    return {
        **detected,
        TELEMETRY_DISTRO_NAME: "csm-otel",
        TELEMETRY_DISTRO_VERSION: __version__,
        **given,
    }
