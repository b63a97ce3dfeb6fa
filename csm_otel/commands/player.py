"""A recording, played into a pipeline with its own times as the clock: `Player`."""

from __future__ import annotations

import math
import select
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
from csm_otel.errors import Fault, SettingsError
from csm_otel.files.backlog import LIMIT_BYTES, STALL_SECONDS
from csm_otel.files.recording import (
    Heading,
    RecordedCommand,
    RecordedDatagram,
    RecordedDeparture,
    RecordedDrops,
    RecordedEnd,
    RecordedOrigin,
)
from csm_otel.files.replayed_origins import ReplayedOrigins
from csm_otel.process.garbage import begin_collection
from csm_otel.spans.ids import SeededIds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csm_otel.commands.recording_reader import Body, RecordingReader
    from csm_otel.config.configuration import Configuration
    from csm_otel.engine.bridge import Bridge
    from csm_otel.process.speaker import Speaker
    from csm_otel.process.stop import StopSignal
    from csm_otel.spans.data import SpanData
    from csm_otel.tally import Tally

_NS_PER_SECOND = 1_000_000_000
_MAX_WAIT_SECONDS = 86_400.0  # a recording is untrusted, and select() refuses centuries


class Player:
    """Plays one recording."""

    def __init__(
        self,
        heading: Heading,
        configuration: Configuration,
        speaker: Speaker,
        *,
        show: Callable[[Sequence[SpanData]], None],
        summarise: Callable[[Sequence[SpanData]], None] | None = None,
    ) -> None:
        """Build the pipeline; see `build_bridge` for ``show`` and ``summarise``.

        Raises:
            SettingsError: a file, certificate or sampler that is asked for cannot be used.
        """
        self._configuration = configuration
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
        faults: list[Fault] = []
        self._bridge: Bridge = build_bridge(
            configuration, source=source, speaker=speaker, show=show, summarise=summarise, faults=faults
        )
        if faults:
            raise SettingsError(faults)
        if self._bridge.outlets.file is not None:
            self._bridge.outlets.file.block_when_full(until=math.inf)

    @property
    def tally(self) -> Tally:
        """The counts so far."""
        return self._bridge.tally

    @property
    def seconds(self) -> float:
        """How much of the recording has been played."""
        return self._now

    def play(self, reader: RecordingReader, stop: StopSignal) -> None:
        """Play what follows the heading, until a signal, and deliver it."""
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

    def _apply(self, line: Body) -> None:
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
