"""The choices a call has among attempts: `chains_of`, each a chain of tries that may be all of the call's, at a cost.

A chain begins at the call's start, ends at its end with the call's outcome, and each try before the last failed and was
over when the next began. There are many, so only the best parts are combined: some last attempts, some first ones, and
between them some ways back from the last.
"""

from __future__ import annotations

from bisect import bisect_right
from heapq import nsmallest
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.correlation.evidence import first_cost, last_cost, retry_cost
from csm_otel.correlation.matching import END_MAY_OVERRUN, may_be_last, may_be_retried, may_precede, slack_ns
from csm_otel.csm.events import Dialect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCall, ApiCallAttempt

    Candidates = Mapping[int, Observed[ApiCallAttempt]]

MISSING = 100.0  # in nats, for each attempt that is not there: more than any gap costs, so a call takes what it counts
_CHAINS = 24  # how many choices a call keeps
_IMPLAUSIBLE = 12.0  # how much worse than the best, in nats, a choice is not kept
_LASTS, _FIRSTS, _WAYS = 12, 8, 8  # of what chains are made; threads that share a millisecond are fewer
_FEW_TRIES = 4  # beyond which fewer have to do, the more tries: there are as many links as tries, and a count may lie
_BACK = 128  # how many attempts are looked at for the one before another


class Chain(NamedTuple):
    """Attempts by their keys, in order of time, the last one last, and what choosing them costs in nats."""

    attempts: tuple[int, ...]
    cost: float


_cost = attrgetter("cost")


def chains_of(call: Observed[ApiCall], candidates: Candidates, *, wanted: int) -> list[Chain]:
    """Return the best choices of ``wanted`` attempts that a call has, the best first, and none at all as the last.

    Where no choice has that many, the best have as many as there are.
    """
    chains: Iterable[Chain] = ()
    if wanted == 1:
        chains = (
            _only(call, key, attempt) for key, attempt in candidates.items() if may_be_last(attempt.event, call.event)
        )
    elif wanted and candidates:
        chains = _longer_chains(call, candidates, wanted)
    return [*_best(chains), Chain((), MISSING * wanted)]


def with_attempt(
    chains: list[Chain], call: Observed[ApiCall], key: int, attempt: Observed[ApiCallAttempt]
) -> list[Chain]:
    """Return the choices of a call that wants one attempt with one more, that fits and may be the last."""
    *others, nothing = chains
    return [*_best([*others, _only(call, key, attempt)]), nothing]


def _best(chains: Iterable[Chain]) -> list[Chain]:
    best = sorted(chains, key=_cost)[:_CHAINS]  # of one or two, as nearly always, in a fifth of the time of a heap
    return [chain for chain in best if chain.cost <= best[0].cost + _IMPLAUSIBLE]


def _only(call: Observed[ApiCall], key: int, attempt: Observed[ApiCallAttempt]) -> Chain:
    return Chain((key,), last_cost(attempt, call) + first_cost(attempt, call))


def _longer_chains(call: Observed[ApiCall], candidates: Candidates, wanted: int) -> Iterable[Chain]:
    lasts = nsmallest(
        _share(_LASTS, wanted),
        (
            Chain((key,), last_cost(attempt, call))
            for key, attempt in candidates.items()
            if may_be_last(attempt.event, call.event)
        ),
        key=_cost,
    )
    retried = _Retried(call, candidates, wanted)
    firsts = nsmallest(
        _share(_FIRSTS, wanted), (Chain((key,), first_cost(candidates[key], call)) for key in retried.keys), key=_cost
    )
    complete = False
    for last in lasts:
        yield Chain(last.attempts, last.cost + MISSING * (wanted - 1))
        for first in firsts:
            for chain in _between(first, last, candidates, retried, wanted):
                complete = complete or len(chain.attempts) == wanted
                yield chain
    if not complete:
        # The last attempt may be lost; those before it, all failed, are still the call's.
        for first in firsts:
            yield from _between(first, Chain((), MISSING), candidates, retried, wanted)


def _between(first: Chain, last: Chain, candidates: Candidates, retried: _Retried, wanted: int) -> Iterable[Chain]:
    """Yield the chains from a first attempt to a last one, with none to all of the others in between."""
    (key,) = first.attempts
    if key in last.attempts:
        return
    ends = [last]
    for room in range(wanted - 2, -1, -1):
        number = room + 1  # of the attempt at which the ends begin, if all before it are there
        longer = []
        for end in ends:
            cost = retried.link_cost(key, end.attempts, number)
            if cost is None:
                continue
            yield _in_order(Chain((key, *end.attempts), end.cost + first.cost + cost + MISSING * room), candidates)
            middles = [
                middle
                for middle in (retried.before(end) if room else ())
                if middle != key and middle not in end.attempts and may_precede(candidates[key], candidates[middle])
            ]
            longer += [
                (end.cost + cost + ahead, Chain((middle, *end.attempts), end.cost + cost))
                for middle in middles[min(room, len(middles)) - 1 :]  # the others leave too few before them
                if (cost := retried.link_cost(middle, end.attempts, number)) is not None
                and (ahead := _cost_ahead(key, middle, room, retried)) is not None
            ]
        ends = [end for _, end in nsmallest(_share(_WAYS, wanted), longer)]
        if not ends:
            return


def _cost_ahead(first: int, middle: int, room: int, retried: _Retried) -> float | None:
    """Return what is known already of the cost of what is to come before a middle attempt; None if that cannot be.

    Else what fits well to the end would crowd out what fits to both.
    """
    return retried.link_cost(first, (middle,), number=1) if room == 1 else 0.0


def _share(most: int, wanted: int) -> int:
    """Return how many of ``most`` are combined where so many tries are wanted."""
    return max(1, most * _FEW_TRIES // max(_FEW_TRIES, wanted))


def _in_order(chain: Chain, candidates: Candidates) -> Chain:
    if candidates[chain.attempts[0]].event.dialect not in END_MAY_OVERRUN:
        return chain
    *before, last = chain.attempts
    before.sort(key=lambda key: (candidates[key].match_start_ns, candidates[key].match_end_ns, key))
    return Chain((*before, last), chain.cost)


class _Retried:
    """The candidates after which another may have come, by when they were over."""

    def __init__(self, call: Observed[ApiCall], candidates: Candidates, wanted: int) -> None:
        self._call = call
        self._back = _share(_BACK, wanted)
        self._candidates = candidates
        self._link_costs: dict[tuple[int, int, int], float | None] = {}
        self._over = sorted(
            (attempt.match_start_ns if attempt.event.dialect in END_MAY_OVERRUN else attempt.match_end_ns, key)
            for key, attempt in candidates.items()
            if may_be_retried(attempt.event)
        )
        self.keys = [key for _, key in self._over]

    def before(self, end: Chain) -> list[int]:
        """Return the last of those that were over when a chain's end began, the earliest first.

        Of equals the first is taken: the later ones' calls are likelier to be still waiting to try again.
        """
        if not end.attempts:
            return self.keys[-self._back :]
        successor = self._candidates[end.attempts[0]]
        # Java's stale copies repeat the times of the attempt before
        since_ns = successor.match_end_ns if successor.event.dialect is Dialect.JAVA else successor.match_start_ns
        after = bisect_right(self._over, (since_ns + slack_ns(successor.event.dialect) + 1, 0))
        return self.keys[max(0, after - self._back) : after]

    def link_cost(self, key: int, end: tuple[int, ...], number: int) -> float | None:
        """Return what it costs that an attempt, the ``number``-th, came before a chain's end; None if it cannot."""
        if not end:
            return 0.0
        link = key, end[0], number
        if link not in self._link_costs:
            self._link_costs[link] = self._link_cost(self._candidates[key], self._candidates[end[0]], number)
        return self._link_costs[link]

    def _link_cost(
        self, attempt: Observed[ApiCallAttempt], successor: Observed[ApiCallAttempt], number: int
    ) -> float | None:
        if not may_precede(attempt, successor):
            return None
        return retry_cost(attempt, successor, self._call, number=number - 1)
