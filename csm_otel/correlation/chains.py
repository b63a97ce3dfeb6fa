"""The candidates of a call: `candidate_chains`, sequences of attempts that may be all of the call's, with their costs.

A chain begins at the start of the call and ends at its end, with its result; each attempt before the last failed and
was over when the next began. There are exponentially many, so that only the cheapest parts are combined: some last
attempts, some first ones, and between them a beam search backwards from the last. Those whose ends cost least are
connected first, so that the others, which even the likeliest retries would not make cheap enough, need not be. Of many
attempts only the ones received closest to the call are considered as its last, and among many failed ones, which are
much the same, the search is narrower: the cost of a call is bounded.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from itertools import islice
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.correlation.backoffs import PossibleBackoffs
from csm_otel.correlation.evidence import CallCosts, RetryCosts
from csm_otel.correlation.matching import (
    END_MAY_OVERRUN,
    earliest_next_ns,
    may_be_last,
    may_be_retried,
    may_precede,
    over_ns,
    slack_ns,
)
from csm_otel.csm.events import Dialect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCall, ApiCallAttempt

    Attempts = Mapping[int, Observed[ApiCallAttempt]]

_UNKNOWN = PossibleBackoffs()
# Costs are in nats.
MISSING_COST = 100.0
"""The cost of each attempt that a chain lacks: more than any gap, so that a call prefers as many as it counts."""
_MAX_EXCESS_COST = 12.0  # above the cheapest; what costs more is implausible
_MAX_CANDIDATES = 24
_MAX_LASTS_EVALUATED = 64  # more than threads end calls of one API within the same few milliseconds
_MAX_LASTS, _MAX_FIRSTS, _BEAM_WIDTH = 12, 8, 8  # threads that share a millisecond are fewer
_MAX_PAIRS = _MAX_FIRSTS + 1  # of a last attempt: with each first one, and alone
_ROUNDING = 1e-4  # in the sum of costs, and of shares
_FULL_WIDTH_ATTEMPTS = 4  # above it the search narrows in proportion: its depth is a count that may be false
_FULL_WIDTH_RETRIED = 64  # so does it with more attempts that may have been retried: in a flood all are much the same
_WITHOUT_MIDDLE = 2  # attempts of a call: a first and a last one
_MAX_PREDECESSORS = 128  # attempts examined for the one before another


class Chain(NamedTuple):
    """Attempts by key, in order of time, the last one last, and their cost in nats."""

    attempts: tuple[int, ...]
    cost: float


_cost = attrgetter("cost")


def candidate_chains(
    call: Observed[ApiCall], eligible: Attempts, *, expected: int, backoffs: PossibleBackoffs = _UNKNOWN
) -> list[Chain]:
    """Return the cheapest chains of ``expected`` attempts for a call, in order of cost, and last the empty chain.

    ``backoffs`` are those that the sender may have. If no chain has as many attempts, return those with most.
    """
    chains: Iterable[Chain] = ()
    if expected == 1:
        costs = CallCosts(call)
        chains = [
            Chain((key,), costs.last(attempt) + costs.first(attempt))
            for key, attempt in _possible_lasts(call, eligible)
        ]
    elif expected and eligible:
        chains = _longer_chains(call, eligible, expected, backoffs)
    return [*_cheapest(chains), Chain((), MISSING_COST * expected)]


def _possible_lasts(call: Observed[ApiCall], eligible: Attempts) -> Iterable[tuple[int, Observed[ApiCallAttempt]]]:
    """Return the attempts that may be the last one: of many, those received closest to the call."""
    attempts: Iterable[tuple[int, Observed[ApiCallAttempt]]] = eligible.items()
    if len(eligible) > _MAX_LASTS_EVALUATED:
        attempts = sorted(attempts, key=lambda item: abs(item[1].received_ns - call.received_ns))
    possible = ((key, attempt) for key, attempt in attempts if may_be_last(attempt.event, call.event))
    return islice(possible, _MAX_LASTS_EVALUATED)


def with_attempt(
    candidates: list[Chain], call: Observed[ApiCall], key: int, attempt: Observed[ApiCallAttempt]
) -> list[Chain]:
    """Return the candidates of a call that expects one attempt, with another one that fits and may be its last."""
    *others, empty = candidates
    costs = CallCosts(call)
    return [*_cheapest([*others, Chain((key,), costs.last(attempt) + costs.first(attempt))]), empty]


def _cheapest(chains: Iterable[Chain]) -> list[Chain]:
    cheapest = sorted(chains, key=_cost)  # five times faster than a heap for one or two, the usual
    if len(cheapest) <= 1:
        return cheapest
    most = cheapest[0].cost + _MAX_EXCESS_COST
    return [chain for chain in cheapest[:_MAX_CANDIDATES] if chain.cost <= most]


def _longer_chains(
    call: Observed[ApiCall], eligible: Attempts, expected: int, backoffs: PossibleBackoffs
) -> Iterable[Chain]:
    costs = CallCosts(call)
    retried = _Retried(call, eligible, expected, backoffs)
    lasts = _cheapest_ones(
        _narrowed(_MAX_LASTS, expected, len(retried.keys)),
        [(costs.last(attempt), key) for key, attempt in _possible_lasts(call, eligible)],
    )
    firsts = _cheapest_ones(
        _narrowed(_MAX_FIRSTS, expected, len(retried.keys)),
        [(costs.first(eligible[key]), key) for key in retried.keys],
    )
    found = _Found(expected)
    pairs = [
        (last.cost + first.cost, place * _MAX_PAIRS + number, first, last)
        for place, last in enumerate(lasts)
        for number, first in retried.before(last, firsts)
    ]
    least = None
    for cost, place, first, last in sorted(pairs):
        if found.complete:
            least = _least_cost_of_retries(expected, backoffs) if least is None else least
            if cost + least > found.limit:
                break  # whatever is between them costs too much
        for chain in _connect(first, last, retried, expected):
            found.add(place, chain)
    alone_cost = MISSING_COST * (expected - 1)
    if not found.complete or alone_cost <= found.limit:
        for place, last in enumerate(lasts):
            found.add(place * _MAX_PAIRS, Chain(last.attempts, last.cost + alone_cost))
    if not found.complete:
        # The last attempt may be lost; those before it, all failed, still belong to the call.
        for first in firsts:
            for chain in _connect(first, Chain((), MISSING_COST), retried, expected):
                found.add(_MAX_LASTS * _MAX_PAIRS, chain)
    return found.chains()


def _cheapest_ones(count: int, costs: list[tuple[float, int]]) -> list[Chain]:
    return [Chain((key,), cost) for cost, key in sorted(costs, key=itemgetter(0))[:count]]


def _least_cost_of_retries(expected: int, backoffs: PossibleBackoffs) -> float:
    """Return the least that the retries of a call cost, whenever they were."""
    return sum(backoffs.least_cost(number) for number in range(expected - 1))


class _Found:
    """Chains of a call, found in any order."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._chains: list[tuple[int, Chain]] = []
        self._costs: list[float] = []
        self.complete = False
        """Whether one of them has as many attempts as are expected."""

    def add(self, place: int, chain: Chain) -> None:
        """Add a chain; of those with equal costs, the ones with the lowest place are preferred."""
        self._chains.append((place, chain))
        insort(self._costs, chain.cost)
        if len(chain.attempts) == self._expected:
            self.complete = True

    @property
    def limit(self) -> float:
        """The cost above which no other chain is among the cheapest."""
        costs = self._costs
        limit = costs[0] + _MAX_EXCESS_COST
        return (limit if len(costs) < _MAX_CANDIDATES else min(limit, costs[_MAX_CANDIDATES - 1])) + _ROUNDING

    def chains(self) -> list[Chain]:
        """Return all chains."""
        return [chain for _, chain in sorted(self._chains, key=itemgetter(0))]


def _connect(first: Chain, last: Chain, retried: _Retried, expected: int) -> Iterable[Chain]:
    """Yield the chains from a first attempt to a last one, with up to all of the other expected ones in between."""
    (key,) = first.attempts
    beam = [last]
    for room in range(expected - 2, -1, -1):
        number = room + 1  # of the attempt before the tails in the beam, if none is missing before it
        longer: list[tuple[float, Chain]] = []
        for tail in beam:
            cost = retried.link_cost(key, tail.attempts, number)
            if cost is None:
                continue
            chain = Chain((key, *tail.attempts), tail.cost + first.cost + cost + MISSING_COST * room)
            yield retried.in_order(chain) if expected > _WITHOUT_MIDDLE else chain
            if not room:
                continue
            middles = retried.between(key, tail)
            longer += [
                (tail.cost + cost + ahead, Chain((middle, *tail.attempts), tail.cost + cost))
                for middle in middles[min(room, len(middles)) - 1 :]  # earlier ones leave too few before them
                if (cost := retried.link_cost(middle, tail.attempts, number)) is not None
                and (ahead := _cost_ahead(key, middle, room, retried)) is not None
            ]
        if not longer:
            return
        beam = [tail for _, tail in sorted(longer)[: retried.beam_width]]


def _cost_ahead(first: int, middle: int, room: int, retried: _Retried) -> float | None:
    """Return the part of the remaining cost that is already known; None if the two attempts cannot be connected.

    Without it, attempts that fit well to the tail would displace those that fit to both sides from the beam.
    """
    return retried.link_cost(first, (middle,), number=1) if room == 1 else 0.0


def _narrowed(width: int, expected: int, retried: int) -> int:
    """Return the width of the search for a number of attempts, of which so many may have been retried."""
    width = width * _FULL_WIDTH_ATTEMPTS // max(_FULL_WIDTH_ATTEMPTS, expected)
    return max(1, width * _FULL_WIDTH_RETRIED // max(_FULL_WIDTH_RETRIED, retried))


class _Retried:
    """The attempts that may have been retried, in the order in which they were over."""

    def __init__(self, call: Observed[ApiCall], eligible: Attempts, expected: int, backoffs: PossibleBackoffs) -> None:
        self._call = call
        self._backoffs = backoffs
        self._eligible = eligible
        self._link_costs: dict[tuple[int, int, int], float | None] = {}
        self._costs: dict[tuple[int, int], RetryCosts] = {}
        self._slack_ns = slack_ns(call.event.dialect)
        self._is_java = call.event.dialect is Dialect.JAVA
        self._end_may_overrun = call.event.dialect in END_MAY_OVERRUN
        self._over = sorted(
            (over_ns(attempt), key) for key, attempt in eligible.items() if may_be_retried(attempt.event)
        )
        self._earliest_next_ns = {key: since_ns - self._slack_ns for since_ns, key in self._over}
        self.keys = [key for _, key in self._over]
        self.beam_width = _narrowed(_BEAM_WIDTH, expected, len(self.keys))
        self._max_predecessors = _narrowed(_MAX_PREDECESSORS, expected, len(self.keys))

    def between(self, first: int, tail: Chain) -> list[int]:
        """Return the attempts that may be between a first one and a tail, in the order in which they were over."""
        eligible, taken = self._eligible, (first, *tail.attempts)
        attempt = eligible[first]
        middles = [middle for middle in self._before(tail) if middle not in taken]
        if attempt.event.dialect is Dialect.JAVA:
            return [middle for middle in middles if may_precede(attempt, eligible[middle])]
        since_ns = earliest_next_ns(attempt)
        return [middle for middle in middles if since_ns <= eligible[middle].match_start_ns]

    def _before(self, tail: Chain) -> list[int]:
        """Return the last attempts that were over when a tail began, in order.

        Of equal ones the search prefers the first: the calls of the later ones are likelier to be still in backoff.
        """
        if not tail.attempts:
            return self.keys[-self._max_predecessors :]
        successor = self._eligible[tail.attempts[0]]
        # Java's stale copies repeat the times of the attempt before
        since_ns = successor.match_end_ns if successor.event.dialect is Dialect.JAVA else successor.match_start_ns
        until = bisect_right(self._over, (since_ns + slack_ns(successor.event.dialect) + 1, 0))
        return self.keys[max(0, until - self._max_predecessors) : until]

    def before(self, last: Chain, firsts: list[Chain]) -> list[tuple[int, Chain]]:
        """Return which of the first attempts, numbered from 1, may be before a last one."""
        (last_key,) = last.attempts
        return [
            (number, first)
            for number, first in enumerate(firsts, start=1)
            if first.attempts != last.attempts and self._may_precede(first.attempts[0], last_key)
        ]

    def in_order(self, chain: Chain) -> Chain:
        """Return a chain with its attempts in order of time, which the search may not know."""
        if not self._end_may_overrun:
            return chain
        eligible = self._eligible
        *before, last = chain.attempts
        before.sort(key=lambda key: (eligible[key].match_start_ns, eligible[key].match_end_ns, key))
        return Chain((*before, last), chain.cost)

    def _may_precede(self, key: int, next_key: int) -> bool:
        """Whether an attempt was over when another one began."""
        successor = self._eligible[next_key]
        in_time = self._earliest_next_ns[key] <= successor.match_start_ns
        return in_time or (self._is_java and may_precede(self._eligible[key], successor))

    def link_cost(self, key: int, tail: tuple[int, ...], number: int) -> float | None:
        """Return the cost of an attempt, the ``number``-th of its call, before a tail; None if that is impossible."""
        if not tail:
            return 0.0
        link = key, tail[0], number
        if link not in self._link_costs:
            self._link_costs[link] = self._link_cost(*link)
        return self._link_costs[link]

    def _link_cost(self, key: int, next_key: int, number: int) -> float | None:
        if not self._may_precede(key, next_key):
            return None
        costs = self._costs.get((key, number))
        if costs is None:
            attempt = self._eligible[key]
            costs = RetryCosts(attempt, self._call, number=number - 1, backoffs=self._backoffs)
            self._costs[key, number] = costs
        return costs.next(self._eligible[next_key])
