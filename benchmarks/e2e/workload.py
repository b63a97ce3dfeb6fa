"""Recordings in, timed datagrams out: the workload of the senders, as `Datagram` in the order of their sending.

A *stream* is what one sender does: rounds, each a part of a recording, at the recorded pace. To reach a rate, more
streams run side by side, each from ports of its own, so that calls overlap only as much as they did when recorded. All
timestamps of a round are shifted by the same constant, so that they fit the time of sending: what an attempt is to its
call stays as it was.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from conformance.packed import Recorded

_TIMESTAMP = re.compile(rb'"Timestamp": ?(\d{13})(?!\d)')
_NS_PER_MS = 1_000_000
_NS_PER_SECOND = 1_000_000_000
_MOST_KEPT_PORTS = 4
"""A recording with more uses a new port for each round, as senders do that have a new socket for each call."""


class Template(NamedTuple):
    """A recorded payload, with a gap at its timestamp."""

    before: bytes
    timestamp_ms: int | None
    """None: it has none, and is sent as it was recorded."""
    after: bytes

    @classmethod
    def of(cls, payload: bytes) -> Self:
        """Return the template of a payload."""
        found = _TIMESTAMP.search(payload)
        if found is None:
            return cls(payload, None, b"")
        return cls(payload[: found.start(1)], int(found[1]), payload[found.end(1) :])

    def shifted(self, shift_ms: int) -> bytes:
        """Return the payload with its timestamp moved by so much."""
        if self.timestamp_ms is None:
            return self.before
        return b"%s%d%s" % (self.before, self.timestamp_ms + shift_ms, self.after)


class Part(NamedTuple):
    """A datagram of a round; times are seconds since the start of the round."""

    at_seconds: float
    call_from_seconds: float
    call_until_seconds: float
    """When the first and the last datagram of its call are sent: a call is sent whole or not at all."""
    port: int
    is_last_of_port: bool
    template: Template


class Round(NamedTuple):
    """A part of a recording that one sender plays."""

    parts: Sequence[Part]
    received_ms: int
    """The recorded time of its start, in epoch milliseconds."""


class Stream(NamedTuple):
    """What one sender does over and over."""

    rounds: Sequence[Round]
    seconds: float
    """From the start of a round to that of the next one."""
    share: float
    """Its share of the workload, relative to the other streams."""
    keeps_ports: bool
    """Whether all rounds come from the same ports."""

    @property
    def per_second(self) -> float:
        """The datagrams a second of one sender."""
        return sum(len(one.parts) for one in self.rounds) / len(self.rounds) / self.seconds


class Datagram(NamedTuple):
    """A datagram to send."""

    at_seconds: float
    """Since the start of the sending."""
    template: Template
    shift_ms: int
    """To be added to the time of the start of the sending, in epoch milliseconds, for the shift of the timestamp."""
    port: tuple[int, int, int]
    """Identifies the socket to send from."""
    closes_port: bool
    """Whether the socket is not used again."""


def stream_by_time(
    recorded: Sequence[Recorded], share: float, *, round_seconds: float, per_second: float | None = None
) -> Stream:
    """Return a stream whose rounds are pieces of a recording; calls are kept whole.

    With ``per_second`` a sender pauses between its rounds, so that it sends so many on average.
    """
    began_ns = recorded[0].received_ns
    pieces: dict[int, list[list[Recorded]]] = defaultdict(list)
    for call in _calls(recorded):
        pieces[int((call[0].received_ns - began_ns) / _NS_PER_SECOND / round_seconds)].append(call)
    rounds = [
        _round(calls, began_ns + int(number * round_seconds * _NS_PER_SECOND)) for number, calls in pieces.items()
    ]
    mean = len(recorded) / len(rounds)
    seconds = round_seconds if per_second is None else max(round_seconds, mean / per_second)
    return Stream(rounds, seconds, share, keeps_ports=len({one.peer for one in recorded}) <= _MOST_KEPT_PORTS)


def stream_by_peer(recorded: Sequence[Recorded], share: float, *, pause_seconds: float) -> Stream:
    """Return a stream whose rounds are what each peer of a recording sent, with a pause between them."""
    peers: dict[object, list[Recorded]] = defaultdict(list)
    for one in recorded:
        peers[one.peer].append(one)
    rounds = [_round(list(_calls(sent)), sent[0].received_ns) for sent in peers.values()]
    spans = [one.parts[-1].at_seconds for one in rounds]
    return Stream(rounds, sum(spans) / len(spans) + pause_seconds, share, keeps_ports=False)


def stream_of_all(recorded: Sequence[Recorded]) -> Stream:
    """Return a stream that plays a whole recording over and over."""
    whole = _round(list(_calls(recorded)), recorded[0].received_ns)
    return Stream([whole], whole.parts[-1].at_seconds, 1, keeps_ports=True)


def schedule(streams: Sequence[Stream], *, per_second: float, seconds: float, seed: int = 1) -> Iterator[Datagram]:
    """Yield the datagrams of all senders in order, at about this rate; each sender keeps its pace."""
    rng = random.Random(seed)
    sent = [
        datagram
        for number, stream in enumerate(senders_for(streams, per_second))
        for datagram in _sent_by(stream, number, rng, seconds=seconds)
    ]
    sent.sort(key=lambda datagram: datagram.at_seconds)
    yield from sent


def senders_for(streams: Sequence[Stream], per_second: float) -> list[Stream]:
    """Return a stream for each sender, at least one: together as near to the rate as they come, in their shares."""
    whole = sum(stream.share for stream in streams)
    missing = [per_second * stream.share / whole for stream in streams]
    slowest = min(range(len(streams)), key=lambda number: streams[number].per_second)
    senders: list[Stream] = []
    left = per_second
    while not senders or left > streams[slowest].per_second / 2:
        fitting = [number for number, stream in enumerate(streams) if stream.per_second <= left]
        number = max(fitting, key=missing.__getitem__, default=slowest)
        senders.append(streams[number])
        missing[number] -= streams[number].per_second
        left -= streams[number].per_second
    return senders


def _sent_by(stream: Stream, sender: int, rng: random.Random, *, seconds: float) -> Iterator[Datagram]:
    """Yield the datagrams of one sender, which is at work already when the sending starts."""
    begin = -rng.random() * stream.seconds
    number = rng.randrange(len(stream.rounds))
    while begin < seconds:
        one = stream.rounds[number % len(stream.rounds)]
        shift_ms = round(begin * 1000) - one.received_ms
        for part in one.parts:
            if begin + part.call_from_seconds >= 0 and begin + part.call_until_seconds <= seconds:
                port = (sender, 0 if stream.keeps_ports else number, part.port)
                closes = part.is_last_of_port and not stream.keeps_ports
                yield Datagram(begin + part.at_seconds, part.template, shift_ms, port, closes)
        begin += stream.seconds
        number += 1


def _calls(recorded: Iterable[Recorded]) -> Iterator[list[Recorded]]:
    """Yield the datagrams of each call; those without a label are for themselves."""
    labelled: dict[str, list[Recorded]] = defaultdict(list)
    for one in recorded:
        if one.label:
            labelled[one.label].append(one)
        else:
            yield [one]
    yield from labelled.values()


def _round(calls: Iterable[Sequence[Recorded]], began_ns: int) -> Round:
    def seconds_of(one: Recorded) -> float:
        return (one.received_ns - began_ns) / _NS_PER_SECOND

    found = [(one, seconds_of(call[0]), seconds_of(call[-1])) for call in calls for one in call]
    found.sort(key=lambda item: item[0].received_ns)
    last_of = {one.peer: number for number, (one, _, _) in enumerate(found)}
    parts = [
        Part(seconds_of(one), begin, end, one.peer.port, last_of[one.peer] == number, Template.of(one.payload))
        for number, (one, begin, end) in enumerate(found)
    ]
    return Round(parts, began_ns // _NS_PER_MS)
