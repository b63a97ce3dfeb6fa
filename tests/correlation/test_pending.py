"""The attempts that fit a call, found without a scan of the others."""

from __future__ import annotations

import pytest
from datagrams import call
from hypothesis import given
from hypothesis import strategies as st
from observations import observed, observed_call

from csm_otel.correlation.matching import fits
from csm_otel.correlation.pending import PendingAttempts
from csm_otel.csm.events import Dialect

dialects = st.sampled_from(sorted(Dialect))
times = st.tuples(st.integers(-60, 60), st.integers(0, 60))


@given(dialect=dialects, latency=st.integers(0, 40) | st.none(), times=st.lists(times, max_size=20), data=st.data())
def test_all_that_fit_are_found(
    *, dialect: Dialect, latency: int | None, times: list[tuple[int, int]], data: st.DataObject
) -> None:
    """The eligible attempts are exactly those that fit and are pending."""
    the_call = observed_call(call(dialect, Latency=latency))
    attempts = {key: observed(start, start + length, dialect) for key, (start, length) in enumerate(times)}
    pending = PendingAttempts()
    for key, one in attempts.items():
        pending.add(key, one)
    for key in data.draw(st.sets(st.sampled_from(sorted(attempts)))) if attempts else ():
        assert pending.remove(key) is attempts.pop(key)

    assert {key: one for key, one in attempts.items() if fits(one, the_call)} == pending.eligible_for(the_call)
    assert len(pending) == len(attempts)


@pytest.mark.parametrize(
    ("start", "end"), [pytest.param(-60_000, -59_000, id="long-ago"), pytest.param(5, 20, id="at-the-same-time")]
)
def test_a_flood_is_not_scanned(start: int, end: int) -> None:
    """However many attempts are pending, at most a few hundred are checked for a call, its own among them."""
    pending = PendingAttempts()
    for key in range(10_000):
        pending.add(key, observed(start, end))
    pending.add(10_000, observed(0, 29))

    eligible = pending.eligible_for(observed_call(call()))

    assert 10_000 in eligible
    assert len(eligible) < 600


def test_an_attempt_in_the_middle_is_found() -> None:
    """With 64 threads two hundred attempts may begin before an attempt of a call, and as many end after it."""
    pending = PendingAttempts()
    for key in range(200):
        pending.add(key, observed(key, key + 10))
    pending.add(200, observed(200, 210))
    for key in range(201, 400):
        pending.add(key, observed(key, key + 10))

    assert 200 in pending.eligible_for(observed_call(call(Latency=600), received=600))


def test_latest_are_few() -> None:
    """The latest attempts are bounded as well, and in order of arrival."""
    pending = PendingAttempts()
    for key in range(1_000):
        pending.add(key, observed(0, 1_000 - key))

    latest = list(pending.latest())

    assert latest == list(range(len(latest)))
    assert 0 < len(latest) < 600
