"""Which pending call owns which attempts: `Assignment`, at the minimum total cost that a bounded search finds.

An assignment problem in which a call is matched with a chain of attempts instead of a single one. A call is assigned
its cheapest candidate. Where attempts of that belong to other calls, those are displaced to candidates of their own,
which may displace further calls: a search for the cheapest augmenting path, with chains for edges.

Searches in vain are the long ones, and the most. One is not repeated before something on which it depended has changed;
and then only if the shortest *walk*, on which a call may be displaced more than once, would cost little enough. That is
found in a time that grows with the candidates of the calls in reach, not with the number of paths.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.correlation.backoffs import MAX_UNCERTAIN_COST
from csm_otel.correlation.chains import MISSING_COST, Chain

if TYPE_CHECKING:
    from csm_otel.correlation.pending import PendingAttempts
    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCall, ApiCallAttempt

# Costs are in nats.
_AMBIGUITY_MARGIN = 4.0  # an assignment that costs this much more is a fiftieth as likely
_MAX_PLAUSIBLE_COST = 10.0  # 8 ms between receipts, or 25 ms between starts; above it, an attempt was more often lost
_MAX_DEPTH = 3  # displacements in a row
_MAX_STEPS = 500  # candidates examined in one search
_ROUNDING = 1e-6  # in a sum of costs


def is_plausible(cost: float, attempts: int) -> bool:
    """Whether so many attempts, with that cost, are more likely those of their call than of one still to come."""
    excess_cost = cost - _MAX_PLAUSIBLE_COST
    return excess_cost <= 0 or excess_cost <= MAX_UNCERTAIN_COST * (attempts - 1)


class PendingCall:
    """A pending call, its candidates, and the one of them that it is assigned."""

    __slots__ = (
        "ambiguous",
        "assigned",
        "call",
        "candidates",
        "changed",
        "examined",
        "expected",
        "extra",
        "key",
        "rest",
        "searched",
        "waits",
        "wanted",
    )

    def __init__(self, key: int, call: Observed[ApiCall], *, waits: bool) -> None:
        """Start without candidates; with ``waits``, attempts that are missing may still arrive."""
        self.key = key
        self.call = call
        self.rest = call
        """The call as its counted attempts are to fit it: from the end of a redirect that was followed, if any."""
        self.waits = waits
        self.expected = 0
        """The number of attempts that the call counts."""
        self.candidates: list[Chain] = []
        """In order of cost; the last one is always the empty chain."""
        self.wanted: set[int] = set()
        """The attempts of all candidates."""
        self.assigned = Chain((), 0.0)
        self.extra: list[int] = []
        """Attempts that the call has beside those it counts, in order of arrival."""
        self.ambiguous = False
        self.changed = 0
        """When its candidates or its attempts last changed, as the number of changes in its group until then."""
        self.searched = -1
        """When a search last found no attempts for it, likewise."""
        self.examined: dict[int, PendingCall] | None = {}
        """The calls on which that depended, by key; None if it ran out of steps."""

    @property
    def missing(self) -> int:
        """How many of the expected attempts it is not assigned."""
        return self.expected - len(self.assigned.attempts)

    @property
    def may_improve(self) -> bool:
        """Whether a missing attempt may still arrive, or its attempts are more likely those of a call still to come."""
        missing = self.missing
        if self.waits and missing > 0:
            return True
        return not is_plausible(self.assigned.cost - MISSING_COST * missing, len(self.assigned.attempts))

    def min_cost_without(self, attempts: frozenset[int]) -> float:
        """Return the cost of its cheapest candidate with none of these attempts."""
        for chain in self.candidates:
            if attempts.isdisjoint(chain.attempts):
                break
        return chain.cost


class Path(NamedTuple):
    """An augmenting path: calls with their new chains, and the change of the total cost."""

    cost: float
    changes: tuple[tuple[PendingCall, Chain], ...]


class _Visited(NamedTuple):
    """The attempts and calls on the path so far, and how many more displacements are allowed."""

    attempts: frozenset[int] = frozenset()
    calls: frozenset[int] = frozenset()
    depth: int = _MAX_DEPTH

    def after(self, path: Path) -> _Visited:
        return _Visited(
            self.attempts.union(*(chain.attempts for _, chain in path.changes)),
            self.calls.union(pending.key for pending, _ in path.changes),
            self.depth,
        )


class Assignment:
    """The owners of the attempts of a group."""

    def __init__(self, attempts: PendingAttempts) -> None:
        """Start without owners."""
        self._attempts = attempts
        self.owners: dict[int, PendingCall] = {}
        """The call that each assigned attempt is of. Only this class may change it."""
        self.extras: set[int] = set()
        """The attempts that are assigned to a call which does not count them."""
        self._steps = 0
        self._changes = 0  # noted so far
        self._examined: dict[int, PendingCall] = {}
        """The calls that own attempts of the candidates that the last search examined, by key."""

    def owner_of(self, attempt: int) -> PendingCall | None:
        """Return the call that an attempt is assigned to, or None."""
        return self.owners.get(attempt)

    def available_to(
        self, pending: PendingCall, attempts: dict[int, Observed[ApiCallAttempt]]
    ) -> dict[int, Observed[ApiCallAttempt]]:
        """Return those of these attempts that no other call owns."""
        owners = self.owners
        return {key: attempt for key, attempt in attempts.items() if owners.get(key, pending) is pending}

    def assign(self, pending: PendingCall) -> None:
        """Assign a call its attempts by the cheapest path."""
        self.apply(self.cheapest_path(pending))

    def cheapest_path(self, pending: PendingCall) -> Path:
        """Return how to assign a call its attempts, displacing other calls where that lowers the total cost."""
        self.unassign(pending)
        pending.assigned = empty = pending.candidates[-1]
        if self._may_be_below(empty.cost, pending):
            path = self._search(pending, limit=empty.cost)
            if path:
                return path
        pending.searched = self._changes
        pending.examined = self._examined if self._steps else None
        return Path(empty.cost, ((pending, empty),))

    def is_in_vain(self, pending: PendingCall) -> bool:
        """Whether a search would again find no attempts for a call: nothing that the last one examined has changed."""
        searched, examined = pending.searched, pending.examined
        if examined is None:  # with any change it would examine others before it runs out of steps
            return searched == self._changes
        return pending.changed <= searched and all(other.changed <= searched for other in examined.values())

    def note_removal(self) -> None:
        """Note that an attempt among the candidates of calls has left."""
        self._changes += 1

    def note_change(self, pending: PendingCall) -> None:
        """Note that the candidates or the attempts of a call have changed."""
        self._changes += 1
        pending.changed = self._changes

    def check_ambiguity(self, pending: PendingCall) -> None:
        """Mark a call ambiguous, and the calls that would change with it, if another assignment costs little more.

        A cheaper assignment that is found is applied first.
        """
        path = self._search(pending, limit=pending.assigned.cost + _AMBIGUITY_MARGIN, instead_of=pending.assigned)
        if path and path.cost < pending.assigned.cost:
            self.apply(path)
            path = self._search(pending, limit=pending.assigned.cost + _AMBIGUITY_MARGIN, instead_of=pending.assigned)
        if path and pending.assigned.attempts and not _swaps_identical_calls(path):
            for changed, _ in path.changes:
                changed.ambiguous = True

    def apply(self, path: Path) -> None:
        """Assign the calls on a path their new chains."""
        for pending, _ in path.changes:
            self.unassign(pending)
        for pending, chain in path.changes:
            pending.assigned = chain
            if chain.attempts:
                self.note_change(pending)
            self.owners.update(dict.fromkeys(chain.attempts, pending))

    def add_extra(self, pending: PendingCall, attempt: int) -> None:
        """Assign a call an attempt that it does not count."""
        self.note_change(pending)
        pending.extra.append(attempt)
        self.extras.add(attempt)
        self.owners[attempt] = pending

    def remove_extra(self, pending: PendingCall, attempt: int) -> None:
        """Release an attempt that a call does not count."""
        self.note_change(pending)
        pending.extra.remove(attempt)
        self.extras.remove(attempt)
        del self.owners[attempt]

    def remove(self, pending: PendingCall) -> None:
        """Release all attempts of a call that leaves."""
        self.unassign(pending)
        self.note_change(pending)
        pending.examined = {}  # else the calls that left would keep each other in memory
        for attempt in pending.extra:
            self.extras.remove(attempt)
            del self.owners[attempt]

    def unassign(self, pending: PendingCall) -> None:
        """Release the attempts of a call, without changing which chain is its assigned one."""
        if pending.assigned.attempts:
            self.note_change(pending)
        for attempt in pending.assigned.attempts:
            self.owners.pop(attempt, None)

    def _search(self, pending: PendingCall, *, limit: float, instead_of: Chain | None = None) -> Path | None:
        self._steps = _MAX_STEPS
        self._examined = {}
        return self._cheapest_path(pending, limit, _Visited(), instead_of)

    def _may_be_below(self, limit: float, pending: PendingCall) -> bool:
        """Whether a path that costs less may exist: not worth a proof unless a search was in vain before."""
        attempts, _ = pending.candidates[0]
        if pending.searched < 0 or (len(attempts) == 1 and attempts[0] not in self.owners):
            return True
        self._steps = _MAX_STEPS
        self._examined = {}
        return self._least_cost(pending, _MAX_DEPTH, {}) < limit + _ROUNDING

    def _least_cost(self, pending: PendingCall, depth: int, known: dict[tuple[int, int], float]) -> float:
        """Return the cost of the shortest walk that assigns a call attempts, with so many displacements in a row.

        No path costs less. Each displaced call chooses without regard to those before it, so that its cost depends on
        nothing else but the depth, and is ``known`` once computed.
        """
        owners, examined = self.owners, self._examined
        least = inf
        for attempts, cost in pending.candidates:
            if len(attempts) != 1:  # a path, but no walk, may use what is left of a longer chain once displaced
                return -inf if attempts else least
            owner = owners.get(attempts[0])
            if owner is None:
                if cost < least and attempts[0] in self._attempts:
                    least = cost
                continue
            examined[owner.key] = owner
            if owner is pending or not depth:
                continue
            rest = known.get((owner.key, depth))
            if rest is None:
                rest = min(self._least_cost(owner, depth - 1, known), owner.candidates[-1].cost) - owner.assigned.cost
                known[owner.key, depth] = rest
            least = min(least, cost + rest)
        return least

    def _cheapest_path(
        self, pending: PendingCall, limit: float, visited: _Visited, instead_of: Chain | None = None
    ) -> Path | None:
        """Return the cheapest path below ``limit`` that assigns a call one of its candidates, or None."""
        best = None
        options: list[tuple[float, int, Chain, list[PendingCall]]] = []
        for chain in pending.candidates:
            if chain.cost >= limit or not self._steps:
                break
            self._steps -= 1
            owners = self._displaced_owners(pending, chain, visited)
            if owners is None or (instead_of and self._are_equivalent(chain, instead_of)):
                continue
            if not owners:
                if not options:
                    return Path(chain.cost, ((pending, chain),))
                options.append((chain.cost, len(options), chain, owners))
                break  # the rest costs more even before any displacement
            used = visited.attempts.union(chain.attempts)
            increase = 0.0
            for owner in owners:
                increase += owner.min_cost_without(used) - owner.assigned.cost
            options.append((chain.cost + increase, len(options), chain, owners))
        for lower_bound, _, chain, owners in sorted(options):
            if lower_bound >= limit:
                break
            path = self._displace(owners, pending, chain, limit, visited)
            if path:
                best, limit = path, path.cost
        return best

    def _displaced_owners(self, pending: PendingCall, chain: Chain, visited: _Visited) -> list[PendingCall] | None:
        """Return the other calls that own attempts of a chain, or None if it is not available."""
        displaced: list[PendingCall] = []
        for attempt in chain.attempts:
            if attempt in visited.attempts:
                return None
            owner = self.owners.get(attempt)
            if owner is None:
                if attempt not in self._attempts:
                    return None
                continue
            if attempt in self.extras:
                self._examined[owner.key] = owner
                return None
            if owner is not pending and owner.key not in visited.calls and owner not in displaced:
                self._examined[owner.key] = owner
                if not visited.depth:
                    return None
                displaced.append(owner)
        return displaced

    def _displace(
        self, owners: list[PendingCall], pending: PendingCall, chain: Chain, limit: float, visited: _Visited
    ) -> Path | None:
        """Return the path that assigns a call a chain and its owners other ones, or None if it reaches ``limit``."""
        changes: tuple[tuple[PendingCall, Chain], ...] = ((pending, chain),)
        if not owners:
            return Path(chain.cost, changes)
        cost = chain.cost - sum(owner.assigned.cost for owner in owners)
        visited = _Visited(
            visited.attempts.union(chain.attempts),
            visited.calls.union((pending.key, *(owner.key for owner in owners))),
            visited.depth - 1,
        )
        for owner in owners:
            path = self._cheapest_path(owner, limit - cost, visited)
            if not path:
                return None
            cost += path.cost
            changes += path.changes
            if owner is not owners[-1]:
                visited = visited.after(path)
        return Path(cost, changes) if cost < limit else None

    def _are_equivalent(self, first: Chain, second: Chain) -> bool:
        """Whether two chains have the same events, so that it makes no difference which one is assigned."""
        return len(first.attempts) == len(second.attempts) and all(
            self._attempts[a].event == self._attempts[b].event
            for a, b in zip(first.attempts, second.attempts, strict=True)
        )


def _swaps_identical_calls(path: Path) -> bool:
    """Whether a path only exchanges the attempts of two calls with the same event: no result depends on it."""
    (first, _), *others = path.changes
    return len(others) == 1 and first.call.event == others[0][0].call.event
