"""Whatever is received, the equations of the tally hold."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import strategies
from configured import configured
from datagrams import BASE_MS, attempt, call
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.commands.wiring import build_bridge
from csm_otel.csm.decoding import Decoded, decode
from csm_otel.csm.events import Peer
from csm_otel.csm.times import NS_PER_MS
from csm_otel.engine.counting import Counting
from csm_otel.engine.drain import Drain
from csm_otel.engine.source import Source
from csm_otel.errors import MalformedDatagramError
from csm_otel.files.replayed_origins import ReplayedOrigins
from csm_otel.process.speaker import Speaker

if TYPE_CHECKING:
    from csm_otel.correlation.correlator import Correlator
    from csm_otel.engine.bridge import Bridge
    from csm_otel.tally import Tally

_payloads = strategies.any_payload | st.lists(strategies.any_payload, min_size=2, max_size=4).map(b"\n".join)
_peers = st.builds(Peer, st.sampled_from(["127.0.0.1", "10.0.0.7"]), st.integers(1, 3))


def bridge() -> Bridge:
    """Return a pipeline without a socket that holds at most five events and discards its spans."""
    return build_bridge(
        configured(pending_events=5),
        source=Source(origins=ReplayedOrigins()),  # a thread and sockets less for each example
        speaker=Speaker(io.StringIO()),
        show=lambda _spans: None,
        faults=[],
    )


def decoded(payload: bytes) -> Decoded:
    """Return what the loop hands on of a payload."""
    try:
        return decode(payload)
    except MalformedDatagramError as error:
        return Decoded([], (error.reason,))


def assert_adds_up(tally: Tally, correlator: Correlator) -> None:
    """Assert the sums, with what is pending as the correlator has it."""
    ended = tally.datagrams_decoded + tally.malformed.total() + tally.datagrams_not_allowed + tally.datagrams_undecoded
    assert tally.datagrams_received == ended
    assert tally.calls == tally.released.total() + len(correlator._calls)
    assert tally.attempts == tally.attempts_in_calls + tally.orphans.total() + len(correlator._attempts)
    assert correlator.pending_events == len(correlator._calls) + len(correlator._attempts) <= 5


@given(arrivals=st.lists(st.tuples(_payloads, _peers, st.floats(0, 400)), max_size=12))
def test_what_comes_in_adds_up(arrivals: list[tuple[bytes, Peer, float]]) -> None:
    """After each step each datagram is decoded, malformed or rejected, each event released or pending."""
    one = bridge()
    pipeline, tally, correlator = one.pipeline, one.tally, one.pipeline._correlator
    counting = Counting(tally, Speaker(io.StringIO()))
    objects, now = 0, 0.0
    for number, (payload, peer, seconds) in enumerate(arrivals):
        now += seconds
        if number % 4 == 3:
            counting.count_not_allowed()
        held = decoded(payload)
        objects += len(held.rejected) if held.events else 0
        pipeline.receive(held, peer=peer, received_ns=BASE_MS * NS_PER_MS + int(now * 1e9), now=now)
        pipeline.advance(now=now)
        assert_adds_up(tally, correlator)

    assert tally.datagrams_received == len(arrivals) + len(arrivals) // 4
    assert tally.objects_rejected.total() == objects
    drain = Drain(pipeline)
    while not drain.advance(now=now):
        now = drain.next_deadline()
    assert_adds_up(tally, correlator)
    assert correlator.pending_events == 0


def test_events_and_garbage_in_one_datagram() -> None:
    """A datagram with an event is decoded; other objects in it are counted apart from malformed datagrams."""
    one = bridge()
    event = call()
    for payload in (event + b"\njunk\n7", b"junk\n7", b"", event):
        one.pipeline.receive(decoded(payload), peer=Peer("127.0.0.1", 1), received_ns=BASE_MS * NS_PER_MS, now=0.0)

    assert (one.tally.datagrams_received, one.tally.datagrams_decoded) == (4, 2)
    assert one.tally.malformed == {"not_json": 1, "empty": 1}
    assert one.tally.objects_rejected == {"not_json": 1, "not_an_object": 1}


def test_pending_groups_are_bounded() -> None:
    """Events that each make a group of their own leave no state behind, but for some empty groups."""
    one = bridge()
    correlator = one.pipeline._correlator
    for number in range(3_000):
        payload = attempt(ClientId=f"stranger-{number}")
        peer = Peer("127.0.0.1", number + 1)
        one.pipeline.receive(decoded(payload), peer=peer, received_ns=BASE_MS * NS_PER_MS, now=0.0)
        one.pipeline.export(now=0.0)
        assert correlator.pending_events == min(number + 1, 5)

    assert len(correlator._groups) < 2_000
    assert one.tally.orphans == {"evicted": 2_995}


def test_a_burst_is_exported_once() -> None:
    """What the datagrams of a burst release is counted and exported by the next step, in order."""
    one = bridge()
    for number in range(3):
        payload = call(ClientId=f"client-{number}", AttemptCount=0)
        one.pipeline.receive(decoded(payload), peer=Peer("127.0.0.1", 1), received_ns=BASE_MS * NS_PER_MS, now=0.0)

    assert (one.tally.released.total(), one.tally.spans_created) == (0, 0)
    one.pipeline.advance(now=0.0)
    assert (one.tally.released.total(), one.tally.spans_created) == (3, 3)
