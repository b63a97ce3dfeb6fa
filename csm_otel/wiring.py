"""The one place where the parts are put together."""

from __future__ import annotations

import os
import secrets
import socket
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
from csm_otel.errors import SettingsError, SpoolError
from csm_otel.export import open_deliverer
from csm_otel.export.jsonfile import OtlpJsonFile
from csm_otel.export.queue import DeliveryQueue
from csm_otel.export.sampling import HeadSampler, sampler_from
from csm_otel.export.spool import Spool
from csm_otel.exporter import Exporter
from csm_otel.origin import OriginFinder
from csm_otel.pipeline import Pipeline
from csm_otel.recorder import STDOUT, Recorder
from csm_otel.recording import FORMAT, SEED_BITS, Heading
from csm_otel.report.terminal import counted
from csm_otel.spans.data import context_of
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
    from csm_otel.replayed_origins import ReplayedOrigins
    from csm_otel.settings import Settings
    from csm_otel.spans.data import AttributeValue, SpanData
    from csm_otel.spans.processes import IdGenerator
    from csm_otel.speaker import Speaker
    from csm_otel.traceparent import TraceParent

T = TypeVar("T")

_MS = 1000.0


class Source(NamedTuple):
    """Where datagrams come from, and what is known of all who send them."""

    receivers: Sequence[Receiver] = ()
    ids: IdGenerator = RandomIdGenerator()
    host_name: str = ""
    """Of the senders' host; empty: this one's."""
    origins: ReplayedOrigins | None = None
    """Who was found behind each peer, where that is known from a recording."""
    service_name: str = ""
    context: TraceParent | None = None
    """Of `exec`: the command's own span, which its calls are put below; without one it is looked for who sends."""
    parent: TraceParent | None = None
    """Of `exec`: the span that the command's own is put below."""
    trace_state: str = ""


class Bridge(NamedTuple):
    """A pipeline with the agent that feeds it, and what its owner must close, print or ask."""

    pipeline: Pipeline
    agent: Agent
    recorder: Recorder | None
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

    def add(self, span: SpanData, *, now: float) -> None:
        """Export a span that comes from no datagram; ``now`` is monotonic seconds."""
        self.exporter.add([span], now=now)

    def wait_for_room(self, *, unless: Callable[[], bool]) -> None:
        """Wait for the back end, for who can; see `DeliveryQueue.wait_for_room`."""
        if self.queue is not None:
            self.queue.wait_for_room(unless=unless)

    def close(self, *, deadline_seconds: float, until_ns: int | None = None) -> None:
        """Take what has arrived, send everything off and wait for its delivery, but no longer than the deadline.

        ``until_ns``: see `Agent.finish`.
        """
        self.agent.finish(until_ns=until_ns)
        self.deliver(deadline_seconds=deadline_seconds)
        if self.origins is not None:
            self.origins.close()

    def deliver(self, *, deadline_seconds: float) -> None:
        """Wait for the delivery of what was sent off, but no longer than the deadline, and close what it went to."""
        if self.recorder is not None:
            self.recorder.close()
        if self.queue is not None:
            self.queue.close(deadline_seconds=deadline_seconds)
        if self.file is not None:
            self.file.close()


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
    sampler = _made(lambda: _sampler(variables), found) or _sampler(StandardVariables.model_construct())
    resource = _made(lambda: resource_attributes_of(variables), found) or {}
    queue, back_end = _queue(settings, variables, speaker, tally, found) if "otlp" in exporters else (None, "")
    shows = "console" in exporters or ("otlp" in exporters and queue is None)
    file, recorder = _files(settings, source, speaker, tally, found, shows=shows)
    if found and faults is None:
        raise SettingsError(found)
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
    finder = _finder(settings, source, speaker)
    processes = _processes(settings, source, sampler)
    mapper = SpanMapper(
        ids=source.ids,
        resource=_shared_resource(resource),
        host_name=source.host_name or socket.gethostname(),
        options=_mapping_options(
            settings, variables, source.service_name or variables.service_name or resource.get(SERVICE_NAME, "")
        ),
        parent=context_of(source.context, source.trace_state) if source.context else None,
        processes=processes,
    )
    pipeline = Pipeline(
        correlator=_correlator(settings),
        mapper=mapper,
        exporter=exporter,
        tally=tally,
        speaker=speaker,
        origins=finder or source.origins,
        processes=processes,
        recorder=recorder,
    )
    goes_to = ", ".join(filter(None, [back_end, str(settings.file) if file else "", "stdout" if shows else ""]))
    return Bridge(
        pipeline=pipeline,
        agent=Agent(receivers=source.receivers, pipeline=pipeline, speaker=speaker, origins=finder),
        recorder=recorder,
        mapper=mapper,
        exporter=exporter,
        queue=queue,
        file=file,
        origins=finder,
        tally=tally,
        shows=shows,
        back_end=back_end,
        goes_to=goes_to or "nowhere",
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
        spool=_spool(settings, speaker),
        tally=tally,
        limit_bytes=settings.queue_bytes,
        limit_spans=variables.bsp_max_queue_size,
        timeout_seconds=min(destination.timeout_seconds, variables.bsp_export_timeout / _MS),
        say=speaker.warn,
    )
    return queue, destination.shown


def _spool(settings: Settings, speaker: Speaker) -> Spool | None:
    """Return the spool that is asked for; one that cannot be had is told, and memory does."""
    if settings.spool is None:
        return None
    try:
        spool = Spool(settings.spool, limit_bytes=settings.spool_bytes)
    except SpoolError as error:
        speaker.say(f"--spool {settings.spool}: {error}; what waits for the back end waits in memory")
        return None
    if spool.spans_found:
        speaker.say(f"{counted(spool.spans_found, 'span')} from before in {settings.spool}")
    return spool


def _files(
    settings: Settings, source: Source, speaker: Speaker, tally: Tally, faults: list[str], *, shows: bool
) -> tuple[OtlpJsonFile | None, Recorder | None]:
    path, record = settings.file, settings.record
    file = _made(lambda: OtlpJsonFile(path, say=speaker.warn), faults) if path else None
    if record is None:
        return file, None
    if record == STDOUT and (shows or source.context is not None):
        faults.append(
            f"--record -: stdout is the {'waterfall' if source.context is None else 'command'}'s; name a file"
        )
        return file, None
    return file, _made(lambda: Recorder.open(record, _heading(source), tally, say=speaker.warn), faults)


def _heading(source: Source) -> Heading:
    return Heading(
        format=FORMAT,
        seed=secrets.randbits(SEED_BITS),
        host_name=socket.gethostname(),
        service_name=source.service_name,
        context=str(source.context or ""),
        parent=str(source.parent or ""),
        trace_state=source.trace_state,
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
