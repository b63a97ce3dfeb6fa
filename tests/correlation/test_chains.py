"""The choices that a call has: chains of tries, the likeliest first."""

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


@pytest.mark.parametrize("tries", [2, 3, 4, 5, 10, 60])
def test_every_try_in_a_row_is_taken(tries: int) -> None:
    """Of tries one after the other none is left out, however many there were."""
    candidates = {number: observed(20 * number, 20 * number + 10, **FAILED) for number in range(tries - 1)}
    candidates[tries - 1] = observed(20 * tries - 20, 20 * tries - 10)
    the_call = observed_call(call(AttemptCount=tries, Latency=20 * tries - 9), received=20 * tries)

    best, *_, nothing = candidate_chains(the_call, candidates, expected=tries)

    assert best.attempts == tuple(range(tries))
    assert nothing.attempts == ()
    assert nothing.cost > best.cost


def test_absurd_count_takes_what_there_is() -> None:
    """A call that counts a billion tries is looked at no longer than one that counts those that are there."""
    candidates = {number: observed(20 * number, 20 * number + 10, **FAILED) for number in range(5)}
    the_call = observed_call(call(AttemptCount=10**9, Latency=200), received=200)

    best = candidate_chains(the_call, candidates, expected=10**9)[0]

    assert best.attempts == (0, 1, 2, 3, 4)


class Counting(UserDict[int, Observed[ApiCallAttempt]]):
    """Candidates that count how often one is looked at."""

    looks = 0

    def __getitem__(self, key: int) -> Observed[ApiCallAttempt]:
        self.looks += 1
        return super().__getitem__(key)


def test_absurd_count_costs_no_more_than_a_true_one() -> None:
    """A datagram that counts a thousand tries, where many that failed wait, is no way to keep the processor busy."""

    def looks(expected: int) -> int:
        candidates = Counting({number: observed(3 * number, 3 * number + 2, **FAILED) for number in range(192)})
        the_call = observed_call(call(AttemptCount=expected, Latency=600, **FINALLY_FAILED), received=600)
        candidate_chains(the_call, candidates, expected=expected)
        return candidates.looks

    assert looks(1_000) < looks(4)


def test_choices_are_few() -> None:
    """Of a thousand attempts that fit alike a call keeps a few choices."""
    candidates = {number: observed(1, 30) for number in range(1_000)}

    assert len(candidate_chains(observed_call(call()), candidates, expected=1)) < 50


def test_implausible_choices_are_not_kept() -> None:
    """What is far less likely than the best is no choice: nobody has to wait for it."""
    candidates = {1: observed(0, 30), 2: observed(20, 21)}

    best, nothing = candidate_chains(observed_call(call()), candidates, expected=1)

    assert (best.attempts, nothing.attempts) == ((1,), ())


def test_one_more_attempt() -> None:
    """An attempt that comes later takes its place among the choices."""
    the_call = observed_call(call())
    early, late = observed(2, 28), observed(0, 30)
    chains = candidate_chains(the_call, {1: early}, expected=1)

    assert with_attempt(chains, the_call, 2, late) == candidate_chains(the_call, {1: early, 2: late}, expected=1)


@pytest.mark.parametrize("others", [0, 20])
def test_a_try_long_before_the_last_is_found(others: int) -> None:
    """Tries that were throttled lie far apart, and those of others end much closer to the last."""
    agent = {"UserAgent": "Boto3/1.44.5 md/Botocore#1.44.5 cfg/retry-mode#standard Botocore/1.44.5"}
    throttled = {"HttpStatusCode": 400, "AwsException": "ThrottlingException", "AwsExceptionMessage": "slow down"}
    candidates = {
        0: observed(0, 10, **throttled, **agent),
        1: observed(500, 510, **throttled, **agent),
        2: observed(1400, 1410, **agent),
    } | {3 + other: observed(1360 + other, 1370 + other, **FAILED, **agent) for other in range(others)}
    the_call = observed_call(call(AttemptCount=3, Latency=1410, **agent), received=1411)

    assert candidate_chains(the_call, candidates, expected=3)[0].attempts == (0, 1, 2)
