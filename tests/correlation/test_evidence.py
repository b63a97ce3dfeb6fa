"""What is likelier: of two ways to read the same datagrams, the one that costs less."""

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
    """Of the same delay in all, one thread was held up for long rather than two for half as long."""
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
    """The gap between the starts that a dialect usually has costs nothing, any other does."""
    cost = first_cost(observed(gap_ms, 30, dialect), observed_call(call(dialect)))

    assert (cost > 0) is not is_usual


def test_go_rounds_either_way() -> None:
    """Go's starts are ends less lengths, both cut off: a ms early is as likely as a ms late."""
    the_call = observed_call(call(Dialect.GO))

    early, late = (first_cost(observed(gap, 30, Dialect.GO), the_call) for gap in (-1, 1))

    assert early == late > 0.0


def test_an_attempt_is_received_before_its_call_reads_its_end() -> None:
    """An attempt that arrives after the call has ended is another call's, though it arrives nearer to the call."""
    the_call = observed_call(call(), received=32)
    in_time, too_late = (received_at(observed(2, 29), at) for at in (30.5, 31.5))

    assert last_cost(in_time, the_call) < last_cost(too_late, the_call)


def test_queued_senders_may_be_late() -> None:
    """Java sends from a queue, so that an attempt may arrive long after its call has ended."""
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
def test_botocore_back_off(changes: dict[str, object], number: int, likelier_ms: int, than_ms: int) -> None:
    """How long botocore waits before it tries again is known, by mode, error and try."""
    failed = observed(0, 10, **changes)
    the_call = observed_call(call(Latency=30_000))

    likelier, than = (retry_cost(failed, after(failed, gap), the_call, number=number) for gap in (likelier_ms, than_ms))

    assert likelier < than


def after(failed: Observed[ApiCallAttempt], gap_ms: int) -> Observed[ApiCallAttempt]:
    """Return an attempt that begins some ms after another's end, which is at 10 ms."""
    assert failed.event.latency_ms == 10
    return observed(10 + gap_ms, 20 + gap_ms)


def test_next_try_begins_after_the_last_was_received() -> None:
    """A thread sends what it knows of one try before it begins the next."""
    failed = observed(0, 10, **REFUSED)
    successor = observed(12, 20)
    the_call = observed_call(call())

    in_time, too_late = (retry_cost(received_at(failed, at), successor, the_call, number=0) for at in (12.5, 13.5))

    assert in_time < too_late


def test_a_short_back_off_is_likelier_than_a_part_of_a_long_one() -> None:
    """What is spread over a second is less likely at each ms than what is spread over 25."""
    the_call = observed_call(call())
    refused, throttled = (
        retry_cost(after_failed, observed(20, 30), the_call, number=0)
        for after_failed in (observed(0, 10, **kind, **RECENT) for kind in (REFUSED, THROTTLED))
    )

    assert refused < throttled


def test_an_attempt_that_is_overdue_is_likelier() -> None:
    """Another call would have taken an attempt by now whose back-off is over."""
    soon, late = (
        retry_cost(observed(0, 10, **REFUSED, **RECENT), observed(20, 30), observed_call(call(Latency=end)), number=0)
        for end in (25, 90)
    )

    assert late < soon


def test_of_two_that_wait_for_the_interpreter_neither_is_likelier() -> None:
    """At once is far likelier than a ms late; after that it hardly matters which of two waited longer."""
    the_call = observed_call(call(), received=40)
    at_once, later, much_later = (last_cost(received_at(observed(2, 29), at), the_call) for at in (39.95, 38, 36))

    assert later - at_once > much_later - later


def test_other_back_offs_tell_nothing() -> None:
    """Other SDKs' back-offs are settings, of which nothing is known."""
    failed = observed(0, 10, Dialect.GO, **REFUSED)

    assert not retry_cost(failed, observed(500, 510, Dialect.GO), observed_call(call(Dialect.GO)), number=0)
