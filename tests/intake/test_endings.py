"""Ends wait for a grace period and an empty receive queue, and are popped in order."""

from __future__ import annotations

import pytest

from csm_otel.csm.events import Ended, Origin, Peer, ProcessEnd
from csm_otel.intake.endings import GRACE_SECONDS, MAX_BACKLOG_SECONDS, Endings

SEVEN = ProcessEnd(Origin(pid=7, start_ticks=1, start_ns=0, name="seven.py"), noticed_ns=0, is_exact=True)
ENDED = Ended([SEVEN], [Peer("127.0.0.1", 40_000, 1)])
LATER = Ended([], [Peer("127.0.0.1", 40_001, 2)])
LONGEST = GRACE_SECONDS + MAX_BACKLOG_SECONDS


@pytest.mark.parametrize(
    ("now", "is_drained", "expected"),
    [
        pytest.param(GRACE_SECONDS - 0.01, True, [], id="within-the-grace"),
        pytest.param(GRACE_SECONDS, True, [ENDED], id="after-it"),
        pytest.param(GRACE_SECONDS, False, [], id="more-in-the-queue"),
        pytest.param(LONGEST - 0.01, False, [], id="still-more"),
        pytest.param(LONGEST, False, [ENDED], id="a-flood"),
        pytest.param(1 + GRACE_SECONDS, True, [ENDED, LATER], id="both"),
        pytest.param(1 + GRACE_SECONDS, False, [ENDED], id="a-flood-and-more-in-the-queue"),
    ],
)
def test_when_they_are_due(*, now: float, is_drained: bool, expected: list[Ended]) -> None:
    """They are due after the grace period, once nothing is left to be received or the backlog takes too long."""
    endings = Endings()
    endings.add(ENDED, now=0.0)
    endings.add(LATER, now=1.0)

    assert list(endings.pop_due(now=now, is_drained=is_drained)) == expected


def test_the_deadline() -> None:
    """It is that of the first that waits; if nothing has ended there is none."""
    endings = Endings()
    endings.add(Ended([], []), now=0.0)
    assert endings.next_deadline() is None
    endings.add(ENDED, now=1.0)
    endings.add(LATER, now=2.0)
    assert endings.next_deadline() == pytest.approx(1.0 + GRACE_SECONDS)


def test_the_last_deadline() -> None:
    """By then all that have ended so far are due."""
    endings = Endings()
    assert endings.last_deadline() is None
    endings.add(ENDED, now=1.0)
    endings.add(LATER, now=2.0)
    assert endings.last_deadline() == pytest.approx(2.0 + GRACE_SECONDS)


def test_all_of_them() -> None:
    """At shutdown none waits any longer."""
    endings = Endings()
    endings.add(ENDED, now=0.0)
    endings.add(LATER, now=0.0)

    assert endings.pop_all() == [ENDED, LATER]
    assert endings.pop_all() == list(endings.pop_due(now=9.0, is_drained=True)) == []
    assert endings.next_deadline() is None
