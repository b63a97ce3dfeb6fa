"""How long events are pending, and how many."""

from __future__ import annotations

import pytest
from arrivals import DOTNET, GRACE, JS, RUBY, WAIT, arrive, as_lines, called, failed, transcript, tried
from datagrams import ABSENT, BASE_MS

from csm_otel.correlation.correlator import _MAX_EMPTY_GROUPS, Correlator, CorrelatorLimits
from csm_otel.correlation.released import CorrelatedCall
from csm_otel.csm.events import Peer
from csm_otel.csm.times import NS_PER_MS, TimestampMode

# A call that misses attempts waits where its sender or the network may reorder.


def test_grace_period_expires() -> None:
    """A call whose grace period is over is released with the attempts that it has."""
    correlator = Correlator()
    held = arrive(correlator, called(0, 50, RUBY, AttemptCount=2))
    held += arrive(correlator, tried("a", 1, 5, RUBY, at=51, **failed()))

    early = correlator.expire(now=0.050 + GRACE - 0.001)
    released = correlator.expire(now=0.050 + GRACE)

    assert (held, early) == ([], [])
    assert as_lines(released) == ["call@0 [a] missing 1 expired"]


def test_remote_senders_may_be_reordered() -> None:
    """A call from another host waits for its attempt, with any SDK."""
    correlator = Correlator()

    assert arrive(correlator, called(0, 30)._replace(host="10.0.0.7")) == []
    assert as_lines(arrive(correlator, tried("a", 2, 27, at=31)._replace(host="10.0.0.7"))) == ["call@0 [a]"]


def test_best_pending_call_gets_the_attempt() -> None:
    """Of two waiting calls, the one that an attempt fits better gets it."""
    lines = transcript(
        called(0, 30, DOTNET),
        called(0, 60, DOTNET),
        tried("a", 1, 59, DOTNET, at=61),
        tried("b", 1, 29, DOTNET, at=62),
    )

    assert lines == ["call@0 [a]", "call@0 [b]"]


def test_local_senders_that_keep_order_do_not_wait() -> None:
    """A botocore call never waits: its attempts arrive before it or not at all."""
    correlator = Correlator()

    assert as_lines(arrive(correlator, called(0, 30))) == ["call@0 [] missing 1"]
    assert correlator.next_deadline() is None


# What waits has a deadline, and leaves by it.


def test_orphan_is_released_at_its_deadline() -> None:
    """An attempt without its call is released at its deadline."""
    correlator = Correlator()
    arrive(correlator, tried("a", 2, 27))

    early = correlator.expire(now=0.027 + WAIT - 0.001)

    assert early == []
    assert correlator.next_deadline() == pytest.approx(0.027 + WAIT)
    assert as_lines(correlator.expire(now=0.027 + WAIT)) == ["orphan a expired"]
    assert correlator.next_deadline() is None


def test_earliest_deadline() -> None:
    """The next deadline is that of a pending call, then that of an attempt."""
    correlator = Correlator()
    arrive(correlator, tried("a", 2, 27))
    arrive(correlator, called(0, 30, RUBY))

    first = correlator.next_deadline()
    correlator.expire(now=0.030 + GRACE)

    assert first == pytest.approx(0.030 + GRACE)
    assert correlator.next_deadline() == pytest.approx(0.027 + WAIT)


def test_nothing_is_pending_at_first() -> None:
    """An empty correlator has no deadline and releases nothing."""
    correlator = Correlator()

    assert correlator.next_deadline() is None
    assert correlator.expire(now=1e9) == []
    assert correlator.flush() == []


def test_waits_are_settings() -> None:
    """The grace period and the wait of attempts are settings."""
    correlator = Correlator(CorrelatorLimits(grace_seconds=1.0, attempt_wait_seconds=5.0))
    arrive(correlator, called(0, 0, RUBY))
    arrive(correlator, tried("a", 0, 0))

    assert as_lines(correlator.expire(now=1.0)) == ["call@0 [] missing 1 expired"]
    assert as_lines(correlator.expire(now=5.0)) == ["orphan a expired"]


def test_flush() -> None:
    """A flush releases calls with the attempts they have, then the orphans."""
    correlator = Correlator()
    arrive(correlator, tried("x", 2, 9, Api="ListBuckets"))
    arrive(correlator, called(0, 50, RUBY, AttemptCount=2))
    arrive(correlator, tried("a", 1, 5, RUBY, at=51, **failed()))

    assert as_lines(correlator.flush()) == ["call@0 [a] missing 1 flushed", "orphan x flushed"]
    assert correlator.pending_events == 0


# Of a sender that has ended nothing waits any longer.


def test_attempts_of_a_sender_that_has_ended() -> None:
    """They are released as orphans in order of arrival; others stay, even those of other generations of the port."""
    correlator = Correlator()
    for name, generation in (("a", 1), ("x", 0), ("b", 1), ("y", 2), ("c", 1)):
        arrive(correlator, tried(name, 2, 27)._replace(generation=generation))

    released = correlator.release_peers([Peer("127.0.0.1", 40_000, 1), Peer("127.0.0.1", 40_001, 1)])

    assert as_lines(released) == ["orphan a ended", "orphan b ended", "orphan c ended"]
    assert as_lines(correlator.flush()) == ["orphan x flushed", "orphan y flushed"]


def test_a_call_of_a_sender_that_has_ended() -> None:
    """It is released with the attempts it has, as complete if it was pending only for competing calls."""
    correlator = Correlator()
    for arrival in (
        called(0, 50, RUBY, AttemptCount=2),
        tried("a", 1, 5, RUBY, at=51, **failed()),
        tried("b", 0, 40),
        tried("c", 0, 40),
        called(0, 40),
    ):
        assert arrive(correlator, arrival._replace(generation=1)) == []

    released = as_lines(correlator.release_peers([Peer("127.0.0.1", 40_000, 1)]))

    assert released == ["call@0 [a] missing 1 ended", "call@0 [b] ambiguous", "orphan c ended"]
    assert (correlator.pending_events, correlator.pending_bytes) == (0, 0)


def test_a_sender_with_several_peers() -> None:
    """A call is released with its attempts from all peers of its sender."""
    correlator = Correlator()
    arrive(correlator, called(0, 50, JS, port=40_001, AttemptCount=2)._replace(generation=2))
    arrive(correlator, tried("a", 1, 5, JS, at=51, **failed())._replace(generation=1))

    peers = [Peer("127.0.0.1", 40_000, 1), Peer("127.0.0.1", 40_001, 2)]

    assert as_lines(correlator.release_peers(peers)) == ["call@0 [a] missing 1 ended"]
    assert correlator.release_peers(peers) == []


# What waits is bounded by number and by bytes, oldest first out.


def test_number_is_bounded() -> None:
    """One event too many evicts the oldest."""
    correlator = Correlator(CorrelatorLimits(pending_events=2))

    lines = [as_lines(arrive(correlator, tried(name, at, at + 1))) for at, name in enumerate("abc")]

    assert lines == [[], [], ["orphan a evicted"]]
    assert correlator.pending_events == 2


def test_bytes_are_bounded() -> None:
    """Bytes of payload are bounded likewise."""
    arrivals = [tried(name, at, at + 1) for at, name in enumerate("abc")]
    correlator = Correlator(CorrelatorLimits(pending_bytes=sum(len(one.payload) for one in arrivals) - 1))

    lines = [as_lines(arrive(correlator, arrival)) for arrival in arrivals]

    assert lines == [[], [], ["orphan a evicted"]]
    assert correlator.pending_bytes == len(arrivals[1].payload) + len(arrivals[2].payload)


def test_evicted_call_has_its_attempts() -> None:
    """An evicted call is released with the attempts that it has."""
    correlator = Correlator(CorrelatorLimits(pending_events=2))
    arrive(correlator, called(0, 50, RUBY, AttemptCount=3))
    arrive(correlator, tried("a", 1, 5, RUBY, at=51, **failed()))

    lines = as_lines(arrive(correlator, tried("x", 2, 9, at=52)))

    assert lines == ["call@0 [a] missing 2 evicted"]
    assert correlator.pending_events == 1


def test_flood_of_strangers() -> None:
    """Spoofed attempts of ever new services leave no state beyond the bounds."""
    correlator = Correlator(CorrelatorLimits(pending_events=10))

    for number in range(3 * _MAX_EMPTY_GROUPS):
        arrive(correlator, tried("x", number, number, Service=f"S{number}", ClientId=f"{number}"))
        assert len(correlator._groups) <= 2 * 10 + _MAX_EMPTY_GROUPS + 1

    assert correlator.pending_events == 10


def test_senders_that_come_and_go() -> None:
    """A call is complete whether its group is new, was emptied by the call before, or was another sender's."""
    correlator = Correlator()
    senders = range(1, 3 * _MAX_EMPTY_GROUPS)

    for port in (*senders, 1, 1, *senders):
        assert arrive(correlator, tried("a", 0, 20, port=port)) == []
        assert as_lines(arrive(correlator, called(0, 21, port=port))) == ["call@0 [a]"]


def test_a_flood_leaves_few_groups_behind() -> None:
    """Groups that are empty after a flood are dropped when it is over, not only when others come."""
    correlator = Correlator()
    for number in range(5 * _MAX_EMPTY_GROUPS):
        arrive(correlator, tried("x", 0, 20, ClientId=f"{number}"))
    assert len(correlator._groups) == 5 * _MAX_EMPTY_GROUPS

    correlator.expire(now=WAIT + 1)

    assert len(correlator._groups) <= _MAX_EMPTY_GROUPS


@pytest.mark.parametrize("mode", [TimestampMode.END, "end"])
def test_timestamp_mode(mode: TimestampMode) -> None:
    """The setting for the meaning of timestamps, as a text or not, applies to the events."""
    correlator = Correlator(timestamp_mode=mode)

    (released,) = arrive(correlator, called(0, 30, AttemptCount=0, FinalHttpStatusCode=ABSENT))

    assert isinstance(released, CorrelatedCall)
    assert released.call.end_ns == BASE_MS * NS_PER_MS


def test_unknown_timestamp_mode() -> None:
    """A text that is no mode is rejected, rather than ignored."""
    with pytest.raises(ValueError, match="middle"):
        Correlator(timestamp_mode="middle")  # type: ignore[arg-type]


def test_a_late_attempt_is_not_another_calls() -> None:
    """Ruby's attempt that arrives after its call has left is an orphan; later calls get their own."""
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


def test_a_complete_call_gets_a_better_attempt() -> None:
    """A retried call that was assigned another call's attempt for lack of its own releases it when that arrives."""
    lines = transcript(
        called(0, 100, RUBY, AttemptCount=2, at=102),
        called(60, 101, RUBY, at=102),
        tried("a1", 5, 10, RUBY, at=103, **failed()),
        tried("b", 61, 99, RUBY, at=103),
        tried("a2", 50, 100, RUBY, at=104),
    )

    assert lines == ["call@0 [a1 a2]", "call@60 [b]"]
