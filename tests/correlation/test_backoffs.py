"""Which backoffs are likely for a sender, at first and after its calls have said more."""

from __future__ import annotations

from typing import Any

import pytest
from datagrams import attempt, call

from csm_otel.correlation.backoffs import Learner, known_backoffs
from csm_otel.csm.decoding import decode
from csm_otel.csm.events import ApiCall, ApiCallAttempt, Dialect

HOST = "127.0.0.1"
TOLD = "Boto3/{0} md/Botocore#{0} cfg/retry-mode#{1} Botocore/{0}"
RECENT, EARLIER = TOLD.format("1.44.5", "standard"), TOLD.format("1.43.117", "standard")
LEGACY = TOLD.format("1.44.5", "legacy")
NOT_TOLD = "Boto3/1.26.27 Python/3.11.7 Linux/6.1 Botocore/1.29.165"
REPLACED = "nightly/1.0"
CUT = "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux"
AIO_EARLIER = "aiobotocore/3.10.0 md/Botocore#1.43.117 cfg/retry-mode#standard"
NODE = "aws-sdk-nodejs/2.1693.0 linux/v20.20.2 callback"
REFUSED: dict[str, Any] = {"HttpStatusCode": 500, "AwsException": "InternalServerError"}
THROTTLED: dict[str, Any] = {"HttpStatusCode": 400, "AwsException": "ThrottlingException"}
BOTOCORE, JS, GO = Dialect.BOTOCORE, Dialect.JS, Dialect.GO


def failed(dialect: Dialect = BOTOCORE, **changes: object) -> ApiCallAttempt:
    """Return a failed attempt."""
    (event,) = decode(attempt(dialect, **(REFUSED | changes))).events
    assert isinstance(event, ApiCallAttempt)
    return event


def call_of(user_agent: str, dialect: Dialect = BOTOCORE, **changes: object) -> ApiCall:
    """Return a DynamoDB call of a sender with this user agent."""
    (event,) = decode(call(dialect, Service="DynamoDB", UserAgent=user_agent, **changes)).events
    assert isinstance(event, ApiCall)
    return event


def cost(
    backoff_ms: float,
    user_agent: str,
    *,
    service: str = "DynamoDB",
    number: int = 0,
    spare_ms: float = 0.0,
    dialect: Dialect = BOTOCORE,
    error: dict[str, Any] = REFUSED,
) -> float:
    """Return the cost of a backoff for a sender of which nothing has been learnt."""
    backoffs = known_backoffs(dialect, service, user_agent)
    return backoffs.cost(failed(dialect, **error), number, backoff_ms, spare_ms)


@pytest.mark.parametrize(
    ("given", "likelier_ms", "than_ms"),
    [
        pytest.param({"user_agent": RECENT}, 20, 40, id="dynamodb-up-to-25-ms"),
        pytest.param({"user_agent": RECENT, "service": "S3"}, 40, 70, id="others-up-to-50-ms"),
        pytest.param({"user_agent": RECENT, "number": 1}, 45, 70, id="doubled"),
        pytest.param({"user_agent": RECENT, "error": THROTTLED, "number": 1}, 1_900, 2_100, id="throttled-doubled"),
        pytest.param({"user_agent": RECENT, "error": THROTTLED, "number": 10}, 19_900, 20_100, id="20-s-at-most"),
        pytest.param({"user_agent": LEGACY}, 51, 40, id="legacy-dynamodb-not-sooner-than-50-ms"),
        pytest.param({"user_agent": LEGACY}, 51, 90, id="legacy-dynamodb-not-later-either"),
        pytest.param({"user_agent": LEGACY, "number": 2}, 201, 51, id="legacy-dynamodb-doubled-twice"),
        pytest.param({"user_agent": NOT_TOLD}, 51, 20, id="not-told-is-legacy"),
        pytest.param({"user_agent": NOT_TOLD}, 51, 400, id="not-told-is-legacy-not-standard"),
        pytest.param({"user_agent": NOT_TOLD, "error": THROTTLED}, 51, 400, id="legacy-throttled-the-same"),
        pytest.param({"user_agent": REPLACED}, 40, 400, id="replaced-user-agent-short"),
        pytest.param({"user_agent": CUT}, 40, 400, id="cut-user-agent-short"),
        pytest.param({"user_agent": REPLACED, "error": THROTTLED}, 900, 1_500, id="replaced-throttled-up-to-a-second"),
        pytest.param({"user_agent": NODE, "dialect": JS}, 45, 70, id="javascript-dynamodb-up-to-50-ms"),
        pytest.param({"user_agent": NODE, "dialect": JS, "service": "S3"}, 90, 150, id="javascript-up-to-100-ms"),
    ],
)
def test_known_backoffs(given: dict[str, Any], likelier_ms: int, than_ms: int) -> None:
    """The backoff depends on the SDK, its version and mode, the service, the error and the number of the attempt."""
    assert cost(likelier_ms, **given) < cost(than_ms, **given)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"user_agent": EARLIER}, id="before-1.44"),
        pytest.param({"user_agent": AIO_EARLIER}, id="aiobotocore-with-a-botocore-before-1.44"),
        pytest.param({"user_agent": LEGACY, "service": "S3"}, id="legacy"),
        pytest.param({"user_agent": NOT_TOLD, "service": "S3"}, id="not-told-is-legacy"),
        pytest.param({"user_agent": RECENT, "error": THROTTLED}, id="throttled"),
    ],
)
def test_long_backoffs(given: dict[str, Any]) -> None:
    """Each backoff up to a second is as likely as any other, and a longer one is less so."""
    assert cost(1, **given) == cost(900, **given) < cost(1_100, **given)


def test_mode_that_is_not_told_may_be_standard() -> None:
    """A backoff that legacy mode cannot have costs a bounded amount more than in standard mode."""
    assert cost(400, EARLIER) < cost(400, NOT_TOLD) < cost(400, EARLIER) + 3 < cost(400, LEGACY)


def test_a_short_backoff_is_likelier_than_a_part_of_a_long_one() -> None:
    """A backoff uniform over a second is less likely at each ms than one over 25 ms."""
    assert cost(10, RECENT) < cost(10, RECENT, error=THROTTLED)


def test_an_attempt_that_is_overdue_is_likelier() -> None:
    """If the backoff after an attempt is over, another call would have arrived with it by now."""
    assert cost(10, RECENT, spare_ms=60) < cost(10, RECENT, spare_ms=5)


@pytest.mark.parametrize("dialect", [d for d in Dialect if d not in {BOTOCORE, JS}])
def test_unknown_backoffs_cost_nothing(dialect: Dialect) -> None:
    """Programs set the backoffs of other SDKs."""
    assert not cost(500, "aws-sdk/1", dialect=dialect)


def learnt_cost(learner: Learner, backoff_ms: float, of: ApiCall, host: str = HOST) -> float:
    """Return the cost of a backoff for a sender of which something may have been learnt."""
    return learner.backoffs_of(host, of).cost(failed(), 0, backoff_ms, 0.0)


def test_the_mode_is_learnt() -> None:
    """After calls with the backoffs of standard mode, that of legacy mode is no longer likelier; nor the other way."""
    learner, of = Learner(), call_of(NOT_TOLD)

    for waited_ms in (700, 300, 12, 450, 800, 95, 220, 610, 333, 940):
        learner.learn(HOST, of, failed(), 0, waited_ms)
    standard = learnt_cost(learner, 51, of) - learnt_cost(learner, 400, of)
    for _ in range(20):
        learner.learn(HOST, of, failed(), 0, 51)
    legacy = learnt_cost(learner, 51, of) - learnt_cost(learner, 400, of)

    assert abs(standard) < 0.1
    assert legacy < -5


def test_one_coincidence_teaches_little() -> None:
    """A single backoff does not decide."""
    learner, of = Learner(), call_of(NOT_TOLD)

    learner.learn(HOST, of, failed(), 0, 400)

    assert learnt_cost(learner, 51, of) < learnt_cost(learner, 400, of)


@pytest.mark.parametrize(
    ("other", "host"),
    [
        pytest.param(call_of(NOT_TOLD), "192.0.2.1", id="host"),
        pytest.param(call_of(NOT_TOLD, ClientId="other"), HOST, id="client-id"),
        pytest.param(call_of(f"{NOT_TOLD} other"), HOST, id="user-agent"),
    ],
)
def test_each_sender_is_learnt_by_itself(other: ApiCall, host: str) -> None:
    """What one sender does says nothing about another."""
    learner = Learner()
    before = learner.backoffs_of(host, other)

    for _ in range(10):
        learner.learn(HOST, call_of(NOT_TOLD), failed(), 0, 400)

    assert learner.backoffs_of(host, other).shares == before.shares
    assert learner.backoffs_of(HOST, call_of(NOT_TOLD)).shares != before.shares


@pytest.mark.parametrize("user_agent", [RECENT, EARLIER, LEGACY])
def test_what_is_told_is_not_learnt(user_agent: str) -> None:
    """A sender that tells its mode has the backoffs of that mode."""
    learner, of = Learner(), call_of(user_agent)

    learner.learn(HOST, of, failed(), 0, 5_000)

    assert learner.backoffs_of(HOST, of) is known_backoffs(BOTOCORE, "DynamoDB", user_agent)


def learnt_of_go(*seen_ms: float, error: dict[str, Any] = REFUSED) -> tuple[Learner, ApiCall]:
    """Return what is learnt of Go by these backoffs before the first retry, and a call of that sender."""
    learner, of = Learner(), call_of("aws-sdk-go/1.55.6", GO)
    for waited_ms in seen_ms:
        learner.learn(HOST, of, failed(GO, **error), 0, waited_ms)
    return learner, of


def go_cost(learned: tuple[Learner, ApiCall], backoff_ms: float, number: int = 0, **error: object) -> float:
    """Return the cost of a backoff of Go's."""
    learner, of = learned
    return learner.backoffs_of(HOST, of).cost(failed(GO, **error), number, backoff_ms, 0.0)


def test_the_bounds_of_go_are_learnt() -> None:
    """After a few calls, backoffs like theirs are likely, doubled with each retry, and others are not."""
    learned = learnt_of_go(12, 19, 15, 11, 18, 13)

    assert go_cost(learned, 16) < go_cost(learned, 40)
    assert go_cost(learned, 16) < go_cost(learned, 5)
    assert go_cost(learned, 32, number=1) < go_cost(learned, 16, number=1)


def test_a_few_backoffs_are_not_enough() -> None:
    """Of fewer calls nothing is assumed."""
    learned = learnt_of_go(12, 19, 15, 11, 18)

    assert not go_cost(learned, 16)
    assert not go_cost(learned, 500)


@pytest.mark.parametrize("throttled", [THROTTLED, {"HttpStatusCode": 503, "AwsException": "ServiceUnavailable"}])
def test_throttled_go_is_learnt_by_itself(throttled: dict[str, Any]) -> None:
    """Throttled attempts, which for Go are those with some statuses too, have backoffs of their own."""
    learned = learnt_of_go(520, 900, 640, 770, 980, 610, error=throttled)

    assert go_cost(learned, 700, **throttled) < go_cost(learned, 90, **throttled)
    assert abs(go_cost(learned, 700, **REFUSED) - go_cost(learned, 90, **REFUSED)) < 1


def test_bounds_follow_the_sender() -> None:
    """Only the latest backoffs count."""
    learned = learnt_of_go(*[12, 19] * 10, *[60, 95] * 40)

    assert go_cost(learned, 80) < go_cost(learned, 16)


def test_a_bounded_number_of_senders_is_remembered() -> None:
    """The sender that was learnt of longest ago is forgotten."""
    learner = Learner()
    first, second = call_of(NOT_TOLD, ClientId="0"), call_of(NOT_TOLD, ClientId="1")
    known = learner.backoffs_of(HOST, first)

    learner.learn(HOST, second, failed(), 0, 400)
    learner.learn(HOST, first, failed(), 0, 400)
    learner.learn(HOST, second, failed(), 0, 400)
    for number in range(1_023):
        learner.learn(HOST, call_of(NOT_TOLD, ClientId=f"flood {number}"), failed(), 0, 400)

    assert learner.backoffs_of(HOST, first) is known
    assert learner.backoffs_of(HOST, second) is not known
