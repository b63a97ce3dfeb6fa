"""The states of a queue: the transitions of the table, and no others."""

from __future__ import annotations

import itertools

import pytest

from csm_otel.files.states import QUEUE_TRANSITIONS, QueueState, StateMachine

ALLOWED = [
    (QueueState.OPEN, QueueState.CLOSING),
    (QueueState.CLOSING, QueueState.STOPPED),
    (QueueState.STOPPED, QueueState.CLOSED),
]
IMPOSSIBLE = sorted(set(itertools.product(QueueState, repeat=2)) - set(ALLOWED), key=repr)


@pytest.mark.parametrize(("before", "after"), ALLOWED)
def test_a_queue_goes_from_open_to_closed(before: QueueState, after: QueueState) -> None:
    """Each step towards the end is a transition."""
    machine = StateMachine(QUEUE_TRANSITIONS, before)
    machine.to(after)
    assert machine.state is after


@pytest.mark.parametrize(("before", "after"), IMPOSSIBLE)
def test_a_queue_neither_skips_a_state_nor_goes_back(before: QueueState, after: QueueState) -> None:
    """Any other pair is a defect of the caller, and the state stays as it was."""
    machine = StateMachine(QUEUE_TRANSITIONS, before)
    with pytest.raises(RuntimeError, match=f"no transition from {before.name} to {after.name}"):
        machine.to(after)
    assert machine.state is before


def test_every_state_is_in_the_table() -> None:
    """A state that is added needs its row."""
    assert set(QUEUE_TRANSITIONS) == set(QueueState)
