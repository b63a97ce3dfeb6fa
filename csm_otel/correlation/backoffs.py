"""How long SDKs wait before they retry, and what is learnt of a sender: `known_backoffs`, `backoff_cost`, `Learner`.

Most wait a random time, uniform between two bounds that double with each retry. The user agent tells or suggests which;
where several are possible, each has a share, which `Learner` adjusts with each call that is released.

- botocore waits rand * 50 ms * 2^i after an error (25 ms for DynamoDB), rand * 1 s * 2^i when throttled, 20 s at most;
  before release 1.44 rand * 1 s * 2^i after either. In legacy mode it does that too, but for DynamoDB it waits exactly
  50 ms * 2^i. Releases before 1.30 do not tell their mode: it is legacy unless the program has set another.
- JavaScript waits rand * 100 ms * 2^i (50 ms for DynamoDB), unless the program has set another base.
- Of the others nothing is assumed. Go's defaults are known, but were wrong for half of the recordings: a program that
  sets its own lost more than the others gained.

Source: the SDKs' own code (botocore's retries/standard.py, data/_retry.json and useragent.py, JavaScript's util.js and
services/dynamodb.js), and the recordings of `benchmarks/record_truth.py`.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from functools import lru_cache
from math import exp, log, log1p
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.csm.events import THROTTLING_ERRORS, Dialect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csm_otel.csm.events import ApiCall, ApiCallAttempt

_SHORT_BACKOFF_SINCE = (1, 44)
_MODE_TOLD_SINCE = (1, 30)
_BOTOCORE = re.compile(r"[Bb]otocore[/#](\d+)\.(\d+)")
_RETRY_MODE = "cfg/retry-mode#"
_LEGACY_MODE = "cfg/retry-mode#legacy"
_DYNAMODB = frozenset({"DynamoDB", "DynamoDB Streams"})
_MAX_BACKOFF_MS = 20_000.0
_MAX_DOUBLINGS = 10

_SHARE_OF_STANDARD = 0.1  # of the senders that do not tell their mode
_SHARE_OF_SETTINGS = 0.2  # of those that may have set another base
_LEAST_SHARE = 1e-6  # a sender may have clients with different settings, and so may two senders that look the same
_MAX_LESSON = 2.0  # nats: a single call may be wrong, or a coincidence
_MAX_SENDERS = 1024

# Costs are in nats, relative to a backoff that is uniform over so many ms.
_USUAL_MS = 25.0
# An attempt in a long backoff probably belongs to a call that has not arrived, as it still waits for its next attempt.
_LONG_MS = 1000.0
_STILL_WAITING_COST = 2.0
_FAILURE_RATE = 0.15  # of attempts after a failed one: why a call may not have arrived though its backoff is over
_EARLY_COST = 5.0
_EARLY_EXPONENT = 2.25
_OVERSLEEP_MS = 2.0
_LATE_MS = 5.0  # usual further delay of a thread that waits for the interpreter
_LATE_EXPONENT = 4.0


class Backoffs(NamedTuple):
    """The shortest and the longest backoff before the first retry, in ms; each further retry doubles both."""

    after_error_ms: tuple[float, float]
    when_throttled_ms: tuple[float, float]
    share: float = 1.0
    """How likely they are those of the sender."""

    def bounds_ms(self, event: ApiCallAttempt, number: int) -> tuple[float, float]:
        """Return the bounds after a failed attempt, the ``number``-th of its call from 0."""
        is_throttled = event.aws_exception is not None and event.aws_exception.name in THROTTLING_ERRORS
        scale = 2.0 ** min(number, _MAX_DOUBLINGS)
        shortest_ms, longest_ms = self.when_throttled_ms if is_throttled else self.after_error_ms
        shortest_ms = min(shortest_ms * scale, _MAX_BACKOFF_MS)
        return shortest_ms, max(min(longest_ms * scale, _MAX_BACKOFF_MS), shortest_ms + _OVERSLEEP_MS)


_LONG = Backoffs((0.0, 1000.0), (0.0, 1000.0))
_LEGACY_DYNAMODB = Backoffs((50.0, 50.0), (50.0, 50.0))
_SHORT = Backoffs((0.0, 50.0), (0.0, 1000.0))
_SHORT_DYNAMODB = Backoffs((0.0, 25.0), (0.0, 1000.0))
_JS = Backoffs((0.0, 100.0), (0.0, 100.0))
_JS_DYNAMODB = Backoffs((0.0, 50.0), (0.0, 50.0))


@lru_cache(maxsize=1024)
def known_backoffs(dialect: Dialect, service: str, user_agent: str) -> tuple[Backoffs, ...]:
    """Return the backoffs that a sender may have; none if nothing is known of them."""
    is_dynamodb = service in _DYNAMODB
    if dialect is Dialect.BOTOCORE:
        return _backoffs_of_botocore(user_agent, is_dynamodb=is_dynamodb)
    if dialect is Dialect.JS:
        return _either(_JS_DYNAMODB if is_dynamodb else _JS, _LONG, _SHARE_OF_SETTINGS)
    return ()


def _backoffs_of_botocore(user_agent: str, *, is_dynamodb: bool) -> tuple[Backoffs, ...]:
    found = _BOTOCORE.search(user_agent)
    version = (int(found[1]), int(found[2])) if found else None
    is_told = _RETRY_MODE in user_agent
    if _LEGACY_MODE in user_agent:
        return (_LEGACY_DYNAMODB if is_dynamodb else _LONG,)
    if version is None or (not is_told and version >= _MODE_TOLD_SINCE):  # cut, or replaced by the program's own
        return _either(_SHORT, _LONG, 0.5)
    if version >= _SHORT_BACKOFF_SINCE:
        return (_SHORT_DYNAMODB if is_dynamodb else _SHORT,)
    if is_told or not is_dynamodb:
        return (_LONG,)
    return _either(_LEGACY_DYNAMODB, _LONG, _SHARE_OF_STANDARD)


def _either(usual: Backoffs, other: Backoffs, share_of_other: float) -> tuple[Backoffs, ...]:
    return usual._replace(share=1 - share_of_other), other._replace(share=share_of_other)


def backoff_cost(
    possible: Sequence[Backoffs], event: ApiCallAttempt, number: int, backoff_ms: float, spare_ms: float
) -> float:
    """Return the cost of a backoff after a failed attempt, the ``number``-th of its call from 0.

    ``spare_ms`` is the longest backoff after which the next attempt would have been over by now.
    """
    costs = []
    for one in possible:
        bounds_ms = one.bounds_ms(event, number)
        costs.append(_cost_within(*bounds_ms, backoff_ms) + _cost_of_waiting(*bounds_ms, spare_ms))
    if len(costs) <= 1:
        return sum(costs)
    return -log(sum(one.share * exp(-cost) for one, cost in zip(possible, costs, strict=True)))


def _cost_within(shortest_ms: float, longest_ms: float, backoff_ms: float) -> float:
    """Return the cost of a backoff that is uniform between two bounds."""
    cost = log((longest_ms - shortest_ms) / _USUAL_MS)
    if backoff_ms < shortest_ms:
        return cost + _EARLY_COST + _EARLY_EXPONENT * log1p(shortest_ms - backoff_ms)
    late_ms = backoff_ms - longest_ms - _OVERSLEEP_MS
    return cost + _LATE_EXPONENT * log1p(late_ms / _LATE_MS) if late_ms > 0 else cost


def _cost_of_waiting(shortest_ms: float, longest_ms: float, spare_ms: float) -> float:
    """Return the cost of a backoff that is over, where that of another call, which has not arrived, might not be."""
    still_waiting = 1.0 - min(1.0, max(0.0, (spare_ms - shortest_ms) / (longest_ms - shortest_ms)))
    cost = log((_FAILURE_RATE + (1.0 - _FAILURE_RATE) * still_waiting) / _FAILURE_RATE)  # never below 0
    return cost + (_STILL_WAITING_COST if longest_ms >= _LONG_MS else 0.0)


class _Sender(NamedTuple):
    host: str
    client_id: str
    dialect: Dialect
    service: str
    user_agent: str


class Learner:
    """What the released calls of each sender say about its backoffs; remembers a bounded number of senders."""

    def __init__(self) -> None:
        """Start with nothing learnt."""
        self._learnt: OrderedDict[_Sender, tuple[Backoffs, ...]] = OrderedDict()

    def backoffs_of(self, host: str, call: ApiCall) -> tuple[Backoffs, ...]:
        """Return the possible backoffs of the sender of a call, with their shares."""
        known = known_backoffs(call.dialect, call.service, call.user_agent or "")
        return self._learnt.get(_sender_of(host, call), known) if len(known) > 1 else known

    def learn(self, host: str, call: ApiCall, attempt: ApiCallAttempt, number: int, backoff_ms: float) -> None:
        """Adjust the shares by the backoff after the ``number``-th attempt, from 0, of a released call."""
        possible = self.backoffs_of(host, call)
        if len(possible) <= 1:
            return
        costs = [_cost_within(*one.bounds_ms(attempt, number), backoff_ms) for one in possible]
        cheapest = min(costs)
        weights = [
            one.share * exp(-min(cost - cheapest, _MAX_LESSON)) for one, cost in zip(possible, costs, strict=True)
        ]
        sender = _sender_of(host, call)
        self._learnt[sender] = tuple(
            one._replace(share=max(_LEAST_SHARE, weight / sum(weights)))
            for one, weight in zip(possible, weights, strict=True)
        )
        self._learnt.move_to_end(sender)
        if len(self._learnt) > _MAX_SENDERS:
            self._learnt.popitem(last=False)


def _sender_of(host: str, call: ApiCall) -> _Sender:
    return _Sender(host, call.client_id, call.dialect, call.service, call.user_agent or "")
