"""The time of the next try, on numbers."""

from __future__ import annotations

import pytest

from csm_otel.delivery.backoff import MAX_BACKOFF_SECONDS, Backoff

NOW = 1000.0


@pytest.mark.parametrize(
    ("jitter", "waits"),
    [
        pytest.param(1.0, [0.25, 0.5, 1.0, 2.0, 4.0, 4.0], id="longest"),
        pytest.param(0.0, [0.125, 0.25, 0.5, 1.0, 2.0, 2.0], id="shortest"),
    ],
)
def test_it_doubles_up_to_a_maximum(jitter: float, waits: list[float]) -> None:
    """Each failure doubles the wait; jitter shortens it by a half at most."""
    backoff = Backoff(jitter=lambda: jitter)
    seconds = []
    for _ in waits:
        backoff.fail(NOW, None)
        seconds.append(backoff.until - NOW)
    assert seconds == pytest.approx(waits)
    assert backoff.failures == len(waits)


def test_any_number_of_failures_is_one_wait() -> None:
    """The doubling overflows nothing, however long the outage."""
    backoff = Backoff(jitter=lambda: 1.0)
    for _ in range(5_000):
        backoff.fail(NOW, None)
    assert backoff.until == NOW + MAX_BACKOFF_SECONDS


def test_a_success_begins_anew() -> None:
    """After an answer the first wait is short again."""
    backoff = Backoff(jitter=lambda: 1.0)
    for _ in range(4):
        backoff.fail(NOW, None)
    backoff.succeed()
    backoff.fail(NOW + 10, None)
    assert (backoff.failures, backoff.until) == (1, NOW + 10.25)


def test_without_a_failure_a_try_may_be_at_once() -> None:
    """There is nothing to wait for."""
    assert Backoff().until == float("-inf")


@pytest.mark.parametrize(
    ("asked_seconds", "until"),
    [
        pytest.param(0.0, NOW, id="at-once"),
        pytest.param(7.0, NOW + 7, id="as-asked"),
        pytest.param(86_400.0, NOW + 300, id="no-longer-than-five-minutes"),
    ],
)
def test_the_back_ends_delay(asked_seconds: float, until: float) -> None:
    """The back end's delay replaces ours, within reason."""
    backoff = Backoff(jitter=lambda: 1.0)
    backoff.fail(NOW, asked_seconds)
    assert backoff.until == until


def test_the_later_of_both_counts() -> None:
    """A failure without a delay does not shorten an earlier one."""
    backoff = Backoff(jitter=lambda: 1.0)
    backoff.fail(NOW, 60.0)
    backoff.fail(NOW + 1, None)
    assert backoff.until == NOW + 60


def test_closing_shortens_our_own_wait_only() -> None:
    """The next try is at once and later ones within a second, except for the back end's delays."""
    backoff = Backoff(jitter=lambda: 1.0)
    for _ in range(5):
        backoff.fail(NOW, None)
    backoff.shorten()
    assert backoff.until == float("-inf")
    backoff.fail(NOW, None)
    assert backoff.until == NOW + 1
    backoff.fail(NOW, 30.0)
    backoff.shorten()
    assert backoff.until == NOW + 30
