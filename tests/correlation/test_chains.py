"""The candidates of a call: chains of attempts, the likeliest first."""

from __future__ import annotations

from collections import UserDict

import pytest
from datagrams import call
from observations import observed, observed_call

from csm_otel.correlation.chains import candidate_chains, with_attempt
from csm_otel.correlation.released import Observed
from csm_otel.csm.events import ApiCallAttempt

FAILED = {"HttpStatusCode": 500, "AwsException": "InternalServerError", "AwsExceptionMessage": "no"}
FINALLY_FAILED = {f"Final{name}": value for name, value in FAILED.items()}


@pytest.mark.parametrize("count", [2, 3, 4, 5, 10, 60])
def test_all_of_a_row_of_attempts(count: int) -> None:
    """None of the attempts one after the other is left out, however many there are."""
    eligible = {number: observed(20 * number, 20 * number + 10, **FAILED) for number in range(count - 1)}
    eligible[count - 1] = observed(20 * count - 20, 20 * count - 10)
    the_call = observed_call(call(AttemptCount=count, Latency=20 * count - 9), received=20 * count)

    best, *_, empty = candidate_chains(the_call, eligible, expected=count)

    assert best.attempts == tuple(range(count))
    assert empty.attempts == ()
    assert empty.cost > best.cost


def test_absurd_count() -> None:
    """A call that counts a billion attempts gets those that exist."""
    eligible = {number: observed(20 * number, 20 * number + 10, **FAILED) for number in range(5)}
    the_call = observed_call(call(AttemptCount=10**9, Latency=200), received=200)

    best = candidate_chains(the_call, eligible, expected=10**9)[0]

    assert best.attempts == (0, 1, 2, 3, 4)


class Counting(UserDict[int, Observed[ApiCallAttempt]]):
    """Attempts that count how often one is read."""

    reads = 0

    def __getitem__(self, key: int) -> Observed[ApiCallAttempt]:
        self.reads += 1
        return super().__getitem__(key)


def test_absurd_count_costs_no_more_than_a_true_one() -> None:
    """The count of a call, which a sender may forge, does not increase the cost of the search."""

    def reads(expected: int) -> int:
        eligible = Counting({number: observed(3 * number, 3 * number + 2, **FAILED) for number in range(192)})
        the_call = observed_call(call(AttemptCount=expected, Latency=600, **FINALLY_FAILED), received=600)
        candidate_chains(the_call, eligible, expected=expected)
        return eligible.reads

    assert reads(1_000) < reads(4)


def test_candidates_are_few() -> None:
    """Of a thousand attempts that fit equally a call has a few candidates."""
    eligible = {number: observed(1, 30) for number in range(1_000)}

    assert len(candidate_chains(observed_call(call()), eligible, expected=1)) < 50


def test_implausible_candidates_are_dropped() -> None:
    """A chain far less likely than the best is no candidate: no call waits because of it."""
    eligible = {1: observed(0, 30), 2: observed(20, 21)}

    best, empty = candidate_chains(observed_call(call()), eligible, expected=1)

    assert (best.attempts, empty.attempts) == ((1,), ())


def test_one_more_attempt() -> None:
    """An attempt that arrives later takes its place among the candidates."""
    the_call = observed_call(call())
    early, late = observed(2, 28), observed(0, 30)
    chains = candidate_chains(the_call, {1: early}, expected=1)

    assert with_attempt(chains, the_call, 2, late) == candidate_chains(the_call, {1: early, 2: late}, expected=1)


@pytest.mark.parametrize("others", [0, 20])
def test_an_attempt_long_before_the_last_is_found(others: int) -> None:
    """Throttled attempts are far apart, and those of other calls end much closer to the last."""
    agent = {"UserAgent": "Boto3/1.44.5 md/Botocore#1.44.5 cfg/retry-mode#standard Botocore/1.44.5"}
    throttled = {"HttpStatusCode": 400, "AwsException": "ThrottlingException", "AwsExceptionMessage": "slow down"}
    eligible = {
        0: observed(0, 10, **throttled, **agent),
        1: observed(500, 510, **throttled, **agent),
        2: observed(1400, 1410, **agent),
    } | {3 + other: observed(1360 + other, 1370 + other, **FAILED, **agent) for other in range(others)}
    the_call = observed_call(call(AttemptCount=3, Latency=1410, **agent), received=1411)

    assert candidate_chains(the_call, eligible, expected=3)[0].attempts == (0, 1, 2)
