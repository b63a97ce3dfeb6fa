"""Which held call has which attempts: `Assignment`, at the least cost in all as far as a bounded search tells.

A call takes its best choice, and puts the owners of what it takes on to another of theirs, and those in turn others,
where the sum gains by it: the search for the cheapest augmenting path of a matching, with chains for edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from csm_otel.correlation.chains import MISSING, Chain

if TYPE_CHECKING:
    from csm_otel.correlation.pending import PendingAttempts
    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCall

_DOUBT = 2.5  # nats: another assignment is at least a twelfth as likely
_PLAUSIBLE = 10.0  # nats: 8 ms between receipts, or 25 ms between starts; more where an attempt was lost than else
_DEPTH = 3  # how many calls are put on in turn
_STEPS = 500  # how many choices a search looks at


class HeldCall:
    """A call that waits, the choices it has, and the one that it is given."""

    __slots__ = ("ambiguous", "call", "chain", "chains", "key", "waits", "wanted")

    def __init__(self, key: int, call: Observed[ApiCall], *, waits: bool) -> None:
        """Hold a call that has no choice yet; it ``waits`` for attempts that it misses."""
        self.key = key
        self.call = call
        self.waits = waits
        self.wanted = 0
        self.chains: list[Chain] = []
        self.chain = Chain((), 0.0)
        self.ambiguous = False

    @property
    def missing(self) -> int:
        """How many attempts it counts and has not."""
        return self.wanted - len(self.chain.attempts)

    @property
    def may_do_better(self) -> bool:
        """Whether it waits for what it misses, or what it has is likelier to be that of a call still to come."""
        return (self.waits and self.missing > 0) or self.chain.cost - MISSING * self.missing > _PLAUSIBLE

    def least_cost_without(self, gone: frozenset[int]) -> float:
        """Return what its best choice without some attempts costs; there is always that of none."""
        return next(chain.cost for chain in self.chains if gone.isdisjoint(chain.attempts))


class _Moves(NamedTuple):
    """Calls with the chains that they take instead of theirs, and what all of that costs, in nats."""

    cost: float
    calls: tuple[tuple[HeldCall, Chain], ...]


class _SoFar(NamedTuple):
    """How far a search has come: what is taken, by which calls, and how many more may be put on in turn."""

    attempts: frozenset[int] = frozenset()
    calls: frozenset[int] = frozenset()
    depth: int = _DEPTH

    def after(self, moves: _Moves) -> _SoFar:
        return _SoFar(
            self.attempts.union(*(chain.attempts for _, chain in moves.calls)),
            self.calls.union(held.key for held, _ in moves.calls),
            self.depth,
        )


class Assignment:
    """Who has which of the attempts of a group."""

    def __init__(self, attempts: PendingAttempts) -> None:
        """Begin with attempts that nobody has."""
        self._attempts = attempts
        self._owners: dict[int, HeldCall] = {}
        self._steps = 0

    def owner_of(self, attempt: int) -> HeldCall | None:
        """Return the call that has an attempt, if one has."""
        return self._owners.get(attempt)

    def place(self, held: HeldCall) -> None:
        """Give a call its attempts, at the cost of others where the sum is less."""
        self.disown(held)
        held.chain = held.chains[-1]
        found = self._search(held, limit=held.chain.cost)
        if found:
            self._apply(found)

    def look_for_doubt(self, held: HeldCall) -> None:
        """Mark a call, and those that would change with it, if another choice is nearly as good; take a better one."""
        found = self._search(held, limit=held.chain.cost + _DOUBT, instead_of=held.chain)
        if found and found.cost < held.chain.cost:
            self._apply(found)
            found = self._search(held, limit=held.chain.cost + _DOUBT, instead_of=held.chain)
        if found and held.chain.attempts and not _is_a_swap_of_twins(found):
            for moved, _ in found.calls:
                moved.ambiguous = True

    def _apply(self, moves: _Moves) -> None:
        for held, _ in moves.calls:
            self.disown(held)
        for held, chain in moves.calls:
            held.chain = chain
            self._owners.update(dict.fromkeys(chain.attempts, held))

    def disown(self, held: HeldCall) -> None:
        """Take its attempts from a call."""
        for attempt in held.chain.attempts:
            self._owners.pop(attempt, None)

    def _search(self, held: HeldCall, *, limit: float, instead_of: Chain | None = None) -> _Moves | None:
        self._steps = _STEPS
        return self._cheapest(held, limit, _SoFar(), instead_of)

    def _cheapest(self, held: HeldCall, limit: float, so_far: _SoFar, instead_of: Chain | None = None) -> _Moves | None:
        """Return the cheapest moves below ``limit`` that give a call one of its chains, if there are any."""
        best = None
        options: list[tuple[float, int, Chain, list[HeldCall]]] = []
        for chain in held.chains:
            if chain.cost >= limit or not self._steps:
                break
            self._steps -= 1
            owners = self._owners_to_put_on(held, chain, so_far)
            if owners is None or (instead_of and self._say_the_same(chain, instead_of)):
                continue
            gone = so_far.attempts.union(chain.attempts)
            least = chain.cost + sum(owner.least_cost_without(gone) - owner.chain.cost for owner in owners)
            options.append((least, len(options), chain, owners))
            if not owners:
                break  # what costs more, and puts others on besides, is no better
        for least, _, chain, owners in sorted(options):
            if least >= limit:
                break
            found = self._put_on(owners, held, chain, limit, so_far)
            if found:
                best, limit = found, found.cost
        return best

    def _owners_to_put_on(self, held: HeldCall, chain: Chain, so_far: _SoFar) -> list[HeldCall] | None:
        """Return the calls that have attempts of a chain, or None if it is not to be had."""
        owners: dict[int, HeldCall] = {}
        for attempt in chain.attempts:
            if attempt in so_far.attempts or attempt not in self._attempts:
                return None
            owner = self._owners.get(attempt, held)
            if owner is not held and owner.key not in so_far.calls:
                owners[owner.key] = owner
        return list(owners.values()) if so_far.depth or not owners else None

    def _put_on(
        self, owners: list[HeldCall], held: HeldCall, chain: Chain, limit: float, so_far: _SoFar
    ) -> _Moves | None:
        """Return the moves that give a call a chain and its owners another, if they stay below ``limit`` in all."""
        cost = chain.cost - sum(owner.chain.cost for owner in owners)
        calls: tuple[tuple[HeldCall, Chain], ...] = ((held, chain),)
        so_far = _SoFar(
            so_far.attempts.union(chain.attempts),
            so_far.calls.union((held.key, *(owner.key for owner in owners))),
            so_far.depth - 1,
        )
        for owner in owners:
            found = self._cheapest(owner, limit - cost, so_far)
            if not found:
                return None
            cost += found.cost
            calls += found.calls
            so_far = so_far.after(found)
        return _Moves(cost, calls) if cost < limit else None

    def _say_the_same(self, one: Chain, other: Chain) -> bool:
        return len(one.attempts) == len(other.attempts) and all(
            self._attempts[a].event == self._attempts[b].event
            for a, b in zip(one.attempts, other.attempts, strict=True)
        )


def _is_a_swap_of_twins(moves: _Moves) -> bool:
    """Whether only two calls change that say the same, so that nothing is to be mixed up."""
    (first, _), *others = moves.calls
    return len(others) == 1 and first.call.event == others[0][0].call.event
