"""Records what arrives, for `csm-otel replay`: `Recorder`, one line of JSON for each thing.

A separate thread writes the lines: no disk or pipe may stop the loop that receives datagrams.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import msgspec

from csm_otel.files.backlog import LIMIT_BYTES
from csm_otel.files.line_file import LineFile
from csm_otel.files.recording import (
    SEED_BITS,
    Heading,
    Line,
    RecordedCommand,
    RecordedDatagram,
    RecordedDeparture,
    RecordedDrops,
    RecordedEnd,
    RecordedOrigin,
    RecordedPeer,
    encode_line,
)
from csm_otel.files.write_queue import WriteQueue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from csm_otel.csm.decoding import Decoded
    from csm_otel.csm.events import Ended, Origin, Peer
    from csm_otel.spans.command import Command
    from csm_otel.tally import Tally

_NS_PER_SECOND = 1_000_000_000
_MAX_KNOWN_PEERS = 4096  # a flood may have any number
_GATHER_SECONDS = 0.05  # a live reader of the recording waits no longer, and 5,000 lines a second are some 100 writes


class Recorder:
    """Writes a recording; a line that cannot be written, or does not fit, is counted and never stops the pipeline.

    Every ``now`` is monotonic seconds. The tally's ``lines_unrecorded`` is the recorder's until `close` has returned.
    """

    def __init__(
        self,
        file: LineFile,
        heading: Heading,
        tally: Tally,
        *,
        limit_bytes: int = LIMIT_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write the heading; the recorder owns the file from now on, ``limit_bytes`` bounds its queue.

        ``clock`` returns monotonic seconds, as every ``now`` is.
        """
        self._tally = tally
        self._lines = WriteQueue(
            file,
            name="csm-otel-recording",
            on_dropped=self._count_dropped,
            limit_bytes=limit_bytes,
            batch_bytes=file.batch_bytes,
            gather_seconds=_GATHER_SECONDS,
            clock=clock,
        )
        self._is_reopenable = file.is_reopenable
        self._heading = heading
        self._clock = clock
        self._began = clock()
        self._origins: dict[Peer, Origin] = {}
        """What was recorded last of each peer."""
        self._dropped: int | None = None
        """The kernel's count; None: unknown."""
        self._dropped_before = 0
        """The same, when the file was last opened."""
        self._write(heading)

    @classmethod
    def open(
        cls,
        path: Path,
        heading: Heading,
        tally: Tally,
        *,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> Recorder:
        """Record to ``path``, see `LineFile.open`; ``say`` takes a line for the operator.

        Raises:
            SettingsError: it cannot be opened.
        """
        return cls(LineFile.open(path, flag="--record", say=say), heading, tally, clock=clock)

    def datagram(self, decoded: Decoded, *, peer: Peer, received_ns: int, now: float) -> None:
        """Record a datagram."""
        self._write(
            RecordedDatagram(
                at_ns=self._at_ns(now),
                received_ns=received_ns,
                host=peer.host,
                port=peer.port,
                generation=peer.generation,
                events=tuple(decoded.events),
                rejected=decoded.rejected,
                other_versions=decoded.other_versions,
            )
        )

    def origin(self, origin: Origin, *, peer: Peer, now: float) -> None:
        """Record the process behind a peer, unless it is the last one recorded for the peer."""
        if self._origins.get(peer) == origin:
            return
        if len(self._origins) >= _MAX_KNOWN_PEERS:
            self._origins.clear()  # a repeated line does no harm
        self._origins[peer] = origin
        self._write(
            RecordedOrigin(
                at_ns=self._at_ns(now), host=peer.host, port=peer.port, generation=peer.generation, origin=origin
            )
        )

    def ended(self, ended: Ended, *, now: float) -> None:
        """Record the peers that will send no more, and the processes that have ended."""
        at_ns = self._at_ns(now)
        if ended.peers:
            peers = tuple(
                RecordedPeer(host=peer.host, port=peer.port, generation=peer.generation) for peer in ended.peers
            )
            self._write(RecordedDeparture(at_ns=at_ns, peers=peers))
        for end in ended.processes:
            self._write(RecordedEnd(at_ns=at_ns, origin=end.origin, noticed_ns=end.noticed_ns, is_exact=end.is_exact))

    def drops(self, dropped: int, *, now: float) -> None:
        """Record the kernel's count of dropped datagrams."""
        self._dropped = dropped
        self._write(RecordedDrops(at_ns=self._at_ns(now), dropped=dropped - self._dropped_before))

    def command(self, command: Command, *, now: float) -> None:
        """Record how the command of `exec` ended."""
        self._write(RecordedCommand(at_ns=self._at_ns(now), command=command))

    def reopen(self) -> None:
        """Begin another recording in the file that is at the path by now, where there is a path.

        It has a heading, times and ids of its own, so it can be replayed without the file before it.
        """
        if not self._is_reopenable:
            return
        self._began = self._clock()
        self._origins.clear()
        self._heading = msgspec.structs.replace(self._heading, seed=secrets.randbits(SEED_BITS))
        self._lines.reopen(encode_line(self._heading))
        if self._dropped is not None:  # only a count that changes is recorded, and none means that it is unknown
            self._dropped_before = self._dropped
            self.drops(self._dropped, now=self._began)

    @property
    def is_failing(self) -> bool:
        """Whether the last line could not be written, or did not fit."""
        return self._lines.is_failing

    def close(self, *, deadline_seconds: float) -> int:
        """Write queued lines, close the file, and return how many lines were given up; see `WriteQueue.close`."""
        return self._lines.close(deadline_seconds=deadline_seconds)

    def cancel(self) -> None:
        """Make a running or a later `close` end at once; see `WriteQueue.cancel`."""
        self._lines.cancel()

    def _at_ns(self, now: float) -> int:
        return max(0, round((now - self._began) * _NS_PER_SECOND))

    def _write(self, line: Line) -> None:
        self._lines.put(encode_line(line))

    def _count_dropped(self, lines: int) -> None:
        self._tally.lines_unrecorded += lines
