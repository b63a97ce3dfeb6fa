"""A well-behaved sender beside a flood: what waits stays within its bounds, and the sender gets what is its own.

What is guaranteed depends on what the flood can spoof. In another group (another host, client id, service or API, and
another port where one socket serves a sender for life) it costs the sender nothing. In the same group nothing tells
strangers from the sender but outcomes, times and, for Go, request ids:

- an attempt goes to a call that it fits, once, or leaves as an orphan;
- what does not fit in time or outcome, or has another request id, is never a call's;
- attempts that copy the sender's times and outcomes put its calls in doubt, which is told, but take none from them.
  Calls that copy them may.
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
    called,
    failed,
    finally_failed,
    told,
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
    """Return calls one after the other: the first try fails, the second does not."""
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
    """Return what a stranger on another port has."""
    return {"port": 50_000 + number}


def by_client_id(number: int) -> Spoof:
    """Return what a stranger with another client id has."""
    return {"ClientId": f"{number}", "port": 50_000 + number}


def by_api(number: int) -> Spoof:
    """Return what a stranger that calls another API has."""
    return {"Api": f"{number}", "port": 50_000 + number}


def attempts(at: int, dialect: Dialect, **spoof: object) -> Arrival:
    """Return an attempt without a call."""
    return tried("x", at, at + 1, dialect, **spoof)  # type: ignore[arg-type]


def unfinished_calls(at: int, dialect: Dialect, **spoof: object) -> Arrival:
    """Return a call that counts attempts which never come."""
    return called(at, at + 1, dialect, AttemptCount=4, **spoof)  # type: ignore[arg-type]


def absurd_attempts(at: int, dialect: Dialect, **spoof: object) -> Arrival:
    """Return an attempt whose length and clock are nonsense."""
    latency = (-HOUR, -1, 10**12)[at % 3]
    off = (HOUR, -HOUR, 0, 30 * HOUR)[at % 4]
    return tried("x", at + off, at + off, dialect, at=at, AttemptLatency=latency, **spoof)  # type: ignore[arg-type]


def absurd_calls(at: int, dialect: Dialect, **spoof: object) -> Arrival:
    """Return a call whose length, clock and count are nonsense."""
    latency = (-HOUR, -1, 10**12)[at % 3]
    off = (HOUR, -HOUR, 0, 30 * HOUR)[at % 4]
    count = (10**9, 10**17, -1)[at % 3]
    return called(at + off, at + off, dialect, at=at, Latency=latency, AttemptCount=count, **spoof)  # type: ignore[arg-type]


def flooded(dialect: Dialect, strangers: Iterable[Arrival]) -> list[Arrival]:
    """Return the sender's datagrams among the strangers', in order of arrival."""
    return sorted([*strangers, *well_behaved(dialect)], key=lambda arrival: arrival.at)


def released_by(arrivals: list[Arrival], *, bound: int) -> list[Released]:
    """Return what leaves, having looked at each step at what waits."""
    correlator = Correlator(CorrelatorLimits(pending_events=bound))
    released = []
    for arrival in arrivals:
        released += arrive(correlator, arrival)
        assert correlator.pending_events <= bound
    return released + correlator.flush()


def senders(released: list[Released]) -> list[str]:
    """Return the lines of the well-behaved sender's calls."""
    return told([one for one in released if isinstance(one, CorrelatedCall) and one.call.peer.port == SENDER_PORT])


def check_each_leaves_once(arrivals: list[Arrival], released: list[Released]) -> None:
    """Check that there are as many calls, and as many attempts with calls and as orphans, as arrived."""
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
        pytest.param(RUBY, by_client_id, id="client-ids-of-a-sender-that-is-held"),
    ],
)
@pytest.mark.parametrize("stranger", [attempts, unfinished_calls, absurd_attempts, absurd_calls])
def test_flood_of_other_groups(
    dialect: Dialect, spoof: Callable[[int], Spoof], stranger: Callable[..., Arrival]
) -> None:
    """Whatever strangers send, what waits is bounded, each event leaves once, and the sender's calls are exact."""
    strangers = [stranger(GAP * number // FLOOD, dialect, **spoof(number)) for number in range(FLOOD * CALLS)]
    arrivals = flooded(dialect, strangers)

    released = released_by(arrivals, bound=BOUND)

    assert senders(released) == EXPECTED
    check_each_leaves_once(arrivals, released)
    reasons = Counter(one.reason for one in released if isinstance(one, OrphanAttempt))
    if stranger in {attempts, absurd_attempts}:
        assert reasons == {Reason.EVICTED: FLOOD * CALLS - BOUND, Reason.FLUSHED: BOUND}


def test_flood_of_other_hosts() -> None:
    """Strangers on other hosts, or other addresses of this one, are no more to a sender than those on other ports."""
    strangers = [
        attempts(GAP * number // FLOOD, JS)._replace(host=f"127.0.{number // 250}.{2 + number % 250}")
        for number in range(FLOOD * CALLS)
    ]
    arrivals = flooded(JS, strangers)

    released = released_by(arrivals, bound=BOUND)

    assert senders(released) == EXPECTED
    check_each_leaves_once(arrivals, released)


# In the same group: JavaScript and Go change their port in mid-call, so that it tells nothing.


@pytest.mark.parametrize("dialect", [JS, GO])
@pytest.mark.parametrize(
    "strangers",
    [
        pytest.param(
            [
                tried("x", at, at + 1, dialect, port=50_000 + at, HttpStatusCode=204)
                for at in range(GAP * CALLS)
                for dialect in (JS, GO)
            ],
            id="attempts-of-another-outcome",
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
            id="unfinished-calls-of-another-outcome",
        ),
    ],
)
def test_flood_of_the_same_group_that_does_not_fit(dialect: Dialect, strangers: list[Arrival]) -> None:
    """What fits none of the sender's calls, in time or outcome, takes nothing from them."""
    arrivals = flooded(dialect, strangers)

    released = released_by(arrivals, bound=10_000)

    assert senders(released) == EXPECTED
    check_each_leaves_once(arrivals, released)


@pytest.mark.parametrize("dialect", [JS, GO])
def test_flood_of_the_same_group_that_copies_the_sender(dialect: Dialect) -> None:
    """Attempts that copy the sender's leave none of its calls without; it is told that they are in doubt.

    Go's last attempt is its own all the same, as the request id says.
    """
    strangers = [
        copy
        for number in range(CALLS)
        for port in range(50_000, 50_010)
        for copy in (
            tried(f"x{port}", GAP * number + 1, GAP * number + 10, dialect, port=port, **failed(500, "InternalError")),
            tried(f"y{port}", GAP * number + 15, GAP * number + 28, dialect, port=port),
        )
    ]
    arrivals = flooded(dialect, strangers)

    released = released_by(arrivals, bound=10_000)

    check_each_leaves_once(arrivals, released)
    calls = [one for one in released if isinstance(one, CorrelatedCall)]
    assert [(one.missing, one.ambiguous) for one in calls] == [(0, True)] * CALLS
    if dialect is GO:
        assert [one.attempts[-1].event.request_id for one in calls] == [f"b{number}" for number in range(CALLS)]
