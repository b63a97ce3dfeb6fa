"""The one place where the parts are put together."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.semconv._incubating.attributes.telemetry_attributes import (
    TELEMETRY_DISTRO_NAME,
    TELEMETRY_DISTRO_VERSION,
)
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME

from csm_otel import __version__
from csm_otel.agent import Agent
from csm_otel.correlator import Correlator, CorrelatorLimits
from csm_otel.errors import SettingsError
from csm_otel.export import open_deliverer
from csm_otel.export.jsonfile import OtlpJsonFile
from csm_otel.export.queue import DeliveryQueue
from csm_otel.export.sampling import HeadSampler, sampler_from
from csm_otel.exporter import Exporter
from csm_otel.origin import OriginFinder
from csm_otel.pipeline import Pipeline
from csm_otel.spans.mapper import SpanMapper
from csm_otel.spans.options import MappingOptions, TraceGrouping
from csm_otel.spans.processes import ProcessTraces
from csm_otel.standard import (
    StandardVariables,
    destination_of,
    exporters_of,
    resource_attributes_of,
    rpc_conventions_of,
)
from csm_otel.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csm_otel.agent import Wakeable
    from csm_otel.receiver import Receiver
    from csm_otel.settings import Settings
    from csm_otel.spans.data import AttributeValue, SpanData, TraceContext
    from csm_otel.speaker import Speaker

T = TypeVar("T")

_MS = 1000.0


class Bridge(NamedTuple):
    """An agent and what its owner must close, print or ask."""

    agent: Agent
    mapper: SpanMapper
    exporter: Exporter
    queue: DeliveryQueue | None
    file: OtlpJsonFile | None
    origins: OriginFinder | None
    tally: Tally
    shows: bool
    """Whether a person is to see the spans."""
    back_end: str
    """The back end's URL as it may be shown; empty where there is none."""
    goes_to: str
    """Where spans go, for the line that says so."""

    def run(self, *, until: Callable[[], bool], wake: Wakeable) -> None:
        """Run the agent; see `Agent.run`."""
        self.agent.run(until=until, wake=wake)

    def add(self, span: SpanData) -> None:
        """Export a span that comes from no datagram."""
        self.exporter.add([span], now=time.monotonic())

    def close(self, *, deadline_seconds: float, until_ns: int | None = None) -> None:
        """Take what has arrived, send everything off and wait for its delivery, but no longer than the deadline.

        ``until_ns``: see `Agent.finish`.
        """
        self.agent.finish(until_ns=until_ns)
        if self.queue is not None:
            self.queue.close(deadline_seconds=deadline_seconds)
        if self.file is not None:
            self.file.close()
        if self.origins is not None:
            self.origins.close()


def build_bridge(
    *,
    settings: Settings,
    variables: StandardVariables,
    receivers: Sequence[Receiver],
    speaker: Speaker,
    exporters: Sequence[str],
    show: Callable[[Sequence[SpanData]], None],
    parent: TraceContext | None = None,
    service_name: str = "",
    faults: list[str] | None = None,
) -> Bridge:
    """Put the pipeline together. What has no ``parent`` is traced by who sends it.

    Where ``faults`` is given, a line for each part that cannot be had is added to it, and the others do without; spans
    that were to go to a back end are shown then.

    Raises:
        SettingsError: ``faults`` is not given, and there are such lines.
    """
    tally = Tally()
    found: list[str] = [] if faults is None else faults
    sampler = _made(lambda: _sampler(variables), found) or _sampler(StandardVariables.model_construct())
    resource = _made(lambda: resource_attributes_of(variables), found) or {}
    service_name = service_name or variables.service_name or resource.get(SERVICE_NAME, "")
    queue, back_end = _queue(settings, variables, speaker, tally, found) if "otlp" in exporters else (None, "")
    path = settings.file
    file = _made(lambda: OtlpJsonFile(path, say=speaker.warn), found) if path else None
    if found and faults is None:
        raise SettingsError(found)
    shows = "console" in exporters or ("otlp" in exporters and queue is None)
    exporter = Exporter(
        sampler=sampler,
        limits=SpanLimits(),
        tally=tally,
        batch_spans=min(variables.bsp_max_export_batch_size, variables.bsp_max_queue_size or 2**31),
        delay_seconds=variables.bsp_schedule_delay / _MS,
        queue=queue,
        file=file,
        show=show if shows else None,
    )
    origins, processes = _origins(settings, sampler, speaker) if parent is None else (None, None)
    mapper = SpanMapper(
        ids=RandomIdGenerator(),
        resource=_shared_resource(resource),
        host_name=socket.gethostname(),
        options=_mapping_options(settings, variables, service_name),
        parent=parent,
        processes=processes,
    )
    agent = Agent(
        receivers=receivers,
        pipeline=Pipeline(
            correlator=_correlator(settings),
            mapper=mapper,
            exporter=exporter,
            tally=tally,
            speaker=speaker,
            origins=origins,
            processes=processes,
        ),
        tally=tally,
        speaker=speaker,
        origins=origins,
    )
    return Bridge(
        agent,
        mapper,
        exporter,
        queue,
        file,
        origins,
        tally,
        shows,
        back_end,
        ", ".join(filter(None, [back_end, str(path) if file else "", "stdout" if shows else ""])) or "nowhere",
    )


def _queue(
    settings: Settings, variables: StandardVariables, speaker: Speaker, tally: Tally, faults: list[str]
) -> tuple[DeliveryQueue | None, str]:
    """Return the queue to the back end and the URL to show for it; neither where it cannot be used."""
    warnings: list[str] = []
    destination = _made(lambda: destination_of(variables, warn=warnings), faults)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its C core writes to stderr on its own
    deliverer = _made(lambda: open_deliverer(destination), faults) if destination else None
    for line in warnings:
        speaker.warn(line)
    if destination is None or deliverer is None:
        return None, ""
    queue = DeliveryQueue(
        deliverer,
        tally=tally,
        limit_bytes=settings.queue_bytes,
        limit_spans=variables.bsp_max_queue_size,
        timeout_seconds=min(destination.timeout_seconds, variables.bsp_export_timeout / _MS),
        say=speaker.warn,
    )
    return queue, destination.shown


def _origins(settings: Settings, sampler: HeadSampler, speaker: Speaker) -> tuple[OriginFinder, ProcessTraces | None]:
    origins = OriginFinder()
    if settings.group is not TraceGrouping.PROCESS:
        return origins, None
    if not origins.is_available:
        speaker.say("--group process: this system does not tell which process sends, so each call is a trace")
    return origins, ProcessTraces(ids=RandomIdGenerator(), decide=sampler.decide)


def _made(make: Callable[[], T], faults: list[str]) -> T | None:
    try:
        return make()
    except SettingsError as error:
        faults += error.faults
        return None


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
