"""``csm-otel replay``: a recording through the same pipeline, with the recording as its clock.

The spans depend on the recording and the settings alone, ids included: not on when or how fast it is replayed.
A file may hold several recordings, one after the other; each is replayed to its end, with its own delivery and tally.
"""

from __future__ import annotations

import math
import os
import selectors
import signal
import sys
import time
from typing import TYPE_CHECKING, BinaryIO, assert_never

from csm_otel.commands.wiring import build_bridge
from csm_otel.csm.decoding import Decoded
from csm_otel.csm.events import Ended, Peer, ProcessEnd
from csm_otel.csm.traceparent import parse_traceparent
from csm_otel.engine.drain import Drain
from csm_otel.engine.source import Source
from csm_otel.errors import Fault, RecordingError, SettingsError, reason_of
from csm_otel.files.backlog import LIMIT_BYTES, STALL_SECONDS
from csm_otel.files.recording import (
    MAX_LINE_BYTES,
    Heading,
    Line,
    RecordedCommand,
    RecordedDatagram,
    RecordedDeparture,
    RecordedDrops,
    RecordedEnd,
    RecordedOrigin,
    decode_line,
)
from csm_otel.files.replayed_origins import ReplayedOrigins
from csm_otel.process.garbage import begin_collection
from csm_otel.process.stop import StopSignal, interruptible
from csm_otel.report.stdout import Stdout
from csm_otel.report.tally import render_tally
from csm_otel.report.terminal import counted
from csm_otel.spans.ids import SeededIds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from csm_otel.config.configuration import Configuration
    from csm_otel.engine.bridge import Bridge
    from csm_otel.process.speaker import Speaker

_Body = RecordedDatagram | RecordedOrigin | RecordedEnd | RecordedDeparture | RecordedDrops | RecordedCommand

_NS_PER_SECOND = 1_000_000_000
_SIGNAL_EXIT = 128


def replay(path: Path, configuration: Configuration, speaker: Speaker) -> int:
    """Replay a recording (``-``: stdin) and return 0, or 128+n if signal n has stopped it before its end.

    Raises:
        SettingsError: a file, certificate or sampler that is asked for cannot be used.
        RecordingError: the file cannot be read, or is no recording.
    """
    stop = StopSignal(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    with _opened(path, stop) as stream:
        reader = _Reader(stream, path, stop)
        heading = reader.next_heading()
        if heading is None and not stop.is_set():
            raise RecordingError(f"{path} is no recording: {reader.fault or 'it is empty'}")
        while heading is not None and not stop.is_set():
            _Player(heading, configuration, speaker).play(reader, stop)
            heading = reader.next_heading()
        if reader.unreadable:
            speaker.say(f"{counted(reader.unreadable, 'line')} of {path} skipped: {reader.fault}")
    return _SIGNAL_EXIT + stop.number if stop.number else 0


class _Reader:
    """The lines of a file, until a signal stops it; lines that cannot be read are counted and skipped."""

    def __init__(self, stream: BinaryIO, path: Path, stop: StopSignal) -> None:
        self._stream = stream
        self._path = path
        self._stop = stop
        self._heading: Heading | None = None
        self.unreadable = 0
        self.fault = ""
        """What was wrong with the last line that was skipped."""

    def next_heading(self) -> Heading | None:
        """Return the next recording's heading, or None at the end of the file; what precedes it is skipped."""
        heading, self._heading = self._heading, None
        if heading is not None:
            return heading
        for line in self._lines():
            if isinstance(line, Heading):
                return line
            self._skip("it does not begin with a recording's first line")
        return None

    def lines(self) -> Iterator[_Body]:
        """Yield what follows the heading, up to the next one."""
        for line in self._lines():
            if isinstance(line, Heading):
                self._heading = line
                return
            yield line

    def _lines(self) -> Iterator[Line]:
        while text := self._read():
            if not text.endswith(b"\n") and len(text) == MAX_LINE_BYTES:
                self._skip_line()
                self._skip("longer than any line of a recording")
                continue
            if not text.strip():
                continue  # a writer starts a new line like this after one that it could not finish
            try:
                yield decode_line(text)
            except RecordingError as error:
                self._skip(str(error))

    def _skip_line(self) -> None:
        while (text := self._read()) and not text.endswith(b"\n"):
            continue

    def _read(self) -> bytes:
        try:
            line = self._stream.readline(MAX_LINE_BYTES)
        except OSError as error:
            raise _unreadable(self._path, error) from error
        return b"" if self._stop.is_set() else line  # the signal may have cut it

    def _skip(self, fault: str) -> None:
        self.unreadable += 1
        self.fault = fault


class _Player:
    """Replays one recording."""

    def __init__(self, heading: Heading, configuration: Configuration, speaker: Speaker) -> None:
        self._configuration = configuration
        self._speaker = speaker
        self._origins = ReplayedOrigins()
        self._now = 0.0
        """Seconds since the heading, by the clock of the recording."""
        source = Source(
            ids=SeededIds(heading.seed),
            origins=None if heading.context else self._origins,
            host_name=heading.host_name,
            service_name=heading.service_name,
            context=parse_traceparent(heading.context),
            parent=parse_traceparent(heading.parent),
            trace_state=heading.trace_state,
        )
        self._stdout = Stdout(say=speaker.warn, environ=os.environ)
        faults: list[Fault] = []
        self._bridge: Bridge = build_bridge(
            configuration, source=source, speaker=speaker, show=self._stdout.show, faults=faults
        )
        if faults:
            raise SettingsError(faults)
        if self._bridge.outlets.file is not None:
            self._bridge.outlets.file.block_when_full(until=math.inf)

    def play(self, reader: _Reader, stop: StopSignal) -> None:
        """Replay what follows the heading, deliver it and print its tally."""
        begin_collection()
        pipeline, file = self._bridge.pipeline, self._bridge.outlets.file
        pace = _Pace(self._configuration.settings.speed, stop)
        for line in reader.lines():
            # the clock stops rather than step back: all that is due then was due before
            if not self._advance(max(self._now, line.at_ns / _NS_PER_SECOND), pace):
                break
            if self._bridge.outlets.queue is not None:
                self._bridge.outlets.queue.wait_for_room(unless=stop.is_set)
            if file is not None and file.waits_for_reader:
                file.wait_until_written(unless=stop.is_set, most_bytes=LIMIT_BYTES // 2)
            self._apply(line)
        if file is not None and stop.is_set():
            deadline = time.monotonic() + self._configuration.drain_seconds
            file.block_when_full(until=deadline, stall_seconds=STALL_SECONDS)
        self._origins.finish()
        drain = Drain(pipeline, releases_per_step=sys.maxsize)  # all in one batch, as nothing is received meanwhile
        while not drain.advance(now=self._now):
            continue
        pipeline.finish(now=self._now)
        if file is not None and file.waits_for_reader:
            file.wait_until_written(unless=stop.is_set)
        self._bridge.outlets.close(deadline_seconds=self._configuration.drain_seconds)
        self._stdout.flush()
        self._speaker.write(render_tally(self._bridge.tally, seconds=self._now))

    def _advance(self, second: float, pace: _Pace) -> bool:
        """Advance the clock, handling deadlines on the way, and return False if a signal came first."""
        pipeline = self._bridge.pipeline
        while (deadline := pipeline.next_deadline()) is not None and deadline <= second:
            if not pace.wait_until(deadline):
                return False
            self._now = max(self._now, deadline)
            pipeline.advance(now=deadline)
        if not pace.wait_until(second):
            return False
        self._now = second
        return True

    def _apply(self, line: _Body) -> None:
        pipeline = self._bridge.pipeline
        if isinstance(line, RecordedDatagram):
            decoded = Decoded(list(line.events), line.rejected, line.other_versions)
            pipeline.receive(decoded, peer=line.peer, received_ns=line.received_ns, now=self._now)
            pipeline.advance(now=self._now)
        elif isinstance(line, RecordedOrigin):
            self._origins.add_origin(line.peer, line.origin)
            pipeline.advance(now=self._now)
        elif isinstance(line, RecordedEnd):
            self._origins.add_end(Ended([ProcessEnd(line.origin, line.noticed_ns, line.is_exact)], []))
            pipeline.advance(now=self._now)
        elif isinstance(line, RecordedDeparture):
            self._origins.add_end(Ended([], [Peer(peer.host, peer.port, peer.generation) for peer in line.peers]))
            pipeline.advance(now=self._now)
        elif isinstance(line, RecordedDrops):
            pipeline.record_kernel_drops(line.dropped, now=self._now)
        elif isinstance(line, RecordedCommand):
            self._bridge.add_command(line.command, now=self._now)
        else:
            assert_never(line)


class _Pace:
    """Waits between the lines of a recording that is replayed at a given speed."""

    def __init__(self, speed: float | None, stop: StopSignal) -> None:
        self._speed = speed
        self._stop = stop
        self._began = time.monotonic()

    def wait_until(self, second: float) -> bool:
        """Wait for a second of the recording, and return False if a signal came first."""
        if self._speed is None:
            return not self._stop.is_set()
        with selectors.DefaultSelector() as selector:
            selector.register(self._stop, selectors.EVENT_READ)
            while not self._stop.is_set() and (left := self._began + second / self._speed - time.monotonic()) > 0:
                selector.select(left)
        return not self._stop.is_set()


def _opened(path: Path, stop: StopSignal) -> BinaryIO:
    is_stdin = str(path) == "-"
    if is_stdin and sys.stdin is None:
        raise RecordingError("-: stdin is closed")
    try:
        # Non-blocking: opening a pipe without a writer would hang.
        descriptor = os.dup(sys.stdin.fileno()) if is_stdin else os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(path, error) from error
    return interruptible(descriptor, stop)


def _unreadable(path: Path, error: OSError) -> RecordingError:
    return RecordingError(f"{path}: {reason_of(error, 'cannot be read')}")
