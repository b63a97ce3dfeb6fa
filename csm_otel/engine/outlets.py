"""The destinations of a run: back end, file, screen, recording, another listener (`Outlets`).

Spool, file, recorder and tee are imported when they are asked for: most runs have none.
"""

from __future__ import annotations

import math
import secrets
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from csm_otel.delivery.deliverer import open_deliverer
from csm_otel.delivery.queue import DeliveryQueue
from csm_otel.errors import Fault, SettingsError, SpoolError, collecting
from csm_otel.files.line_file import PATIENCE_SECONDS, STDOUT
from csm_otel.report.terminal import counted
from csm_otel.spans.options import MessageMode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from csm_otel.config.configuration import Configuration
    from csm_otel.config.settings import Settings
    from csm_otel.delivery.spool import Spool
    from csm_otel.delivery.tee import Tee
    from csm_otel.engine.source import Source
    from csm_otel.files.filewriter import FileWriter
    from csm_otel.files.recorder import Recorder
    from csm_otel.process.speaker import Speaker
    from csm_otel.tally import Tally

_NOBODY_SECONDS = 0.8  # with the rest of the end about a second


@dataclass(frozen=True, kw_only=True)
class Outlets:
    """The destinations of a run. Recording and tee are of events, the others of spans."""

    queue: DeliveryQueue | None = None
    """To the back end."""
    file: FileWriter | None = None
    recorder: Recorder | None = None
    tee: Tee | None = None
    shows: bool = False
    """Whether the spans are printed for a person."""
    back_end: str = ""
    """The back end's URL, without credentials; "" if there is none."""
    description: str = "nowhere"
    """Where spans go, in words."""
    wants_spool: bool = False
    """Whether a spool is configured, usable or not."""
    nobody_seconds: float = math.inf
    """How long `close` tries a back end at whose address nothing has ever listened."""
    say: Callable[[str], None]
    """Prints a line for the operator."""
    clock: Callable[[], float] = time.monotonic

    @property
    def troubles(self) -> list[str]:
        """What does not work, in a few words each."""
        troubles = []
        if self.wants_spool and self.queue is not None and not self.queue.is_spooling:
            troubles.append("spool cannot be used")
        if self.file is not None and self.file.is_failing:
            troubles.append("file cannot be written")
        if self.recorder is not None and self.recorder.is_failing:
            troubles.append("recording cannot be written")
        if self.tee is not None and self.tee.is_failing:
            troubles.append(f"nothing can be forwarded to {self.tee.shown}")
        return troubles

    @property
    def can_deliver(self) -> bool:
        """Whether any destination accepts spans."""
        return self.queue is not None or self.shows or self.file is None or not self.file.is_failing

    def mark(self) -> tuple[int, ...]:
        """Return the position of everything sent off so far, for `is_flushed`."""
        return tuple(sink.mark() for sink in (self.queue, self.file) if sink is not None)

    def is_flushed(self, marks: tuple[int, ...]) -> bool:
        """Return whether nothing that was sent off before `mark` is waiting any more."""
        sinks = [sink for sink in (self.queue, self.file) if sink is not None]
        return all(sink.is_flushed(mark) for sink, mark in zip(sinks, marks, strict=True))

    def reopen(self) -> None:
        """Open recording and file anew at their paths, as they may have been moved away."""
        for sink in (self.recorder, self.file):
            if sink is not None:
                sink.reopen()

    def close(self, *, deadline_seconds: float) -> None:
        """Deliver and write queued requests, for at most ``deadline_seconds``, and close everything.

        A recording or a file without progress is given up earlier. What is given up is reported.
        """
        deadline = self.clock() + deadline_seconds
        if self.tee is not None:
            self.tee.close()
        if self.queue is not None:
            self.queue.close(deadline_seconds=deadline_seconds, nobody_seconds=self.nobody_seconds)
        for sink, name, noun in ((self.recorder, "recording", "line"), (self.file, "file", "span")):
            if sink is None:
                continue
            # it has been written to while the queue was closing
            if given_up := sink.close(deadline_seconds=max(deadline - self.clock(), 0.0)):
                self.say(f"{name}: {counted(given_up, noun)} not written in time at shutdown")

    def cancel(self) -> None:
        """Make a running or a later `close` end at once."""
        for sink in (self.queue, self.recorder, self.file):
            if sink is not None:
                sink.cancel()


def open_outlets(
    configuration: Configuration, *, source: Source, speaker: Speaker, tally: Tally, faults: list[Fault]
) -> Outlets:
    """Open the configured outlets; the fault of each that cannot be opened is added to ``faults``.

    Where the back end cannot be used, spans are shown instead.
    """
    settings = configuration.settings
    queue = None
    with collecting(faults):
        queue = _open_queue(configuration, speaker, tally)
    shows = "console" in configuration.exporters or ("otlp" in configuration.exporters and queue is None)
    file = recorder = tee = None
    owner = _owner_of_stdout(configuration, source)
    with collecting(faults):
        # nothing arrives while a replay waits for a reader
        patience_seconds = PATIENCE_SECONDS if source.receivers else math.inf
        counted_by = None if queue else tally  # the answers of a back end count
        file = _open_file(settings, speaker, counted_by, owner=owner, patience_seconds=patience_seconds)
    with collecting(faults):
        recorder = _open_recorder(settings.record, source, speaker, tally, owner=owner)
    with collecting(faults):
        tee = _open_tee(settings, source, speaker, tally)
    back_end = configuration.traces.shown if configuration.traces and queue else ""
    file_name = "stdout" if settings.file == STDOUT else str(settings.file)
    description = ", ".join(filter(None, [back_end, file_name if file else "", "stdout" if shows else ""]))
    return Outlets(
        queue=queue,
        file=file,
        recorder=recorder,
        tee=tee,
        shows=shows,
        back_end=back_end,
        description=(description or "nowhere") + (f"; forwarding events to {tee.shown}" if tee is not None else ""),
        wants_spool=settings.spool is not None,
        # a user waits for the end of `exec`; the back end of a daemon may be starting beside it
        nobody_seconds=_NOBODY_SECONDS if source.receivers and source.context is not None else math.inf,
        say=speaker.say,
    )


def _open_queue(configuration: Configuration, speaker: Speaker, tally: Tally) -> DeliveryQueue | None:
    """Return the queue to the back end, or None without a back end.

    Raises:
        SettingsError: a certificate, header or URL of the back end cannot be used.
    """
    destination, settings = configuration.traces, configuration.settings
    if destination is None:
        return None
    return DeliveryQueue(
        open_deliverer(destination, say=speaker.warn),
        spool=_open_spool(settings, speaker),
        tally=tally,
        limit_bytes=settings.queue_bytes,
        limit_spans=configuration.batches.queue_spans,
        timeout_seconds=min(destination.timeout_seconds, configuration.batches.timeout_seconds),
        say=speaker.say,
    )


def _open_spool(settings: Settings, speaker: Speaker) -> Spool | None:
    """Return the spool, or None if there is none or it cannot be used, which is reported."""
    if settings.spool is None:
        return None
    from csm_otel.delivery.spool import Spool  # ruff: ignore[import-outside-top-level]

    try:
        spool = Spool(settings.spool, limit_bytes=settings.spool_bytes)
    except SpoolError as error:
        speaker.say(f"--spool {settings.spool}: {error}; spans for the back end wait in memory")
        return None
    if spool.is_after_a_crash:
        speaker.say("the previous run was killed or has crashed: what it had received last and not yet spooled is lost")
    if spool.spans_found:
        speaker.say(f"{counted(spool.spans_found, 'span')} from a previous run in {settings.spool}")
    return spool


def _owner_of_stdout(configuration: Configuration, source: Source) -> str:
    """Return whose stdout is, apart from recording and file; "" if nobody's."""
    if source.receivers and source.context is not None:
        return "the command's"
    return "the waterfall's (OTEL_TRACES_EXPORTER=console)" if "console" in configuration.exporters else ""


def _check_stdout(flag: str, path: Path, owner: str) -> None:
    """Raise if lines of ``path`` would be mixed with other output.

    Raises:
        SettingsError: it is stdout, which has an owner.
    """
    if path == STDOUT and owner:
        raise SettingsError([Fault(flag, f"stdout is {owner}; name a file")])


def _open_file(
    settings: Settings, speaker: Speaker, tally: Tally | None, *, owner: str, patience_seconds: float
) -> FileWriter | None:
    """Return the writer of `--file`, or None without one.

    Raises:
        SettingsError: it cannot be opened, or would be mixed with other output.
    """
    if settings.file is None:
        return None
    _check_stdout(
        "--file", settings.file, owner or ("the recording's (--record -)" if settings.record == STDOUT else "")
    )
    from csm_otel.files.filewriter import FileWriter  # ruff: ignore[import-outside-top-level]
    from csm_otel.files.otlp_json import OtlpJsonFile  # ruff: ignore[import-outside-top-level]

    return FileWriter(OtlpJsonFile(settings.file, patience_seconds=patience_seconds, say=speaker.warn), tally=tally)


def _open_recorder(path: Path | None, source: Source, speaker: Speaker, tally: Tally, *, owner: str) -> Recorder | None:
    """Return the recorder to ``path``, or None if nothing is recorded.

    Raises:
        SettingsError: the recording cannot be opened, or would be mixed with other output.
    """
    if path is None or not source.receivers:  # a replay is recorded already, perhaps in that file
        return None
    _check_stdout("--record", path, owner)
    from csm_otel.files.recorder import Recorder  # ruff: ignore[import-outside-top-level]
    from csm_otel.files.recording import FORMAT, SEED_BITS, Heading  # ruff: ignore[import-outside-top-level]

    heading = Heading(
        format=FORMAT,
        seed=secrets.randbits(SEED_BITS),
        host_name=socket.gethostname(),
        service_name=source.service_name,
        context=str(source.context or ""),
        parent=str(source.parent or ""),
        trace_state=source.trace_state,
    )
    return Recorder.open(path, heading, tally, say=speaker.warn)


def _open_tee(settings: Settings, source: Source, speaker: Speaker, tally: Tally) -> Tee | None:
    """Return what forwards events to another listener, or None if nothing is forwarded.

    Raises:
        SettingsError: the listener's address cannot be used.
    """
    if settings.tee is None or not source.receivers:
        return None
    from csm_otel.delivery.tee import Tee  # ruff: ignore[import-outside-top-level]

    return Tee.open(
        *settings.tee,
        tally,
        own=[receiver.address for receiver in source.receivers],
        allow_remote=settings.allow_remote,
        messages=MessageMode(settings.messages) is not MessageMode.NONE,
        warn=speaker.warn,
    )
