"""Calls that compete for attempts: when they are settled, what each gets, and which are ambiguous."""

from __future__ import annotations

import pytest
from arrivals import GRACE, JS, RUBY, Arrival, arrive, as_lines, called, failed, transcript, tried

from csm_otel.correlation.correlator import Correlator, CorrelatorLimits


def test_competing_calls_wait_for_each_other() -> None:
    """A call stays pending while another may compete for its attempts; when that arrives, both are released."""
    correlator = Correlator()
    early = [
        *arrive(correlator, tried("a", 0, 20)),
        *arrive(correlator, tried("b", 2, 21)),
        *arrive(correlator, called(0, 21, at=22)),
    ]

    both = as_lines(arrive(correlator, called(2, 22, at=22)))

    assert early == []
    assert both == ["call@0 [a]", "call@2 [b]"]
    assert correlator.next_deadline() is None


def test_total_cost_decides() -> None:
    """A call is assigned its second candidate where another call has only one."""
    correlator = Correlator()
    for arrival in (tried("a", 0, 20), tried("b", 1, 21), called(0, 21)):
        assert arrive(correlator, arrival) == []

    # it began after a, so that only b can be its own, which is assigned to the first call by now
    assert as_lines(arrive(correlator, called(1, 25))) == ["call@0 [a]", "call@1 [b]"]


def test_grace_period_ends_the_wait() -> None:
    """A call waits for competing calls no longer than the grace period, and is complete then."""
    correlator = Correlator()
    for arrival in (tried("a", 0, 20), tried("b", 1, 21), called(0, 21)):
        assert arrive(correlator, arrival) == []

    assert correlator.next_deadline() == pytest.approx(0.021 + GRACE)
    assert correlator.expire(now=0.021 + GRACE - 0.001) == []
    assert as_lines(correlator.expire(now=0.021 + GRACE)) == ["call@0 [b]"]


def test_unlikely_candidates_do_not_delay() -> None:
    """A call does not wait because of an attempt that fits, but is very unlikely."""
    correlator = Correlator()
    for arrival in (tried("a", 25, 26), tried("b", 0, 60)):
        assert arrive(correlator, arrival) == []

    assert as_lines(arrive(correlator, called(0, 60))) == ["call@0 [b]"]


def test_ambiguous_on_both_sides() -> None:
    """Both of two calls that might as well have each other's attempts are ambiguous."""
    lines = transcript(tried("a", 0, 20), tried("b", 0, 20), called(0, 21, at=21), called(0, 22, at=21))

    assert [line.split()[-1] for line in lines] == ["ambiguous", "ambiguous"]


def test_identical_calls_are_not_ambiguous() -> None:
    """Calls with the same content are not ambiguous: exchanging their attempts changes nothing."""
    lines = transcript(tried("a", 0, 20), tried("b", 0, 20), called(0, 21, at=21), called(0, 21, at=21))

    assert sorted(lines) == ["call@0 [a]", "call@0 [b]"]


@pytest.mark.parametrize(
    "arrivals",
    [
        pytest.param([called(0, 20), tried("b", 31, 60), called(30, 61)], id="before-it-arrives"),
        pytest.param([tried("b", 31, 60), called(0, 61), called(30, 61)], id="attempt-first"),
        pytest.param([called(0, 60, JS), tried("b", 31, 60, JS), called(30, 61, JS)], id="may-swap"),
        pytest.param([called(0, 60, RUBY), called(30, 60, RUBY), tried("b", 31, 60, RUBY)], id="call-first"),
    ],
)
def test_lost_attempt_costs_one_call_only(arrivals: list[Arrival]) -> None:
    """A call whose attempt was lost does not get that of another which arrives a little later."""
    assert "call@30 [b]" in transcript(*arrivals)


def test_an_evicted_attempt_is_released_with_its_call() -> None:
    """The oldest event is evicted first; if it is assigned to a call, they are released together."""
    correlator = Correlator(CorrelatorLimits(pending_events=3))
    for arrival in (tried("a", 0, 20), tried("b", 1, 20), called(0, 20)):
        assert arrive(correlator, arrival) == []

    lines = as_lines(arrive(correlator, tried("x", 30, 31)))

    assert lines == ["call@0 [a] ambiguous evicted"]
    assert correlator.pending_events == 2


def test_an_expired_attempt_is_released_with_its_call() -> None:
    """The deadline of an attempt releases its call as well, so that neither is kept beyond its deadline."""
    correlator = Correlator(CorrelatorLimits(attempt_wait_seconds=0.1))
    for arrival in (tried("a", 0, 20), tried("b", 1, 20), called(0, 91)):
        assert arrive(correlator, arrival) == []

    assert as_lines(correlator.expire(now=0.121)) == ["call@0 [a] ambiguous", "orphan b expired"]


def test_retries_of_unfinished_calls() -> None:
    """Of failed attempts that began together each call gets the one closest to its own start."""
    lines = transcript(
        tried("a", 0, 10, **failed(500, "InternalServerError")),
        tried("b", 4, 11, **failed(500, "InternalServerError")),
        tried("c", 30, 40),
        called(3, 40, AttemptCount=2),
        tried("d", 35, 60),
        called(0, 60, AttemptCount=2),
    )

    assert sorted(lines) == ["call@0 [a d]", "call@3 [b c]"]
