"""The assignment of attempts to competing calls: minimum total cost, displacement, and what makes it ambiguous."""

from __future__ import annotations

from itertools import product, starmap
from typing import TYPE_CHECKING

import pytest
from datagrams import call
from hypothesis import given
from hypothesis import strategies as st
from observations import observed, observed_call

from csm_otel.correlation.assignment import Assignment, PendingCall
from csm_otel.correlation.chains import MISSING_COST, Chain
from csm_otel.correlation.pending import PendingAttempts

if TYPE_CHECKING:
    from collections.abc import Mapping

Costs = dict[tuple[int, ...], float]


def assignment_of(attempts: int = 4) -> Assignment:
    """Return an empty assignment of some pending attempts, each with a separate event."""
    pending = PendingAttempts()
    for key in range(attempts):
        pending.add(key, observed(0, 20, XAmznRequestId=str(key)))
    return Assignment(pending)


def pending_call(key: int, costs: Mapping[tuple[int, ...], float], *, expected: int = 1) -> PendingCall:
    """Return a call with these candidates and the empty chain; its event differs from that of any other key."""
    pending = PendingCall(key, observed_call(call(Latency=30 + key)), waits=False)
    pending.expected = expected
    chains = sorted(starmap(Chain, costs.items()), key=lambda chain: chain.cost)
    pending.candidates = [*chains, Chain((), MISSING_COST * expected)]
    return pending


def assigned(*candidates: Costs, expected: int = 1) -> list[tuple[int, ...]]:
    """Assign calls with these candidates one after the other and return the attempts that each has in the end."""
    assignment = assignment_of()
    calls = [pending_call(key, costs, expected=expected) for key, costs in enumerate(candidates)]
    for pending in calls:
        assignment.assign(pending)
    for pending in calls:
        for attempt in pending.assigned.attempts:
            assert assignment.owner_of(attempt) is pending
    return [pending.assigned.attempts for pending in calls]


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        pytest.param([{(0,): 1.0, (1,): 2.0}], [(0,)], id="the-cheapest"),
        pytest.param([{}], [()], id="none"),
        pytest.param([{(0,): 1.0}, {(1,): 1.0}], [(0,), (1,)], id="no-competition"),
        pytest.param([{(0,): 1.0, (1,): 2.0}, {(0,): 1.0}], [(1,), (0,)], id="displaced"),
        pytest.param([{(0,): 1.0, (1,): 9.0}, {(0,): 1.0, (1,): 3.0}], [(0,), (1,)], id="displacement-costs-more"),
        pytest.param([{(0,): 1.0}, {(0,): 2.0}], [(0,), ()], id="the-first-fits-better"),
        pytest.param([{(0,): 2.0}, {(0,): 1.0}], [(), (0,)], id="the-second-fits-better"),
        pytest.param(
            [{(0,): 1.0, (1,): 2.0}, {(1,): 1.0, (2,): 2.0}, {(0,): 1.0}], [(1,), (2,), (0,)], id="displaced-in-turn"
        ),
        pytest.param(
            [{(0,): 1.0, (2,): 2.0}, {(1,): 1.0, (3,): 2.0}, {(0, 1): 1.0}], [(2,), (3,), (0, 1)], id="two-displaced"
        ),
    ],
)
def test_minimum_total_cost(candidates: list[Costs], expected: list[tuple[int, ...]]) -> None:
    """Calls get the attempts with the lowest total cost, in any order of assignment."""
    assert assigned(*candidates) == expected


def test_depth_of_displacement_is_bounded() -> None:
    """Beyond three displacements in a row a call that arrives late does without."""
    row: list[Costs] = [{(key,): 1.0, (key + 1,): 2.0} for key in range(4)]

    for costs, gets_one in ((row[:2], True), (row, False)):
        assignment = assignment_of(6)
        calls = list(starmap(pending_call, enumerate(costs)))
        latecomer = pending_call(9, {(0,): 1.0})
        for pending in (*calls, latecomer):
            assignment.assign(pending)
        assert bool(latecomer.assigned.attempts) is gets_one


@st.composite
def competing(draw: st.DrawFn) -> list[Costs]:
    """Return the candidates of up to three calls for three attempts."""
    chains: list[tuple[int, ...]] = [(0,), (1,), (2,)]
    costs = st.dictionaries(st.sampled_from(chains), st.integers(0, 40).map(float), max_size=3)
    return draw(st.lists(costs, min_size=1, max_size=3))


@given(competing())
def test_small_assignments_are_optimal(candidates: list[Costs]) -> None:
    """With few calls and attempts the total cost is the minimum over all assignments."""
    calls = list(starmap(pending_call, enumerate(candidates)))
    options = [[(chain.attempts, chain.cost) for chain in pending.candidates] for pending in calls]
    possible = [
        sum(cost for _, cost in choice)
        for choice in product(*options)
        if len(used := [attempt for attempts, _ in choice for attempt in attempts]) == len(set(used))
    ]
    assignment = assignment_of()

    for pending in calls:
        assignment.assign(pending)

    assert sum(pending.assigned.cost for pending in calls) == min(possible)


@pytest.mark.parametrize(
    ("candidates", "ambiguous"),
    [
        pytest.param([{(0,): 1.0, (1,): 4.9}, {}], [True, False], id="another-attempt-is-nearly-as-likely"),
        pytest.param([{(0,): 1.0, (1,): 5.1}, {}], [False, False], id="another-attempt-is-unlikely"),
        pytest.param([{(0,): 1.0, (1,): 2.0}, {(1,): 1.0, (0,): 2.0}], [True, True], id="exchange"),
        pytest.param([{(0,): 1.0, (1,): 3.1}, {(1,): 1.0, (0,): 3.1}], [False, False], id="unlikely-exchange"),
        pytest.param([{(0,): 1.0}, {(1,): 1.0}], [False, False], id="no-alternative"),
        pytest.param([{}, {(0,): 1.0}], [False, False], id="nothing-assigned"),
    ],
)
def test_ambiguity(candidates: list[Costs], ambiguous: list[bool]) -> None:
    """A call is ambiguous, with those that would change with it, where another assignment costs at most 4 more."""
    assignment = assignment_of()
    calls = list(starmap(pending_call, enumerate(candidates)))
    for pending in calls:
        assignment.assign(pending)

    assignment.check_ambiguity(calls[0])

    assert [pending.ambiguous for pending in calls] == ambiguous


def test_equal_attempts_are_not_ambiguous() -> None:
    """It makes no difference which of two attempts with the same content a call has."""
    attempts = PendingAttempts()
    for key in range(2):
        attempts.add(key, observed(0, 20))
    assignment = Assignment(attempts)
    pending = pending_call(5, {(0,): 1.0, (1,): 1.0})
    assignment.assign(pending)

    assignment.check_ambiguity(pending)

    assert not pending.ambiguous


def test_exchange_between_equal_calls_is_not_ambiguous() -> None:
    """It makes no difference which of two calls with the same content has which attempt."""
    assignment = assignment_of()
    calls = [pending_call(key, {(0,): 1.0, (1,): 1.0}) for key in range(2)]
    for pending in calls:
        pending.call = calls[0].call
        assignment.assign(pending)

    assignment.check_ambiguity(calls[0])

    assert [pending.ambiguous for pending in calls] == [False, False]


def test_a_better_assignment_is_applied() -> None:
    """An attempt that became available since a call was assigned is used when the call is checked."""
    assignment = assignment_of()
    first, second = pending_call(1, {(0,): 1.0}), pending_call(2, {(0,): 5.0, (1,): 9.0})
    for pending in (first, second):
        assignment.assign(pending)
    assert second.assigned.attempts == (1,)
    assignment.unassign(first)

    assignment.check_ambiguity(second)

    assert (second.assigned.attempts, second.ambiguous) == ((0,), False)
    assert assignment.owner_of(1) is None


def test_unassigned_attempts_have_no_owner() -> None:
    """The attempts of a call are available to others once it is unassigned."""
    assignment = assignment_of()
    pending = pending_call(1, {(0, 1): 1.0}, expected=2)
    assignment.assign(pending)
    assert [assignment.owner_of(attempt) for attempt in (0, 1, 2)] == [pending, pending, None]

    assignment.unassign(pending)

    assert [assignment.owner_of(attempt) for attempt in (0, 1)] == [None, None]


@pytest.mark.parametrize(
    ("waits", "costs", "expected", "may_improve"),
    [
        pytest.param(False, {(0,): 9.0}, 1, False, id="complete-and-plausible"),
        pytest.param(False, {(0,): 11.0}, 1, True, id="implausible"),
        pytest.param(False, {}, 1, False, id="missing"),
        pytest.param(True, {}, 1, True, id="missing-and-may-still-arrive"),
        pytest.param(True, {(0,): 9.0}, 1, False, id="waits-for-nothing"),
        pytest.param(False, {(0,): 109.0}, 2, False, id="incomplete-and-plausible"),
        pytest.param(False, {(0,): 111.0}, 2, True, id="incomplete-and-implausible"),
        pytest.param(True, {}, 0, False, id="expects-none"),
    ],
)
def test_may_improve(costs: Costs, expected: int, *, waits: bool, may_improve: bool) -> None:
    """A later event may improve a call that waits for attempts, or whose attempts fit badly."""
    pending = pending_call(1, costs, expected=expected)
    pending.waits = waits

    assignment_of().assign(pending)

    assert pending.may_improve is may_improve


def test_a_search_in_vain_depends_on_the_calls_that_it_examined() -> None:
    """A call without attempts is searched for again after a change of itself or an owner, not of another call."""
    assignment = assignment_of()
    owner, other, late = pending_call(0, {(0,): 1.0}), pending_call(1, {(1,): 1.0}), pending_call(2, {(0,): 2.0})
    assert not assignment.is_in_vain(late)
    for pending in (owner, other, late):
        assignment.assign(pending)
    assert assignment.is_in_vain(late)

    assignment.note_change(other)
    assert assignment.is_in_vain(late)

    for changed in (owner, late):
        assignment.note_change(changed)
        assert not assignment.is_in_vain(late)
        assignment.assign(late)
        assert assignment.is_in_vain(late)

    assignment.remove(owner)
    assert not assignment.is_in_vain(late)
    assignment.assign(late)
    assert late.assigned.attempts == (0,)


def test_a_search_that_is_cut_short_depends_on_everything() -> None:
    """After a search that ran out of steps, any change or removal may let the next one get further."""
    assignment = assignment_of()
    owner, late = pending_call(0, {(0,): 1.0}), pending_call(2, {(0,): 2.0})
    late.candidates = [Chain((0,), 2.0)] * 1000 + late.candidates
    for pending in (owner, late):
        assignment.assign(pending)
    assert assignment.is_in_vain(late)

    assignment.note_removal()
    assert not assignment.is_in_vain(late)


@st.composite
def crowded(draw: st.DrawFn) -> list[Costs]:
    """Return the candidates of up to eight calls for six attempts, some with two attempts."""
    attempts = st.integers(0, 5)
    sizes = draw(st.sampled_from([1, 1, 2]))
    chains = st.lists(attempts, min_size=1, max_size=sizes, unique=True).map(tuple)
    costs = st.dictionaries(chains, st.floats(0, 20), max_size=6)
    return draw(st.lists(costs, min_size=4, max_size=8))


@given(crowded(), st.lists(st.integers(0, 3), max_size=24))
def test_only_searches_in_vain_are_left_out(candidates: list[Costs], again: list[int]) -> None:
    """Calls get the same attempts if each is searched for as if for the first time, when no search is left out."""
    histories = []
    for forgets in (False, True):
        assignment = assignment_of(6)
        calls = [
            pending_call(key, costs, expected=max(map(len, costs), default=1)) for key, costs in enumerate(candidates)
        ]
        history = []
        for pending in (*calls, *(calls[key] for key in again)):
            if forgets:
                pending.searched = -1
            assignment.assign(pending)
            history.append([one.assigned for one in calls])
        histories.append(history)
    proved, searched = histories
    assert proved == searched
