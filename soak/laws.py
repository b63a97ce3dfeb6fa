"""Laws of decoding and of the correlator for any bytes; `soak.fuzz` searches for violations.

A law takes bytes and returns nothing; it raises where it is broken.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from opentelemetry.sdk.trace import SpanLimits

from csm_otel.correlation.correlator import Correlator, CorrelatorLimits
from csm_otel.correlation.released import CorrelatedCall
from csm_otel.csm.decoding import decode
from csm_otel.csm.events import (
    MAX_LATENCY_MS,
    MAX_TIMESTAMP_MS,
    ApiCall,
    ApiCallAttempt,
    Dialect,
    Failure,
    Peer,
)
from csm_otel.csm.wire import WireObject, parse_lenient
from csm_otel.delivery.encoding import encode
from csm_otel.errors import MalformedDatagramError
from csm_otel.files.recording import MAX_LINE_BYTES, RecordedDatagram, decode_line, encode_line
from csm_otel.spans.ids import SeededIds
from csm_otel.spans.mapper import SpanMapper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from csm_otel.correlation.released import Released
    from csm_otel.csm.events import Event
    from csm_otel.spans.data import SpanData

_PIECE = 16  # length of a leaked piece of a secret, as in the hypothesis laws
_MAX_DATAGRAM_BYTES = 65_535
_REASONS = frozenset({"empty", "not_json", "not_an_object", "too_deep", "unknown_type", "unnamed", "too_many"})
_NOW_NS = 1_795_458_108_000_000_000
_NOW_MS = _NOW_NS // 1_000_000
_NEAR_NS = 4 * 24 * 3600 * 1_000_000_000
"""A day of latency before a clock that is a day behind, and another between the clocks of a call and its attempt."""


def decoding(payload: bytes) -> None:
    """Decoding raises one error or nothing, lets no secret past, and what it yields can be recorded."""
    payload = payload[:_MAX_DATAGRAM_BYTES]
    reason = None
    try:
        decoded = decode(payload)
    except MalformedDatagramError as error:
        reason = error.reason
    if reason is not None:
        assert reason in _REASONS, reason
        return
    assert decoded.events
    assert _REASONS.issuperset(decoded.rejected)
    texts = [text for event in decoded.events for text in _texts(msgspec.to_builtins(event))]
    for secret in _secrets(payload):
        pieces = {secret[at : at + _PIECE] for at in range(len(secret) - _PIECE + 1)}
        assert not any(piece in text for piece in pieces for text in texts), "a secret got past decoding"
    line = RecordedDatagram(
        at_ns=1,
        received_ns=_NOW_NS,
        host="127.0.0.1",
        port=1,
        events=tuple(decoded.events),
        rejected=decoded.rejected,
        other_versions=decoded.other_versions,
    )
    recorded = encode_line(line)
    assert len(recorded) <= MAX_LINE_BYTES
    assert recorded.count(b"\n") == 1
    assert decode_line(recorded) == line


def _secrets(payload: bytes) -> Iterator[str]:
    for read in parse_lenient(payload):
        if isinstance(read, WireObject):
            yield from filter(None, (read.wire.AccessKey, read.wire.SessionToken))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)


_LIMITS = CorrelatorLimits(grace_seconds=0.5, attempt_wait_seconds=5.0, pending_events=40, pending_bytes=20_000)
_STEP = struct.Struct("<BBBBhhB")
"""Operation, peer, API, dialect, start, length, and result."""
_WAIT, _END = 6, 7
_DIALECTS = sorted(Dialect)
_STATUSES = (200, 200, 500, 503, 400, None)


def correlator(script: bytes) -> None:
    """With any events and times, each event is released exactly once, in time, and flush releases the rest.

    Releases become spans near their receipt, which can be encoded.
    """
    machine = Correlator(_LIMITS)
    spans = _Spans()
    arrived: Counter[str] = Counter()
    left: Counter[str] = Counter()
    now = 0.0
    for number, step in enumerate(_STEP.iter_unpack(script[: len(script) // _STEP.size * _STEP.size])):
        what, who, _, _, start, length, _ = step
        peer = Peer(("127.0.0.1", "10.0.0.7")[who & 1], 1 + (who >> 1 & 3), who >> 3 & 1)
        if what & 7 == _WAIT:
            now += abs(length) / 1000
            left.update(spans.names(machine.expire(now=now)))
            deadline = machine.next_deadline()
            assert deadline is None or deadline > now, "something waits beyond its deadline"
        elif what & 7 == _END:
            left.update(spans.names(machine.release_peers([peer])))
        else:
            now += abs(start % 7) / 1000
            event = _event(step, name=f"{number}", now_ms=_NOW_MS + int(now * 1000))
            arrived[f"{number}"] += 1
            received_ns = _NOW_NS + int(now * 1e9)
            left.update(spans.names(machine.receive(event, peer=peer, received_ns=received_ns, now=now)))
        assert machine.pending_events == arrived.total() - left.total()
        assert machine.pending_events <= _LIMITS.pending_events
        assert 0 <= machine.pending_bytes <= _LIMITS.pending_bytes
    left.update(spans.names(machine.flush()))
    assert left == arrived, "lost or doubled"
    assert (machine.pending_events, machine.pending_bytes, machine.next_deadline()) == (0, 0, None)
    spans.check()


def _event(step: tuple[int, ...], *, name: str, now_ms: int) -> Event:
    """Return an event; its name is in the account id, which is no evidence."""
    what, who, api, dialect, start, length, outcome = step
    fields: dict[str, Any] = {
        "dialect": _DIALECTS[dialect % len(_DIALECTS)],
        "service": "S3",
        "api": "AB"[api & 1],
        "client_id": ("", "etl")[who >> 4 & 1],
        "timestamp_ms": None if outcome & 128 else _anywhen(start) if outcome & 8 else now_ms + start,
        "latency_ms": None if outcome & 64 else _any_latency(length) if outcome & 8 else abs(length),
        "status": _STATUSES[outcome % len(_STATUSES)],
        "aws_exception": Failure("SlowDown", "") if outcome & 32 else None,
        "sdk_exception": Failure("Timeout", "") if outcome & 16 else None,
        "account_id": name,
        "size_bytes": 100 + 20 * (api >> 1),
    }
    if what & 1:
        return ApiCall(**fields, attempt_count=None if dialect & 128 else what >> 3 & 7)
    return ApiCallAttempt(**fields, not_sent=bool(dialect & 64))


class _Spans:
    """The spans of all releases."""

    def __init__(self) -> None:
        self._mapper = SpanMapper(ids=SeededIds(1), resource={})
        self._created: list[SpanData] = []

    def names(self, released: Iterable[Released]) -> Iterator[str]:
        """Map releases, and yield the names of their events."""
        for one in released:
            self._created += self._mapper.map(one)
            yield from _names([one])

    def check(self) -> None:
        """Check all spans created."""
        for span in self._created:
            assert span.start_ns <= span.end_ns
            assert abs(span.start_ns - _NOW_NS) < _NEAR_NS, "a span lies days from its receipt"
            assert abs(span.end_ns - _NOW_NS) < _NEAR_NS, "a span lies days from its receipt"
        encode(self._created, limits=SpanLimits())


def _anywhen(number: int) -> int:
    """Return any time that decoding accepts."""
    return max(1, (number + 2**15) * MAX_TIMESTAMP_MS // 2**16)


def _any_latency(number: int) -> int:
    return abs(number) * MAX_LATENCY_MS // 2**15


def _names(released: Iterable[Released]) -> Iterator[str]:
    for one in released:
        if isinstance(one, CorrelatedCall):
            yield one.call.event.account_id or ""
            for attempt in one.attempts:
                yield attempt.event.account_id or ""
        else:
            yield one.attempt.event.account_id or ""


LAWS: dict[str, Callable[[bytes], None]] = {"decoding": decoding, "correlator": correlator}


def scripts() -> Iterator[bytes]:
    """Yield seed scripts: calls with their attempts, alone, repeated and concurrent, in each dialect."""
    for dialect in range(len(_DIALECTS)):
        tries = [_STEP.pack(0, 0, 0, dialect, -40 + 20 * at, 15, 2 - 2 * at) for at in range(2)]
        called = _STEP.pack(1 | 2 << 3, 0, 0, dialect, -45, 45, 0)
        wait = _STEP.pack(_WAIT, 0, 0, 0, 0, 600, 0)
        yield b"".join([*tries, called])
        yield b"".join([called, *tries, wait])
        yield b"".join([*tries, *tries, called, called, wait])
        yield b"".join([*tries, _STEP.pack(_END, 0, 0, 0, 0, 0, 0), called, _STEP.pack(_WAIT, 0, 0, 0, 0, 6000, 0)])
