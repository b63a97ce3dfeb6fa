"""The calls and attempts of one group, and which attempts are whose: `Group`.

The calls that are held have, together, the attempts that cost least, as far as a bounded search tells: a call that
comes takes its best choice, and puts other calls on to another of theirs where the sum gains by it. A call is *settled*
when neither it nor one it competes with, in turn, may take an attempt that nobody has or misses one that may still
come: what else arrives is none of theirs.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.chains import Chain, chains_of, with_attempt
from csm_otel.events import ApiCall, Dialect
from csm_otel.matching import fits, may_be_last, may_be_retried, wanted_by
from csm_otel.pending import PendingAttempts

if TYPE_CHECKING:
    from csm_otel.events import ApiCallAttempt
    from csm_otel.observed import Observed

_DOUBT = 2.5  # nats: another assignment is at least a twelfth as likely
_DEPTH = 3  # how many calls are put on in turn
_STEPS = 500  # how many choices a search looks at
_COMPETITORS = 64  # among how many calls it is looked at whether they are settled
_WAITING = 32  # how many calls that wait for attempts look at one that comes
_LOOKING = 4  # and how many of them for all of their attempts anew
_SENDS_CALL_FIRST = frozenset({Dialect.RUBY})


class Choice(NamedTuple):
    """The attempts chosen for a call, by their keys in the group, in order of time, the last one last."""

    attempts: tuple[int, ...]
    missing: int
    ambiguous: bool


class _HeldCall:
    __slots__ = ("ambiguous", "call", "chain", "chains", "key", "waits", "wanted")

    def __init__(self, key: int, call: Observed[ApiCall], *, waits: bool) -> None:
        self.key = key
        self.call = call
        self.waits = waits
        self.wanted = 0
        self.chains: list[Chain] = []
        self.chain = Chain((), 0.0)
        self.ambiguous = False

    @property
    def missing(self) -> int:
        return self.wanted - len(self.chain.attempts)

    def least_cost_without(self, gone: frozenset[int]) -> float:
        return next(chain.cost for chain in self.chains if gone.isdisjoint(chain.attempts))


class _Moves(NamedTuple):
    """Calls with the chains that they take instead of theirs, and what all of that costs, in nats."""

    cost: float
    calls: tuple[tuple[_HeldCall, Chain], ...]


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


class Group:
    """What waits of the calls of one API by one sender."""

    def __init__(self) -> None:
        """Begin empty."""
        self._attempts = PendingAttempts()
        self._held: dict[int, _HeldCall] = {}
        self._waiting: dict[int, None] = {}
        """The keys of the held calls that wait for what they miss, in order of arrival."""
        self._owners: dict[int, _HeldCall] = {}
        self._suitors: dict[int, set[int]] = {}
        """The calls that have a choice with the attempt in it."""
        self._steps = 0

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._attempts) + len(self._held)

    def add_call(self, key: int, call: Observed[ApiCall], *, waits: bool) -> list[int]:
        """Hold a call and return the keys of the calls that it settles; it ``waits`` for attempts that it misses."""
        held = self._held[key] = _HeldCall(key, call, waits=waits)
        if waits:
            self._waiting[key] = None
        self._look(held)
        self._place(held)
        return self._settled(held)

    def add_attempt(self, key: int, attempt: Observed[ApiCallAttempt]) -> list[int]:
        """Keep an attempt and return the keys of the calls that it settles."""
        self._attempts.add(key, attempt)
        placed: list[_HeldCall] = []
        for held in self._latest_waiting():
            if not _is_interested(held, attempt):
                continue
            if held.wanted == 1:
                self._court(held, with_attempt(held.chains, held.call, key, attempt))
            elif held.missing and len(placed) < _LOOKING:
                self._look(held)
            else:
                continue
            if held.missing or held.chains[0].cost < held.chain.cost:
                self._place(held)
                placed.append(held)
        return sorted({settled for held in placed for settled in self._settled(held)})

    def call(self, key: int) -> Observed[ApiCall]:
        """Return a held call."""
        return self._held[key].call

    def misses_attempts(self, key: int) -> bool:
        """Whether a held call has fewer attempts than it counts."""
        return self._held[key].missing > 0

    def owner_of(self, attempt: int) -> int | None:
        """Return the key of the held call that has an attempt, if one has."""
        held = self._owners.get(attempt)
        return None if held is None else held.key

    def take_call(self, key: int) -> Choice:
        """Forget a held call and return its choice; the attempts are still to be taken."""
        held = self._held[key]
        self._look_for_doubt(held)
        if held.missing:
            self._take_what_is_free(held)
        del self._held[key]
        self._waiting.pop(key, None)
        self._forget_suit(held)
        self._disown(held)
        return Choice(held.chain.attempts, held.missing, held.ambiguous)

    def take_attempt(self, key: int) -> Observed[ApiCallAttempt]:
        """Forget an attempt and return it."""
        return self._attempts.remove(key)

    def _latest_waiting(self) -> list[_HeldCall]:
        """Return the calls that came last of those that wait: an attempt comes soon after its call if not before."""
        return [self._held[key] for key in islice(reversed(self._waiting), _WAITING)]

    def _look(self, held: _HeldCall) -> None:
        """Find out what choices a call has."""
        candidates = self._attempts.candidates(held.call)
        held.wanted = wanted_by(held.call.event, candidates.values())
        self._court(held, chains_of(held.call, candidates, wanted=held.wanted))

    def _court(self, held: _HeldCall, chains: list[Chain]) -> None:
        self._forget_suit(held)
        held.chains = chains
        for chain in chains:
            for attempt in chain.attempts:
                self._suitors.setdefault(attempt, set()).add(held.key)

    def _forget_suit(self, held: _HeldCall) -> None:
        for attempt in {attempt for chain in held.chains for attempt in chain.attempts}:
            self._suitors[attempt].discard(held.key)
            if not self._suitors[attempt]:
                del self._suitors[attempt]

    def _place(self, held: _HeldCall) -> None:
        """Give a call its attempts, at the cost of others where the sum is less."""
        self._disown(held)
        held.chain = held.chains[-1]
        found = self._search(held, limit=held.chain.cost)
        if found:
            self._apply(found)

    def _look_for_doubt(self, held: _HeldCall) -> None:
        """Mark a call, and those that would change with it, if another choice is nearly as good; take a better one."""
        found = self._search(held, limit=held.chain.cost + _DOUBT, instead_of=held.chain)
        if found and found.cost < held.chain.cost:
            self._apply(found)
            found = self._search(held, limit=held.chain.cost + _DOUBT, instead_of=held.chain)
        if found and held.chain.attempts and not _is_a_swap_of_twins(found):
            for moved, _ in found.calls:
                moved.ambiguous = True

    def _take_what_is_free(self, held: _HeldCall) -> None:
        """Give a call that leaves whatever nobody has."""
        self._disown(held)
        candidates = self._attempts.candidates(held.call)
        if not candidates and held.call.event.dialect is Dialect.DOTNET:
            candidates = self._attempts.latest()  # its Latency is another's under concurrency: nothing may fit
        free = {key: attempt for key, attempt in candidates.items() if key not in self._owners}
        chain = chains_of(held.call, free, wanted=held.wanted)[0]
        if len(chain.attempts) > len(held.chain.attempts):
            held.chain = chain

    def _search(self, held: _HeldCall, *, limit: float, instead_of: Chain | None = None) -> _Moves | None:
        self._steps = _STEPS
        return self._cheapest(held, limit, _SoFar(), instead_of)

    def _cheapest(
        self, held: _HeldCall, limit: float, so_far: _SoFar, instead_of: Chain | None = None
    ) -> _Moves | None:
        """Return the cheapest moves below ``limit`` that give a call one of its chains, if there are any."""
        best = None
        options: list[tuple[float, int, Chain, list[_HeldCall]]] = []
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

    def _owners_to_put_on(self, held: _HeldCall, chain: Chain, so_far: _SoFar) -> list[_HeldCall] | None:
        """Return the calls that have attempts of a chain, or None if it is not to be had."""
        owners: dict[int, _HeldCall] = {}
        for attempt in chain.attempts:
            if attempt in so_far.attempts or attempt not in self._attempts:
                return None
            owner = self._owners.get(attempt, held)
            if owner is not held and owner.key not in so_far.calls:
                owners[owner.key] = owner
        return list(owners.values()) if so_far.depth or not owners else None

    def _put_on(
        self, owners: list[_HeldCall], held: _HeldCall, chain: Chain, limit: float, so_far: _SoFar
    ) -> _Moves | None:
        """Return the moves that give a call a chain and its owners another, if they stay below ``limit`` in all."""
        cost = chain.cost - sum(owner.chain.cost for owner in owners)
        calls: tuple[tuple[_HeldCall, Chain], ...] = ((held, chain),)
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

    def _apply(self, moves: _Moves) -> None:
        for held, _ in moves.calls:
            self._disown(held)
        for held, chain in moves.calls:
            held.chain = chain
            self._owners.update(dict.fromkeys(chain.attempts, held))

    def _disown(self, held: _HeldCall) -> None:
        for attempt in held.chain.attempts:
            self._owners.pop(attempt, None)

    def _settled(self, held: _HeldCall) -> list[int]:
        """Return the keys of a call and of all that it competes with, in turn, if they are settled."""
        todo = [held]
        seen = {held.key}
        while todo:
            one = todo.pop()
            if (one.waits and one.missing) or len(seen) > _COMPETITORS:
                return []
            for attempt in {attempt for chain in one.chains for attempt in chain.attempts}:
                if attempt not in self._attempts:
                    continue
                if attempt not in self._owners and one.call.event.dialect not in _SENDS_CALL_FIRST:
                    return []
                others = self._suitors[attempt] - seen
                seen |= others
                todo += [self._held[key] for key in others]
        return sorted(seen)

    def _say_the_same(self, one: Chain, other: Chain) -> bool:
        return len(one.attempts) == len(other.attempts) and all(
            self._attempts[a].event == self._attempts[b].event
            for a, b in zip(one.attempts, other.attempts, strict=True)
        )


def _is_interested(held: _HeldCall, attempt: Observed[ApiCallAttempt]) -> bool:
    """Whether a call that waits may choose an attempt."""
    has_a_place = may_be_last(attempt.event, held.call.event) or (held.wanted > 1 and may_be_retried(attempt.event))
    return has_a_place and fits(attempt, held.call)


def _is_a_swap_of_twins(moves: _Moves) -> bool:
    """Whether only two calls change that say the same, so that nothing is to be mixed up."""
    (first, _), *others = moves.calls
    return len(others) == 1 and first.call.event == others[0][0].call.event
