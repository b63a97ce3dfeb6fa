"""Where spans go, and what arrived: back end, file, screen, recording (`Outlets`)."""

from __future__ import annotations

import secrets
import socket
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from csm_otel.config.standard import StandardVariables, destination_of
from csm_otel.delivery.deliverer import open_deliverer
from csm_otel.delivery.queue import DeliveryQueue
from csm_otel.delivery.spool import Spool
from csm_otel.errors import SettingsError, SpoolError
from csm_otel.files.filewriter import FileWriter
from csm_otel.files.otlp_json import OtlpJsonFile
from csm_otel.files.recorder import STDOUT, Recorder
from csm_otel.files.recording import FORMAT, SEED_BITS, Heading
from csm_otel.report.terminal import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csm_otel.config.settings import Settings
    from csm_otel.engine.source import Source
    from csm_otel.process.speaker import Speaker
    from csm_otel.tally import Tally

T = TypeVar("T")

_MS = 1000.0


class Outlets(NamedTuple):
    """Where spans go, and what arrived."""

    queue: DeliveryQueue | None
    """To the back end."""
    file: FileWriter | None
    recorder: Recorder | None
    shows: bool
    """Whether a person is to see the spans."""
    back_end: str
    """The back end's URL as it may be shown; empty where there is none."""
    description: str
    """Where spans go, for the line that says so."""
    wants_spool: bool
    say: Callable[[str], None]
    """Takes a line for the operator."""

    @property
    def troubles(self) -> list[str]:
        """What of this does not work, in words."""
        troubles = []
        if self.wants_spool and self.queue is not None and not self.queue.is_spooling:
            troubles.append("spool cannot be used")
        if self.file is not None and self.file.is_failing:
            troubles.append("file cannot be written")
        if self.recorder is not None and self.recorder.is_failing:
            troubles.append("recording cannot be written")
        return troubles

    @property
    def can_deliver(self) -> bool:
        """Whether a span gets anywhere."""
        return self.queue is not None or self.shows or self.file is None or not self.file.is_failing

    def mark(self) -> tuple[int, ...]:
        """Return where what was sent off up to now ends, for `is_flushed`."""
        return tuple(one.mark() for one in (self.queue, self.file) if one is not None)

    def is_flushed(self, marks: tuple[int, ...]) -> bool:
        """Return whether nothing that was sent off before waits any more."""
        carriers = [one for one in (self.queue, self.file) if one is not None]
        return all(one.is_flushed(mark) for one, mark in zip(carriers, marks, strict=True))

    def close(self, *, deadline_seconds: float) -> None:
        """Wait for the delivery of what was sent off, but no longer than the deadline, and close all.

        A recording or a file that gets no further is given up before, and what is given up is told.
        """
        deadline = time.monotonic() + deadline_seconds
        if self.queue is not None:
            self.queue.close(deadline_seconds=deadline_seconds)
        for one, name, noun in ((self.recorder, "recording", "line"), (self.file, "file", "span")):
            if one is None:
                continue
            # it has been writing meanwhile
            if given_up := one.close(deadline_seconds=max(deadline - time.monotonic(), 0.0)):
                self.say(f"{name}: {counted(given_up, noun)} not written in time at the end")

    def cancel(self) -> None:
        """Make a running or a later `close` end at once."""
        for one in (self.queue, self.recorder, self.file):
            if one is not None:
                one.cancel()


def open_outlets(
    *,
    settings: Settings,
    variables: StandardVariables,
    source: Source,
    speaker: Speaker,
    tally: Tally,
    exporters: Sequence[str],
    faults: list[str],
) -> Outlets:
    """Open what the settings ask for; a line for each that cannot be had is added to ``faults``.

    Where the back end cannot be used, spans are to be shown.
    """
    queue, back_end = _queue(settings, variables, speaker, tally, faults) if "otlp" in exporters else (None, "")
    shows = "console" in exporters or ("otlp" in exporters and queue is None)
    file, recorder = _files(settings, source, speaker, tally, faults, shows=shows)
    writer = FileWriter(file, tally=None if queue else tally) if file else None
    description = ", ".join(filter(None, [back_end, str(settings.file) if file else "", "stdout" if shows else ""]))
    wants_spool = settings.spool is not None
    return Outlets(queue, writer, recorder, shows, back_end, description or "nowhere", wants_spool, speaker.say)


def made(make: Callable[[], T], faults: list[str]) -> T | None:
    """Return what is made, or None where it cannot be, which is added to ``faults``."""
    try:
        return make()
    except SettingsError as error:
        faults += error.faults
        return None


def _queue(
    settings: Settings, variables: StandardVariables, speaker: Speaker, tally: Tally, faults: list[str]
) -> tuple[DeliveryQueue | None, str]:
    """Return the queue to the back end and the URL to show for it; neither where it cannot be used."""
    warnings: list[str] = []
    destination = made(lambda: destination_of(variables, warn=warnings), faults)
    deliverer = made(lambda: open_deliverer(destination), faults) if destination else None
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
        say=speaker.say,
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
    file = made(lambda: OtlpJsonFile(path, say=speaker.warn), faults) if path else None
    if record is None or not source.receivers:  # what is replayed was recorded already, perhaps in that file
        return file, None
    if record == STDOUT and (shows or source.context is not None):
        faults.append(
            f"--record -: stdout is the {'waterfall' if source.context is None else 'command'}'s; name a file"
        )
        return file, None
    return file, made(lambda: Recorder.open(record, _heading(source), tally, say=speaker.warn), faults)


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
