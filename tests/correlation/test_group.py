"""Calls that compete for attempts: who is held, who gets what, and who is in doubt."""

from __future__ import annotations

import pytest
from arrivals import GRACE, JS, RUBY, Arrival, arrive, called, failed, told, transcript, tried

from csm_otel.correlation.correlator import Correlator, CorrelatorLimits


def test_competing_calls_wait_for_each_other() -> None:
    """A call whose attempts another call may want is held until that one has come; then both leave."""
    correlator = Correlator()
    early = [
        *arrive(correlator, tried("a", 0, 20)),
        *arrive(correlator, tried("b", 2, 21)),
        *arrive(correlator, called(0, 21, at=22)),
    ]

    both = told(arrive(correlator, called(2, 22, at=22)))

    assert early == []
    assert both == ["call@0 [a]", "call@2 [b]"]
    assert correlator.next_deadline() is None


def test_the_sum_decides() -> None:
    """A call gives up its best choice where the other call has no other."""
    correlator = Correlator()
    for arrival in (tried("a", 0, 20), tried("b", 1, 21), called(0, 21)):
        assert arrive(correlator, arrival) == []

    # it began after a, so that only b can be its own, which the first call has by now
    assert told(arrive(correlator, called(1, 25))) == ["call@0 [a]", "call@1 [b]"]


def test_hold_ends_by_the_grace() -> None:
    """A call is held for nobody longer than the grace period, and is complete all the same."""
    correlator = Correlator()
    for arrival in (tried("a", 0, 20), tried("b", 1, 21), called(0, 21)):
        assert arrive(correlator, arrival) == []

    assert correlator.next_deadline() == pytest.approx(0.021 + GRACE)
    assert correlator.expire(now=0.021 + GRACE - 0.001) == []
    assert told(correlator.expire(now=0.021 + GRACE)) == ["call@0 [b]"]


def test_far_likelier_choice_leaves_at_once() -> None:
    """An attempt that fits a call, but hardly, keeps it from nothing."""
    correlator = Correlator()
    for arrival in (tried("a", 25, 26), tried("b", 0, 60)):
        assert arrive(correlator, arrival) == []

    assert told(arrive(correlator, called(0, 60))) == ["call@0 [b]"]


def test_doubt_is_told_on_both_sides() -> None:
    """Where two calls might as well have each other's attempts, both say so."""
    lines = transcript(tried("a", 0, 20), tried("b", 0, 20), called(0, 21, at=21), called(0, 22, at=21))

    assert [line.split()[-1] for line in lines] == ["ambiguous", "ambiguous"]


def test_twin_calls_are_not_in_doubt() -> None:
    """Between calls that say the same nothing is to be mixed up."""
    lines = transcript(tried("a", 0, 20), tried("b", 0, 20), called(0, 21, at=21), called(0, 21, at=21))

    assert sorted(lines) == ["call@0 [a]", "call@0 [b]"]


@pytest.mark.parametrize(
    "arrivals",
    [
        pytest.param([called(0, 20), tried("b", 31, 60), called(30, 61)], id="before-it-comes"),
        pytest.param([tried("b", 31, 60), called(0, 61), called(30, 61)], id="attempt-first"),
        pytest.param([called(0, 60, JS), tried("b", 31, 60, JS), called(30, 61, JS)], id="may-swap"),
        pytest.param([called(0, 60, RUBY), called(30, 60, RUBY), tried("b", 31, 60, RUBY)], id="call-first"),
    ],
)
def test_lost_attempt_costs_one_call_only(arrivals: list[Arrival]) -> None:
    """A call whose attempt was lost does not take that of another that comes a little later."""
    assert "call@30 [b]" in transcript(*arrivals)


def test_an_attempt_that_is_pushed_out_takes_its_call_along() -> None:
    """The oldest leaves first; where a held call has it, they leave together."""
    correlator = Correlator(CorrelatorLimits(pending_events=3))
    for arrival in (tried("a", 0, 20), tried("b", 1, 20), called(0, 20)):
        assert arrive(correlator, arrival) == []

    lines = told(arrive(correlator, tried("x", 30, 31)))

    assert lines == ["call@0 [a] ambiguous evicted"]
    assert correlator.pending_events == 2


def test_an_attempt_that_has_waited_for_long_leaves_with_the_call_that_has_it() -> None:
    """The wait of an attempt ends a call's hold, so that neither is kept beyond its deadline."""
    correlator = Correlator(CorrelatorLimits(attempt_wait_seconds=0.1))
    for arrival in (tried("a", 0, 20), tried("b", 1, 20), called(0, 91)):
        assert arrive(correlator, arrival) == []

    assert told(correlator.expire(now=0.121)) == ["call@0 [a] ambiguous", "orphan b expired"]


def test_retries_of_calls_that_go_on_are_left_to_them() -> None:
    """Of failed attempts that began together each call takes the one that its own start is nearest to."""
    lines = transcript(
        tried("a", 0, 10, **failed(500, "InternalServerError")),
        tried("b", 4, 11, **failed(500, "InternalServerError")),
        tried("c", 30, 40),
        called(3, 40, AttemptCount=2),
        tried("d", 35, 60),
        called(0, 60, AttemptCount=2),
    )

    assert sorted(lines) == ["call@0 [a d]", "call@3 [b c]"]
