"""The composition root: the one place where the parts are connected."""

from __future__ import annotations

import math
import os
import socket
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from opentelemetry.sdk.version import __version__ as sdk_version
from opentelemetry.semconv._incubating.attributes.host_attributes import HOST_NAME
from opentelemetry.semconv._incubating.attributes.telemetry_attributes import (
    TELEMETRY_DISTRO_NAME,
    TELEMETRY_DISTRO_VERSION,
)
from opentelemetry.semconv.attributes.telemetry_attributes import (
    TELEMETRY_SDK_LANGUAGE,
    TELEMETRY_SDK_NAME,
    TELEMETRY_SDK_VERSION,
)

from csm_otel import __version__
from csm_otel.commands.report_files import needs_summary
from csm_otel.correlation.correlator import Correlator
from csm_otel.delivery.deliverer import open_deliverer
from csm_otel.delivery.encoding import encode
from csm_otel.delivery.sampling import HeadSampler, load_sampler
from csm_otel.engine.agent import Agent
from csm_otel.engine.batches import Batcher
from csm_otel.engine.bridge import Bridge
from csm_otel.engine.counting import Counting
from csm_otel.engine.outlets import open_outlets
from csm_otel.engine.pipeline import Pipeline
from csm_otel.errors import Fault, collecting
from csm_otel.intake.allowed import AllowedNetworks
from csm_otel.intake.finder import OriginFinder
from csm_otel.spans.data import context_of
from csm_otel.spans.mapper import SpanMapper
from csm_otel.spans.options import MappingOptions, TraceGrouping
from csm_otel.spans.processes import ProcessTraces
from csm_otel.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk.metrics.export import MetricReader

    from csm_otel.config.configuration import Configuration, MetricExport
    from csm_otel.delivery.metric_exporter import OtlpMetricExporter
    from csm_otel.delivery.metrics import Gauges, Metrics
    from csm_otel.delivery.queue import DeliveryQueue
    from csm_otel.engine.source import Source
    from csm_otel.process.speaker import Speaker
    from csm_otel.spans.data import AttributeValue, SpanData


def build_bridge(
    configuration: Configuration,
    *,
    source: Source,
    speaker: Speaker,
    show: Callable[[Sequence[SpanData]], None],
    summarise: Callable[[Sequence[SpanData]], None] | None = None,
    observers: Sequence[Callable[[Sequence[SpanData]], None]] = (),
    scraped: MetricReader | None = None,
    faults: list[Fault],
) -> Bridge:
    """Put the pipeline together.

    ``show`` receives the spans that are to be shown, ``summarise`` those that a summary is to be made of,
    each of ``observers`` all. ``scraped`` reads the metrics when it is asked to.

    The fault of each file, certificate or sampler that cannot be used is added to ``faults``, and the bridge does
    without it: spans that were to go to a back end are shown then.
    """
    settings = configuration.settings
    for line in configuration.warnings:
        speaker.warn(line)
    tally = Tally()
    sampler = HeadSampler()
    with collecting(faults):
        sampler = HeadSampler(load_sampler(configuration.sampler))
    outlets = open_outlets(configuration, source=source, speaker=speaker, tally=tally, faults=faults)
    correlator = Correlator(configuration.correlator, timestamp_mode=configuration.timestamps)
    counting = Counting(tally, speaker)
    shared = _shared_resource(configuration.resource)
    host_name = source.host_name or socket.gethostname()
    metrics = None
    has_metrics = configuration.metrics is not None or scraped is not None
    if source.receivers and has_metrics:  # a replay has the measurements of its recording
        with collecting(faults):
            metrics = _open_metrics(
                configuration,
                scraped,
                tally=tally,
                gauges=_gauges(correlator, outlets.queue),
                resource={HOST_NAME: host_name, **shared},
                say=speaker.warn,
            )
    batcher = Batcher(
        sampler=sampler,
        encode=partial(encode, limits=configuration.span_limits, official=settings.encoder == "official"),
        tally=tally,
        batch_spans=configuration.batches.most_spans,
        delay_seconds=configuration.batches.delay_seconds,
        queue=outlets.queue,
        file=outlets.file,
        show=show if outlets.shows else None,
        observers=[*([summarise] if summarise and (outlets.shows or needs_summary(settings)) else []), *observers],
    )
    finder = _finder(configuration.group, source, speaker)
    processes = _processes(configuration, source, sampler)
    mapper = SpanMapper(
        ids=source.ids,
        resource={**_of_pipeline(configuration, source), **shared},  # what the operator says wins
        host_name=host_name,
        options=_mapping_options(configuration.mapping, source),
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
        tee=outlets.tee,
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


def _open_metrics(
    configuration: Configuration,
    scraped: MetricReader | None,
    *,
    tally: Tally,
    gauges: Gauges,
    resource: Mapping[str, AttributeValue],
    say: Callable[[str], None],
) -> Metrics:
    """Return the metrics, exported from now on.

    Raises:
        SettingsError: a certificate, header or URL of their back end cannot be used.
    """
    # they cost a tenth of a second and some megabytes
    from csm_otel.delivery.metrics import Metrics  # ruff: ignore[import-outside-top-level]

    export = configuration.metrics
    return Metrics(
        None if export is None else _metric_exporter(export, say=say),
        tally=tally,
        gauges=gauges,
        resource=resource,
        interval_seconds=math.inf if export is None else export.interval_seconds,
        scraped=scraped,
        exemplars=configuration.exemplars,
    )


def _gauges(correlator: Correlator, queue: DeliveryQueue | None) -> Gauges:
    from csm_otel.delivery.metrics import Gauges  # ruff: ignore[import-outside-top-level]

    return Gauges(
        events_pending=lambda: correlator.pending_events,
        spans_waiting=lambda: queue.spans_waiting if queue is not None else 0,
        spool=lambda: queue.spool_use if queue is not None else None,
    )


def _metric_exporter(export: MetricExport, *, say: Callable[[str], None]) -> OtlpMetricExporter:
    from csm_otel.delivery.metric_exporter import OtlpMetricExporter  # ruff: ignore[import-outside-top-level]

    exporter = OtlpMetricExporter(
        open_deliverer(export.destination, say=say),
        timeout_seconds=export.timeout_seconds,
        say=say,
        temporality=export.temporality,
        histograms=export.histograms,
    )
    for line in export.warnings:
        say(line)
    return exporter


def _finder(group: TraceGrouping, source: Source, speaker: Speaker) -> OriginFinder | None:
    """Return what finds the senders of a daemon, where they are not known otherwise."""
    if source.context is not None or source.origins is not None:
        return None
    finder = OriginFinder()
    if group is TraceGrouping.PROCESS and not finder.is_available:
        speaker.say("--group process: the sending process is unknown on this system, so each call is a trace")
    return finder


def _processes(configuration: Configuration, source: Source, sampler: HeadSampler) -> ProcessTraces | None:
    if source.context is not None or configuration.group is not TraceGrouping.PROCESS:
        return None
    xray_trace_ids = configuration.mapping.xray_trace_ids
    return ProcessTraces(ids=source.ids, decide=sampler.decide, xray_trace_ids=xray_trace_ids)


def _mapping_options(options: MappingOptions, source: Source) -> MappingOptions:
    """Return the options with the name that the source has, if it has one."""
    return msgspec.structs.replace(options, service_name=source.service_name or options.service_name)


def _shared_resource(given: Mapping[str, str]) -> dict[str, AttributeValue]:
    """Return what every monitored application's resource has."""
    return {
        **_detected(),
        TELEMETRY_DISTRO_NAME: "csm-otel",
        TELEMETRY_DISTRO_VERSION: __version__,
        **given,
    }


def _of_pipeline(configuration: Configuration, source: Source) -> Mapping[str, str]:
    """Return what the CI pipeline adds to it; a replay was part of another one."""
    run = configuration.pipeline_run
    return run.resource if run is not None and source.receivers else {}


def _detected() -> dict[str, AttributeValue]:
    """Return what the SDK knows of itself, and its detectors of this host; of this process is left out.

    The SDK must not find ``OTEL_RESOURCE_ATTRIBUTES``, which is read already: it has rules of its own for that.
    """
    if not os.environ.get("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"):  # what `Resource.create` returns, without its import
        return {
            TELEMETRY_SDK_LANGUAGE: "python",
            TELEMETRY_SDK_NAME: "opentelemetry",
            TELEMETRY_SDK_VERSION: sdk_version,
        }
    from opentelemetry.sdk.resources import Resource  # ruff: ignore[import-outside-top-level]

    return {
        name: value
        for name, value in Resource.create().attributes.items()
        if isinstance(value, str | bool | int | float) and not name.startswith(("process.", "service."))
    }
