"""benchmarks/e2e/workload.py: recordings become datagrams for now, at a rate, each call whole."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from conformance.packed import Recorded

from benchmarks.e2e.workload import Stream, Template, schedule, senders_for, stream_by_peer, stream_by_time
from csm_otel.csm.events import Peer

BEGAN_NS = 1_700_000_000_000_000_000
BEGAN_MS = BEGAN_NS // 1_000_000


def recorded(at_ms: int, *, label: str, port: int = 1, kind: str = "ApiCall") -> Recorded:
    """Return a datagram that took 10 ms and was received at its end."""
    payload = json.dumps({"Type": kind, "Api": label, "Timestamp": BEGAN_MS + at_ms - 10}).encode()
    return Recorded(payload, Peer("127.0.0.1", port), BEGAN_NS + at_ms * 1_000_000, label)


def calls(count: int, *, every_ms: int = 100, ports: int = 1) -> list[Recorded]:
    """Return calls with an attempt each, one after the other."""
    return [
        recorded(number * every_ms + after_ms, label=f"call{number}", port=1 + number % ports, kind=kind)
        for number in range(count)
        for after_ms, kind in ((0, "ApiCallAttempt"), (1, "ApiCall"))
    ]


@pytest.mark.parametrize(
    ("payload", "shifted"),
    [
        pytest.param(b'{"Timestamp":1700000000000,"A":1}', b'{"Timestamp":1700000000005,"A":1}', id="compact"),
        pytest.param(b'{"Timestamp": 1700000000000}', b'{"Timestamp": 1700000000005}', id="with-a-space"),
        pytest.param(b'{"Timestamp":1700000000000.25}', b'{"Timestamp":1700000000005.25}', id="with-a-fraction"),
        pytest.param(b'{"Timestamp":null}', b'{"Timestamp":null}', id="without"),
        pytest.param(b'{"A":1700000000000}', b'{"A":1700000000000}', id="another-number"),
    ],
)
def test_a_timestamp_is_shifted(payload: bytes, shifted: bytes) -> None:
    """Only the timestamp changes."""
    assert shifted == Template.of(payload).shifted(5)


def test_a_call_and_its_attempts_are_shifted_alike() -> None:
    """What is sent at some time has the timestamp that it would have had then."""
    stream = stream_by_time(calls(20), 1, round_seconds=0.5)

    for datagram in schedule([stream], per_second=stream.per_second, seconds=5):
        stamp_ms = json.loads(datagram.template.shifted(datagram.shift_ms + BEGAN_MS))["Timestamp"] - BEGAN_MS
        assert datagram.at_seconds * 1000 - 10 == pytest.approx(stamp_ms, abs=1)


@pytest.mark.parametrize("seed", range(5))
def test_calls_are_sent_whole(seed: int) -> None:
    """Neither the start nor the end of the sending cuts a call."""
    streams = [
        stream_by_time(calls(20), 1, round_seconds=0.5),
        stream_by_peer(calls(20, ports=4), 1, pause_seconds=0.1),
    ]
    sent = list(schedule(streams, per_second=100, seconds=5, seed=seed))

    kinds = Counter(json.loads(datagram.template.before + b"0}")["Type"] for datagram in sent)
    assert kinds["ApiCall"] == kinds["ApiCallAttempt"] > 0
    assert all(0 <= datagram.at_seconds <= 5 for datagram in sent)
    assert sent == sorted(sent, key=lambda datagram: datagram.at_seconds)


def test_the_same_seed_gives_the_same() -> None:
    """Two programs get the same datagrams."""
    streams = [stream_by_time(calls(20), 1, round_seconds=0.5)]

    assert list(schedule(streams, per_second=90, seconds=3)) == list(schedule(streams, per_second=90, seconds=3))


def test_each_sender_has_its_ports() -> None:
    """No two senders share a port, so that their calls do not compete."""
    stream = stream_by_time(calls(20), 1, round_seconds=0.5)
    sent = schedule([stream], per_second=3 * stream.per_second, seconds=3)

    assert len({datagram.port for datagram in sent}) == 3


def test_a_stream_of_many_ports_takes_new_ones() -> None:
    """A recording with a port for each call uses another one each round, and closes it after its last datagram."""
    stream = stream_by_time(calls(10, ports=10), 1, round_seconds=1)
    sent = list(schedule([stream], per_second=stream.per_second, seconds=10))

    used = Counter(datagram.port for datagram in sent)
    assert max(used.values()) == 2
    assert len(used) == sum(datagram.closes_port for datagram in sent)


def test_a_pause_slows_a_stream_down() -> None:
    """Within a round the pace is the recorded one."""
    stream = stream_by_time(calls(20), 1, round_seconds=0.5, per_second=4)

    assert stream.per_second == pytest.approx(4)
    assert [0, 0.001, 0.1, 0.101] == pytest.approx([part.at_seconds for part in stream.rounds[0].parts][:4])


def test_there_is_a_sender_at_least() -> None:
    """A stream that is faster than the rate is not slowed down: its timestamps would not fit its pace."""
    stream = stream_by_time(calls(20), 1, round_seconds=0.5)

    assert senders_for([stream], 1) == [stream]


def test_senders_reach_the_rate_in_their_shares() -> None:
    """The rate is met as well as whole senders can, whose shares are those of the streams."""
    frequent, rare = (
        stream_by_time(calls(20, every_ms=every), share, round_seconds=2) for every, share in ((100, 3), (50, 1))
    )
    senders = senders_for([frequent, rare], 1000)

    def rate_of(stream: Stream) -> float:
        return sum(one.per_second for one in senders if one is stream)

    assert rate_of(frequent) + rate_of(rare) == pytest.approx(1000, abs=frequent.per_second / 2)
    assert rate_of(frequent) == pytest.approx(750, abs=2 * rare.per_second)
