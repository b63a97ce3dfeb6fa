"""Calls that compete for attempts: when they are settled, what each gets, and which are ambiguous."""

from __future__ import annotations

from typing import Any

import pytest
from arrivals import GO, GRACE, JS, RUBY, Arrival, arrive, as_lines, called, failed, transcript, tried

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
    for arrival in (tried("a", 0, 20), tried("b", 3, 21), called(0, 21)):
        assert arrive(correlator, arrival) == []

    # it began after a, so that only b can be its own, which is assigned to the first call by now
    assert as_lines(arrive(correlator, called(3, 25))) == ["call@0 [a]", "call@3 [b]"]


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


def test_choices_beyond_the_width_of_the_search() -> None:
    """Where more attempts fit equally well than a call has choices, each call has one, and all are in doubt."""
    correlator = Correlator()
    arrivals = [tried(f"f{number}", 0, 10, GO, **failed()) for number in range(12)]
    for number in range(12):
        end = 50 + 2 * number
        arrivals += [tried(f"l{number}", 40, end, GO), called(0, end, GO, AttemptCount=2)]

    lines = [line for arrival in arrivals for line in as_lines(arrive(correlator, arrival))]

    assert all(line.endswith(f" l{number}] ambiguous") for number, line in enumerate(lines))
    assert sorted(line.partition("[f")[2].partition(" ")[0] for line in lines) == sorted(map(str, range(12)))


REDIRECTED: dict[str, Any] = {"HttpStatusCode": 307, "Region": "us-east-1"}
UNREACHED: dict[str, Any] = REDIRECTED | {
    "SdkException": "Seahorse::Client::NetworkingError",
    "SdkExceptionMessage": "refused",
}


@pytest.mark.parametrize(
    ("arrivals", "lines"),
    [
        pytest.param(
            [called(0, 50, RUBY), tried("r", 1, 20, RUBY, at=51, **REDIRECTED), tried("b", 21, 49, RUBY, at=51)],
            ["call@0 [r b]"],
            id="one",
        ),
        pytest.param(
            [
                called(0, 50, RUBY),
                tried("r", 1, 10, RUBY, at=51, **REDIRECTED),
                tried("s", 11, 20, RUBY, at=51, **REDIRECTED),
                tried("b", 21, 49, RUBY, at=51),
            ],
            ["call@0 [r s b]"],
            id="two-in-a-row",
        ),
        pytest.param(
            [
                called(0, 50, RUBY, AttemptCount=2),
                tried("r", 1, 10, RUBY, at=51, **REDIRECTED),
                tried("a", 11, 20, RUBY, at=51, **UNREACHED),
                tried("b", 25, 49, RUBY, at=51),
            ],
            ["call@0 [r a b]"],
            id="before-a-retry",
        ),
        pytest.param(
            [
                called(0, 50, RUBY, AttemptCount=2),
                tried("a", 1, 10, RUBY, at=51, HttpStatusCode=503),
                tried("r", 12, 20, RUBY, at=51, **REDIRECTED),
                tried("b", 25, 49, RUBY, at=51),
            ],
            ["call@0 [a r b]"],
            id="after-a-retry",
        ),
        pytest.param(
            [
                called(0, 50, RUBY, Region="eu-west-1"),
                tried("r", 1, 20, RUBY, at=51, HttpStatusCode=400, Region="us-east-1"),
                tried("b", 21, 49, RUBY, at=51, Region="eu-west-1"),
            ],
            ["call@0 [r b]"],
            id="bucket-of-another-region",
        ),
        pytest.param(
            [
                called(0, 50, RUBY, AttemptCount=2, Region="eu-west-1"),
                tried("a", 1, 10, RUBY, at=51, HttpStatusCode=400, Region="us-east-1"),
                tried("r", 12, 20, RUBY, at=51, HttpStatusCode=400, Region="us-east-1"),
                tried("b", 21, 49, RUBY, at=51, Region="eu-west-1"),
            ],
            ["call@0 [a r b]"],
            id="bucket-of-another-region-after-a-retry",
        ),
        pytest.param(
            [
                called(0, 50, RUBY),
                called(5, 50, RUBY),
                tried("r", 6, 20, RUBY, at=51, **REDIRECTED),
                tried("b", 21, 49, RUBY, at=51),
                tried("a", 1, 49, RUBY, at=51),
            ],
            ["call@0 [a]", "call@5 [r b]"],
            id="of-the-call-that-began-with-it",
        ),
        pytest.param(
            [
                called(0, 50, RUBY),
                called(5, 50, RUBY),
                tried("r", 1, 20, RUBY, at=50, **REDIRECTED),
                tried("s", 6, 40, RUBY, at=50, **REDIRECTED),
                tried("b", 41, 49, RUBY, at=51),
                tried("a", 21, 49, RUBY, at=51),
            ],
            ["call@0 [r a]", "call@5 [s b]"],
            id="the-rest-begins-after-it",
        ),
        pytest.param(
            [called(0, 50, RUBY, FinalHttpStatusCode=307), tried("r", 1, 49, RUBY, at=51, **REDIRECTED)],
            ["call@0 [r]"],
            id="counted-if-it-is-the-result",
        ),
        pytest.param(
            [called(0, 50, RUBY), tried("r", 1, 20, RUBY, at=51, **REDIRECTED)],
            ["call@0 [r] missing 1 flushed"],
            id="the-rest-is-lost",
        ),
        pytest.param(
            [tried("r", 1, 20, RUBY, at=51, **REDIRECTED), called(0, 50, RUBY, at=51), tried("b", 21, 49, RUBY, at=53)],
            ["call@0 [r b]"],
            id="overtakes-its-call",
        ),
        pytest.param(
            [called(0, 50, RUBY), tried("r", 60, 70, RUBY, at=50, **REDIRECTED), tried("b", 1, 49, RUBY, at=51)],
            ["call@0 [b]", "orphan r flushed"],
            id="of-no-call",
        ),
        pytest.param(
            [called(0, 50), tried("r", 1, 20, at=51, **REDIRECTED)],
            ["call@0 [] missing 1", "orphan r flushed"],
            id="other-sdks-count-theirs",
        ),
    ],
)
def test_attempts_that_ruby_does_not_count(arrivals: list[Arrival], lines: list[str]) -> None:
    """A redirect that Ruby followed is an attempt of its call beside those that the call counts."""
    correlator = Correlator()
    released = [line for arrival in arrivals for line in as_lines(arrive(correlator, arrival))]

    assert sorted([*released, *as_lines(correlator.flush())]) == lines
    assert (correlator.pending_events, correlator.pending_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("flood", "attempts"),
    [pytest.param(31, "r b", id="few"), pytest.param(2_000, "b", id="flood")],
)
def test_a_call_is_compared_with_the_latest_redirects_only(flood: int, attempts: str) -> None:
    """Redirects without a call, of which there may be many, are not all checked for each call that arrives."""
    overtaking = tried("r", 1, 20, RUBY, at=51, **REDIRECTED)
    others = [tried("x", 60, 70, RUBY, at=51, **REDIRECTED)] * flood

    lines = transcript(overtaking, *others, called(0, 50, RUBY, at=51), tried("b", 21, 49, RUBY, at=53))

    assert lines[0] == f"call@0 [{attempts}]"
