"""How long SDKs wait before they retry, and what is learnt of a sender: `PossibleBackoffs`, `Learner`.

Most wait a random time, uniform between two bounds that double with each retry. The user agent tells or suggests which;
where several are possible, each has a share, which `Learner` adjusts with each call that is released.

- botocore waits rand * 50 ms * 2^i after an error (25 ms for DynamoDB), rand * 1 s * 2^i when throttled, 20 s at most;
  before release 1.44 rand * 1 s * 2^i after either. In legacy mode it does that too, but for DynamoDB it waits exactly
  50 ms * 2^i. Releases before 1.30 do not tell their mode: it is legacy unless the program has set another.
- JavaScript waits rand * 100 ms * 2^i (50 ms for DynamoDB), unless the program has set another base.
- Go waits between once and twice a length that programs set: by default 30 ms * 2^i (50 ms for DynamoDB), and 500 ms
  * 2^i when throttled, which 502, 503 and 504 are to it, too. So nothing is assumed, and the bounds are learnt.
- Of the others nothing is assumed.

Source: the SDKs' own code (botocore's retries/standard.py, data/_retry.json and useragent.py, JavaScript's util.js and
services/dynamodb.js, Go's default_retryer.go and request/retryer.go), and recordings by `benchmarks/record_truth.py`.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from functools import lru_cache
from math import exp, log, log1p
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.csm.events import THROTTLING_ERRORS, Dialect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csm_otel.csm.events import ApiCall, ApiCallAttempt

_SHORT_BACKOFF_SINCE = (1, 44)
_MODE_TOLD_SINCE = (1, 30)
_BOTOCORE = re.compile(r"(?<!aio)[Bb]otocore[/#](\d+)\.(\d+)")  # aiobotocore names botocore's own version after its
_RETRY_MODE = "cfg/retry-mode#"
_LEGACY_MODE = "cfg/retry-mode#legacy"
_DYNAMODB = frozenset({"DynamoDB", "DynamoDB Streams"})
_MAX_BACKOFF_MS = 20_000.0
_THROTTLED_BY_STATUS = frozenset({429, 502, 503, 504})  # for Go
_MAX_DOUBLINGS = 10

_SHARE_OF_STANDARD = 0.1  # of the senders that do not tell their mode
_SHARE_OF_SETTINGS = 0.2  # of those that may have set another base
_LEAST_SHARE = 1e-6  # a sender may have clients with different settings, and so may two senders that look the same
_MAX_LESSON = 2.0  # nats: a single call may be wrong, or a coincidence
# Of each sender, how many backoffs are enough for bounds, and how many of the latest are remembered; how much wider the
# bounds are than those seen; and the share that other backoffs keep.
_FEWEST_SEEN, _MAX_SEEN = 6, 64
_MARGIN, _MARGIN_MS = 0.1, 1.0
_SHARE_OF_OTHERS = 0.2
_MAX_SENDERS = 1024

MAX_UNCERTAIN_COST = 10.0
"""The most that a backoff costs, in nats, where several are possible: the program may have set still another."""
# Costs are in nats, relative to a backoff that is uniform over so many ms.
_USUAL_MS = 25.0
# An attempt in a long backoff probably belongs to a call that has not arrived, as it still waits for its next attempt.
_LONG_MS = 1000.0
_STILL_WAITING_COST = 2.0
_SUCCESS_ODDS = 0.85 / 0.15  # of attempts after a failed one; a failure is why a call may not have arrived yet
_EARLY_COST = 5.0
_EARLY_EXPONENT = 2.25
_OVERSLEEP_MS = 2.0
_LATE_MS = 5.0  # usual further delay of a thread that waits for the interpreter
_LATE_EXPONENT = 4.0


class Backoffs(NamedTuple):
    """The shortest and the longest backoff before the first retry, in ms; each further retry doubles both."""

    after_error_ms: tuple[float, float]
    when_throttled_ms: tuple[float, float]


_LONG = Backoffs((0.0, 1000.0), (0.0, 1000.0))
_LEGACY_DYNAMODB = Backoffs((50.0, 50.0), (50.0, 50.0))
_SHORT = Backoffs((0.0, 50.0), (0.0, 1000.0))
_SHORT_DYNAMODB = Backoffs((0.0, 25.0), (0.0, 1000.0))
_JS = Backoffs((0.0, 100.0), (0.0, 100.0))
_JS_DYNAMODB = Backoffs((0.0, 50.0), (0.0, 50.0))


@lru_cache(maxsize=1024)
def known_backoffs(dialect: Dialect, service: str, user_agent: str) -> PossibleBackoffs:
    """Return the backoffs that a sender may have; none if nothing is known of them."""
    is_dynamodb = service in _DYNAMODB
    if dialect is Dialect.BOTOCORE:
        return _backoffs_of_botocore(user_agent, is_dynamodb=is_dynamodb)
    if dialect is Dialect.JS:
        return _either(_JS_DYNAMODB if is_dynamodb else _JS, _LONG, _SHARE_OF_SETTINGS)
    return PossibleBackoffs()


def _backoffs_of_botocore(user_agent: str, *, is_dynamodb: bool) -> PossibleBackoffs:
    found = _BOTOCORE.search(user_agent)
    version = (int(found[1]), int(found[2])) if found else None
    is_told = _RETRY_MODE in user_agent
    if _LEGACY_MODE in user_agent:
        return PossibleBackoffs(_LEGACY_DYNAMODB if is_dynamodb else _LONG)
    if version is None or (not is_told and version >= _MODE_TOLD_SINCE):  # cut, or replaced by the program's own
        return _either(_SHORT, _LONG, 0.5)
    if version >= _SHORT_BACKOFF_SINCE:
        return PossibleBackoffs(_SHORT_DYNAMODB if is_dynamodb else _SHORT)
    if is_told or not is_dynamodb:
        return PossibleBackoffs(_LONG)
    return _either(_LEGACY_DYNAMODB, _LONG, _SHARE_OF_STANDARD)


def _either(usual: Backoffs, other: Backoffs, share_of_other: float) -> PossibleBackoffs:
    return PossibleBackoffs(usual, other, shares=(1 - share_of_other, share_of_other))


class _Bounds(NamedTuple):
    """The bounds of a backoff that is uniform, in ms, with what its cost needs."""

    shortest_ms: float
    longest_ms: float
    width_cost: float
    waiting_cost: float

    def cost(self, backoff_ms: float) -> float:
        """Return the cost of a backoff, by its length alone."""
        if backoff_ms < self.shortest_ms:
            return self.width_cost + _EARLY_COST + _EARLY_EXPONENT * log1p(self.shortest_ms - backoff_ms)
        late_ms = backoff_ms - self.longest_ms - _OVERSLEEP_MS
        return self.width_cost + _LATE_EXPONENT * log1p(late_ms / _LATE_MS) if late_ms > 0 else self.width_cost


class BackoffCosts:
    """The costs of the backoffs after one attempt."""

    __slots__ = ("_possible",)

    def __init__(self, possible: Sequence[tuple[float, _Bounds, float, float]]) -> None:
        """Each of the possible ones has its share and, beside the bounds, two costs whatever the length."""
        self._possible = possible

    def cost(self, backoff_ms: float) -> float:
        """Return the cost of a backoff by its length."""
        possible = self._possible
        if not possible:
            return 0.0
        if len(possible) == 1:
            ((_, bounds, waiting_cost, excess_cost),) = possible
            return bounds.cost(backoff_ms) + waiting_cost + excess_cost
        likelihood = 0.0
        for share, bounds, waiting_cost, excess_cost in possible:
            likelihood += share * exp(-(bounds.cost(backoff_ms) + waiting_cost + excess_cost))
        return min(-log(likelihood), MAX_UNCERTAIN_COST)


class PossibleBackoffs:
    """The backoffs that a sender may have, each with its share; the shares sum up to 1."""

    def __init__(self, *possible: Backoffs, shares: Sequence[float] = (1.0,)) -> None:
        """Take any number of them; of none, every backoff costs nothing."""
        self._possible = possible
        self._bounds: dict[tuple[bool, int], tuple[_Bounds, ...]] = {}
        self.shares = shares

    def __len__(self) -> int:
        """Return how many are possible."""
        return len(self._possible)

    def with_shares(self, shares: Sequence[float]) -> PossibleBackoffs:
        """Return the same backoffs with other shares."""
        other = PossibleBackoffs(*self._possible, shares=shares)
        other._bounds = self._bounds
        return other

    def cost(self, event: ApiCallAttempt, number: int, backoff_ms: float, spare_ms: float) -> float:
        """Return the cost of a backoff after a failed attempt, the ``number``-th of its call from 0.

        ``spare_ms`` is the longest backoff after which the next attempt would have been over by now.
        """
        return self.after(event, number, spare_ms).cost(backoff_ms)

    def after(self, event: ApiCallAttempt, number: int, spare_ms: float) -> BackoffCosts:
        """Return the costs of all backoffs after the same attempt."""
        possible = []
        for share, one in zip(self.shares, self.bounds_after(event, number), strict=False):
            shortest_ms, longest_ms, _, waiting_cost = one
            excess_cost = 0.0
            # It is over, but that of another call, which has not arrived, might not be.
            if spare_ms < longest_ms:
                excess_cost = log1p(_SUCCESS_ODDS * min(1.0, (longest_ms - spare_ms) / (longest_ms - shortest_ms)))
            possible.append((share, one, waiting_cost, excess_cost))
        return BackoffCosts(possible)

    def bounds_after(self, event: ApiCallAttempt, number: int) -> tuple[_Bounds, ...]:
        """Return the bounds after the ``number``-th attempt."""
        return self._bounds_of(is_throttled=_is_throttled(event), number=number)

    def least_cost(self, number: int) -> float:
        """Return the least that any backoff after the ``number``-th attempt costs."""
        costs = [
            bounds.width_cost + bounds.waiting_cost
            for is_throttled in (False, True)
            for bounds in self._bounds_of(is_throttled=is_throttled, number=number)
        ]
        return min(costs, default=0.0)

    def _bounds_of(self, *, is_throttled: bool, number: int) -> tuple[_Bounds, ...]:
        key = is_throttled, min(number, _MAX_DOUBLINGS)
        bounds = self._bounds.get(key)
        if bounds is None:
            scale = _scale_of(number)
            bounds = self._bounds[key] = tuple(
                _bounds_of(one.when_throttled_ms if is_throttled else one.after_error_ms, scale)
                for one in self._possible
            )
        return bounds


def _scale_of(number: int) -> float:
    return 2.0 ** min(number, _MAX_DOUBLINGS)


def _is_throttled(event: ApiCallAttempt) -> bool:
    if event.dialect is Dialect.GO and event.status in _THROTTLED_BY_STATUS:
        return True
    return event.aws_exception is not None and event.aws_exception.name in THROTTLING_ERRORS


def _bounds_of(first_ms: tuple[float, float], scale: float) -> _Bounds:
    shortest_ms, longest_ms = (min(bound_ms * scale, _MAX_BACKOFF_MS) for bound_ms in first_ms)
    longest_ms = max(longest_ms, shortest_ms + _OVERSLEEP_MS)
    return _Bounds(
        shortest_ms,
        longest_ms,
        width_cost=log((longest_ms - shortest_ms) / _USUAL_MS),
        waiting_cost=_STILL_WAITING_COST if longest_ms >= _LONG_MS else 0.0,
    )


class _Sender(NamedTuple):
    host: str
    client_id: str
    dialect: Dialect
    service: str
    user_agent: str


class _LearntShares:
    """Which of several possible backoffs a sender has."""

    def __init__(self, known: PossibleBackoffs) -> None:
        self.backoffs = known

    def learn(self, attempt: ApiCallAttempt, number: int, backoff_ms: float) -> None:
        costs = [bounds.cost(backoff_ms) for bounds in self.backoffs.bounds_after(attempt, number)]
        cheapest = min(costs)
        weights = [
            share * exp(-min(cost - cheapest, _MAX_LESSON))
            for share, cost in zip(self.backoffs.shares, costs, strict=True)
        ]
        self.backoffs = self.backoffs.with_shares([max(_LEAST_SHARE, weight / sum(weights)) for weight in weights])


class _LearntBounds:
    """Between which bounds the backoffs of a sender are, of which nothing is known."""

    def __init__(self) -> None:
        self.backoffs = PossibleBackoffs()
        self._after_error: deque[float] = deque(maxlen=_MAX_SEEN)
        self._when_throttled: deque[float] = deque(maxlen=_MAX_SEEN)

    def learn(self, attempt: ApiCallAttempt, number: int, backoff_ms: float) -> None:
        seen = self._when_throttled if _is_throttled(attempt) else self._after_error
        seen.append(max(0.0, backoff_ms) / _scale_of(number))
        after_error, when_throttled = (
            (min(seen) * (1 - _MARGIN) - _MARGIN_MS, max(seen) * (1 + _MARGIN) + _MARGIN_MS)
            if len(seen) >= _FEWEST_SEEN
            else _LONG.after_error_ms
            for seen in (self._after_error, self._when_throttled)
        )
        if max(len(self._after_error), len(self._when_throttled)) >= _FEWEST_SEEN:
            self.backoffs = _either(Backoffs(after_error, when_throttled), _LONG, _SHARE_OF_OTHERS)


class Learner:
    """What the released calls of each sender say about its backoffs; remembers a bounded number of senders."""

    def __init__(self) -> None:
        """Start with nothing learnt."""
        self._learnt: OrderedDict[_Sender, _LearntShares | _LearntBounds] = OrderedDict()

    def backoffs_of(self, host: str, call: ApiCall) -> PossibleBackoffs:
        """Return the possible backoffs of the sender of a call."""
        known = known_backoffs(call.dialect, call.service, call.user_agent or "")
        if not _can_learn(call, known):
            return known
        learnt = self._learnt.get(_sender_of(host, call))
        return learnt.backoffs if learnt else known

    def learn(self, host: str, call: ApiCall, attempt: ApiCallAttempt, number: int, backoff_ms: float) -> None:
        """Learn from the backoff after the ``number``-th attempt, from 0, of a released call."""
        known = known_backoffs(call.dialect, call.service, call.user_agent or "")
        if not _can_learn(call, known):
            return
        sender = _sender_of(host, call)
        learnt = self._learnt.get(sender)
        if learnt is None:
            learnt = self._learnt[sender] = _LearntShares(known) if known else _LearntBounds()
        learnt.learn(attempt, number, backoff_ms)
        self._learnt.move_to_end(sender)
        if len(self._learnt) > _MAX_SENDERS:
            self._learnt.popitem(last=False)


def _can_learn(call: ApiCall, known: PossibleBackoffs) -> bool:
    return len(known) > 1 or call.dialect is Dialect.GO


def _sender_of(host: str, call: ApiCall) -> _Sender:
    return _Sender(host, call.client_id, call.dialect, call.service, call.user_agent or "")
