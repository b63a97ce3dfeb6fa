"""Calls that leave without a search: when their attempts are certain, and when they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from arrivals import GO, JS, arrive, as_lines, called, failed, tried
from datagrams import call
from observations import observed, observed_call, received_at

from csm_otel.correlation.backoffs import Learner, PossibleBackoffs
from csm_otel.correlation.certainty import is_certain, only_attempt, only_chain
from csm_otel.correlation.correlator import Correlator
from csm_otel.correlation.group import Group
from csm_otel.csm.events import Dialect

if TYPE_CHECKING:
    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCallAttempt

CALL = observed_call(call(Latency=30))
UNKNOWN = PossibleBackoffs()


def by_key(*attempts: Observed[ApiCallAttempt]) -> dict[int, Observed[ApiCallAttempt]]:
    """Return attempts numbered from 1."""
    return dict(enumerate(attempts, start=1))


@pytest.mark.parametrize(
    ("attempts", "key"),
    [
        pytest.param([observed(0, 29)], 1, id="one"),
        pytest.param([observed(-500, -400), observed(0, 29)], 2, id="one-that-fits"),
        pytest.param([observed(0, 29, HttpStatusCode=503), observed(0, 29)], 2, id="one-with-the-result"),
        pytest.param([], None, id="none"),
        pytest.param([observed(0, 29), observed(1, 28)], None, id="one-of-two"),
        pytest.param([observed(28, 29)], None, id="of-a-later-call-more-likely"),
        pytest.param([observed(-500, -400)] * 40 + [observed(0, 29)], None, id="too-many-to-check"),
    ],
)
def test_only_attempt(attempts: list[Observed[ApiCallAttempt]], key: int | None) -> None:
    """The attempt of a call is certain if no other may be its own, and it is plausible."""
    one = observed_call(call(Latency=30, FinalHttpStatusCode=200))

    assert only_attempt(one, by_key(*attempts)) == key


@pytest.mark.parametrize(
    ("attempt", "certain"),
    [
        pytest.param(observed(0, 29), True, id="close"),
        pytest.param(received_at(observed(0, 29), 29.5), True, id="plausible"),
        pytest.param(observed(28, 29), False, id="unlikely"),
        pytest.param(observed(5, 40), False, id="after-its-end"),
        pytest.param(observed(0, 29, HttpStatusCode=503), False, id="another-result"),
    ],
)
def test_attempt_of_a_waiting_call(attempt: Observed[ApiCallAttempt], *, certain: bool) -> None:
    """The attempt that arrives for a pending call is judged likewise."""
    assert is_certain(attempt, observed_call(call(Latency=30, FinalHttpStatusCode=200))) is certain


FIRST, SECOND, LAST = observed(0, 5, **failed()), observed(8, 14, **failed()), observed(20, 29)


@pytest.mark.parametrize(
    ("attempts", "keys"),
    [
        pytest.param([FIRST, LAST], (1, 2), id="two"),
        pytest.param([FIRST, SECOND, LAST], (1, 2, 3), id="three"),
        pytest.param([SECOND, FIRST, LAST], (2, 1, 3), id="in-order-of-time"),
        pytest.param([observed(0, 5), LAST], (), id="no-failure-to-retry"),
        pytest.param([FIRST, observed(2, 29)], (), id="at-the-same-time"),
        pytest.param([observed(3, 4, **failed()), observed(4, 5, **failed()), LAST], (), id="in-either-order"),
        pytest.param([FIRST, observed(20, 40)], (), id="after-its-end"),
        pytest.param([FIRST, received_at(LAST, 900)], (), id="unlikely"),
    ],
)
def test_only_chain(attempts: list[Observed[ApiCallAttempt]], keys: tuple[int, ...]) -> None:
    """Several attempts are certain if the call can have made them in one order only, and that is plausible."""
    assert only_chain(CALL, by_key(*attempts), UNKNOWN) == keys


def test_asking_changes_nothing() -> None:
    """Backoffs are learnt when the call leaves, not when it is asked which attempts are certain."""
    learner = Learner()
    group = Group(learner)
    one = observed_call(call(Dialect.GO, Latency=30, AttemptCount=2))
    for key, attempt in by_key(observed(0, 5, GO, **failed()), observed(20, 29, GO)).items():
        group.add_attempt(key, attempt)

    certain = [group.certain_attempts(one) for _ in range(10)]
    before = len(learner.backoffs_of(one.peer.host, one.event))
    for _ in range(10):
        group.learn_from(one, certain[0])

    assert certain == [(1, 2)] * 10
    assert (before, len(learner.backoffs_of(one.peer.host, one.event))) == (0, 2)


@pytest.mark.parametrize("delays_ms", [(900, 1_800), (2_500, 5_200), (0, 20_000)])
@pytest.mark.parametrize("dialect", [JS, GO])
def test_a_call_with_delays_of_its_own_does_not_wait(dialect: Dialect, delays_ms: tuple[int, int]) -> None:
    """A sender with other backoffs than usual is released at once, before the next call's attempts."""
    correlator = Correlator()
    first, second = delays_ms
    starts = [0, 10 + first, 20 + first + second]
    arrivals = [tried(name, start, start + 10, dialect, **failed()) for name, start in zip("ab", starts, strict=False)]
    arrivals.append(tried("c", starts[2], starts[2] + 10, dialect))

    assert [line for one in arrivals for line in as_lines(arrive(correlator, one))] == []
    assert as_lines(arrive(correlator, called(0, starts[2] + 10, dialect, AttemptCount=3))) == ["call@0 [a b c]"]
