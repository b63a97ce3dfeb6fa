"""How many of our functions are called for a datagram of the common case, by stage: exact on every machine.

Time goes with these calls on CPython, and another layer is another call for each datagram. The common case is a program
that makes one call after the other, each with one attempt. Whoever saves calls lowers the budget.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import pytest
from configured import configured
from datagrams import BASE_MS, attempt, call

import csm_otel
from csm_otel.commands.wiring import build_bridge
from csm_otel.correlation.correlator import Correlator
from csm_otel.csm.decoding import Decoded, decode
from csm_otel.csm.events import Peer
from csm_otel.csm.times import NS_PER_MS
from csm_otel.delivery.encoding import encode
from csm_otel.delivery.limits import SpanLimits
from csm_otel.engine.source import Source
from csm_otel.files.replayed_origins import ReplayedOrigins
from csm_otel.process.speaker import Speaker
from csm_otel.spans.ids import SeededIds
from csm_otel.spans.mapper import SpanMapper

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from csm_otel.correlation.released import Released
    from csm_otel.engine.bridge import Bridge

In = TypeVar("In")
Out = TypeVar("Out")

_BUDGET = {
    "decode an attempt": 8,
    "decode a call": 7,
    "correlate an attempt": 10,
    "correlate a call, and release it": 18,
    "map a call with its attempt": 20,
    "encode a call with its attempt": 2,
    "all of the pipeline, a call with its attempt": 82,
}

_CALLS = 100
_LIMITS = SpanLimits()
_PEER = Peer("127.0.0.1", 40_000)
_PACKAGE = str(Path(csm_otel.__file__).parent)


class _Counter:
    """Counts the calls of functions of the package."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        # comprehensions are calls before CPython 3.12, and generators are called for each item
        if event == "call" and code.co_filename.startswith(_PACKAGE) and not code.co_name.startswith("<"):
            self.calls += 1


def counted(function: Callable[[In], Out], argument: In) -> tuple[int, Out]:
    """Return how many calls a function makes, and what it returns."""
    counter = _Counter()
    before = sys.getprofile()
    sys.setprofile(counter)
    try:
        result = function(argument)
    finally:
        sys.setprofile(before)
    return counter.calls, result


def _received_ns(number: int) -> int:
    return (BASE_MS + 40 * number + 30) * NS_PER_MS


class _Stages:
    """The stages without the pipeline around them."""

    def __init__(self) -> None:
        self.correlator = Correlator()
        self.mapper = SpanMapper(ids=SeededIds(1), resource={})

    def run(self, attempt_payload: bytes, call_payload: bytes, *, number: int = 0) -> dict[str, int]:
        """Return how many calls each stage makes for a call and its attempt."""
        of_attempt, one = counted(decode, attempt_payload)
        of_call, other = counted(decode, call_payload)
        received_ns = _received_ns(number)
        of_first, _ = counted(lambda decoded: self._correlate(decoded, received_ns), one)
        of_second, released = counted(lambda decoded: self._correlate(decoded, received_ns), other)
        of_mapping, spans = counted(self.mapper.map, released[0])
        of_encoding, _ = counted(lambda tree: encode(tree, limits=_LIMITS), spans * _CALLS)
        assert len(spans) == 2
        return {
            "decode an attempt": of_attempt,
            "decode a call": of_call,
            "correlate an attempt": of_first,
            "correlate a call, and release it": of_second,
            "map a call with its attempt": of_mapping,
            "encode a call with its attempt": of_encoding // _CALLS,
        }

    def _correlate(self, decoded: Decoded, received_ns: int) -> list[Released]:
        (event,) = decoded.events
        return self.correlator.receive(event, peer=_PEER, received_ns=received_ns, now=received_ns / 1e9)


@pytest.fixture(scope="module")
def datagrams() -> tuple[list[bytes], list[bytes]]:
    """Return attempts, and the calls that they belong to."""
    return (
        [
            attempt(Timestamp=BASE_MS + 40 * number + 1, AttemptLatency=29, XAmznRequestId=str(UUID(int=number)))
            for number in range(_CALLS)
        ],
        [call(Timestamp=BASE_MS + 40 * number, Latency=30) for number in range(_CALLS)],
    )


def test_calls_by_stage(datagrams: tuple[list[bytes], list[bytes]]) -> None:
    """Each stage makes as many calls as its budget has."""
    stages = _Stages()
    stages.run(*(payloads[0] for payloads in datagrams))  # fills the caches of what repeats
    found = [stages.run(*pair, number=number) for number, pair in enumerate(zip(*datagrams, strict=True))]

    assert all(one == found[0] for one in found), "not all of them are the common case"
    assert found[0] == {stage: _BUDGET[stage] for stage in found[0]}


def test_calls_of_the_pipeline(datagrams: tuple[list[bytes], list[bytes]]) -> None:
    """A burst makes as many calls as the budget has for each of its calls, and few more."""
    bridge = bridge_that_discards()
    run(bridge, datagrams)
    before = bridge.tally.spans_shown

    count, _ = counted(lambda both: run(bridge, both), datagrams)

    assert bridge.tally.spans_shown - before == 2 * _CALLS
    assert count // _CALLS == _BUDGET["all of the pipeline, a call with its attempt"]


def bridge_that_discards() -> Bridge:
    """Return a pipeline without a socket that discards its spans."""
    return build_bridge(
        configured(),
        source=Source(origins=ReplayedOrigins()),
        speaker=Speaker(io.StringIO()),
        show=lambda _spans: None,
        faults=[],
    )


def run(bridge: Bridge, datagrams: tuple[list[bytes], list[bytes]]) -> None:
    """Receive a burst and release it."""
    for number, pair in enumerate(zip(*datagrams, strict=True)):
        for payload in pair:
            bridge.pipeline.receive(decode(payload), peer=_PEER, received_ns=_received_ns(number), now=1.0)
    bridge.pipeline.advance(now=1.0)
    bridge.pipeline.flush()
