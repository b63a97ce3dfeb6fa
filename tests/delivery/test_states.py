"""The tables of transitions: the allowed ones, and no others."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from csm_otel.delivery.states import DISK_TRANSITIONS, REQUEST_TRANSITIONS, DiskState, RequestState
from csm_otel.files.states import StateMachine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import Enum

ALLOWED: list[tuple[Enum, Enum]] = [
    (RequestState.IDLE, RequestState.SENDING),
    (RequestState.SENDING, RequestState.ACCOUNTING),
    (RequestState.SENDING, RequestState.BACKING_OFF),
    (RequestState.ACCOUNTING, RequestState.IDLE),
    (RequestState.ACCOUNTING, RequestState.BACKING_OFF),
    (RequestState.BACKING_OFF, RequestState.SENDING),
    (DiskState.READY, DiskState.MOVING),
    (DiskState.MOVING, DiskState.READY),
    (DiskState.MOVING, DiskState.REFUSED),
    (DiskState.REFUSED, DiskState.RETRYING),
    (DiskState.RETRYING, DiskState.READY),
    (DiskState.RETRYING, DiskState.REFUSED),
]
TABLES: dict[type[Enum], Mapping[Enum, frozenset[Enum]]] = {
    RequestState: REQUEST_TRANSITIONS,  # type: ignore[dict-item]
    DiskState: DISK_TRANSITIONS,  # type: ignore[dict-item]
}
IMPOSSIBLE = [
    pair for states in (RequestState, DiskState) for pair in itertools.product(states, repeat=2) if pair not in ALLOWED
]


@pytest.mark.parametrize(("before", "after"), ALLOWED)
def test_a_transition_of_the_table(before: Enum, after: Enum) -> None:
    """It changes the state."""
    machine = StateMachine(TABLES[type(before)], before)
    machine.to(after)
    assert machine.state is after


@pytest.mark.parametrize(("before", "after"), IMPOSSIBLE)
def test_any_other_transition_is_impossible(before: Enum, after: Enum) -> None:
    """It is a defect of the caller, and the state stays as it was."""
    machine = StateMachine(TABLES[type(before)], before)
    with pytest.raises(RuntimeError, match=f"no transition from {before.name} to {after.name}"):
        machine.to(after)
    assert machine.state is before


@pytest.mark.parametrize("states", list(TABLES))
def test_every_state_is_in_its_table(states: type[Enum]) -> None:
    """A state that is added needs its row."""
    assert set(TABLES[states]) == set(states)
