"""Of two interpretations of the same datagrams, the likelier one costs less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from datagrams import call
from observations import observed, observed_call, received_at

from csm_otel.correlation.evidence import first_cost, last_cost, retry_cost
from csm_otel.csm.events import ApiCallAttempt, Dialect

if TYPE_CHECKING:
    from csm_otel.correlation.released import Observed

LEGACY = {"Service": "DynamoDB", "UserAgent": "Boto3/1.26.27 md/Botocore cfg/retry-mode#legacy Botocore/1.29.27"}
REFUSED: dict[str, Any] = {"HttpStatusCode": 500, "AwsException": "InternalServerError"}
RETRIES_OF = "Boto3/{0} md/Botocore#{0} cfg/retry-mode#standard Botocore/{0}"
RECENT = {"UserAgent": RETRIES_OF.format("1.44.5")}
EARLIER = {"UserAgent": RETRIES_OF.format("1.43.117")}
THROTTLED: dict[str, Any] = {"HttpStatusCode": 400, "AwsException": "ThrottlingException"}


def test_one_long_gap_is_likelier_than_two() -> None:
    """One long delay is likelier than two of half its length."""
    the_call = observed_call(call())
    costs = {gap: first_cost(observed(gap, 30), the_call) for gap in (1, 6, 11)}

    assert costs[1] + costs[11] < costs[6] + costs[6]


@pytest.mark.parametrize(
    ("dialect", "gap_ms", "is_usual"),
    [
        pytest.param(Dialect.BOTOCORE, 1, True, id="botocore-signs-for-a-ms"),
        pytest.param(Dialect.BOTOCORE, 2, False, id="botocore-not-longer"),
        pytest.param(Dialect.BOTOCORE, -1, False, id="botocore-not-before-its-call"),
        pytest.param(Dialect.CPP, 1, False, id="cpp-begins-both-at-once"),
    ],
)
def test_usual_start(dialect: Dialect, gap_ms: int, *, is_usual: bool) -> None:
    """The usual gap between the starts costs nothing, any other does."""
    cost = first_cost(observed(gap_ms, 30, dialect), observed_call(call(dialect)))

    assert (cost > 0) is not is_usual


def test_go_rounds_either_way() -> None:
    """Go's starts are ends less lengths, both truncated: a ms early is as likely as a ms late."""
    the_call = observed_call(call(Dialect.GO))

    early, late = (first_cost(observed(gap, 30, Dialect.GO), the_call) for gap in (-1, 1))

    assert early == late > 0.0


def test_an_attempt_is_received_before_its_call_reads_its_end() -> None:
    """An attempt that arrives after the end of a call is probably another's, even if it arrives closer to the call."""
    the_call = observed_call(call(), received=32)
    in_time, too_late = (received_at(observed(2, 29), at) for at in (30.5, 31.5))

    assert last_cost(in_time, the_call) < last_cost(too_late, the_call)


def test_queued_senders_may_be_late() -> None:
    """Java sends from a queue, so that an attempt may arrive long after the end of its call."""
    the_call = observed_call(call(Dialect.JAVA), received=32)
    soon, later = (received_at(observed(2, 29, Dialect.JAVA), at) for at in (30.5, 31.5))

    assert last_cost(later, the_call) < last_cost(soon, the_call)


@pytest.mark.parametrize(
    ("changes", "number", "likelier_ms", "than_ms"),
    [
        pytest.param(REFUSED, 0, 40, 60, id="up-to-50-ms"),
        pytest.param(REFUSED, 1, 90, 110, id="doubled"),
        pytest.param(THROTTLED, 0, 900, 5_000, id="throttled-up-to-a-second"),
        pytest.param({**REFUSED, **RECENT, "Service": "DynamoDB"}, 0, 20, 40, id="dynamodb-up-to-25-ms"),
        pytest.param({**REFUSED, **RECENT, "Service": "S3"}, 0, 40, 70, id="others-up-to-50-ms"),
        pytest.param({**THROTTLED, **RECENT}, 1, 1_900, 2_100, id="throttled-doubled"),
        pytest.param({**THROTTLED, **RECENT}, 10, 19_900, 20_100, id="20-s-at-most"),
        pytest.param({**REFUSED, **EARLIER}, 0, 900, 1_100, id="before-1.44-up-to-a-second"),
        pytest.param({**REFUSED, **LEGACY, "Service": "S3"}, 0, 900, 1_100, id="legacy-up-to-a-second"),
        pytest.param({**REFUSED, **LEGACY}, 0, 51, 40, id="legacy-dynamodb-not-sooner-than-50-ms"),
        pytest.param({**REFUSED, **LEGACY}, 0, 51, 90, id="legacy-dynamodb-not-later-either"),
        pytest.param({**REFUSED, **LEGACY}, 2, 201, 51, id="legacy-dynamodb-doubled-twice"),
    ],
)
def test_botocore_backoff(changes: dict[str, object], number: int, likelier_ms: int, than_ms: int) -> None:
    """The backoff of botocore is known, by mode, error and number of the attempt."""
    failed = observed(0, 10, **changes)
    the_call = observed_call(call(Latency=30_000))

    likelier, than = (retry_cost(failed, after(failed, gap), the_call, number=number) for gap in (likelier_ms, than_ms))

    assert likelier < than


def after(failed: Observed[ApiCallAttempt], gap_ms: int) -> Observed[ApiCallAttempt]:
    """Return an attempt that begins some ms after another's end, which is at 10 ms."""
    assert failed.event.latency_ms == 10
    return observed(10 + gap_ms, 20 + gap_ms)


def test_the_next_attempt_begins_after_the_last_was_received() -> None:
    """A thread sends the datagram of an attempt before it begins the next."""
    failed = observed(0, 10, **REFUSED)
    successor = observed(12, 20)
    the_call = observed_call(call())

    in_time, too_late = (retry_cost(received_at(failed, at), successor, the_call, number=0) for at in (12.5, 13.5))

    assert in_time < too_late


def test_a_short_backoff_is_likelier_than_a_part_of_a_long_one() -> None:
    """A backoff uniform over a second is less likely at each ms than one over 25 ms."""
    the_call = observed_call(call())
    refused, throttled = (
        retry_cost(after_failed, observed(20, 30), the_call, number=0)
        for after_failed in (observed(0, 10, **kind, **RECENT) for kind in (REFUSED, THROTTLED))
    )

    assert refused < throttled


def test_an_attempt_that_is_overdue_is_likelier() -> None:
    """If the backoff after an attempt is over, another call would have arrived with it by now."""
    soon, late = (
        retry_cost(observed(0, 10, **REFUSED, **RECENT), observed(20, 30), observed_call(call(Latency=end)), number=0)
        for end in (25, 90)
    )

    assert late < soon


def test_two_waits_for_the_interpreter_cost_nearly_the_same() -> None:
    """No delay is far likelier than one of 2 ms, but one of 2 ms hardly likelier than one of 4."""
    the_call = observed_call(call(), received=40)
    at_once, later, much_later = (last_cost(received_at(observed(2, 29), at), the_call) for at in (39.95, 38, 36))

    assert later - at_once > much_later - later


def test_unknown_backoffs_cost_nothing() -> None:
    """The backoffs of other SDKs are settings that are unknown here."""
    failed = observed(0, 10, Dialect.GO, **REFUSED)

    assert not retry_cost(failed, observed(500, 510, Dialect.GO), observed_call(call(Dialect.GO)), number=0)
