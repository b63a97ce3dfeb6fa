"""``csm-otel replay``: a recording through the same pipeline, with the recording as its clock.

The spans depend on the recording and the settings alone, ids included: not on when or how fast it is replayed.
A file may hold several recordings, one after the other; each is replayed to its end, with its own delivery and tally.
"""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, assert_never

from csm_otel.commands.wiring import build_bridge
from csm_otel.csm.decoding import Decoded
from csm_otel.csm.events import Ended, Peer, ProcessEnd
from csm_otel.csm.traceparent import parse_traceparent
from csm_otel.engine.drain import Drain
from csm_otel.engine.origin_hold import HOLD_SECONDS
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
    import io
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from csm_otel.config.configuration import Configuration
    from csm_otel.engine.bridge import Bridge
    from csm_otel.process.speaker import Speaker

_Body = RecordedDatagram | RecordedOrigin | RecordedEnd | RecordedDeparture | RecordedDrops | RecordedCommand

_NS_PER_SECOND = 1_000_000_000
_SIGNAL_EXIT = 128
_BLOCK_BYTES = 65_536  # some 120 datagrams; a pipe holds no more
_MAX_WAIT_SECONDS = 86_400.0  # a recording is untrusted, and select() refuses centuries


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

    def __init__(self, stream: io.BufferedIOBase, path: Path, stop: StopSignal) -> None:
        self._stream = stream
        self._path = path
        self._stop = stop
        self._lines = self._read_lines()
        self._heading: Heading | None = None
        self.unreadable = 0
        self.fault = ""
        """What was wrong with the last line that was skipped."""

    def next_heading(self) -> Heading | None:
        """Return the next recording's heading, or None at the end of the file; what precedes it is skipped."""
        heading, self._heading = self._heading, None
        if heading is not None:
            return heading
        for line in self._lines:
            if isinstance(line, Heading):
                return line
            self._skip("it does not begin with a recording's first line")
        return None

    def lines(self) -> Iterator[_Body]:
        """Yield what follows the heading, up to the next one."""
        for line in self._lines:
            if isinstance(line, Heading):
                self._heading = line
                return
            yield line

    def _read_lines(self) -> Iterator[Line]:
        for block in self._blocks():
            for text in block.split(b"\n"):
                if self._stop.is_set():
                    return
                if not text.strip():
                    continue  # a writer starts a new line like this after one that it could not finish
                try:
                    line = decode_line(text)
                except RecordingError as error:
                    self._skip(str(error))
                else:
                    yield line

    def _blocks(self) -> Iterator[bytes]:
        """Yield whole lines, as many as there are, and wait for no more than the rest of the last one."""
        while block := self._read(self._stream.read1, _BLOCK_BYTES):
            end = block.rfind(b"\n") + 1
            yield block[:end]
            if end < len(block):
                yield self._completed(block[end:])

    def _completed(self, start: bytes) -> bytes:
        """Return the line with this start, or nothing if it is too long."""
        line = start + self._read(self._stream.readline, MAX_LINE_BYTES - len(start))
        if line.endswith(b"\n") or len(line) < MAX_LINE_BYTES:
            return line
        while (rest := self._read(self._stream.readline, MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
            continue
        self._skip("longer than any line of a recording")
        return b""

    def _read(self, read: Callable[[int], bytes], most_bytes: int) -> bytes:
        try:
            some = read(most_bytes)
        except OSError as error:
            raise _unreadable(self._path, error) from error
        return b"" if self._stop.is_set() else some  # the signal may have cut it

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
        self._shortest_wait = min(
            configuration.correlator.grace_seconds,
            configuration.correlator.attempt_wait_seconds,
            HOLD_SECONDS,
            configuration.batches.delay_seconds,
        )
        """The shortest of the pipeline's waits, in seconds: nothing is due sooner after it has been passed in."""
        self._quiet_until = 0.0
        """The second of the recording before which nothing is due, whatever is passed in meanwhile."""
        self._has_exported = False
        """Whether a batch may have been sent off since `_wait_for_room`."""
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
            if not self._advance_clock(max(self._now, line.at_ns / _NS_PER_SECOND), pace):
                break
            if self._has_exported:
                self._wait_for_room(stop)
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

    def _advance_clock(self, second: float, pace: _Pace) -> bool:
        """Advance the clock, handling deadlines on the way, and return False if a signal came first."""
        if second >= self._quiet_until and not self._meet_deadlines(second, pace):
            return False
        if not pace.wait_until(second):
            return False
        self._now = second
        return True

    def _meet_deadlines(self, second: float, pace: _Pace) -> bool:
        """Advance the pipeline at each deadline up to a second, and return False if a signal came first."""
        while (deadline := self._bridge.pipeline.next_deadline()) is not None and deadline <= second:
            if not pace.wait_until(deadline):
                return False
            self._now = max(self._now, deadline)
            self._advance(deadline)
        first_of_later = second + self._shortest_wait
        self._quiet_until = first_of_later if deadline is None else min(deadline, first_of_later)
        return True

    def _advance(self, now: float) -> None:
        self._bridge.pipeline.advance(now=now)
        self._has_exported = True

    def _wait_for_room(self, stop: StopSignal) -> None:
        """Wait while a destination is more than half full."""
        self._has_exported = False
        queue, file = self._bridge.outlets.queue, self._bridge.outlets.file
        if queue is not None:
            queue.wait_for_room(unless=stop.is_set)
        if file is not None and file.waits_for_reader:
            file.wait_until_written(unless=stop.is_set, most_bytes=LIMIT_BYTES // 2)

    def _apply(self, line: _Body) -> None:
        pipeline = self._bridge.pipeline
        if isinstance(line, RecordedDatagram):
            decoded = Decoded(list(line.events), line.rejected, line.other_versions)
            released = pipeline.receive(decoded, peer=line.peer, received_ns=line.received_ns, now=self._now)
            if self._now >= self._quiet_until:
                self._advance(self._now)
            elif released:  # nothing is due, so `advance` would do no more than that
                pipeline.export(now=self._now)
                self._has_exported = True
        elif isinstance(line, RecordedOrigin):
            self._origins.add_origin(line.peer, line.origin)
            self._advance(self._now)
        elif isinstance(line, RecordedEnd):
            self._origins.add_end(Ended([ProcessEnd(line.origin, line.noticed_ns, line.is_exact)], []))
            self._advance(self._now)
        elif isinstance(line, RecordedDeparture):
            self._origins.add_end(Ended([], [Peer(peer.host, peer.port, peer.generation) for peer in line.peers]))
            self._advance(self._now)
        elif isinstance(line, RecordedDrops):
            pipeline.record_kernel_drops(line.dropped, now=self._now)
        elif isinstance(line, RecordedCommand):
            self._bridge.add_command(line.command, now=self._now)
            self._has_exported = True
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
        if self._speed is not None:
            at = self._began + second / self._speed
            while not self._stop.is_set() and (left := at - time.monotonic()) > 0:
                select.select([self._stop], [], [], min(left, _MAX_WAIT_SECONDS))
        return not self._stop.is_set()


def _opened(path: Path, stop: StopSignal) -> io.BufferedReader:
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
