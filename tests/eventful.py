"""Recordings as `--record` writes them, with all that one may hold besides datagrams: `eventful`."""

from __future__ import annotations

from operator import attrgetter
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.csm.decoding import Decoded, decode
from csm_otel.csm.events import Origin, Peer
from csm_otel.errors import MalformedDatagramError
from csm_otel.files.recording import (
    FORMAT,
    Heading,
    Line,
    RecordedCommand,
    RecordedDatagram,
    RecordedDeparture,
    RecordedDrops,
    RecordedEnd,
    RecordedOrigin,
    RecordedPeer,
)
from csm_otel.spans.command import Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.packed import Recorded

_MS = 1_000_000
_GAPS_MS = {0: 60, 1: 30, 20: 6, 300: 2, 6_000: 1, 1_000_000: 0.1}
"""Milliseconds between datagrams, with their weights: some longer than each wait of the pipeline."""
_UNTIL_KNOWN_MS = [0, 5, 100, 400, None]  # calls wait for 250; None: never
_UNTIL_END_MS = [50, 1_000, 20_000]
_TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class _Due(NamedTuple):
    at_ns: int
    line: Line


def eventful(recorded: Iterable[Recorded], *, seed: int, is_exec: bool = False) -> list[Line]:
    """Return a recording of datagrams, the same for the same seed.

    Origins come at once, late or never, processes end, the kernel drops datagrams, nothing arrives for a while, and
    some lines are out of order. One of `exec` has a command and no origins.
    """
    chance = Random(seed)
    lines: list[Line] = [Heading(format=FORMAT, seed=seed, host_name="h", context=_TRACEPARENT if is_exec else "")]
    generations: dict[Peer, int] = {}
    due: list[_Due] = []
    at_ns = received_ns = 0
    for number, datagram in enumerate(recorded):
        (gap_ms,) = chance.choices(list(_GAPS_MS), list(_GAPS_MS.values()))
        at_ns, received_ns = at_ns + gap_ms * _MS, datagram.received_ns
        due.sort(key=attrgetter("at_ns"))
        while due and due[0].at_ns <= at_ns:
            lines.append(due.pop(0).line)
        peer = datagram.peer
        if not is_exec and (peer not in generations or chance.random() < 0.01):
            generations[peer] = generations.get(peer, chance.choice([0, 1])) + 1 if chance.random() < 0.9 else 0
            if generations[peer]:
                due += _process(number + 1, peer._replace(generation=generations[peer]), at_ns, received_ns, chance)
        decoded = _decoded(datagram.payload)
        lines.append(
            RecordedDatagram(
                at_ns=max(0, at_ns - chance.choice([0] * 9 + [1]) * 3 * _MS),
                received_ns=received_ns,
                host=peer.host,
                port=peer.port,
                generation=generations.get(peer, 0),
                events=tuple(decoded.events),
                rejected=decoded.rejected,
                other_versions=decoded.other_versions,
            )
        )
        if chance.random() < 0.02:
            lines.append(RecordedDrops(at_ns=at_ns, dropped=number))
    command = Command(
        name="etl.py", executable="python3", pid=7, exit_code=0, start_ns=received_ns, end_ns=received_ns + 1
    )
    return [*lines, RecordedCommand(at_ns=at_ns, command=command)]


def _process(pid: int, peer: Peer, at_ns: int, received_ns: int, chance: Random) -> list[_Due]:
    """Return the lines of the process behind a peer that is first heard from now."""
    origin = Origin(pid=pid, start_ticks=pid, start_ns=received_ns, name=f"{pid}.py")
    due: list[_Due] = []
    known_ms, end_ms = chance.choice(_UNTIL_KNOWN_MS), chance.choice(_UNTIL_END_MS)
    if known_ms is not None:
        at = at_ns + known_ms * _MS
        due.append(
            _Due(
                at, RecordedOrigin(at_ns=at, host=peer.host, port=peer.port, generation=peer.generation, origin=origin)
            )
        )
    at = at_ns + end_ms * _MS
    recorded_peer = RecordedPeer(host=peer.host, port=peer.port, generation=peer.generation)
    due.append(_Due(at, RecordedDeparture(at_ns=at, peers=(recorded_peer,))))
    noticed_ns = received_ns + end_ms * _MS
    due.append(_Due(at, RecordedEnd(at_ns=at, origin=origin, noticed_ns=noticed_ns, is_exact=chance.random() < 0.5)))
    return due


def _decoded(payload: bytes) -> Decoded:
    try:
        return decode(payload)
    except MalformedDatagramError as error:
        return Decoded([], (error.reason,))
