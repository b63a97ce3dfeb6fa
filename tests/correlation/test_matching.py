"""The attempts that match a call, by the conditions and by their likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from datagrams import call
from hypothesis import given
from hypothesis import strategies as st
from observations import observed, observed_call, received_at

from csm_otel.correlation.backoffs import Learner
from csm_otel.correlation.group import Group, Match
from csm_otel.correlation.matching import same_result
from csm_otel.csm.events import ApiCallAttempt, Dialect

if TYPE_CHECKING:
    from csm_otel.correlation.released import Observed

FAILED = {"HttpStatusCode": 503, "AwsException": "SlowDown", "AwsExceptionMessage": "slow"}
CALL_FAILED = {"FinalHttpStatusCode": 503, "FinalAwsException": "SlowDown", "FinalAwsExceptionMessage": "slow"}


def matched(payload: bytes, *attempts: Observed[ApiCallAttempt], received: int | None = None) -> Match:
    """Return the match of a call with attempts numbered from 1 that arrived before it."""
    group = Group(Learner())
    for key, one in enumerate(attempts, start=1):
        group.add_attempt(key, one)
    group.add_call(0, observed_call(payload, received=received), waits=False)
    return group.remove_call(0)


@pytest.mark.parametrize(
    ("start", "end", "fits"),
    [
        pytest.param(0, 30, True, id="the-whole-call"),
        pytest.param(-2, 10, True, id="rounding-before"),
        pytest.param(-3, 10, False, id="before"),
        pytest.param(20, 32, True, id="rounding-after"),
        pytest.param(20, 33, False, id="after"),
        pytest.param(-500, -400, False, id="of-a-call-that-was-lost"),
    ],
)
def test_time_must_coincide(start: int, end: int, *, fits: bool) -> None:
    """An attempt lies within its call, with the slack of truncated milliseconds."""
    assert matched(call(), observed(start, end)).attempts == ((1,) if fits else ())


@pytest.mark.parametrize(
    ("dialect", "start", "end"),
    [
        pytest.param(Dialect.JS, 5, 131, id="js-stale-latency"),
        pytest.param(Dialect.PHP, 5, 131, id="php-back-off-in-latency"),
        pytest.param(Dialect.RUBY, 3, 37, id="ruby-mixed-clocks"),
        pytest.param(Dialect.DOTNET, -7, 20, id="dotnet-mixed-clocks"),
        pytest.param(Dialect.GO, 0, 30, id="go"),
    ],
)
def test_slack_of_a_dialect(dialect: Dialect, start: int, end: int) -> None:
    """Attempts may exceed their call as far as their dialect's are known to do."""
    assert matched(call(dialect), observed(start, end, dialect)).attempts == (1,)
    assert matched(call(), observed(-7, 131)).attempts == (), "and nowhere else"


@pytest.mark.parametrize(
    ("changes", "is_last"),
    [
        pytest.param({}, True, id="same"),
        pytest.param({"HttpStatusCode": 503}, False, id="another-status"),
        pytest.param({"AwsException": "SlowDown"}, False, id="another-exception"),
        pytest.param({"Region": "eu-west-1"}, False, id="another-region"),
        pytest.param({"Region": None}, True, id="no-region-is-no-evidence"),
        pytest.param({"UserAgent": "Boto3/1.44.5 m/other"}, False, id="another-agent"),
    ],
)
def test_last_attempt_ends_as_its_call(changes: dict[str, object], *, is_last: bool) -> None:
    """The last attempt has the result, region and user agent of its call."""
    assert matched(call(), observed(2, 27, **changes)).attempts == ((1,) if is_last else ())


def test_nearest_end_wins() -> None:
    """Of several attempts that fit, the one that ends and arrives with the call matches."""
    match = matched(call(), observed(2, 15), observed(2, 30), observed(2, 20))

    assert (match.attempts, match.missing, match.ambiguous) == ((2,), 0, False)


def test_retries_follow_each_other() -> None:
    """The first is the closest to the call's start; of those that may follow, the earliest matches.

    The call of the other may still be in its backoff, so that this is ambiguous.
    """
    match = matched(
        call(AttemptCount=3, Latency=100),
        observed(1, 10, **FAILED),
        observed(12, 22, **FAILED),
        observed(40, 50, **FAILED),
        observed(60, 99),
        observed(45, 70, **FAILED),
    )

    assert (match.attempts, match.missing, match.ambiguous) == ((1, 2, 4), 0, True)


def test_retries_do_not_overlap() -> None:
    """A failed attempt that began before the end of the first belongs to a concurrent call."""
    match = matched(
        call(AttemptCount=3, Latency=100),
        observed(1, 10, **FAILED),
        observed(5, 50, **FAILED),
        observed(20, 30, **FAILED),
        observed(60, 99),
    )

    assert match.attempts == (1, 3, 4)


def test_receipts_decide_between_equal_times() -> None:
    """Of two attempts at the same times, the one that arrived with the call matches."""
    early, late = (received_at(observed(2, 30, XAmznRequestId=name), at) for name, at in (("a", 30), ("b", 41)))

    match = matched(call(Latency=40), early, late, received=41)

    assert (match.attempts, match.ambiguous) == ((2,), False)


def test_success_is_not_retried() -> None:
    """A success before the last attempt belongs to another call."""
    match = matched(call(AttemptCount=2), observed(1, 10), observed(12, 30))

    assert (match.attempts, match.missing) == ((2,), 1)


def test_lost_last_attempt_is_not_replaced() -> None:
    """If the last attempt was lost, the failed ones before it match, and one is missing."""
    match = matched(call(AttemptCount=2), observed(1, 10, **FAILED), observed(12, 20, **FAILED))

    assert (match.attempts, match.missing) == ((1,), 1)


def test_redirect_is_retried() -> None:
    """A redirect is an attempt of the call, in another region."""
    match = matched(call(AttemptCount=2), observed(1, 10, HttpStatusCode=301, Region="eu-west-1"), observed(12, 29))

    assert (match.attempts, match.missing) == ((1, 2), 0)


def test_request_id_decides_for_go() -> None:
    """Go repeats the last request id in its call, which has precedence over all times."""
    match = matched(
        call(Dialect.GO, XAmznRequestId="mine"),
        observed(0, 30, Dialect.GO, XAmznRequestId="other"),
        observed(2, 18, Dialect.GO, XAmznRequestId="mine"),
    )

    assert (match.attempts, match.ambiguous) == ((2,), False)


def test_alike_but_different_is_ambiguous() -> None:
    """Two attempts with the same times and different content are ambiguous."""
    match = matched(call(), observed(2, 30, XAmznRequestId="a"), observed(2, 30, XAmznRequestId="b"))

    assert match.ambiguous
    assert match.missing == 0


def test_identical_attempts_are_not_ambiguous() -> None:
    """Attempts with the same content are not ambiguous."""
    assert not matched(call(), observed(2, 30), observed(2, 30)).ambiguous


@pytest.mark.parametrize(
    ("dialect", "changes", "wanted"),
    [
        pytest.param(Dialect.BOTOCORE, {"AttemptCount": None}, 1, id="no-count"),
        pytest.param(
            Dialect.BOTOCORE, {"AttemptCount": 0, "FinalHttpStatusCode": None}, 0, id="count-zero-was-not-sent"
        ),
        pytest.param(Dialect.PHP, {"AttemptCount": 0}, 1, id="count-zero-but-a-status"),
        pytest.param(Dialect.PHP, {"AttemptCount": 0, "FinalHttpStatusCode": None}, 0, id="php-not-sent"),
        pytest.param(Dialect.GO, {"AttemptCount": 4}, 4, id="counted"),
    ],
)
def test_how_many_are_missing(dialect: Dialect, changes: dict[str, object], wanted: int) -> None:
    """Without attempts, a call misses as many as it counts."""
    assert matched(call(dialect, **changes)).missing == wanted


def test_php_counts_no_redirect() -> None:
    """PHP's call to a bucket in another region counts 0 attempts and has no status, yet the 301 belongs to it."""
    payload = call(Dialect.PHP, AttemptCount=0, FinalHttpStatusCode=None)

    assert matched(payload, observed(2, 20, Dialect.PHP, HttpStatusCode=301)).attempts == (1,)
    assert matched(payload, observed(2, 20, Dialect.PHP, HttpStatusCode=200)).attempts == ()


def test_java_reuses_times() -> None:
    """Java's attempt that failed before its request has the times of the one before it."""
    error = {"SdkException": "com.amazonaws.SdkClientException", "SdkExceptionMessage": "no"}
    match = matched(
        call(
            Dialect.JAVA,
            AttemptCount=2,
            FinalHttpStatusCode=None,
            FinalSdkException=error["SdkException"],
            FinalSdkExceptionMessage="no",
        ),
        observed(2, 20, Dialect.JAVA, **FAILED),
        observed(2, 20, Dialect.JAVA, HttpStatusCode=None, **error),
    )

    assert (match.attempts, match.missing) == ((1, 2), 0)


@pytest.mark.parametrize(
    ("attempt_changes", "call_changes", "same"),
    [
        pytest.param({}, {}, True, id="success"),
        pytest.param(FAILED, CALL_FAILED, True, id="failure"),
        pytest.param(FAILED, CALL_FAILED | {"FinalAwsExceptionMessage": "slower"}, False, id="another-message"),
        pytest.param({"HttpStatusCode": 0}, {"FinalHttpStatusCode": -1}, True, id="no-status-either-way"),
        pytest.param({"AwsException": ""}, {"FinalAwsException": ""}, True, id="both-unnamed"),
        pytest.param({"AwsException": ""}, {}, False, id="one-unnamed"),
    ],
)
def test_same_result(attempt_changes: dict[str, object], call_changes: dict[str, object], *, same: bool) -> None:
    """A result is the status, the exceptions and their messages."""
    assert same_result(observed(2, 27, **attempt_changes).event, observed_call(call(**call_changes)).event) is same


intervals = st.tuples(st.integers(-20, 120), st.integers(0, 60))
outcomes = st.sampled_from([{}, FAILED, {"HttpStatusCode": 301}, {"Region": "eu-west-1"}])


@given(
    dialect=st.sampled_from(sorted(Dialect)),
    count=st.integers(0, 5),
    latency=st.integers(0, 100) | st.none(),
    attempts=st.lists(st.tuples(intervals, outcomes), max_size=8),
    failed=st.booleans(),
)
def test_a_match_adds_up(
    *,
    dialect: Dialect,
    count: int,
    latency: int | None,
    attempts: list[tuple[tuple[int, int], dict[str, object]]],
    failed: bool,
) -> None:
    """A match has pending attempts only, none twice, and never more than the call counts."""
    payload = call(dialect, AttemptCount=count, Latency=latency, **(CALL_FAILED if failed else {}))
    pending = [observed(start, start + length, dialect, **changes) for (start, length), changes in attempts]

    match = matched(payload, *pending)

    assert len(set(match.attempts)) == len(match.attempts)
    assert set(match.attempts) <= set(range(1, len(pending) + 1))
    assert len(match.attempts) + match.missing == max(count, 1)
    assert match.missing >= 0
