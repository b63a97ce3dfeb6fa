"""A well-behaved sender and a flood: pending events stay within their bounds, and the sender's calls are exact.

The guarantees depend on what the flood can forge. In another group (another host, client id, service or API, and
another port where a sender has one socket for life) it costs the sender nothing. In the same group an attacker differs
from the sender only by results, times and, for Go, request ids:

- an attempt is assigned to a call that it fits, once, or released as an orphan;
- an attempt with other times, another result or another request id is never assigned;
- attempts that copy the sender's times and results make its calls ambiguous, but not incomplete. Calls that copy them
  may.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from arrivals import (
    BOTOCORE,
    GO,
    JS,
    RUBY,
    Arrival,
    arrive,
    as_lines,
    called,
    failed,
    finally_failed,
    tried,
)

from csm_otel.correlation.correlator import Correlator, CorrelatorLimits
from csm_otel.correlation.released import CorrelatedCall, OrphanAttempt, Reason, Released

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from csm_otel.csm.events import Dialect

HOUR = 3_600_000
CALLS, FLOOD, BOUND = 20, 60, 50
GAP = 40  # ms between the sender's calls


def well_behaved(dialect: Dialect) -> list[Arrival]:
    """Return sequential calls, whose first attempt fails and whose second one does not."""
    arrivals = []
    for number in range(CALLS):
        at = GAP * number
        final: dict[str, Any] = {"XAmznRequestId": f"b{number}"} if dialect is GO else {}
        one = [
            tried(f"a{number}", at + 1, at + 10, dialect, **failed(500, "InternalError")),
            tried(f"b{number}", at + 15, at + 28, dialect),
            called(at, at + 28, dialect, AttemptCount=2, **final),
        ]
        if dialect is RUBY:  # it sends all at the end, the call first
            one = [arrival._replace(at=at + 29) for arrival in (one[-1], *one[:-1])]
        arrivals += one
    return arrivals


EXPECTED = [f"call@{GAP * number} [a{number} b{number}]" for number in range(CALLS)]
SENDER_PORT = called(0, 0).port

Spoof = dict[str, Any]


def by_port(number: int) -> Spoof:
    """Return the fields of an attacker on another port."""
    return {"port": 50_000 + number}


def by_client_id(number: int) -> Spoof:
    """Return the fields of an attacker with another client id."""
    return {"ClientId": f"{number}", "port": 50_000 + number}


def by_api(number: int) -> Spoof:
    """Return the fields of an attacker that calls another API."""
    return {"Api": f"{number}", "port": 50_000 + number}


def attempts(at: int, dialect: Dialect, **spoof: object) -> Arrival:
    """Return an attempt without a call."""
    return tried("x", at, at + 1, dialect, **spoof)  # type: ignore[arg-type]


def unfinished_calls(at: int, dialect: Dialect, **spoof: object) -> Arrival:
    """Return a call that counts attempts which never arrive."""
    return called(at, at + 1, dialect, AttemptCount=4, **spoof)  # type: ignore[arg-type]


def absurd_attempts(at: int, dialect: Dialect, **spoof: object) -> Arrival:
    """Return an attempt with an invalid latency and timestamp."""
    latency = (-HOUR, -1, 10**12)[at % 3]
    off = (HOUR, -HOUR, 0, 30 * HOUR)[at % 4]
    return tried("x", at + off, at + off, dialect, at=at, AttemptLatency=latency, **spoof)  # type: ignore[arg-type]


def absurd_calls(at: int, dialect: Dialect, **spoof: object) -> Arrival:
    """Return a call with an invalid latency, timestamp and count."""
    latency = (-HOUR, -1, 10**12)[at % 3]
    off = (HOUR, -HOUR, 0, 30 * HOUR)[at % 4]
    count = (10**9, 10**17, -1)[at % 3]
    return called(at + off, at + off, dialect, at=at, Latency=latency, AttemptCount=count, **spoof)  # type: ignore[arg-type]


def flooded(dialect: Dialect, attackers: Iterable[Arrival]) -> list[Arrival]:
    """Return the datagrams of sender and attackers in order of arrival."""
    return sorted([*attackers, *well_behaved(dialect)], key=lambda arrival: arrival.at)


def released_by(arrivals: list[Arrival], *, bound: int) -> list[Released]:
    """Return the releases, and assert at each step that the pending events are within the bound."""
    correlator = Correlator(CorrelatorLimits(pending_events=bound))
    released = []
    for arrival in arrivals:
        released += arrive(correlator, arrival)
        assert correlator.pending_events <= bound
    return released + correlator.flush()


def senders_calls(released: list[Released]) -> list[str]:
    """Return the lines of the well-behaved sender's calls."""
    return as_lines([one for one in released if isinstance(one, CorrelatedCall) and one.call.peer.port == SENDER_PORT])


def assert_each_is_released_once(arrivals: list[Arrival], released: list[Released]) -> None:
    """Assert that as many calls, and as many attempts with calls or as orphans, were released as arrived."""
    calls = [one for one in released if isinstance(one, CorrelatedCall)]
    orphans = [one for one in released if isinstance(one, OrphanAttempt)]
    assert len(calls) == sum(b'"ApiCall"' in arrival.payload for arrival in arrivals)
    assert len(orphans) + sum(len(one.attempts) for one in calls) == len(arrivals) - len(calls)


@pytest.mark.parametrize(
    ("dialect", "spoof"),
    [
        pytest.param(BOTOCORE, by_port, id="ports"),
        pytest.param(GO, by_client_id, id="client-ids"),
        pytest.param(JS, by_api, id="apis"),
        pytest.param(RUBY, by_client_id, id="client-ids-of-a-sender-whose-calls-wait"),
    ],
)
@pytest.mark.parametrize("attacker", [attempts, unfinished_calls, absurd_attempts, absurd_calls])
def test_flood_of_other_groups(
    dialect: Dialect, spoof: Callable[[int], Spoof], attacker: Callable[..., Arrival]
) -> None:
    """Under any flood pending events are bounded, each is released once, and the sender's calls are exact."""
    attackers = [attacker(GAP * number // FLOOD, dialect, **spoof(number)) for number in range(FLOOD * CALLS)]
    arrivals = flooded(dialect, attackers)

    released = released_by(arrivals, bound=BOUND)

    assert senders_calls(released) == EXPECTED
    assert_each_is_released_once(arrivals, released)
    reasons = Counter(one.reason for one in released if isinstance(one, OrphanAttempt))
    if attacker in {attempts, absurd_attempts}:
        assert reasons == {Reason.EVICTED: FLOOD * CALLS - BOUND, Reason.FLUSHED: BOUND}


def test_flood_of_other_hosts() -> None:
    """Attackers on other hosts, or other addresses of this one, affect a sender no more than those on other ports."""
    attackers = [
        attempts(GAP * number // FLOOD, JS)._replace(host=f"127.0.{number // 250}.{2 + number % 250}")
        for number in range(FLOOD * CALLS)
    ]
    arrivals = flooded(JS, attackers)

    released = released_by(arrivals, bound=BOUND)

    assert senders_calls(released) == EXPECTED
    assert_each_is_released_once(arrivals, released)


# In the same group: JavaScript and Go change their port in mid-call, so that it does not identify them.


@pytest.mark.parametrize("dialect", [JS, GO])
@pytest.mark.parametrize(
    "attackers",
    [
        pytest.param(
            [
                tried("x", at, at + 1, dialect, port=50_000 + at, HttpStatusCode=204)
                for at in range(GAP * CALLS)
                for dialect in (JS, GO)
            ],
            id="attempts-of-another-result",
        ),
        pytest.param(
            [
                tried("x", at - HOUR // 10, at, dialect, port=50_000 + at)
                for at in range(GAP * CALLS)
                for dialect in (JS, GO)
            ],
            id="attempts-that-began-before",
        ),
        pytest.param(
            [
                called(at, at + 4, dialect, port=50_000 + at, **finally_failed(404, "NoSuchKey"))
                for at in range(GAP * CALLS)
                for dialect in (JS, GO)
            ],
            id="unfinished-calls-of-another-result",
        ),
    ],
)
def test_flood_of_the_same_group_that_does_not_fit(dialect: Dialect, attackers: list[Arrival]) -> None:
    """Events that do not fit the sender's calls, in times or result, do not affect them."""
    arrivals = flooded(dialect, attackers)

    released = released_by(arrivals, bound=10_000)

    assert senders_calls(released) == EXPECTED
    assert_each_is_released_once(arrivals, released)


@pytest.mark.parametrize("dialect", [JS, GO])
def test_flood_of_the_same_group_that_copies_the_sender(dialect: Dialect) -> None:
    """Attempts that copy the sender's make its calls ambiguous, but not incomplete.

    Go's last attempt is still the right one, by its request id.
    """
    attackers = [
        copy
        for number in range(CALLS)
        for port in range(50_000, 50_010)
        for copy in (
            tried(f"x{port}", GAP * number + 1, GAP * number + 10, dialect, port=port, **failed(500, "InternalError")),
            tried(f"y{port}", GAP * number + 15, GAP * number + 28, dialect, port=port),
        )
    ]
    arrivals = flooded(dialect, attackers)

    released = released_by(arrivals, bound=10_000)

    assert_each_is_released_once(arrivals, released)
    calls = [one for one in released if isinstance(one, CorrelatedCall)]
    assert [(one.missing, one.ambiguous) for one in calls] == [(0, True)] * CALLS
    if dialect is GO:
        assert [one.attempts[-1].event.request_id for one in calls] == [f"b{number}" for number in range(CALLS)]
