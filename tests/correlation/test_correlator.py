"""How long and how much the correlator keeps."""

from __future__ import annotations

import pytest
from arrivals import DOTNET, GRACE, JS, RUBY, WAIT, arrive, called, failed, told, transcript, tried
from datagrams import ABSENT, BASE_MS

from csm_otel.correlation.correlator import Correlator, CorrelatorLimits
from csm_otel.correlation.released import CorrelatedCall
from csm_otel.csm.events import Peer
from csm_otel.csm.times import NS_PER_MS, TimestampMode

# A call that misses attempts waits where its sender or the network may reorder.


def test_grace_ends_with_what_there_is() -> None:
    """When the grace is over, the call leaves with the attempts it has."""
    correlator = Correlator()
    held = arrive(correlator, called(0, 50, RUBY, AttemptCount=2))
    held += arrive(correlator, tried("a", 1, 5, RUBY, at=51, **failed()))

    early = correlator.expire(now=0.050 + GRACE - 0.001)
    released = correlator.expire(now=0.050 + GRACE)

    assert (held, early) == ([], [])
    assert told(released) == ["call@0 [a] missing 1 expired"]


def test_remote_senders_may_be_reordered() -> None:
    """A call from another host waits for its attempt, whatever the SDK."""
    correlator = Correlator()

    assert arrive(correlator, called(0, 30)._replace(host="10.0.0.7")) == []
    assert told(arrive(correlator, tried("a", 2, 27, at=31)._replace(host="10.0.0.7"))) == ["call@0 [a]"]


def test_best_held_call_takes_the_attempt() -> None:
    """Of two calls that wait, the one that the attempt fits better takes it."""
    lines = transcript(
        called(0, 30, DOTNET),
        called(0, 60, DOTNET),
        tried("a", 1, 59, DOTNET, at=61),
        tried("b", 1, 29, DOTNET, at=62),
    )

    assert lines == ["call@0 [a]", "call@0 [b]"]


def test_local_senders_that_keep_order_do_not_wait() -> None:
    """A botocore attempt comes before its call or never."""
    correlator = Correlator()

    assert told(arrive(correlator, called(0, 30))) == ["call@0 [] missing 1"]
    assert correlator.next_deadline() is None


# What waits has a deadline, and leaves by it.


def test_orphan_leaves_by_its_deadline() -> None:
    """An attempt whose call never comes leaves when its wait has ended."""
    correlator = Correlator()
    arrive(correlator, tried("a", 2, 27))

    early = correlator.expire(now=0.027 + WAIT - 0.001)

    assert early == []
    assert correlator.next_deadline() == pytest.approx(0.027 + WAIT)
    assert told(correlator.expire(now=0.027 + WAIT)) == ["orphan a expired"]
    assert correlator.next_deadline() is None


def test_nearest_deadline_of_all() -> None:
    """The next deadline is a held call's, then an attempt's."""
    correlator = Correlator()
    arrive(correlator, tried("a", 2, 27))
    arrive(correlator, called(0, 30, RUBY))

    first = correlator.next_deadline()
    correlator.expire(now=0.030 + GRACE)

    assert first == pytest.approx(0.030 + GRACE)
    assert correlator.next_deadline() == pytest.approx(0.027 + WAIT)


def test_nothing_waits_at_first() -> None:
    """An empty correlator has no deadline and nothing to release."""
    correlator = Correlator()

    assert correlator.next_deadline() is None
    assert correlator.expire(now=1e9) == []
    assert correlator.flush() == []


def test_limits_are_taken() -> None:
    """Both waits are settings."""
    correlator = Correlator(CorrelatorLimits(grace_seconds=1.0, attempt_wait_seconds=5.0))
    arrive(correlator, called(0, 0, RUBY))
    arrive(correlator, tried("a", 0, 0))

    assert told(correlator.expire(now=1.0)) == ["call@0 [] missing 1 expired"]
    assert told(correlator.expire(now=5.0)) == ["orphan a expired"]


def test_flush_empties() -> None:
    """At the end held calls leave first, each with what there is, then the orphans."""
    correlator = Correlator()
    arrive(correlator, tried("x", 2, 9, Api="ListBuckets"))
    arrive(correlator, called(0, 50, RUBY, AttemptCount=2))
    arrive(correlator, tried("a", 1, 5, RUBY, at=51, **failed()))

    assert told(correlator.flush()) == ["call@0 [a] missing 1 flushed", "orphan x flushed"]
    assert correlator.pending_events == 0


# Of a sender that has ended nothing waits any longer.


def test_attempts_of_a_sender_that_has_ended() -> None:
    """They leave as orphans in order of arrival; others wait on, also those of the port's other generations."""
    correlator = Correlator()
    for name, generation in (("a", 1), ("x", 0), ("b", 1), ("y", 2), ("c", 1)):
        arrive(correlator, tried(name, 2, 27)._replace(generation=generation))

    released = correlator.release_peers([Peer("127.0.0.1", 40_000, 1), Peer("127.0.0.1", 40_001, 1)])

    assert told(released) == ["orphan a ended", "orphan b ended", "orphan c ended"]
    assert told(correlator.flush()) == ["orphan x flushed", "orphan y flushed"]


def test_a_call_of_a_sender_that_has_ended() -> None:
    """It leaves with what there is, and is complete if it was held for doubt only."""
    correlator = Correlator()
    for arrival in (
        called(0, 50, RUBY, AttemptCount=2),
        tried("a", 1, 5, RUBY, at=51, **failed()),
        tried("b", 0, 40),
        tried("c", 0, 40),
        called(0, 40),
    ):
        assert arrive(correlator, arrival._replace(generation=1)) == []

    released = told(correlator.release_peers([Peer("127.0.0.1", 40_000, 1)]))

    assert released == ["call@0 [a] missing 1 ended", "call@0 [b] ambiguous", "orphan c ended"]
    assert (correlator.pending_events, correlator.pending_bytes) == (0, 0)


def test_a_sender_with_several_peers() -> None:
    """A call takes its attempts along from whichever peer of its sender they came."""
    correlator = Correlator()
    arrive(correlator, called(0, 50, JS, port=40_001, AttemptCount=2)._replace(generation=2))
    arrive(correlator, tried("a", 1, 5, JS, at=51, **failed())._replace(generation=1))

    peers = [Peer("127.0.0.1", 40_000, 1), Peer("127.0.0.1", 40_001, 2)]

    assert told(correlator.release_peers(peers)) == ["call@0 [a] missing 1 ended"]
    assert correlator.release_peers(peers) == []


# What waits is bounded by number and by bytes, oldest first out.


def test_number_is_bounded() -> None:
    """One event too many pushes the oldest out."""
    correlator = Correlator(CorrelatorLimits(pending_events=2))

    lines = [told(arrive(correlator, tried(name, at, at + 1))) for at, name in enumerate("abc")]

    assert lines == [[], [], ["orphan a evicted"]]
    assert correlator.pending_events == 2


def test_bytes_are_bounded() -> None:
    """Bytes of payload are bounded in the same way."""
    arrivals = [tried(name, at, at + 1) for at, name in enumerate("abc")]
    correlator = Correlator(CorrelatorLimits(pending_bytes=sum(len(one.payload) for one in arrivals) - 1))

    lines = [told(arrive(correlator, arrival)) for arrival in arrivals]

    assert lines == [[], [], ["orphan a evicted"]]
    assert correlator.pending_bytes == len(arrivals[1].payload) + len(arrivals[2].payload)


def test_held_call_takes_its_attempts_along() -> None:
    """A call that is pushed out leaves with the attempts it has."""
    correlator = Correlator(CorrelatorLimits(pending_events=2))
    arrive(correlator, called(0, 50, RUBY, AttemptCount=3))
    arrive(correlator, tried("a", 1, 5, RUBY, at=51, **failed()))

    lines = told(arrive(correlator, tried("x", 2, 9, at=52)))

    assert lines == ["call@0 [a] missing 2 evicted"]
    assert correlator.pending_events == 1


def test_flood_of_strangers() -> None:
    """Spoofed attempts of ever new services leave nothing behind beyond the bounds."""
    correlator = Correlator(CorrelatorLimits(pending_events=10))

    for number in range(500):
        arrive(correlator, tried("x", number, number, Service=f"S{number}", ClientId=f"{number}"))

    assert correlator.pending_events == 10
    assert len(correlator._groups) == 10


def test_timestamp_mode_is_taken() -> None:
    """The setting that overrules what a Timestamp means reaches the events."""
    correlator = Correlator(timestamp_mode=TimestampMode.END)

    (released,) = arrive(correlator, called(0, 30, AttemptCount=0, FinalHttpStatusCode=ABSENT))

    assert isinstance(released, CorrelatedCall)
    assert released.call.end_ns == BASE_MS * NS_PER_MS


def test_a_straggler_is_no_other_calls() -> None:
    """Ruby's attempt that comes when its call has gone stays without one; the calls behind it keep their own."""
    lines = transcript(
        called(0, 400, RUBY, at=400),
        tried("of the first", 5, 399, RUBY, at=700),
        called(4, 400, RUBY, at=700),
        tried("of the second", 6, 400, RUBY, at=701),
        called(5, 402, RUBY, at=702),
        tried("of the third", 6, 401, RUBY, at=702),
    )

    assert lines == [
        "call@0 [] missing 1 expired",
        "call@4 [of the second]",
        "call@5 [of the third]",
        "orphan of the first flushed",
    ]


def test_a_call_that_has_all_takes_what_is_better() -> None:
    """A retried call that has another's attempt for want of its own last one gives it back when that comes."""
    lines = transcript(
        called(0, 100, RUBY, AttemptCount=2, at=102),
        called(60, 101, RUBY, at=102),
        tried("a1", 5, 10, RUBY, at=103, **failed()),
        tried("b", 61, 99, RUBY, at=103),
        tried("a2", 50, 100, RUBY, at=104),
    )

    assert lines == ["call@0 [a1 a2]", "call@60 [b]"]
