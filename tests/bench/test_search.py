"""benchmarks/e2e/search.py: the highest rate is found, whatever the guess."""

from __future__ import annotations

import pytest

from benchmarks.e2e.search import RESOLUTION, highest


@pytest.mark.parametrize("guess", [100.0, 900.0, 1000.0, 1100.0, 20_000.0])
@pytest.mark.parametrize("step", [RESOLUTION, 1.5])
def test_the_highest_rate_is_found(guess: float, step: float) -> None:
    """It is below the true one by the resolution at most."""
    assert 1000 / RESOLUTION * 0.99 <= highest(lambda rate: rate <= 1000, guess=guess, step=step, most=1e6) <= 1000


def test_no_rate_above_the_most_is_tried() -> None:
    """What no sender can send is no measurement."""
    tried: list[float] = []

    def is_sustained(rate: float) -> bool:
        tried.append(rate)
        return True

    assert highest(is_sustained, guess=600, step=1.5, most=1000) == 1000
    assert tried == [600, 900, 1000]


def test_nothing_may_be_sustained() -> None:
    """A program that never keeps up has no rate, and the search ends."""
    assert highest(lambda _: False, guess=1000, step=1.5, most=1e6) == 0


def test_few_trials_confirm_a_good_guess() -> None:
    """Where the rate is known from another run, one trial on each side of it is enough."""
    tried: list[float] = []

    def is_sustained(rate: float) -> bool:
        tried.append(rate)
        return rate <= 1010

    assert highest(is_sustained, guess=1000, step=RESOLUTION, most=1e6) == 1000
    assert len(tried) == 2
