"""The calls that leave without a search: their attempts are certain, as nothing else is possible.

Most calls are made one after the other, and the attempts that are pending are theirs alone. Then the search has one
candidate to choose, which no other call wants: the one attempt that fits, or all attempts in the only order in which
they can have been made. Where the search would call that *plausible*, it would release the call with it at once. What
is decided here is the same, without candidates, owners and indices; in every other case, nothing is.

For one attempt neither its cost nor its window has to be known, as long as its gaps are short (`evidence.is_close`).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from csm_otel.correlation.assignment import is_plausible
from csm_otel.correlation.evidence import CallCosts, RetryCosts, is_close
from csm_otel.correlation.matching import fits, is_within, may_be_last, may_be_retried, may_precede, window_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csm_otel.correlation.backoffs import PossibleBackoffs
    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCall, ApiCallAttempt

    Attempts = Mapping[int, Observed[ApiCallAttempt]]

MAX_CHAIN = 4  # so many are plausible at a cost below that of a missing attempt, whatever it saves
_MAX_CHECKED = 32  # attempts, for a call that counts one


def only_attempt(call: Observed[ApiCall], attempts: Attempts) -> int | None:
    """Return the key of the one attempt that may be that of a call with one; None if there are more, or it is unlikely.

    ``attempts`` are all that are pending, by key.
    """
    if len(attempts) == 1:
        ((key, attempt),) = attempts.items()
        return key if is_certain(attempt, call) else None
    if len(attempts) > _MAX_CHECKED:
        return None
    window = window_of(call)
    only = None
    for key, attempt in attempts.items():
        if is_within(attempt, window) and may_be_last(attempt.event, call.event):
            if only is not None:
                return None
            only = key
    if only is not None and (is_close(attempts[only], call) or _is_plausible_alone(attempts[only], call)):
        return only
    return None


def only_chain(call: Observed[ApiCall], attempts: Attempts, backoffs: PossibleBackoffs) -> tuple[int, ...]:
    """Return all attempts, up to `MAX_CHAIN`, as the chain of a call if they are one in this order and no other.

    ``backoffs`` are those that the sender may have.
    """
    keys = tuple(sorted(attempts, key=lambda key: attempts[key].match_start_ns))
    chain = [attempts[key] for key in keys]
    if not _is_only_order(chain, call):
        return ()
    links = [
        RetryCosts(one, call, number=number, backoffs=backoffs).next(other)
        for number, (one, other) in enumerate(pairwise(chain))
    ]
    costs = CallCosts(call)
    cost = sum(reversed(links[1:]), costs.last(chain[-1])) + costs.first(chain[0]) + links[0]
    return keys if is_plausible(cost, len(keys)) else ()


def _is_only_order(chain: list[Observed[ApiCallAttempt]], call: Observed[ApiCall]) -> bool:
    """Whether attempts, in order of their starts, may be all of a call's in this order and in no other."""
    window = window_of(call)
    for attempt in chain:
        if attempt.event.not_sent or not is_within(attempt, window):
            return False
    for one, other in pairwise(chain):  # as their ends are in order too, it is enough to compare neighbours
        if one.match_end_ns > other.match_end_ns or not may_be_retried(one.event):
            return False
        if not may_precede(one, other) or may_precede(other, one):
            return False
    return may_be_last(chain[-1].event, call.event)


def is_certain(attempt: Observed[ApiCallAttempt], call: Observed[ApiCall]) -> bool:
    """Whether an attempt is that of a call which counts one, if there is no other call and no other attempt."""
    if not may_be_last(attempt.event, call.event):
        return False
    return is_close(attempt, call) or (fits(attempt, call) and _is_plausible_alone(attempt, call))


def _is_plausible_alone(attempt: Observed[ApiCallAttempt], call: Observed[ApiCall]) -> bool:
    costs = CallCosts(call)
    return is_plausible(costs.last(attempt) + costs.first(attempt), 1)
