"""The waker: readable when woken, silent when cleared, never full."""

from __future__ import annotations

import select

import pytest

from csm_otel.process.waker import Waker


def is_awake(waker: Waker) -> bool:
    """Return whether a selector would look up."""
    return bool(select.select([waker], [], [], 0)[0])


@pytest.mark.parametrize("wakes", [0, 1, 4096, 1_000_000])
def test_any_number_of_wakes(wakes: int) -> None:
    """However often it is woken, nobody waits for it, and it sleeps again once it is cleared."""
    waker = Waker()
    for _ in range(wakes):
        waker.wake()
    assert is_awake(waker) == (wakes > 0)
    waker.clear()
    assert not is_awake(waker)
    waker.wake()
    assert is_awake(waker)
    waker.close()


def test_after_its_end() -> None:
    """A wake that comes too late does no harm."""
    waker = Waker()
    waker.close()
    waker.wake()
    waker.clear()
